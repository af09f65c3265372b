"""The demo's picture for the README, taken of a real run.

    python -m benchmarks.picture

Streams the demo's source to a server of its own, keeps the live view as it looks before the last
utterances, and writes it as ``docs/figures/demo.png``. Needs Chromium to turn the drawing into
pixels; the tests do not.
"""

import asyncio
import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme

from clients import demo
from clients.datasets import open_source
from clients.local_server import local_server
from clients.replay import Replay
from clients.replay_arguments import parse
from clients.replay_progress import ReplayProgress
from clients.terminal import render

FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "demo.png"
_WIDTH, _HEIGHT = 100, 30
_PIXELS = 2
_THEME = TerminalTheme(
    (24, 26, 31),
    (216, 219, 226),
    [
        *((24, 26, 31), (204, 102, 119), (17, 119, 51), (221, 204, 119)),
        *((68, 119, 170), (170, 68, 153), (68, 170, 153), (200, 204, 212)),
    ],
)
_SVG_SIZE = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')


class Photographer:
    """Keeps how the view looks while the replay still learns."""

    interval_s = 0.5

    def __init__(self) -> None:
        self.svg = ""

    def show(self, progress: ReplayProgress) -> None:
        """Keep the present picture as SVG."""
        console = Console(
            record=True, width=_WIDTH, height=_HEIGHT, file=io.StringIO(), force_terminal=True
        )
        console.print(render(progress, width=_WIDTH, height=_HEIGHT))
        self.svg = console.export_svg(title="make demo", theme=_THEME)

    def close(self) -> None:
        """Keep what there is."""


def main() -> int:
    """Run the replay and write the picture; return the exit code."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print("no Chromium on this machine: the picture can't be drawn")
        return 1
    photographer = Photographer()
    with local_server() as address:
        arguments = parse([demo.SOURCE, "--url", f"ws://{address}/v1/stream", "--speed", "12"])
        source = open_source(arguments.source)
        request = arguments.request(source, with_picture=True)
        asyncio.run(Replay(arguments, request, source, None, photographer).run())
    _draw(browser, photographer.svg)
    print(f"wrote {FIGURE}")
    return 0


def _draw(browser: str, svg: str) -> None:
    # the drawing asks for a font from the network; the machine's own will do
    svg = re.sub(r"@font-face\s*{[^}]*}", "", svg).replace("Fira Code", "DejaVu Sans Mono")
    size = _SVG_SIZE.search(svg)
    assert size is not None, "rich writes the size into viewBox"
    width, height = (round(float(number)) for number in size.groups())
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "demo.html"
        page.write_text(f'<body style="margin:0"><div style="width:{width}px">{svg}</div></body>')
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += ["--disable-background-networking", "--disable-component-update"]
        command += [f"--user-data-dir={folder}/profile", f"--window-size={width},{height}"]
        command += [f"--force-device-scale-factor={_PIXELS}", f"--screenshot={FIGURE}"]
        subprocess.run([*command, page.as_uri()], check=True, capture_output=True)  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
