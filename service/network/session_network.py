"""A session's network at work: the side of a session that only the engine thread touches.

It reads the inbox in order. Work that costs nothing is done on the way; work that costs ticks is
handed to the engine as rows, at most one at a time, so a session is in at most one batch and its
ticks are computed in their order.
"""

import math
from collections import deque
from typing import assert_never

import numpy as np

from service.configuration.configuration import SessionConfiguration
from service.errors import InternalFailure, Refusal
from service.network.learner_pool import LearnerPool, Seat
from service.network.lesson_course import LessonCourse, learned_message
from service.network.prequential_accuracy import PrequentialAccuracy
from service.network.retold_messages import RetoldMessages
from service.network.running_segment import RunningSegment
from service.network.seated_network import SeatedNetwork
from service.network.tick_tally import TickTally
from service.network.visit import NO_TARGET, Answer, Delivery, Row
from service.settings import SessionSettings
from service.state_tree import Tree, branch, listed, truth, whole
from service.stream.segments import Segment, Stretch
from service.stream.work import (
    Applied,
    AtBoundary,
    BeginSegment,
    ChangeRate,
    ChangeReport,
    ComputeTicks,
    EndSegment,
    GrowClasses,
    Interval,
    KeepState,
    Lesson,
    Refuse,
    TeachAhead,
    Work,
)
from service.wire_protocol import (
    ErrorMessage,
    Learned,
    Prediction,
    SegmentedByWindow,
    Unsegmented,
)
from tclif_core import Learner, SlotIndex, Strand


