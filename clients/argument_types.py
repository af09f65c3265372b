"""What options of the command lines may be, as `argparse` asks: a value, or why there is none."""

import argparse


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
