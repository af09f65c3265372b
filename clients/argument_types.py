"""What options of the command lines may be, as `argparse` asks: a value, or why there is none."""

import argparse
from urllib.parse import urlsplit


def count(text: str) -> int:
    """Read a whole number above 0.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} came, a whole number above 0 was expected")
    return int(text)


def sizes(text: str) -> tuple[int, ...]:
    """Read sizes of layers, whole numbers above 0 with commas between.

    Raises:
        argparse.ArgumentTypeError: One of them is none.
    """
    return tuple(count(size) for size in text.split(","))


def stream_url(text: str) -> str:
    """Read the address of a stream.

    Raises:
        argparse.ArgumentTypeError: It is not one of a WebSocket; http is the likeliest slip.
    """
    parts = urlsplit(text)
    if parts.scheme not in ("ws", "wss") or not parts.netloc:
        secure = "s" if parts.scheme in ("https", "wss") else ""
        meant = f"ws{secure}://{parts.netloc or '127.0.0.1:8700'}/v1/stream"
        raise argparse.ArgumentTypeError(f"{text!r} came, an address like {meant} was expected")
    return text
