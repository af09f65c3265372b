"""Options of the command line that say what of a camera's picture is streamed."""

import argparse
from urllib.parse import urlencode

from clients.argument_types import count
from clients.event_camera.field_of_view import POLARITIES
from clients.event_camera.view_options import VIEW_OPTIONS


def add_camera_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that recordings and live cameras have."""
    add = parser.add_argument
    add("--size", metavar="WxH", help="of the camera, where it does not tell")
    add("--roi", metavar="X,Y,W,H", help="stream only this part of the picture")
    add("--pool", type=count, metavar="N", help="make NxN pixels one input")
    add("--polarity", choices=POLARITIES, help="inputs of their own (both), one, or only one kind")


def camera_source(arguments: argparse.Namespace) -> str:
    """Return the source with those options behind its question mark."""
    chosen = {name: getattr(arguments, name, None) for name in VIEW_OPTIONS}
    query = urlencode({name: value for name, value in chosen.items() if value is not None})
    source = str(arguments.source)
    if not query:
        return source
    return f"{source}{'&' if '?' in source else '?'}{query}"
