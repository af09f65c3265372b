"""A session's messages, in sequence order, become work for the engine.

Everything here happens on the event loop, at once and without waiting. A message either becomes
work as a whole, or is refused as a whole: a `Refusal` turns into work that tells the client, any
other error leaves the session as it was.
"""

from collections.abc import Callable
from typing import assert_never, get_args

from service.configuration import SessionConfiguration
from service.errors import ProtocolViolation, Refusal
from service.event_binning import BinnedFrame, address_to_input
from service.kept_segments import Segment
from service.segmentation import ClientSegmentation, LabelPlace
from service.settings import SessionSettings
from service.state_tree import Tree, branch, text, whole
from service.wire_protocol import (
    AddClasses,
    EventFrame,
    Label,
    LearningChange,
    LearningMode,
    SegmentMark,
    SnapshotRequest,
)
from service.work import (
    BeginSegment,
    ChangeRate,
    ComputeTicks,
    EndSegment,
    Lesson,
    Refuse,
    TeachAhead,
    Work,
)

SessionMessage = EventFrame | SegmentMark | Label | LearningChange | AddClasses | SnapshotRequest
"""What changes a session, once it is open."""


class Intake:
    """The side of a session that reads: segments, ticks, labels, the learning mode.

    Attributes:
        n_events: Events that came, dropped ones included.
        mode: The learning mode after the last message.
    """

    def __init__(self, configuration: SessionConfiguration, settings: SessionSettings) -> None:
        self._sensor = configuration.sensor
        self._class_names = configuration.class_names
        self._class_index = {name: index for index, name in enumerate(self._class_names)}
        self.segmentation = ClientSegmentation(
            tick_us=configuration.tick_us,
            late_us=configuration.request.late_us,
            n_inputs=configuration.sensor.n_inputs,
            settings=settings,
        )
        self.mode = configuration.request.learning.mode
        self.n_events = 0

    def take(self, message: SessionMessage) -> list[Work]:
        """Turn one message into work.

        Args:
            message: The session's next one; its sequence number is checked already.

        Raises:
            ProtocolViolation: The message completes more ticks than one may. Nothing changed.
        """
        try:
            return self._take(message)
        except Refusal as refusal:
            refusal.sequence = message.sequence
            return [Refuse(refusal)]
        except ProtocolViolation as violation:
            violation.sequence = message.sequence
            raise

    def capture(self) -> Callable[[], Tree]:
        """Copy what later messages change, at once; to be called between two messages.

        Returns:
            What makes the tree. It adds what the engine owns: to be called on the engine thread,
            once all that was taken in so far is computed and nothing later is.
        """
        segmentation = self.segmentation.capture()
        tree: Tree = {"mode": self.mode, "n_events": self.n_events}
        return lambda: tree | {"segmentation": segmentation()}

    def restore(self, tree: Tree) -> None:
        """Go on from what `capture` described; for an intake that has taken nothing in.

        Raises:
            ValueError: The tree does not fit; the intake is of no use any more.
        """
        [self.mode] = [mode for mode in get_args(LearningMode) if mode == text(tree, "mode")]
        self.n_events = whole(tree, "n_events")
        self.segmentation.restore(branch(tree, "segmentation"))

    def _take(self, message: SessionMessage) -> list[Work]:
        match message:
            case EventFrame():
                return self._take_events(message)
            case SegmentMark(action="begin"):
                return [BeginSegment(self.segmentation.begin(message.segment, message.t_us))]
            case SegmentMark():
                return self._take_end(message)
            case Label():
                return self._take_label(message)
            case LearningChange():
                return self._take_learning(message)
            case AddClasses() | SnapshotRequest():
                raise Refusal("not_served", f"this server does not serve {message.type!r} messages")
            case _:
                assert_never(message)

    def _take_events(self, frame: EventFrame) -> list[Work]:
        if frame.count == 0:
            binned = self.segmentation.move_horizon(frame.base_us)
        else:
            inputs = address_to_input(self._sensor, frame.addresses)
            binned = self.segmentation.events(frame.times_us, inputs)
        self.n_events += frame.count
        work = _ticks(binned)
        if binned.n_late:
            work.append(
                Refuse(
                    Refusal(
                        "late_events",
                        f"{binned.n_late} of {frame.count} events came after their tick was"
                        " complete; expected none earlier than the greatest time less late_us",
                        sequence=frame.sequence,
                    )
                )
            )
        return work

    def _take_end(self, mark: SegmentMark) -> list[Work]:
        segment, binned = self.segmentation.end(mark.segment, mark.t_us)
        work = [*_ticks(binned), EndSegment(segment)]
        if segment.target is None or segment.learns_ahead:
            return work
        if segment.keeps_ticks:
            return [*work, self._lesson(segment, segment.target)]
        too_long = Refusal(
            "label_too_late",
            f"segment {segment.number} is longer than the server keeps; its label is not learnt",
            sequence=mark.sequence,
        )
        return [*work, Refuse(too_long)]

    def _take_label(self, label: Label) -> list[Work]:
        if label.segment is None:
            raise Refusal("not_served", "this server serves labels for segments, not for intervals")
        target = self._resolve(label.target)
        place, segment = self.segmentation.label(label.segment, target, ahead=self.mode == "ahead")
        match place:
            case LabelPlace.FINISHED:
                return [self._lesson(segment, target)]
            case LabelPlace.AHEAD:
                return [TeachAhead(target)]
            case LabelPlace.CURRENT:
                return []

    def _take_learning(self, change: LearningChange) -> list[Work]:
        if change.mode is not None:
            self._check_mode_change(change.mode)
            self.mode = change.mode
        return [] if change.rate is None else [ChangeRate(change.rate)]

    def _check_mode_change(self, mode: str) -> None:
        """Refuse to change the mode under a segment whose lesson is under way."""
        segment = self.segmentation.open_segment
        if segment is not None and segment.learns_ahead and mode != self.mode:
            raise Refusal(
                "bad_value",
                f"mode {mode!r} came while segment {segment.number} learns ahead;"
                " expected its end first",
            )

    def _lesson(self, segment: Segment, target: int) -> Lesson:
        return Lesson(segment, target, learns=self.mode != "off")

    def _resolve(self, target: int | str) -> int:
        """Return the index of a class told by index or name."""
        n_classes = len(self._class_names)
        if isinstance(target, str):
            if target not in self._class_index:
                raise Refusal("bad_value", f"target {target!r} came; expected a class's name")
            return self._class_index[target]
        if not 0 <= target < n_classes:
            raise Refusal("bad_value", f"target {target} came; expected 0 to {n_classes - 1}")
        return target


def _ticks(binned: BinnedFrame) -> list[Work]:
    return [ComputeTicks(binned.block)] if binned.block.n_ticks else []
