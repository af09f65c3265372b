"""Segments that the client begins and ends itself."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from service.errors import Refusal
from service.stream.cutting import Cutting
from service.stream.event_binning import BinnedFrame
from service.stream.segmentation import Segmentation
from service.stream.work import Work
from service.wire_protocol import SegmentMark


class ClientSegmentation(Segmentation):
    """Events outside a segment are ignored and counted, and move no horizon."""

    is_cut_by_server = False

    @override
    def events(self, times_us: NDArray[np.int64], inputs: NDArray[np.int64]) -> Cutting:
        segment, binner = self.open_segment, self._binner
        if segment is None or binner is None:
            n_outside = self.counters.n_outside + len(times_us)
            self.counters = replace(self.counters, n_outside=n_outside)
            return Cutting([])
        horizon_us = int(times_us.max())
        self._check_advance(binner.ticks_completed_by(horizon_us), f"time {horizon_us} us")
        frame = binner.add(times_us, inputs, horizon_us)
        if frame.n_outside < len(times_us):
            segment.has_events = True
        return self._take(frame)

    @override
    def closed_events(
        self, times_us: NDArray[np.int64], inputs: NDArray[np.int64], end_us: int
    ) -> Cutting | None:
        segment, binner = self.open_segment, self._binner
        if segment is None or binner is None or int(times_us.min()) < binner.due_us:
            return None
        horizon_us = max(end_us, int(times_us.max()))
        if binner.ticks_completed_by(horizon_us) > self._settings.max_advance_ticks:
            return None
        segment.has_events = True
        return self._take(binner.add(times_us, inputs, horizon_us))

    @override
    def move_horizon(self, time_us: int) -> Cutting:
        if self._binner is None:
            return Cutting([])
        self._check_advance(self._binner.ticks_completed_by(time_us), f"base_us {time_us}")
        return self._take(self._binner.move_horizon(time_us))

    @override
    def mark(self, mark: SegmentMark) -> list[Work]:
        number, t_us = mark.segment, mark.t_us
        return self.begin(number, t_us) if mark.action == "begin" else self.end(number, t_us)

    def begin(self, number: int, t_us: int) -> list[Work]:
        """Open a segment.

        Raises:
            Refusal: ``bad_segment``, one is open already or the number does not rise.
        """
        if self.open_segment is not None:
            raise Refusal(
                "bad_segment",
                f"segment {number} begins while segment {self.open_segment.number} is open;"
                " expected its end first",
            )
        if self._last_number is not None and number <= self._last_number:
            raise Refusal(
                "bad_segment",
                f"segment {number} came after segment {self._last_number};"
                " expected a number that rises",
            )
        self._binner = self._new_binner(t_us)
        return self._begin(number, t_us)

    def end(self, number: int, t_us: int) -> list[Work]:
        """Close the open segment and complete its ticks.

        Raises:
            Refusal: ``bad_segment``, it is not the open one or ends before its begin.
            ProtocolViolation: The end completes more ticks than one message may.
        """
        segment, binner = self.open_segment, self._binner
        if segment is None or binner is None or segment.number != number:
            is_open = "none" if segment is None else f"segment {segment.number}"
            raise Refusal("bad_segment", f"segment {number} ends, but {is_open} is open")
        if t_us < segment.begin_us:
            raise Refusal(
                "bad_segment",
                f"segment {number} ends at {t_us} us, before its begin at {segment.begin_us} us",
            )
        self._check_advance(binner.ticks_until(t_us), f"the end at {t_us} us")
        work = self._take(binner.end(t_us)).work
        self._binner = None
        return work + self._finish(t_us)

    def _take(self, frame: BinnedFrame) -> Cutting:
        return Cutting(self._complete(self._note(frame)), frame.n_late)
