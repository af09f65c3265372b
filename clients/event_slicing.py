"""Cutting a stream of events into frames that a server takes.

A frame must fit the server's message size, its offsets must fit 32 bits, and it must not complete
more ticks than one message may. `FrameSlicer` follows the session's sensor time as the server does,
whoever cuts its segments, so that it also knows how many ticks each message makes the server
compute: that is what credit is counted in.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from service.wire_protocol import (
    NUMBER_LIMIT,
    Limits,
    Open,
    Opened,
    Segmentation,
    SegmentedByClient,
    SegmentedBySilence,
    SegmentedByWindow,
    events_within,
)

_WORD_LIMIT = 2**32


def in_order(
    times_us: npt.NDArray[np.integer], addresses: npt.NDArray[np.integer]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.integer]]:
    """Return events ``[n]`` in the order of their times; equal times keep theirs.

    Raises:
        ValueError: They are not two vectors of one length, or have no place in a frame.
    """
    if times_us.ndim != 1 or times_us.shape != addresses.shape:
        raise ValueError(
            f"times {times_us.shape} and addresses {addresses.shape}, two arrays [n] were expected"
        )
    times = times_us.astype(np.int64)
    if np.any(times[1:] < times[:-1]):
        order = np.argsort(times, kind="stable")
        times, addresses = times[order], addresses[order]
    if times.size:
        _check_range("times", times[0], times[-1], NUMBER_LIMIT)
        _check_range("addresses", addresses.min(), addresses.max(), _WORD_LIMIT)
    return times, addresses


def _check_range(what: str, least: np.integer, greatest: np.integer, limit: int) -> None:
    if not 0 <= int(least) <= int(greatest) < limit:
        raise ValueError(f"{what} {least} to {greatest} came, 0 to {limit - 1} was expected")


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

    def __init__(
        self, *, tick_us: int, late_us: int, limits: Limits, segmentation: Segmentation
    ) -> None:
        self._tick_us = tick_us
        self._late_us = late_us
        self._max_ticks = limits.max_advance_ticks
        self._max_events = events_within(limits.max_message_bytes)
        self._by_client = isinstance(segmentation, SegmentedByClient)
        self._gap_us: int | None = None
        # without windows one is as long as all time
        self._window_us = NUMBER_LIMIT * tick_us
        if isinstance(segmentation, SegmentedBySilence):
            self._gap_us = segmentation.gap_us
        elif isinstance(segmentation, SegmentedByWindow):
            self._window_us = segmentation.length_us
        self._window_ticks = _whole_ticks(self._window_us, tick_us)
        # begin of the segment, or of the first of a row of windows
        self._begin_us: int | None = None
        self._done = 0
        self._last_event_us = 0
        # ticks at the end of a silent segment: the next frame completes them
        self._owed = 0

    @classmethod
    def of_session(cls, request: Open, opened: Opened) -> Self:
        """Follow a session from where it is, with a segment that an earlier client left open."""
        slicer = cls(
            tick_us=opened.tick_us,
            late_us=request.late_us,
            limits=opened.limits,
            segmentation=request.segmentation,
        )
        if opened.open_segment_t_us is not None:
            slicer.resume(opened.open_segment_t_us, opened.horizon_us)
        elif opened.horizon_us is not None:
            slicer.resume(opened.horizon_us, opened.horizon_us)
            # where the server's windows begin is not told: a frame may complete nearly twice as
            # many ticks as if one began here
            slicer._max_ticks = max(1, slicer._max_ticks // 2 - 1)
        return slicer

    def begin(self, t_us: int) -> None:
        """Note that a segment begins."""
        self._begin_us = self._last_event_us = t_us
        self._done = 0

    def resume(self, begin_us: int, horizon_us: int | None) -> None:
        """Note that a segment is open already, and how far its clock has come, if that is known."""
        self.begin(begin_us)
        if horizon_us is not None:
            self._last_event_us = max(begin_us, horizon_us)
            self._complete(horizon_us)

    def end(self, t_us: int) -> tuple[list[FrameSlice], int]:
        """Note that the client ends the segment.

        Returns:
            Clock frames to send first, so that the end completes no more ticks than it may, and how
            many ticks the end itself completes; a partial last tick counts.
        """
        if self._begin_us is None:
            return [], 0
        total = _whole_ticks(t_us - self._begin_us, self._tick_us)
        frames = list(self._approach(total))
        ticks = max(0, total - self._done)
        self._close()
        return frames, ticks

    def advance(self, t_us: int) -> Iterator[FrameSlice]:
        """Move the clock, in as many frames as the server's limit asks for."""
        yield from self._fall_silent(t_us)
        yield from self._approach(self._ticks_before(t_us))
        yield FrameSlice(0, 0, t_us, self._complete(t_us))

    def slice_events(self, times_us: npt.NDArray[np.int64]) -> Iterator[FrameSlice]:
        """Cut events whose times ``[n]`` never fall; clock frames go between distant ones."""
        start = 0
        for stop in self._silences(times_us):
            yield from self._fall_silent(int(times_us[start]))
            if self._begin_us is None and not self._by_client:
                # the server begins such a segment by itself, at its first event
                self.begin(int(times_us[start]))
            yield from self._slice(times_us, start, stop)
            self._last_event_us = max(self._last_event_us, int(times_us[stop - 1]))
            start = stop

    def _slice(self, times_us: npt.NDArray[np.int64], start: int, end: int) -> Iterator[FrameSlice]:
        """Cut events ``start`` to ``end``, which no silence divides."""
        while start < end:
            first_us = int(times_us[start])
            yield from self._approach(self._ticks_before(first_us))
            last_us = min(first_us + _WORD_LIMIT - 1, self._farthest_us)
            stop = int(np.searchsorted(times_us, last_us, side="right"))
            stop = min(stop, start + self._max_events, end)
            yield FrameSlice(start, stop, first_us, self._complete(int(times_us[stop - 1])))
            start = stop

    def _silences(self, times_us: npt.NDArray[np.int64]) -> list[int]:
        """Return where frames must end because a segment may: after each event before a gap."""
        if not times_us.size:
            return []
        if self._gap_us is None:
            return [times_us.size]
        return [*(np.flatnonzero(np.diff(times_us) >= self._gap_us) + 1).tolist(), times_us.size]

    def _fall_silent(self, t_us: int) -> Iterator[FrameSlice]:
        """End the segment if its silence is over by ``t_us``; the gap's ticks belong to it."""
        if self._begin_us is None or self._gap_us is None:
            return
        end_us = self._last_event_us + self._gap_us
        if t_us < end_us:
            return
        total = _whole_ticks(end_us - self._begin_us, self._tick_us)
        yield from self._approach(total, before_us=end_us)
        self._owed += max(0, total - self._done)
        self._close()

    def _close(self) -> None:
        self._begin_us = None
        self._done = 0

    @property
    def _farthest_us(self) -> int:
        """Latest time that one message may move the clock to."""
        if self._begin_us is None:
            return NUMBER_LIMIT - 1
        return self._time_of(self._done + self._max_ticks - self._owed + 1) - 1

    def _ticks_before(self, t_us: int) -> int:
        """Count the ticks that are complete once the clock is at ``t_us``."""
        if self._begin_us is None:
            return 0
        windows, rest_us = divmod(t_us - self._late_us - self._begin_us, self._window_us)
        return max(self._done, windows * self._window_ticks + rest_us // self._tick_us)

    def _time_of(self, ticks: int) -> int:
        """Return where the clock must be for so many ticks to be complete."""
        assert self._begin_us is not None, "ticks have no time outside a segment"
        windows, rest = divmod(ticks, self._window_ticks)
        return self._begin_us + self._late_us + windows * self._window_us + rest * self._tick_us

    def _complete(self, t_us: int) -> int:
        """Move the clock and count the ticks that this completes."""
        before, self._done = self._done, self._ticks_before(t_us)
        owed, self._owed = self._owed, 0
        return self._done - before + owed

    def _approach(self, ticks: int, *, before_us: int = NUMBER_LIMIT) -> Iterator[FrameSlice]:
        """Move the clock until no more than the allowed ticks are missing."""
        while ticks > self._done + self._max_ticks - self._owed:
            t_us = min(self._time_of(self._done + self._max_ticks - self._owed), before_us - 1)
            yield FrameSlice(0, 0, t_us, self._complete(t_us))
            if t_us == before_us - 1:
                return


def _whole_ticks(duration_us: int, tick_us: int) -> int:
    """Count the ticks of a duration; a partial last one counts."""
    return -(-duration_us // tick_us)
