"""Segments between silences: an event begins one, a gap without events ends it.

The horizon belongs to the stream here, not to a segment: it is the greatest event time so far, or
that of a later frame without events. A segment ends at its last event plus the gap as soon as the
horizon is there, whatever ``late_us``; what comes later for a time before that is late.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from service.settings import SessionSettings
from service.state_tree import Tree, whole_or_none
from service.stream.cutting import Cutting, StreamForm
from service.stream.segmentation import Segmentation
from service.stream.work import Work


class _Span(NamedTuple):
    """What a frame brings for one segment.

    Attributes:
        begin_us: The segment's begin.
        events: Which of the frame's events, in order of time, belong to it.
        last_us: Time of its last event so far.
        end_us: Its end, if the frame brings that too.
    """

    begin_us: int
    events: slice
    last_us: int
    end_us: int | None


class SilenceSegmentation(Segmentation):
    """Segments begin at an event and end ``gap_us`` after their last one."""

    def __init__(self, form: StreamForm, settings: SessionSettings, *, gap_us: int) -> None:
        super().__init__(form, settings)
        self._gap_us = gap_us
        self._horizon_us: int | None = None
        self._last_event_us: int | None = None
        # an earlier time belongs to a segment that has ended, or to none
        self._floor_us = 0

    @override
    def events(self, times_us: NDArray[np.int64], inputs: NDArray[np.int64]) -> Cutting:
        floor_us = self._floor_us
        if self._horizon_us is not None:
            floor_us = max(floor_us, self._horizon_us - self._form.late_us)
        order = np.argsort(times_us, kind="stable")
        order = order[np.searchsorted(times_us[order], floor_us) :]
        n_late = len(times_us) - len(order)
        horizon_us = max(int(times_us.max()), self._horizon_us or 0)
        cutting = self._cut(times_us[order], inputs[order], horizon_us)
        self.counters = replace(self.counters, n_late=self.counters.n_late + n_late)
        return cutting._replace(n_late=n_late)

    @override
    def move_horizon(self, time_us: int) -> Cutting:
        if self._horizon_us is None:
            # nothing has begun: there is no horizon to move
            return Cutting([])
        nothing = np.empty(0, np.int64)
        return self._cut(nothing, nothing, max(time_us, self._horizon_us))

    @property
    @override
    def horizon_us(self) -> int | None:
        return self._horizon_us

    @override
    def capture(self) -> Callable[[], Tree]:
        finish = super().capture()
        tree: Tree = {
            "horizon_us": self._horizon_us,
            "last_event_us": self._last_event_us,
            "floor_us": self._floor_us,
        }
        return lambda: finish() | tree

    @override
    def restore(self, tree: Tree) -> None:
        super().restore(tree)
        self._horizon_us = whole_or_none(tree, "horizon_us")
        self._last_event_us = whole_or_none(tree, "last_event_us")
        self._floor_us = whole_or_none(tree, "floor_us") or 0

    def _cut(
        self, times_us: NDArray[np.int64], inputs: NDArray[np.int64], horizon_us: int
    ) -> Cutting:
        """Take events in order of time, and move the horizon."""
        spans = self._spans(times_us, horizon_us)
        self._check_advance(self._n_ticks(spans, horizon_us), f"time {horizon_us} us")
        self._horizon_us = horizon_us
        work: list[Work] = []
        for span in spans:
            work += self._take(span, times_us[span.events], inputs[span.events], horizon_us)
        return Cutting(work)

    def _spans(self, times_us: NDArray[np.int64], horizon_us: int) -> list[_Span]:
        """Divide events among the open segment and new ones."""
        gaps = np.flatnonzero(np.diff(times_us) >= self._gap_us) + 1
        bounds = [0, *gaps.tolist(), len(times_us)] if len(times_us) else []
        pieces = [slice(start, stop) for start, stop in pairwise(bounds)]
        begun: list[tuple[int, slice, int]] = []
        if self.open_segment is not None:
            last_us = self._last_event_us or 0
            piece = slice(0, 0)
            if pieces and times_us[0] < last_us + self._gap_us:
                piece = pieces.pop(0)
                last_us = max(last_us, int(times_us[piece][-1]))
            begun.append((self.open_segment.begin_us, piece, last_us))
        begun += [(int(times_us[p][0]), p, int(times_us[p][-1])) for p in pieces]
        # where another segment follows, its begin has moved the horizon past the end before
        ends = [last_us + self._gap_us for _, _, last_us in begun]
        return [
            _Span(*span, end_us if end_us <= horizon_us else None)
            for span, end_us in zip(begun, ends, strict=True)
        ]

    def _n_ticks(self, spans: list[_Span], horizon_us: int) -> int:
        """Return how many ticks they complete, or more than allowed where that is clear."""
        total = 0 if self._binner is None else -self._binner.n_complete
        for span in spans:
            if span.end_us is None:
                settled_us = horizon_us - self._form.late_us - span.begin_us
                total += max(0, settled_us) // self._form.tick_us
            else:
                total += -(-(span.end_us - span.begin_us) // self._form.tick_us)
            if total > self._settings.max_advance_ticks:
                break
        return total

    def _take(
        self, span: _Span, times_us: NDArray[np.int64], inputs: NDArray[np.int64], horizon_us: int
    ) -> list[Work]:
        work: list[Work] = []
        if self.open_segment is None:
            self._binner = self._new_binner(span.begin_us)
            self._floor_us = span.begin_us
            work += self._begin(self._next_number, span.begin_us)
        binner, segment = self._binner, self.open_segment
        assert binner is not None, "an open segment has its ticks"
        assert segment is not None, "it is begun"
        segment.has_events = True
        self._last_event_us = span.last_us
        if len(times_us):
            work += self._complete(self._note(binner.add(times_us, inputs, int(times_us.max()))))
        if span.end_us is None:
            return work + self._complete(self._note(binner.move_horizon(horizon_us)))
        work += self._complete(self._note(binner.end(span.end_us)))
        self._binner, self._floor_us = None, span.end_us
        return work + self._finish(span.end_us)
