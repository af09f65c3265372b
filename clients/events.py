"""``tclif-events``: an event camera, or recordings of one as live input, or a look into files.

    tclif-events nmnist/train --pool 2 --speed max --passes 3
    tclif-events "udp://127.0.0.1:3333?layout=spif" --size 640x480 --pool 16
    tclif-events --inspect recording.raw

Streams a folder of event files as `tclif-replay` does, with all of its options, and with those of
the camera: the region of interest, pooling, polarity, time scale. ``--inspect`` tells how many
events a file has, from when to when, and what of it is damaged. Exit codes are those of
`tclif-replay`; of ``--inspect`` 0, or 1 if the file can't be read. A live camera is the business of
`clients.live_events`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from clients import live_events, replay
from clients.camera_arguments import add_camera_options, camera_source
from clients.error_sentences import sentence
from clients.event_camera.event_file import SUFFIXES, read_event_file
from clients.event_camera.live_source import is_live
from clients.optional_packages import MissingPackage


def main(command_line: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    words = sys.argv[1:] if command_line is None else list(command_line)
    if any(is_live(word) for word in words):
        return live_events.main(words)
    arguments, others = _parser().parse_known_args(words)
    if arguments.inspect:
        return _inspect(Path(arguments.source))
    return replay.main([camera_source(arguments), *others])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tclif-events",
        description="Stream a folder of event files to a server as a live camera.",
        epilog=f"Files end in {', '.join(SUFFIXES)}. Other options are those of tclif-replay. Live"
        " cameras: tclif-events camera: --help.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("source", metavar="FOLDER", help="files <label>_<take>.bin, or a folder for each label")
    add("--inspect", action="store_true", help="only tell what is in the file of that name")
    add_camera_options(parser)
    add("--time-scale", type=float, metavar="F", help="multiply times, 2 is half as fast")
    return parser


def _inspect(path: Path) -> int:
    try:
        decoded = read_event_file(path)
    except (MissingPackage, OSError, ValueError) as error:
        sys.stderr.write(f"tclif-events: {sentence(error)}\n")
        return 1
    events = decoded.events
    size = "unknown" if decoded.size is None else "{}x{}".format(*decoded.size)
    line = f"{path}: {len(events)} events, size {size}"
    if len(events):
        first, last = int(events.times_us.min()), int(events.times_us.max())
        line += f", {(last - first) / 1e6:.6f} s from {first} us, {events.polarity.mean():.3f} on"
    sys.stdout.write("\n".join([line, *(f"damaged: {part}" for part in decoded.damage)]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
