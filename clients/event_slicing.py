"""Cutting a stream of events into frames that a server takes.

A frame must fit the server's message size, its offsets must fit 32 bits, and it must not complete
more ticks than one message may. `FrameSlicer` follows the session's sensor time as the server does,
so that it also knows how many ticks each message makes the server compute.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.wire_protocol import NUMBER_LIMIT, Limits, events_within

_OFFSET_LIMIT = 2**32


@dataclass(frozen=True, slots=True)
class FrameSlice:
    """One frame to send: events ``start`` to ``stop`` (none: a clock frame) after ``base_us``."""

    start: int
    stop: int
    base_us: int
    ticks: int
    """Ticks that the frame completes."""


class FrameSlicer:
    """Follows one session's sensor time and cuts its events."""

    def __init__(self, *, tick_us: int, late_us: int, limits: Limits, by_client: bool) -> None:
        self._tick_us = tick_us
        self._late_us = late_us
        self._max_ticks = limits.max_advance_ticks
        self._max_events = events_within(limits.max_message_bytes)
        self._by_client = by_client
        self._begin_us: int | None = None
        self._done = 0

    def begin(self, t_us: int) -> None:
        """Note that a segment begins."""
        self._begin_us = t_us
        self._done = 0

    def end(self, t_us: int) -> tuple[list[FrameSlice], int]:
        """Note that the segment ends.

        Returns:
            Clock frames to send first, so that the end completes no more ticks than it may, and how
            many ticks the end itself completes; a partial last tick counts.
        """
        if self._begin_us is None:
            return [], 0
        total = -((self._begin_us - t_us) // self._tick_us)
        frames = list(self._approach(total))
        ticks = max(0, total - self._done)
        self._begin_us = None
        return frames, ticks

    def advance(self, t_us: int) -> Iterator[FrameSlice]:
        """Move the clock, in as many frames as the server's limit asks for."""
        yield from self._approach(self._ticks_before(t_us))
        yield FrameSlice(0, 0, t_us, self._complete(t_us))

    def slice_events(self, times_us: npt.NDArray[np.int64]) -> Iterator[FrameSlice]:
        """Cut events whose times ``[n]`` never fall; clock frames go between distant ones."""
        if self._begin_us is None and not self._by_client and times_us.size:
            # the server begins such a segment by itself, at the first event
            self.begin(int(times_us[0]))
        start = 0
        while start < times_us.size:
            first_us = int(times_us[start])
            yield from self._approach(self._ticks_before(first_us))
            last_us = min(first_us + _OFFSET_LIMIT - 1, self._farthest_us)
            stop = int(np.searchsorted(times_us, last_us, side="right"))
            stop = min(stop, start + self._max_events)
            yield FrameSlice(start, stop, first_us, self._complete(int(times_us[stop - 1])))
            start = stop

    @property
    def _farthest_us(self) -> int:
        """Latest time that one message may move the clock to."""
        if self._begin_us is None:
            return NUMBER_LIMIT - 1
        ticks = self._done + self._max_ticks + 1
        return self._begin_us + self._late_us + ticks * self._tick_us - 1

    def _ticks_before(self, t_us: int) -> int:
        """Count the segment's ticks that are complete once the clock is at ``t_us``."""
        if self._begin_us is None:
            return 0
        return max(self._done, (t_us - self._late_us - self._begin_us) // self._tick_us)

    def _complete(self, t_us: int) -> int:
        """Move the clock and count the ticks that it completes."""
        before, self._done = self._done, self._ticks_before(t_us)
        return self._done - before

    def _approach(self, ticks: int) -> Iterator[FrameSlice]:
        """Move the clock until no more than the allowed ticks are missing."""
        while ticks > self._done + self._max_ticks:
            # one tick short of going too far
            t_us = self._farthest_us + 1 - self._tick_us
            yield FrameSlice(0, 0, t_us, self._complete(t_us))
