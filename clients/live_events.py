"""The live half of `tclif-events`: an event camera's stream to a session, taught by key.

    tclif-events "udp://127.0.0.1:3333?layout=spif" --size 640x480 --pool 16 --classes left,right
    tclif-events camera: --pool 16 --gap-ms 300

The server cuts the stream, by windows or by silence, and of each piece it is told what the network
took it for. Press the number of what it was, and the network learns it.
"""

import argparse
from collections.abc import Sequence

from clients.argument_types import count
from clients.camera_arguments import add_camera_options, camera_source
from clients.event_camera.camera_input import WAIT_US
from clients.event_camera.live_source import open_live
from clients.live_command import KEYS, Live, add_session_options, run, session_request
from clients.live_moments import seen
from service.wire_protocol import DvsSensor, Segmentation, SegmentedBySilence, SegmentedByWindow


def main(command_line: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parse(command_line)
    return run("tclif-events", arguments, lambda: _prepare(arguments))


def _parse(command_line: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tclif-events",
        description="Stream a live event camera to a server, and teach a network what it sees.",
        epilog=KEYS,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "source",
        metavar="CAMERA",
        help="udp://HOST:PORT, with ?layout=NAME&from=ADDRESS; or camera: for one at this machine",
    )
    add_camera_options(parser)
    add_session_options(parser, classes="left,right")
    cut = parser.add_mutually_exclusive_group()
    cut.add_argument(
        "--window-ms",
        type=count,
        default=1000,
        help="cut the stream into windows of this length (default %(default)s)",
    )
    cut.add_argument("--gap-ms", type=count, help="cut it where so long nothing happens instead")
    add(
        "--wait-ms",
        type=count,
        default=WAIT_US // 1000,
        help="let time pass so much later while no event comes, for senders that gather some first"
        " (default %(default)s)",
    )
    return parser.parse_args(command_line)


def _prepare(arguments: argparse.Namespace) -> Live:
    camera, view = open_live(camera_source(arguments), wait_us=1000 * arguments.wait_ms)
    try:
        shown = view.camera
        request = session_request(
            arguments,
            DvsSensor(width=shown.width, height=shown.height, polarities=shown.polarities),
            _segmentation(arguments),
        )
    except ValueError:
        camera.close()
        raise
    return Live(request, seen(camera, view), account=camera.account, close=camera.close)


def _segmentation(arguments: argparse.Namespace) -> Segmentation:
    if arguments.gap_ms is not None:
        return SegmentedBySilence(gap_us=1000 * arguments.gap_ms)
    return SegmentedByWindow(length_us=1000 * arguments.window_ms)
