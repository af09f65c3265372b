"""A session's messages, in sequence order, become work for the engine.

Everything here happens on the event loop, at once and without waiting. A message either becomes
work as a whole, or is refused as a whole: a `Refusal` turns into work that tells the client, any
other error leaves the session as it was.
"""

from collections.abc import Callable
from typing import assert_never, get_args

from service.configuration.configuration import SessionConfiguration
from service.errors import ProtocolViolation, Refusal
from service.settings import SessionSettings
from service.state_tree import Tree, branch, listed, text, whole
from service.stream.client_segmentation import ClientSegmentation
from service.stream.cutting import StreamForm
from service.stream.event_binning import address_to_input
from service.stream.segmentation import Segmentation, lesson_of
from service.stream.silence_segmentation import SilenceSegmentation
from service.stream.window_segmentation import WindowSegmentation
from service.stream.work import ChangeRate, EndSegment, GrowClasses, Refuse, Work
from service.wire_protocol import (
    MAX_LIST_ITEMS,
    AddClasses,
    EventFrame,
    Label,
    LearningChange,
    LearningMode,
    SegmentedBySilence,
    SegmentedByWindow,
    SegmentMark,
    SnapshotRequest,
    Unsegmented,
)

SessionMessage = EventFrame | SegmentMark | Label | LearningChange | AddClasses | SnapshotRequest
"""What changes a session, once it is open."""


