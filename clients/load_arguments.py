"""The command line of ``tclif-load``."""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clients.argument_types import count, stream_url
from clients.credentials import TOKEN_VARIABLE
from clients.load_task import FRAME_S, SEGMENT_FRAMES
from clients.replay_arguments import DEFAULT_URL


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What was asked for on the command line; `parse` documents each."""

    url: str
    metrics_url: str | None
    sessions: int
    seconds: float
    warm_up_s: float
    processes: int
    opens_per_s: float
    synchronised: bool
    label_delay_ms: tuple[int, int]
    deadline_ms: float
    quality_floor: float
    keep: bool
    token_file: Path | None
    json: Path | None

    @property
    def label_frames(self) -> tuple[int, int]:
        """First and last frame after a segment's end that may bring its label."""
        low, high = self.label_delay_ms
        frame_ms = FRAME_S * 1000
        return math.ceil(low / frame_ms) - 1, math.ceil(high / frame_ms) - 1


def parse(command_line: Sequence[str] | None) -> Arguments:
    """Read the command line; ends the program with code 2 and a usage line if it is wrong."""
    parser = argparse.ArgumentParser(
        prog="tclif-load",
        description="Stream many sessions of SHD's size to a server in real time and measure how"
        " late its predictions are.",
        epilog="Exit code 0 if every promise was held, 1 if one was not.",
    )
    add = parser.add_argument
    add("--url", type=stream_url, default=DEFAULT_URL, help="of the stream (default %(default)s)")
    add("--metrics-url", metavar="URL", help="default: /metrics on the stream's host and port")
    add("--sessions", type=count, default=100, metavar="N", help="how many (default %(default)s)")
    add(
        "--seconds",
        type=_positive,
        default=60.0,
        help="length of the measured time (default %(default)g)",
    )
    add(
        "--warm-up-s",
        type=_positive,
        default=5.0,
        metavar="S",
        help="all sessions stream so long before anything is measured (default %(default)g)",
    )
    add(
        "--processes",
        type=count,
        default=2,
        metavar="N",
        help="that share the sessions (default %(default)s)",
    )
    add(
        "--opens-per-s",
        type=_positive,
        default=10.0,
        metavar="N",
        help="sessions opened in a second (default %(default)g)",
    )
    add(
        "--synchronised",
        action="store_true",
        help="all sessions end frames and segments at the same moments, instead of spread evenly",
    )
    add(
        "--label-delay-ms",
        type=_range,
        default=(200, 900),
        metavar="LOW,HIGH",
        help="from a segment's end to its label, each drawn anew (default 200,900); equal ones"
        " together with --synchronised have all sessions learn at once",
    )
    add(
        "--deadline-ms",
        type=_positive,
        default=50.0,
        metavar="MS",
        help="a prediction with more lag is missed; 99%% are to hold it (default %(default)g)",
    )
    add(
        "--quality-floor",
        type=float,
        default=0.5,
        metavar="A",
        help="least accuracy once a session had 30 segments; chance is 0.05 (default %(default)g)",
    )
    add("--keep", action="store_true", help="leave the sessions on the server")
    add(
        "--token-file",
        type=Path,
        metavar="FILE",
        help=f"holds the credential to show (default: that of {TOKEN_VARIABLE}, if any)",
    )
    add("--json", type=Path, metavar="FILE", help="write everything that was measured there")
    return Arguments(**vars(parser.parse_args(command_line)))


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} came, a number above 0 was expected")
    return number


def _range(text: str) -> tuple[int, int]:
    """Read the bounds of the labels' delay: after one frame at the least, within a segment."""
    least, most = round(FRAME_S * 1000), round(SEGMENT_FRAMES * FRAME_S * 1000)
    low, _, high = text.partition(",")
    if not (low.isdecimal() and high.isdecimal() and least <= int(low) <= int(high) <= most):
        raise argparse.ArgumentTypeError(
            f"{text!r} came, two numbers from {least} to {most}, a rising pair, were expected"
        )
    return int(low), int(high)
