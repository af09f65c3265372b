"""Where a segment begins and ends, and which ticks wait for which label.

This is the side of a session that reads messages, in sequence order: it turns them into work for
the engine or refuses them. It holds no network and no clock, so its answers depend on the messages
alone.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from service.errors import ProtocolViolation, Refusal
from service.event_binning import BinnedFrame, EventBinner, TickBlock
from service.kept_segments import KeptSegments, Segment, capture_segments, restore_segments
from service.settings import SessionSettings
from service.state_tree import Tree, branch, whole, whole_or_none


class LabelPlace(Enum):
    """When a label takes effect."""

    FINISHED = "the segment is finished: learn now"
    CURRENT = "the segment is open: learn at its end"
    AHEAD = "the segment is open and empty: learn while it runs"


@dataclass(frozen=True, slots=True)
class Counters:
    """Events that were dropped, by reason; for the session's state page."""

    n_outside: int = 0
    n_late: int = 0
    n_saturated: int = 0

    def plus(self, frame: BinnedFrame) -> "Counters":
        """Return the counters with one more frame in them."""
        return Counters(
            self.n_outside + frame.n_outside,
            self.n_late + frame.n_late,
            self.n_saturated + frame.n_saturated,
        )


class ClientSegmentation:
    """Segments that the client begins and ends itself."""

    def __init__(
        self, *, tick_us: int, late_us: int, n_inputs: int, settings: SessionSettings
    ) -> None:
        self._tick_us = tick_us
        self._late_us = late_us
        self._n_inputs = n_inputs
        self._settings = settings
        self._open: Segment | None = None
        self._binner: EventBinner | None = None
        self._last_number: int | None = None
        self.kept = KeptSegments(settings)
        self.counters = Counters()

    @property
    def open_segment(self) -> Segment | None:
        """The segment that is open now."""
        return self._open

    @property
    def kept_bytes(self) -> int:
        """Memory of the kept ticks, the open segment's included."""
        return self.kept.n_bytes(self._open)

    def begin(self, number: int, t_us: int) -> Segment:
        """Open a segment.

        Raises:
            Refusal: ``bad_segment``, one is open already or the number does not rise.
        """
        if self._open is not None:
            raise Refusal(
                "bad_segment",
                f"segment {number} begins while segment {self._open.number} is open;"
                " expected its end first",
            )
        if self._last_number is not None and number <= self._last_number:
            raise Refusal(
                "bad_segment",
                f"segment {number} came after segment {self._last_number};"
                " expected a number that rises",
            )
        self._last_number = number
        self._open = Segment(number, t_us)
        self._binner = self._new_binner(t_us)
        return self._open

    def events(self, times_us: NDArray[np.int64], inputs: NDArray[np.int64]) -> BinnedFrame:
        """Bin the events of one frame; outside a segment they are ignored and counted.

        Raises:
            ProtocolViolation: The frame completes more ticks than one message may.
        """
        if self._open is None or self._binner is None:
            self.counters = self.counters.plus(ignored := _ignored(len(times_us)))
            return ignored
        horizon_us = int(times_us.max())
        self._check_advance(self._binner.ticks_completed_by(horizon_us), f"time {horizon_us} us")
        frame = self._binner.add(times_us, inputs)
        if frame.n_outside < len(times_us):
            self._open.has_events = True
        return self._keep(frame)

    def move_horizon(self, time_us: int) -> BinnedFrame:
        """Complete the ticks before ``time_us``; outside a segment nothing happens.

        Raises:
            ProtocolViolation: More ticks than one message may complete.
        """
        if self._open is None or self._binner is None:
            return _ignored(0)
        self._check_advance(self._binner.ticks_completed_by(time_us), f"base_us {time_us}")
        return self._keep(self._binner.move_horizon(time_us))

    def end(self, number: int, t_us: int) -> tuple[Segment, BinnedFrame]:
        """Close the open segment and complete its ticks.

        Returns:
            The finished segment and its last ticks. A target that it carries is to be learnt now,
            if its ticks are still kept.

        Raises:
            Refusal: ``bad_segment``, it is not the open one or ends before its begin.
            ProtocolViolation: The end completes more ticks than one message may.
        """
        segment, binner = self._open, self._binner
        if segment is None or binner is None or segment.number != number:
            is_open = "none" if segment is None else f"segment {segment.number}"
            raise Refusal("bad_segment", f"segment {number} ends, but {is_open} is open")
        if t_us < segment.begin_us:
            raise Refusal(
                "bad_segment",
                f"segment {number} ends at {t_us} us, before its begin at {segment.begin_us} us",
            )
        self._check_advance(binner.ticks_until(t_us), f"the end at {t_us} us")
        frame = self._keep(binner.end(t_us))
        segment.end_us = t_us
        self._open = self._binner = None
        self.kept.finish(segment)
        return segment, frame

    def label(self, number: int, target: int, *, ahead: bool) -> tuple[LabelPlace, Segment]:
        """Attach a label to a segment.

        Args:
            number: The segment's number.
            target: Index of the true class; its range is the caller's to check.
            ahead: Whether the session learns while a segment runs.

        Raises:
            Refusal: ``unknown_segment``, ``label_duplicate`` or ``label_too_late``.
        """
        if self._open is not None and self._open.number == number:
            return self._label_open(self._open, target, ahead=ahead)
        segment = self.kept.find(number)
        if segment is None:
            raise self.kept.refuse(number, self._last_number)
        if ahead:
            raise Refusal(
                "label_too_late",
                f"the label for segment {number} came after its end;"
                " learning ahead expects it before the segment's first event",
            )
        self.kept.label(segment, target)
        return LabelPlace.FINISHED, segment

    def _label_open(
        self, segment: Segment, target: int, *, ahead: bool
    ) -> tuple[LabelPlace, Segment]:
        if segment.target is not None:
            raise Refusal("label_duplicate", f"segment {segment.number} has a label already")
        if ahead and (segment.has_events or segment.n_ticks):
            raise Refusal(
                "label_too_late",
                f"the label for segment {segment.number} came after its first event;"
                " learning ahead expects it before",
            )
        if not segment.keeps_ticks:
            raise Refusal(
                "label_too_late",
                f"segment {segment.number} is longer than the server keeps;"
                " its first ticks are gone",
            )
        segment.target = target
        if not ahead:
            return LabelPlace.CURRENT, segment
        segment.keeps_ticks = False
        segment.learns_ahead = True
        return LabelPlace.AHEAD, segment

    def capture(self) -> Callable[[], Tree]:
        """Copy what later messages change; the returned function adds what the engine owns."""
        kept = self.kept.capture()
        opened = capture_segments([] if self._open is None else [self._open])
        tree: Tree = {
            "last_number": self._last_number,
            "counters": asdict(self.counters),
            "binner": None if self._binner is None else self._binner.capture(),
        }
        return lambda: tree | {"kept": kept(), "open": opened()}

    def restore(self, tree: Tree) -> None:
        """Go on from what `capture` described."""
        self._last_number = whole_or_none(tree, "last_number")
        counters = branch(tree, "counters")
        self.counters = Counters(**{name: whole(counters, name) for name in counters})
        self.kept.restore(branch(tree, "kept"))
        self._open = self._binner = None
        for segment in restore_segments(branch(tree, "open")):
            self._open, self._binner = segment, self._new_binner(segment.begin_us)
            self._binner.restore(branch(tree, "binner"))

    def _new_binner(self, begin_us: int) -> EventBinner:
        return EventBinner(
            tick_us=self._tick_us,
            late_us=self._late_us,
            n_inputs=self._n_inputs,
            begin_us=begin_us,
        )

    def _check_advance(self, n_ticks: int, cause: str) -> None:
        if n_ticks > self._settings.max_advance_ticks:
            raise ProtocolViolation(
                f"{cause} completes {n_ticks} ticks at once; expected at most"
                f" {self._settings.max_advance_ticks} for one message"
            )

    def _keep(self, frame: BinnedFrame) -> BinnedFrame:
        self.counters = self.counters.plus(frame)
        segment = self._open
        assert segment is not None, "ticks belong to the open segment"
        segment.keep(frame.block)
        if frame.block.n_ticks:
            self.kept.hold_bounds(segment)
        return frame


def _ignored(n_outside: int) -> BinnedFrame:
    return BinnedFrame(TickBlock.join([]), 0, n_outside, 0)