class Intake:
    """The side of a session that reads: segments, ticks, labels, the learning mode.

    Attributes:
        n_events: Events that came, dropped ones included.
        mode: The learning mode after the last message.
        class_names: The classes by index, likewise.
    """

    def __init__(
        self,
        configuration: SessionConfiguration,
        settings: SessionSettings,
        note_growth: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Begin with nothing taken in.

        Args:
            configuration: What the session was created as.
            settings: What it may hold.
            note_growth: Is told of how many bytes more the network takes.
        """
        self._configuration = configuration
        self._max_bytes = settings.max_session_bytes
        self._sensor = configuration.sensor
        self.class_names = configuration.class_names
        self._note_growth = note_growth
        self.segmentation = _segmentation(configuration, settings)
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

    def take_closed(self, frame: EventFrame, closing: EventFrame) -> list[Work] | None:
        """Turn a frame and the empty one after it into work at one go, where that can be.

        A sensor's frame comes with one that says that its time has passed, as a rule.

        Args:
            frame: The session's next message, with events.
            closing: The one after it, without.

        Returns:
            None where they have to be taken one after the other; then nothing has changed.
        """
        inputs = address_to_input(self._sensor, frame.addresses)
        cutting = self.segmentation.closed_events(frame.times_us, inputs, closing.base_us)
        if cutting is None:
            return None
        self.n_events += frame.count
        return cutting.work

    def capture(self) -> Callable[[], Tree]:
        """Copy what later messages change, at once; to be called between two messages.

        Returns:
            What makes the tree. It adds what the engine owns: to be called on the engine thread,
            once all that was taken in so far is computed and nothing later is.
        """
        segmentation = self.segmentation.capture()
        tree: Tree = {
            "mode": self.mode,
            "n_events": self.n_events,
            "class_names": list(self.class_names),
        }
        return lambda: tree | {"segmentation": segmentation()}

    def restore(self, tree: Tree) -> None:
        """Go on from what `capture` described; for an intake that has taken nothing in.

        Raises:
            ValueError: The tree does not fit; the intake is of no use any more.
        """
        [self.mode] = [mode for mode in get_args(LearningMode) if mode == text(tree, "mode")]
        self.n_events = whole(tree, "n_events")
        self.class_names = tuple(str(name) for name in listed(tree, "class_names"))
        self.segmentation.restore(branch(tree, "segmentation"))

    def _take(self, message: SessionMessage) -> list[Work]:
        match message:
            case EventFrame():
                return self._take_events(message)
            case SegmentMark():
                return self._with_lessons(self.segmentation.mark(message), message.sequence)
            case Label():
                return self._take_label(message)
            case LearningChange():
                return self._take_learning(message)
            case AddClasses():
                return self._take_classes(message)
            case SnapshotRequest():
                # nothing to compute: whoever stores the session is told of it beside this
                return []
            case _:
                assert_never(message)

    def _take_events(self, frame: EventFrame) -> list[Work]:
        if frame.count == 0:
            cutting = self.segmentation.move_horizon(frame.base_us)
        else:
            inputs = address_to_input(self._sensor, frame.addresses)
            cutting = self.segmentation.events(frame.times_us, inputs)
        self.n_events += frame.count
        work = self._with_lessons(cutting.work, frame.sequence)
        if cutting.n_late:
            work.append(
                Refuse(
                    Refusal(
                        "late_events",
                        f"{cutting.n_late} of {frame.count} events came after their tick was"
                        " complete; expected none earlier than the greatest time less late_us",
                        sequence=frame.sequence,
                    )
                )
            )
        return work

    def _with_lessons(self, cut: list[Work], sequence: int) -> list[Work]:
        """Let the end of a segment that has its label already be followed by its lesson."""
        work: list[Work] = []
        for item in cut:
            work.append(item)
            if not isinstance(item, EndSegment) or item.segment.learns_ahead:
                continue
            segment, target = item.segment, item.segment.target
            if target is not None and segment.is_whole:
                work.append(lesson_of(segment, target, learns=self._learns))
            elif target is not None:
                too_long = Refusal(
                    "label_too_late",
                    f"segment {segment.number} is longer than the server keeps; its label is not"
                    " learnt",
                    sequence=sequence,
                )
                work.append(Refuse(too_long))
        return work

    def _take_label(self, label: Label) -> list[Work]:
        target = self._resolve(label.target)
        learns, ahead = self._learns, self.mode == "ahead"
        if label.segment is not None:
            return self.segmentation.label(label.segment, target, learns=learns, ahead=ahead)
        assert label.from_us is not None, "a label names a segment or an interval"
        assert label.to_us is not None, "an interval has two ends"
        interval = label.from_us, label.to_us
        return self.segmentation.label_interval(interval, target, learns=learns, ahead=ahead)

    def _take_learning(self, change: LearningChange) -> list[Work]:
        if change.mode is not None:
            self._check_mode_change(change.mode)
            self.mode = change.mode
        return [] if change.rate is None else [ChangeRate(change.rate)]

    def _take_classes(self, message: AddClasses) -> list[Work]:
        known = [name for name in message.add if name in self.class_names]
        if known:
            raise Refusal("bad_value", f"class {known[0]!r} came; there is one of that name")
        n_classes = len(self.class_names) + len(message.add)
        if n_classes > MAX_LIST_ITEMS:
            raise Refusal(
                "bad_value", f"{n_classes} classes would be; expected at most {MAX_LIST_ITEMS}"
            )
        n_bytes = self._configuration.network_bytes(n_classes)
        # the session's own bound only: what others take at the moment would be another answer when
        # the message is sent again
        if n_bytes > self._max_bytes:
            raise Refusal(
                "quota",
                f"{n_bytes} bytes would be the network's; expected at most {self._max_bytes}",
            )
        self._note_growth(n_bytes - self._configuration.network_bytes(len(self.class_names)))
        self.class_names += message.add
        kept = self.segmentation.kept.stretches(self.segmentation.open_segment)
        return [GrowClasses(message.add, tuple(kept))]

    def _check_mode_change(self, mode: str) -> None:
        """Refuse a mode that the stream can't have, or not while a lesson is under way."""
        if self.segmentation.learns_ahead and mode != self.mode:
            raise Refusal(
                "bad_value",
                f"mode {mode!r} came while a labelled segment learns ahead; expected its end first",
            )
        if mode == "ahead" and self.segmentation.is_endless:
            raise Refusal("bad_value", "mode 'ahead' came; a segment without end can't learn ahead")

    @property
    def _learns(self) -> bool:
        return self.mode != "off"

    def _resolve(self, target: int | str) -> int:
        """Return the index of a class told by index or name."""
        n_classes = len(self.class_names)
        if isinstance(target, str):
            if target not in self.class_names:
                raise Refusal("bad_value", f"target {target!r} came; expected a class's name")
            return self.class_names.index(target)
        if not 0 <= target < n_classes:
            raise Refusal("bad_value", f"target {target} came; expected 0 to {n_classes - 1}")
        return target


def _segmentation(configuration: SessionConfiguration, settings: SessionSettings) -> Segmentation:
    request = configuration.request
    form = StreamForm(
        tick_us=configuration.tick_us,
        late_us=request.late_us,
        n_inputs=configuration.sensor.n_inputs,
        carry_state=request.carry_state,
    )
    match request.segmentation:
        case SegmentedBySilence(gap_us=gap_us):
            return SilenceSegmentation(form, settings, gap_us=gap_us)
        case SegmentedByWindow(length_us=length_us):
            return WindowSegmentation(form, settings, length_us=length_us)
        case Unsegmented():
            return WindowSegmentation(form, settings, length_us=None)
        case _:
            return ClientSegmentation(form, settings)
