"""Segments of one length, back to back from the first event; or one that never ends.

Ticks are counted through all windows, on one `TickGrid` from the first event on, and the horizon is
the stream's. A window ends with its last tick, and the next one begins there. Labels may name ticks
by their time: a lesson of them starts from the state that was kept nearest before them.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from service.errors import Refusal
from service.settings import SessionSettings
from service.state_tree import Tree, branch
from service.stream.cutting import Cutting, StreamForm
from service.stream.event_binning import BinnedFrame, EventBinner
from service.stream.kept_segments import after_first_event
from service.stream.segmentation import Segmentation
from service.stream.segments import Passage, Segment, Stretch, passage_through
from service.stream.taught_ticks import TaughtTicks
from service.stream.tick_grid import TickGrid
from service.stream.work import Interval, Lesson, Work


class WindowSegmentation(Segmentation):
    """Windows of ``length_us``; with None the first one is endless."""

    takes_intervals = True

    def __init__(
        self, form: StreamForm, settings: SessionSettings, *, length_us: int | None
    ) -> None:
        super().__init__(form, settings)
        self._length_us = length_us
        # labelled ticks, counted through all windows
        self._taught = TaughtTicks()

    @property
    @override
    def is_endless(self) -> bool:
        return self._length_us is None

    @override
    def events(self, times_us: NDArray[np.int64], inputs: NDArray[np.int64]) -> Cutting:
        binner, horizon_us = self._binner, int(times_us.max())
        first_us = int(times_us.min())
        begins = binner is None
        if binner is None:
            binner = self._new_binner(first_us)
        self._check_advance(binner.ticks_completed_by(horizon_us), f"time {horizon_us} us")
        work: list[Work] = []
        if begins:
            self._binner = binner
            work += self._begin(0, first_us)
        frame = binner.add(times_us, inputs, horizon_us)
        # no time before the stream's first event is outside a segment: it is over
        frame = frame._replace(n_late=frame.n_late + frame.n_outside, n_outside=0)
        return Cutting(work + self._take(frame), frame.n_late)

    @override
    def move_horizon(self, time_us: int) -> Cutting:
        if self._binner is None:
            return Cutting([])
        self._check_advance(self._binner.ticks_completed_by(time_us), f"base_us {time_us}")
        return Cutting(self._take(self._binner.move_horizon(time_us)))

    @override
    def label(self, number: int, target: int, *, learns: bool, ahead: bool) -> list[Work]:
        span = self._span_of(number)
        if span is None:
            raise Refusal(
                "bad_value",
                f"a label for segment {number} came; a segment without end takes labels for"
                " intervals",
            )
        if self._taught.overlaps(*span):
            raise Refusal("label_duplicate", f"segment {number} has a label already, or a part")
        if ahead and self._binner is not None and self._binner.has_events_in(*span):
            raise after_first_event(number)
        work = super().label(number, target, learns=learns, ahead=ahead)
        self._teach(*span)
        return work

    @override
    def label_interval(
        self, interval: tuple[int, int], target: int, *, learns: bool, ahead: bool
    ) -> list[Work]:
        start, stop = self._ticks_of(interval)
        if self._taught.overlaps(start, stop):
            raise Refusal("label_duplicate", f"ticks of the interval {interval} have a label")
        if ahead:
            raise Refusal(
                "label_too_late",
                f"the label for the interval {interval} came after its ticks; learning ahead"
                " expects labels for segments, before their first event",
            )
        parts = self._parts(interval, start, stop)
        course: list[Passage] = []
        ticks: list[tuple[Stretch, slice]] = []
        for segment, first, last in parts:
            course.append(passage_through(segment, first, last, opens=not course))
            ticks += segment.ticks_between(first, last)
        self._teach(start, stop)
        return [Lesson(Interval(*interval, tuple(ticks)), target, learns, tuple(course))]

    @override
    def capture(self) -> Callable[[], Tree]:
        finish, taught = super().capture(), self._taught.capture()
        return lambda: finish() | {"taught": taught}

    @override
    def restore(self, tree: Tree) -> None:
        super().restore(tree)
        self._taught.restore(branch(tree, "taught"))

    @property
    @override
    def _stretch_ticks(self) -> int:
        return self._settings.checkpoint_ticks

    @override
    def _new_binner(self, begin_us: int) -> EventBinner:
        grid = TickGrid(begin_us, self._form.tick_us, self._length_us)
        return EventBinner(grid, late_us=self._form.late_us, n_inputs=self._form.n_inputs)

    def _take(self, frame: BinnedFrame) -> list[Work]:
        """Deal ticks out to windows, ending those that are full."""
        block = self._note(frame)
        if self._window_ticks is None:
            return self._complete(block)
        assert self._length_us is not None, "windows have a length"
        work: list[Work] = []
        start, is_full = 0, True
        while is_full:
            segment = self.open_segment
            assert segment is not None, "one window follows the other"
            room = self._window_ticks - segment.n_ticks
            is_full = block.n_ticks - start >= room
            stop = start + room if is_full else block.n_ticks
            work += self._complete(block.cut(start, stop))
            start = stop
            if is_full:
                end_us = segment.begin_us + self._length_us
                work += [*self._finish(end_us), *self._begin(self._next_number, end_us)]
        return work

    @property
    def _window_ticks(self) -> int | None:
        length_us = self._length_us
        return None if length_us is None else -(-length_us // self._form.tick_us)

    def _span_of(self, number: int) -> tuple[int, int] | None:
        """Return the ticks of a window; None if it has no end."""
        n_ticks = self._window_ticks
        return None if n_ticks is None else (number * n_ticks, (number + 1) * n_ticks)

    def _ticks_of(self, interval: tuple[int, int]) -> tuple[int, int]:
        """Return the complete ticks that begin in an interval, first and stop."""
        from_us, to_us = interval
        binner = self._binner
        if binner is None or to_us <= binner.grid.begin_us:
            raise Refusal("unknown_segment", f"no tick begins in {interval}: no event came by then")
        start, stop = binner.grid.n_begun_before(from_us), binner.grid.n_begun_before(to_us)
        if stop > binner.n_complete:
            raise Refusal(
                "unknown_segment",
                f"the interval {interval} came; expected an end within the complete ticks,"
                f" of which there are {binner.n_complete}",
            )
        if start == stop:
            raise Refusal("bad_value", f"the interval {interval} came; no tick begins in it")
        return start, stop

    def _parts(
        self, interval: tuple[int, int], start: int, stop: int
    ) -> list[tuple[Segment, int, int]]:
        """Return the segments that ticks lie in, and which of their ticks.

        Raises:
            Refusal: ``label_too_late``, some are not kept.
        """
        length = self._window_ticks or stop
        parts = []
        for number in range(start // length, (stop - 1) // length + 1):
            segment = self.open_segment
            if segment is None or segment.number != number:
                segment = self.kept.find(number)
            first, last = max(start - number * length, 0), min(stop - number * length, length)
            if segment is None or not segment.stretches or segment.stretches[0].first_tick > first:
                raise Refusal(
                    "label_too_late",
                    f"ticks of the interval {interval} are dropped; the server keeps"
                    f" {self._settings.kept_segments} segments and {self._settings.kept_ticks}"
                    " ticks",
                )
            parts.append((segment, first, last))
        return parts

    def _teach(self, start: int, stop: int) -> None:
        """Note that ticks have their label, and forget what nobody can ask for any more."""
        self._taught.add(start, stop)
        oldest = self.kept.oldest or self.open_segment
        if oldest is not None:
            length = self._window_ticks or 0
            first = oldest.stretches[0].first_tick if oldest.stretches else oldest.n_ticks
            self._taught.forget_before(oldest.number * length + first)
