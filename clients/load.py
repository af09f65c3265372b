"""``tclif-load``: many sessions in real time, and how late their predictions are.

    tclif-load --sessions 100 --seconds 600

Some processes share the sessions. Each session streams 40 ms of events at a time, closed by a frame
without events that says that this time has passed; its prediction's lag counts from that frame's
sending. Frames leave when they are due, whatever has been answered by then.

Exit code 0 if every promise was held; 1 if one was not, or the server can't be used; 130 after
Ctrl-C, with what there is by then.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from clients.connection_errors import ClientError
from clients.credentials import token_from_environment, token_from_file
from clients.error_sentences import sentence
from clients.load_arguments import parse
from clients.load_report import table
from clients.load_run import Load, ProcessEnded, Progress
from clients.optional_packages import MissingPackage, import_optional

_INTERRUPTED = 130


def main(command_line: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = parse(command_line)
    try:
        file = arguments.token_file
        token = token_from_environment() if file is None else token_from_file(file)
        with _bar() as show:
            load = Load(arguments, token, show)
            report = load.run()
        if arguments.json is not None:
            text = json.dumps(report, indent=1, allow_nan=False)
            arguments.json.write_text(text + "\n", encoding="utf-8")
    except (ClientError, OSError, ValueError, ProcessEnded, MissingPackage) as error:
        sys.stderr.write(f"tclif-load: {sentence(error)}\n")
        return 1
    sys.stdout.write(table(report) + "\n")
    if load.is_interrupted:
        return _INTERRUPTED
    return int(bool(report["broken"]))


class _Show(Protocol):
    def __call__(self, progress: Progress) -> None: ...


@contextmanager
def _bar() -> Iterator[_Show]:
    """Draw a progress bar meanwhile, on the error stream; nothing where that is no terminal."""
    rich = import_optional("rich.progress", "to draw the progress bar")
    columns = (rich.TextColumn("{task.description}"), rich.BarColumn(), rich.TimeRemainingColumn())
    console = import_optional("rich.console", "to draw the progress bar").Console(stderr=True)
    is_off = not console.is_terminal
    with rich.Progress(*columns, console=console, transient=True, disable=is_off) as drawn:
        bar = drawn.add_task("opening", total=1.0)

        def show(progress: Progress) -> None:
            words = f"{progress.n_admitted} sessions"
            if progress.n_refused:
                words += f", {progress.n_refused} refused"
            if progress.worst_ms:
                words += f", worst lag {progress.worst_ms:.0f} ms"
            drawn.update(bar, completed=progress.share_done, description=words)

        yield show


if __name__ == "__main__":
    sys.exit(main())
