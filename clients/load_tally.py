"""What the sessions of a load went through: counted by each process, added up afterwards."""

from array import array
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

QUALITY_FROM_SEGMENT = 30
"""Segments of a session before this one are for learning the task, not for judging."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts and times; seconds on the monotonic clock, which all processes share.

    Attributes:
        due_s: When each answered frame of the measured time was due.
        lag_s: From sending its closing message to reading its prediction.
        late_s: By how much its closing message was sent after it was due.
        n_frames: Frames of the measured time.
        n_unanswered: Those whose prediction never came.
        n_events: Events of all frames that were sent, whenever.
        n_skipped: Predictions that the server left out as we read too slowly.
        n_admitted: Sessions that were opened.
        refused: Sessions that were not, by the error's code.
        reconnections: Connections that were lost and made again, by close code.
        errors: Messages that were refused, by the error's code.
        n_learned: Lessons that were told.
        right: Right final predictions by number of segment.
        judged: Final predictions by number of segment.
        accuracies: Of each session, over its segments from `QUALITY_FROM_SEGMENT` on.
        cores: Of the machine, busy with the load's own work over the measured time.
    """

    due_s: "array[float]" = field(default_factory=lambda: array("d"))
    lag_s: "array[float]" = field(default_factory=lambda: array("d"))
    late_s: "array[float]" = field(default_factory=lambda: array("d"))
    n_frames: int = 0
    n_unanswered: int = 0
    n_events: int = 0
    n_skipped: int = 0
    n_admitted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    reconnections: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    n_learned: int = 0
    right: Counter[int] = field(default_factory=Counter)
    judged: Counter[int] = field(default_factory=Counter)
    accuracies: list[float] = field(default_factory=list)
    cores: float = 0.0

    def add(self, other: "Tally") -> None:
        """Add what another process counted."""
        for name in self.__slots__:
            mine, its = getattr(self, name), getattr(other, name)
            if isinstance(mine, Counter):
                mine.update(its)
            elif isinstance(mine, array | list):
                mine.extend(its)
            else:
                setattr(self, name, mine + its)

    def accuracy_from(self, segment: int) -> float | None:
        """Return how often the final prediction was right from a segment on; None: none yet."""
        judged = sum(count for number, count in self.judged.items() if number >= segment)
        right = sum(count for number, count in self.right.items() if number >= segment)
        return right / judged if judged else None

    def lags_ms(self) -> NDArray[np.float64]:
        """Return the lag of every frame of the measured time, infinite where no answer came."""
        answered = np.frombuffer(self.lag_s, np.float64) * 1000
        return np.concatenate([answered, np.full(self.n_unanswered, np.inf)])


def percentiles(milliseconds: NDArray[np.float64]) -> dict[str, float | None]:
    """Sum times up: p50, p95, p99 and max, None where they are infinite or there are none."""
    if not len(milliseconds):
        return dict.fromkeys(("p50", "p95", "p99", "max"))
    # a value that came, not one between two: between a number and infinity there is none
    found = np.percentile(milliseconds, (50, 95, 99, 100), method="higher").tolist()
    finite = [value if np.isfinite(value) else None for value in found]
    return dict(zip(("p50", "p95", "p99", "max"), finite, strict=True))


def timeline(tally: Tally, begin_s: float, slice_s: float) -> list[dict[str, float | None]]:
    """Sum lags up slice by slice of the time when their frames were due."""
    if not tally.due_s:
        return []
    due_s, lags_ms = np.frombuffer(tally.due_s), np.frombuffer(tally.lag_s) * 1000
    slices = ((due_s - begin_s) // slice_s).astype(np.int64)
    order = np.argsort(slices, kind="stable")
    numbers, starts = np.unique(slices[order], return_index=True)
    parts: list[NDArray[np.float64]] = np.split(lags_ms[order], starts[1:])
    return [
        {"from_s": float(number * slice_s), "n": len(part), **percentiles(part)}
        for number, part in zip(numbers, parts, strict=True)
    ]
