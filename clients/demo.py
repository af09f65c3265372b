"""``make demo``: a server of its own, and a network that learns spoken digits while you watch.

Streams synthesised digits of eight voices to a fresh server, many times faster than speech, and
ends with the summary line of `replay`. No utterance comes twice, so the accuracy is that of
utterances the network has not heard before.
"""

import contextlib
import sys

from rich.console import Console

from clients import replay
from clients.local_server import ServerFailed, local_server

SOURCE = "digits:english?n=1000&voices=8"
SPEED = "12"


def main() -> int:
    """Run the demo and return its exit code."""
    console = Console(highlight=False)
    console.print(
        "[bold]tclif demo[/bold]  A spiking network, random at first, hears ten spoken digits in"
        " eight voices.\nIt predicts every utterance before it learns the label; chance is 0.10."
    )
    try:
        with contextlib.ExitStack() as stack:
            with console.status("starting the server; the first time it compiles its kernel"):
                address = stack.enter_context(local_server())
            console.print(f"server http://{address}, its sessions at /v1/sessions")
            url = f"ws://{address}/v1/stream"
            return replay.main([SOURCE, "--url", url, "--speed", SPEED, "--session", "demo"])
    except (OSError, ServerFailed) as error:
        console.print(f"demo: {error}", style="red")
        return 1


if __name__ == "__main__":
    sys.exit(main())
