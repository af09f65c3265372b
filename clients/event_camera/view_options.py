"""A camera's options in the string of a source: which part of its picture, and how finely."""

from collections.abc import Callable
from typing import Final

from clients.event_camera.field_of_view import POLARITIES, FieldOfView, Polarity
from clients.source_options import SourceOptions

VIEW_OPTIONS: Final = ("size", "roi", "pool", "polarity", "time_scale")


def take_size(options: SourceOptions) -> tuple[int, int] | None:
    """Take ``size``, columns and rows of the camera; None if it is not given.

    Raises:
        ValueError: It can't have that value.
    """
    return options.take("size", _size, None)


def take_view(
    options: SourceOptions, *, time_scale: float = 1.0
) -> Callable[[tuple[int, int]], FieldOfView]:
    """Take ``roi``, ``pool`` and ``polarity``; what makes a view of a size of them.

    Args:
        options: Of the source.
        time_scale: What times are multiplied by.

    Raises:
        ValueError: One of them can't have that value.
    """
    region = options.take("roi", _region, None)
    pool = options.take("pool", int, 1)
    both: Polarity = "both"
    polarity = options.take("polarity", _polarity, both)

    def view(size: tuple[int, int]) -> FieldOfView:
        return FieldOfView(
            size=size, region=region, pool=pool, polarity=polarity, time_scale=time_scale
        )

    return view


def _size(text: str) -> tuple[int, int] | None:
    width, _, height = text.partition("x")
    return int(width), int(height)


def _region(text: str) -> tuple[int, int, int, int] | None:
    left, top, width, height = (int(number) for number in text.split(","))
    return left, top, width, height


def _polarity(text: str) -> Polarity:
    for polarity in POLARITIES:
        if text == polarity:
            return polarity
    raise ValueError(f"expected {', '.join(POLARITIES)}")
