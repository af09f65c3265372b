"""Which part of a camera's picture is streamed, and how finely: from events to addresses.

The region of interest is cut out first, then n x n pixels become one, sizes rounded up. An address
is ``(polarity * height + y) * width + x`` in what is left, as the wire protocol counts them.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from clients.event_camera.camera_events import CameraEvents
from clients.recordings import EventCamera

Polarity = Literal["both", "merged", "on", "off"]

POLARITIES: Final[tuple[Polarity, ...]] = ("both", "merged", "on", "off")
"""Each polarity an input, both as one, or only one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldOfView:
    """What is streamed of a camera's events.

    Attributes:
        size: Columns and rows of the camera.
        region: Left column, upper row, columns and rows of interest; None: all.
        pool: So many by so many pixels become one.
        polarity: One of `POLARITIES`.
        time_scale: Times are multiplied by it: 2 makes everything twice as slow.

    Raises:
        ValueError: The region is not within the camera's picture, or a number is not above 0.
    """

    size: tuple[int, int]
    region: tuple[int, int, int, int] | None = None
    pool: int = 1
    polarity: Polarity = "both"
    time_scale: float = 1.0

    def __post_init__(self) -> None:
        left, top, width, height = self.shown
        if not (
            0 <= left < left + width <= self.size[0] and 0 <= top < top + height <= self.size[1]
        ):
            raise ValueError(
                f"a region of {width}x{height} pixels at {left},{top} came, "
                f"one within {self.size[0]}x{self.size[1]} was expected"
            )
        if self.pool < 1:
            raise ValueError(f"pool is {self.pool}, expected at least 1")
        if not 0 < self.time_scale < math.inf:
            raise ValueError(f"the time scale is {self.time_scale}, expected a number above 0")

    @property
    def shown(self) -> tuple[int, int, int, int]:
        """Left column, upper row, columns and rows of what is streamed."""
        return (0, 0, *self.size) if self.region is None else self.region

    @property
    def camera(self) -> EventCamera:
        """The camera that the addresses are of."""
        _, _, width, height = self.shown
        return EventCamera(
            width=-(-width // self.pool),
            height=-(-height // self.pool),
            polarities=2 if self.polarity == "both" else 1,
        )

    def addresses(
        self, events: CameraEvents
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]:
        """Return the events that are streamed, as times ``[m]`` and addresses ``[m]``, in order.

        Events outside the region, or outside the picture, are left out.
        """
        left, top, width, height = self.shown
        x, y = events.x.astype(np.int64) - left, events.y.astype(np.int64) - top
        kept = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        if self.polarity in ("on", "off"):
            kept &= events.polarity == (self.polarity == "on")
        camera = self.camera
        half = events.polarity[kept].astype(np.int64) if camera.polarities > 1 else 0
        row = half * camera.height + y[kept] // self.pool
        addresses = (row * camera.width + x[kept] // self.pool).astype(np.uint32)
        times_us = events.times_us[kept]
        if self.time_scale != 1:
            times_us = np.rint(times_us * self.time_scale).astype(np.int64)
        return times_us, addresses