class SessionNetwork:
    """One session's slot in a learner, and where its work stands."""

    def __init__(
        self,
        pool: LearnerPool,
        seat: Seat,
        configuration: SessionConfiguration,
        settings: SessionSettings,
    ) -> None:
        self._seated = SeatedNetwork(pool, seat)
        self.accuracy = PrequentialAccuracy(settings.accuracy_window)
        self.tally = TickTally()
        self.n_labelled = 0
        self.n_lessons = 0
        self.learning_stopped = False
        self.failure: InternalFailure | None = None
        self.running = RunningSegment(configuration)
        request = configuration.request
        self._carry_state = request.carry_state
        # states that are carried or kept have to hold eligibility, whether a label is there or not
        keeps_states = isinstance(request.segmentation, SegmentedByWindow | Unsegmented)
        self._always_learns = self._carry_state or keeps_states
        self._ahead_target = NO_TARGET
        self._row: Row | None = None
        self._row_tick = 0
        self._stretch: Stretch | None = None
        self._course: LessonCourse | None = None
        self._delivery = Delivery()
        self._made_prediction = False
        self.retold = RetoldMessages()

    @property
    def seat(self) -> Seat:
        """Where its learner's share of it is; elsewhere once classes were added."""
        return self._seated.seat

    @property
    def learner(self) -> Learner:
        """The learner that its slot is in."""
        return self.seat.learner

    @property
    def slot(self) -> SlotIndex:
        """Its place in the learner."""
        return self.seat.slot

    def leave(self) -> None:
        """Free its slot."""
        self._seated.leave()

    def next_row(self, inbox: deque[Work], visit_ticks: int) -> Row | None:
        """Do what costs nothing and return the next ticks to compute, if any.

        Args:
            inbox: The session's work; what is done is taken out.
            visit_ticks: Return no more ticks than this.
        """
        if self.failure is not None:
            _cancel(inbox, self.failure)
            return None
        while self._row is None:
            if not inbox:
                return None
            self._start(inbox[0])
            inbox.popleft()
        stop = min(self._row_tick + visit_ticks, self._row.block.n_ticks)
        row = self._row
        return Row(row.strand, row.learns, row.target, row.block.cut(self._row_tick, stop))

    def take_results(self, row: Row, answer: Answer) -> None:
        """Take what the batch computed for the row that `next_row` returned.

        Args:
            row: That row.
            answer: What was computed for it.

        Raises:
            InternalFailure: The network is no longer finite.
        """
        if not np.isfinite(answer.mean_probabilities).all():
            raise InternalFailure("the network's probabilities are not finite; it is quarantined")
        n_ticks = row.block.n_ticks
        if row.strand is Strand.LIVE:
            for prediction in self.running.advance(answer, self._stretch):
                self._predicted(prediction)
            self._delivery.n_ticks += n_ticks
            self._delivery.n_inputs += row.block.n_inputs
        else:
            self._delivery.n_lesson_ticks += n_ticks
        self.tally.take(row)
        self._row_tick += n_ticks
        assert self._row is not None, "results belong to a row in progress"
        if self._row_tick == self._row.block.n_ticks:
            self._row, self._row_tick = None, 0
            if self._course is not None:
                self._go_on(self._course)

    def has_work(self, inbox: deque[Work]) -> bool:
        """Tell whether another visit has something to do."""
        return self._row is not None or bool(inbox)

    def fail(self, failure: InternalFailure, inbox: deque[Work]) -> None:
        """Compute nothing more; whoever waits for this session hears why."""
        self.failure = self._delivery.failure = failure
        self._row = None
        _cancel(inbox, failure)

    def firing_rates(self) -> list[float]:
        """Spikes a neuron and tick of each hidden layer, over all ticks inside segments."""
        counts, n_ticks = self.learner.spike_counts(self.slot)
        sizes = self.learner.network.hidden
        return [
            float(count) / (size * n_ticks) if n_ticks else 0.0
            for count, size in zip(counts, sizes, strict=True)
        ]

    def collect(self) -> Delivery:
        """Return what has come about since the last call."""
        delivery, self._delivery = self._delivery, Delivery()
        return delivery

    def capture(self) -> Tree:
        """Return all that the network is, between two messages."""
        assert self._row is None, "between two messages nothing is in progress"
        return {
            "rows": self._seated.capture(),
            "accuracy": self.accuracy.capture(),
            "tally": self.tally.capture(),
            "n_labelled": self.n_labelled,
            "n_lessons": self.n_lessons,
            "learning_stopped": self.learning_stopped,
            "ahead_target": self._ahead_target,
            "running": self.running.capture(),
        }

    def restore(self, tree: Tree, open_segment: Segment | None) -> None:
        """Go on from what `capture` returned; for a network that has computed nothing.

        Args:
            tree: The captured state.
            open_segment: The restored `Intake`'s, shared with it.

        Raises:
            ValueError: The tree does not fit; the network is of no use any more.
        """
        self.running.restore(branch(tree, "running"), open_segment)
        self._seated.restore(branch(tree, "rows"), len(self.running.class_names))
        self.accuracy.restore(branch(tree, "accuracy"))
        self.tally.restore(branch(tree, "tally"))
        self.n_labelled = whole(tree, "n_labelled")
        self.n_lessons = whole(tree, "n_lessons")
        self.learning_stopped = truth(tree, "learning_stopped")
        self._ahead_target = whole(tree, "ahead_target")

    def roll_back(self, tree: Tree) -> None:
        """Take back the weights that `capture` returned, and all that moves them; between messages.

        The running segment, the score and what was told stay.

        Raises:
            Refusal: They are those of another network.
        """
        n_classes = len(listed(branch(tree, "running"), "class_names"))
        self._seated.roll_back(branch(tree, "rows"), n_classes)
        self.learning_stopped = truth(tree, "learning_stopped")

    def _start(self, work: Work) -> None:  # noqa: C901, PLR0912 - one flat case for each kind of work
        match work:
            case BeginSegment():
                self._begin(work.segment)
            case TeachAhead():
                self._ahead_target = work.target
            case ComputeTicks():
                target = NO_TARGET if self.learning_stopped else self._ahead_target
                learns = target != NO_TARGET or self._always_learns
                self._row, self._stretch = (
                    Row(Strand.LIVE, learns, target, work.block),
                    work.stretch,
                )
            case KeepState():
                work.stretch.state = self.learner.copy_state(self.slot, Strand.LIVE)
            case EndSegment():
                self._end(work.segment)
            case Lesson():
                self._begin_lesson(work)
            case GrowClasses():
                self._grow(work)
            case ChangeRate():
                self.learner.set_rate(self.slot, work.rate)
            case ChangeReport():
                self.running.report = work.report
            case Refuse():
                self._delivery.messages.append(_refused(work.refusal))
            case Applied():
                self._applied(work)
            case AtBoundary():
                work.run()
            case _:
                assert_never(work)

    def _begin(self, segment: Segment) -> None:
        self._ahead_target = NO_TARGET
        self.running.begin(segment)
        self.learner.begin_segment(self.slot, Strand.LIVE, carry_state=self._carry_state)

    def _grow(self, work: GrowClasses) -> None:
        names = (*self.running.class_names, *work.names)
        self._seated.grow(len(names), work.stretches)
        self.running.grow(names)

    def _end(self, segment: Segment) -> None:
        n_ticks = self.running.n_ticks
        self._predicted(self.running.end())
        if segment.learns_ahead and segment.target is not None:
            # with per-tick updates the prediction was pushed toward the label: it does not count
            counts = self.learner.learning.update == "segment"
            if self.learning_stopped:
                loss = None
            elif n_ticks == 0:
                loss = self._uniform_loss()
            else:
                loss = self._update(segment, self.learner.segment_loss(self.slot, Strand.LIVE))
            self._learned(segment, segment.target, loss, counts=counts)

    def _begin_lesson(self, lesson: Lesson) -> None:
        if not lesson.learns or self.learning_stopped:
            self._learned(lesson.about, lesson.target, None, counts=True)
        elif not LessonCourse.has_ticks(lesson):
            self._learned(lesson.about, lesson.target, self._uniform_loss(), counts=True)
        else:
            self._course = LessonCourse(
                lesson, self.learner, self.slot, carry_state=self._carry_state
            )
            self._go_on(self._course)

    def _go_on(self, course: LessonCourse) -> None:
        """Compute a lesson's next ticks, or learn from those that are computed."""
        self._row = course.next_row()
        if self._row is None:
            self._course, lesson = None, course.lesson
            loss = self._update(lesson.about, course.loss)
            self._learned(lesson.about, lesson.target, loss, counts=True)

    def _update(self, about: Segment | Interval, loss: float) -> float | None:
        """Let the optimiser step; return the lesson's loss, or None if it is not finite."""
        if self.learner.apply_update(self.slot):
            self.n_lessons += 1
            self._delivery.n_lessons += 1
        else:
            self.learning_stopped = True
            self._delivery.messages.append(
                ErrorMessage(
                    code="learning_stopped",
                    message=f"the gradient of {about.name} is not finite; it"
                    " is not applied and the session learns no more",
                    fatal=False,
                )
            )
        return loss if math.isfinite(loss) else None

    def _uniform_loss(self) -> float:
        """Loss of a segment without ticks: no lesson, and a uniform prediction."""
        return math.log(len(self.running.class_names))

    def _learned(
        self, about: Segment | Interval, target: int, loss: float | None, *, counts: bool
    ) -> None:
        self.n_labelled += 1
        if counts:
            self.accuracy.score(correct=about.was_taken_for(target))
        accuracy = self.accuracy.windowed if self.accuracy.n_scored else None
        self._tell(learned_message(about, target, loss, accuracy, self.n_labelled))

    def _predicted(self, prediction: Prediction) -> None:
        self._tell(prediction)
        self._made_prediction = True

    def _tell(self, message: Prediction | Learned) -> None:
        self._delivery.messages.append(message)
        self.retold.note(message)

    def _applied(self, work: Applied) -> None:
        self._delivery.applied = work.sequence
        self._delivery.n_applied += 1
        if self._made_prediction:
            self._delivery.answered_s.append(work.arrived_s)
            self._made_prediction = False


def _cancel(inbox: deque[Work], failure: InternalFailure) -> None:
    """Empty the inbox of a session that computes no more."""
    while inbox:
        work = inbox.popleft()
        if isinstance(work, AtBoundary):
            work.refuse(failure)


def _refused(refusal: Refusal) -> ErrorMessage:
    return ErrorMessage(
        code=refusal.code, message=refusal.message, sequence=refusal.sequence, fatal=False
    )
