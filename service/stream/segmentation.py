"""Where segments begin and end, and which ticks wait for which label: what all kinds share.

This is the side of a session that reads messages, in sequence order: it turns them into work for
the engine or refuses them. It holds no network and no clock, so its answers depend on the messages
alone. A kind of segmentation decides when to begin and to end; the rest is here.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from service.errors import ProtocolViolation, Refusal
from service.settings import SessionSettings
from service.state_tree import Tree, branch, whole, whole_or_none
from service.stream.cutting import Counters, Cutting, StreamForm
from service.stream.event_binning import BinnedFrame, EventBinner, TickBlock
from service.stream.kept_segments import KeptSegments, after_first_event, too_long
from service.stream.segments import Segment, capture_segments, passage_through, restore_segments
from service.stream.tick_grid import TickGrid
from service.stream.work import (
    BeginSegment,
    ComputeTicks,
    EndSegment,
    KeepState,
    Lesson,
    TeachAhead,
    Work,
)
from service.wire_protocol import SegmentMark


class Segmentation(ABC):
    """One stream's segments.

    Attributes:
        open_segment: The segment that is open now.
        kept: Finished segments that wait for a label.
        counters: Events that were dropped.
    """

    is_cut_by_server = True
    takes_intervals = False

    def __init__(self, form: StreamForm, settings: SessionSettings) -> None:
        self._form = form
        self._settings = settings
        self.open_segment: Segment | None = None
        self.kept = KeptSegments(settings)
        self.counters = Counters()
        self._binner: EventBinner | None = None
        self._last_number: int | None = None
        # a label for the segment that comes next, where learning ahead may name it
        self._awaited_target: int | None = None

    @abstractmethod
    def events(self, times_us: NDArray[np.int64], inputs: NDArray[np.int64]) -> Cutting:
        """Take the events of one frame, at least one, in any order.

        Raises:
            ProtocolViolation: The frame completes more ticks than one message may.
        """

    @abstractmethod
    def move_horizon(self, time_us: int) -> Cutting:
        """Take a frame without events.

        Raises:
            ProtocolViolation: It completes more ticks than one message may.
        """

    def closed_events(
        self, times_us: NDArray[np.int64], inputs: NDArray[np.int64], end_us: int
    ) -> Cutting | None:
        """Take the events of one frame and the empty frame after it at one go, where that can be.

        Args:
            times_us: Of the events, at least one.
            inputs: Of the events.
            end_us: Time of the empty frame.

        Returns:
            None where they have to be taken one after the other; then nothing has changed.
        """
        del times_us, inputs, end_us
        return None

    def mark(self, mark: SegmentMark) -> list[Work]:
        """Begin or end a segment where the client says so.

        Raises:
            Refusal: ``bad_segment``, it can't begin or end so.
            ProtocolViolation: The end completes more ticks than one message may.
        """
        raise Refusal(
            "bad_segment",
            f"a {mark.action} of segment {mark.segment} came; the server cuts this stream itself",
        )

    @property
    def kept_bytes(self) -> int:
        """Memory of kept ticks and states, the open segment's included."""
        return self.kept.n_bytes(self.open_segment)

    @property
    def checkpoint_bytes(self) -> int:
        """Memory of the kept states alone."""
        return self.kept.n_state_bytes(self.open_segment)

    @property
    def horizon_us(self) -> int | None:
        """How far the clock of the open segment has come, or of the stream that the server cuts."""
        return None if self._binner is None else self._binner.horizon_us

    @property
    def is_endless(self) -> bool:
        """Whether the stream is one segment without end."""
        return False

    @property
    def learns_ahead(self) -> bool:
        """Whether a segment learns while it runs, or will from its begin."""
        is_open = self.open_segment is not None and self.open_segment.learns_ahead
        return is_open or self._awaited_target is not None

    def label(self, number: int, target: int, *, learns: bool, ahead: bool) -> list[Work]:
        """Attach a label to a segment.

        Args:
            number: The segment's number.
            target: Index of the true class; its range is the caller's to check.
            learns: Whether it is to be learnt, or only scored.
            ahead: Whether the session learns while a segment runs.

        Returns:
            What is to be done now: nothing where the label waits for the segment's end.

        Raises:
            Refusal: ``unknown_segment``, ``label_duplicate`` or ``label_too_late``.
        """
        segment = self.open_segment
        if segment is not None and segment.number == number:
            return self._label_open(segment, target, ahead=ahead)
        if ahead and self.is_cut_by_server and number == self._next_number:
            self._await(number, target)
            return []
        segment = self.kept.find(number)
        if segment is None:
            raise self.kept.refuse(number, self._last_number)
        if ahead:
            raise Refusal(
                "label_too_late",
                f"the label for segment {number} came after its end;"
                " learning ahead expects it before the segment's first event",
            )
        if not segment.is_whole:
            raise too_long(segment)
        self.kept.label(segment, target)
        return [lesson_of(segment, target, learns=learns)]

    def label_interval(
        self, interval: tuple[int, int], target: int, *, learns: bool, ahead: bool
    ) -> list[Work]:
        """Attach a label to the ticks that begin in an interval.

        Args:
            interval: ``from_us`` and ``to_us``.
            target: Index of the true class; its range is the caller's to check.
            learns: Whether it is to be learnt, or only scored.
            ahead: Whether the session learns while a segment runs.

        Raises:
            Refusal: ``bad_value``, ``unknown_segment``, ``label_duplicate`` or ``label_too_late``.
        """
        del target, learns, ahead
        raise Refusal(
            "bad_value",
            f"a label for the interval {interval} came; this stream's labels name a segment",
        )

    def capture(self) -> Callable[[], Tree]:
        """Copy what later messages change; the returned function adds what the engine owns."""
        kept = self.kept.capture()
        opened = capture_segments([] if self.open_segment is None else [self.open_segment])
        tree: Tree = {
            "last_number": self._last_number,
            "awaited_target": self._awaited_target,
            "counters": asdict(self.counters),
            "begin_us": None if self._binner is None else self._binner.grid.begin_us,
            "binner": None if self._binner is None else self._binner.capture(),
        }
        return lambda: tree | {"kept": kept(), "open": opened()}

    def restore(self, tree: Tree) -> None:
        """Go on from what `capture` described.

        Raises:
            ValueError: The tree does not fit.
        """
        self._last_number = whole_or_none(tree, "last_number")
        self._awaited_target = whole_or_none(tree, "awaited_target")
        counters = branch(tree, "counters")
        self.counters = Counters(**{name: whole(counters, name) for name in counters})
        self.kept.restore(branch(tree, "kept"))
        self.open_segment = next(iter(restore_segments(branch(tree, "open"))), None)
        begin_us = whole_or_none(tree, "begin_us")
        self._binner = None if begin_us is None else self._new_binner(begin_us)
        if self._binner is not None:
            self._binner.restore(branch(tree, "binner"))

    @property
    def _next_number(self) -> int:
        return 0 if self._last_number is None else self._last_number + 1

    @property
    def _stretch_ticks(self) -> int | None:
        """Ticks after which a segment's next stretch begins; None: it has one only."""
        return None

    def _new_binner(self, begin_us: int) -> EventBinner:
        grid = TickGrid(begin_us, self._form.tick_us)
        return EventBinner(grid, late_us=self._form.late_us, n_inputs=self._form.n_inputs)

    def _note(self, frame: BinnedFrame) -> TickBlock:
        """Count what a frame dropped; return the ticks that it completed."""
        self.counters = self.counters.plus(frame)
        return frame.block

    def _begin(self, number: int, begin_us: int) -> list[Work]:
        """Open a segment and give it the label that waits for it, if one does."""
        segment = self.open_segment = Segment(number, begin_us)
        self._last_number = number
        stretch = segment.start_stretch()
        work: list[Work] = [BeginSegment(segment)]
        if self._awaited_target is not None:
            work.append(self._teach_ahead(segment, self._awaited_target))
            self._awaited_target = None
        elif self._form.carry_state:
            work.append(KeepState(stretch))
        return work

    def _complete(self, block: TickBlock) -> list[Work]:
        """Compute further ticks of the open segment, and keep them as its stretches."""
        segment = self.open_segment
        assert segment is not None, "ticks belong to the open segment"
        work: list[Work] = []
        start, n_ticks, every = 0, block.n_ticks, self._stretch_ticks
        while start < n_ticks:
            stop = n_ticks
            if every is not None:
                if segment.n_ticks and segment.n_ticks % every == 0 and not segment.learns_ahead:
                    work.append(KeepState(segment.start_stretch()))
                stop = min(stop, start + every - segment.n_ticks % every)
            part = block.cut(start, stop)
            segment.keep(part)
            votes = segment.stretches[-1] if every and segment.stretches else None
            work.append(ComputeTicks(part, votes))
            start = stop
        if work:
            self.kept.hold_bounds(segment)
        return work

    def _finish(self, end_us: int) -> list[Work]:
        """Close the open segment, all of whose ticks are complete."""
        segment = self.open_segment
        assert segment is not None, "only an open segment ends"
        segment.end_us = end_us
        self.open_segment = None
        self.kept.finish(segment)
        return [EndSegment(segment)]

    def _check_advance(self, n_ticks: int, cause: str) -> None:
        if n_ticks > self._settings.max_advance_ticks:
            raise ProtocolViolation(
                f"{cause} completes {n_ticks} ticks at once; expected at most"
                f" {self._settings.max_advance_ticks} for one message"
            )

    def _label_open(self, segment: Segment, target: int, *, ahead: bool) -> list[Work]:
        if segment.target is not None:
            raise Refusal("label_duplicate", f"segment {segment.number} has a label already")
        if ahead and (segment.has_events or segment.n_ticks):
            raise after_first_event(segment.number)
        if not segment.is_whole:
            raise too_long(segment)
        if ahead:
            return [self._teach_ahead(segment, target)]
        segment.target = target
        return []

    def _await(self, number: int, target: int) -> None:
        if self._awaited_target is not None:
            raise Refusal("label_duplicate", f"segment {number} has a label already")
        self._awaited_target = target

    @staticmethod
    def _teach_ahead(segment: Segment, target: int) -> Work:
        segment.target = target
        segment.learns_ahead = True
        segment.drop_all()
        return TeachAhead(target)


def lesson_of(about: Segment, target: int, *, learns: bool) -> Lesson:
    """Return the lesson of a whole segment."""
    course = passage_through(about, 0, about.n_ticks, opens=True)
    return Lesson(about, target, learns, (course,))
