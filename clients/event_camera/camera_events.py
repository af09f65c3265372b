"""What an event camera saw, and what of it could not be read."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from typing_extensions import override


@dataclass(frozen=True, slots=True, eq=False)
class CameraEvents:
    """Changes of brightness in the order of their file.

    Attributes:
        times_us: Sensor time of each event ``[n]`` int64 in microseconds.
        x: Columns ``[n]`` uint16, 0 at the left.
        y: Rows ``[n]`` uint16, 0 at the top.
        polarity: ``[n]`` uint8, 1 for brighter, 0 for darker.
    """

    times_us: npt.NDArray[np.int64]
    x: npt.NDArray[np.uint16]
    y: npt.NDArray[np.uint16]
    polarity: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.times_us)


@dataclass(frozen=True, slots=True)
class Damage:
    """A part of a file that was passed over.

    Attributes:
        offset: Its first byte.
        n_bytes: Its length.
        reason: What is wrong with it, in words.
    """

    offset: int
    n_bytes: int
    reason: str

    @override
    def __str__(self) -> str:
        return f"{self.n_bytes} bytes at offset {self.offset}: {self.reason}"


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """All that could be read of one file.

    Attributes:
        events: The events.
        size: Columns and rows of the sensor; None where the file does not tell.
        damage: What was passed over, by offset.
    """

    events: CameraEvents
    size: tuple[int, int] | None
    damage: tuple[Damage, ...]


def unwrap(counts: npt.NDArray[np.int64], period: int) -> npt.NDArray[np.int64]:
    """Undo the overflow of a counter: a fall by more than half its period is one ``[n]``."""
    overflows = np.cumsum(np.diff(counts, prepend=counts[:1]) < -(period // 2))
    unwrapped: npt.NDArray[np.int64] = counts + overflows * period
    return unwrapped


def runs(bad: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Find the runs of True in ``[n]``: pairs of first index and length."""
    edges = np.flatnonzero(np.diff(bad, prepend=False, append=False))
    for first, end in edges.reshape(-1, 2).tolist():
        yield first, end - first
