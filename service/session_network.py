"""A session's network at work: the side of a session that only the engine thread touches.

It reads the inbox in order. Work that costs nothing is done on the way; work that costs ticks is
handed to the engine as rows, at most one at a time, so a session is in at most one batch and its
ticks are computed in their order.
"""

import math
from collections import deque
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from service.configuration import SessionConfiguration
from service.errors import InternalFailure, Refusal
from service.event_binning import TickBlock
from service.kept_segments import Segment
from service.prequential_accuracy import PrequentialAccuracy
from service.settings import SessionSettings
from service.state_tree import Tree, array, branch, truth, whole
from service.tick_tally import TickTally
from service.visit import NO_TARGET, Delivery, Row
from service.wire_protocol import ErrorMessage, Learned, Prediction
from service.work import (
    Applied,
    AtBoundary,
    BeginSegment,
    ChangeRate,
    ChangeReport,
    ComputeTicks,
    EndSegment,
    Lesson,
    Refuse,
    TeachAhead,
    Work,
)
from tclif_core import Learner, SlotIndex, Strand


class SessionNetwork:
    """One session's slot in a learner, and where its work stands."""

    def __init__(
        self,
        learner: Learner,
        slot: SlotIndex,
        configuration: SessionConfiguration,
        settings: SessionSettings,
    ) -> None:
        self.learner = learner
        self.slot = slot
        self.accuracy = PrequentialAccuracy(settings.accuracy_window)
        self.tally = TickTally()
        self.n_labelled = 0
        self.n_lessons = 0
        self.learning_stopped = False
        self.failure: InternalFailure | None = None
        self._configuration = configuration
        self._report = configuration.request.report
        self._carry_state = configuration.request.carry_state
        self._segment: Segment | None = None
        self._segment_tick = 0
        self._ahead_target = NO_TARGET
        self._mean = self._uniform()
        self._row: Row | None = None
        self._row_tick = 0
        self._lesson: Lesson | None = None
        self._delivery = Delivery()
        self._made_prediction = False

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

    def take_results(self, row: Row, mean_probabilities: NDArray[np.float32]) -> None:
        """Take what the batch computed for the row that `next_row` returned.

        Args:
            row: That row.
            mean_probabilities: ``[T, C]``, the segment's prediction after each of its ticks.

        Raises:
            InternalFailure: The network is no longer finite.
        """
        if not np.isfinite(mean_probabilities).all():
            raise InternalFailure("the network's probabilities are not finite; it is quarantined")
        n_ticks = row.block.n_ticks
        if row.strand is Strand.LIVE:
            self._take_live(mean_probabilities)
            self._delivery.n_ticks += n_ticks
            self._delivery.n_inputs += row.block.n_inputs
        else:
            self._delivery.n_lesson_ticks += n_ticks
        self.tally.take(row)
        self._row_tick += n_ticks
        assert self._row is not None, "results belong to a row in progress"
        if self._row_tick == self._row.block.n_ticks:
            self._row, self._row_tick = None, 0
            if self._lesson is not None:
                self._finish_lesson()

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
        rows = self.learner.export(self.slot)
        return {
            "rows": {name: row.numpy() for name, row in rows.items()},
            "accuracy": self.accuracy.capture(),
            "tally": self.tally.capture(),
            "n_labelled": self.n_labelled,
            "n_lessons": self.n_lessons,
            "learning_stopped": self.learning_stopped,
            "segment_tick": self._segment_tick,
            "ahead_target": self._ahead_target,
            "mean": self._mean.copy(),
        }

    def restore(self, tree: Tree, open_segment: Segment | None) -> None:
        """Go on from what `capture` returned; for a network that has computed nothing.

        Args:
            tree: The captured state.
            open_segment: The restored `Intake`'s, shared with it.

        Raises:
            ValueError: The tree does not fit; the network is of no use any more.
        """
        rows = {name: np.array(row) for name, row in branch(tree, "rows").items()}
        self.learner.replace(self.slot, rows)
        self.accuracy.restore(branch(tree, "accuracy"))
        self.tally.restore(branch(tree, "tally"))
        self.n_labelled = whole(tree, "n_labelled")
        self.n_lessons = whole(tree, "n_lessons")
        self.learning_stopped = truth(tree, "learning_stopped")
        self._segment = open_segment
        self._segment_tick = whole(tree, "segment_tick")
        self._ahead_target = whole(tree, "ahead_target")
        self._mean = array(tree, "mean", np.float32)

    def _start(self, work: Work) -> None:  # noqa: C901 - one flat case for each kind of work
        match work:
            case BeginSegment():
                self._begin(work.segment)
            case TeachAhead():
                self._ahead_target = work.target
            case ComputeTicks():
                target = NO_TARGET if self.learning_stopped else self._ahead_target
                learns = target != NO_TARGET or self._carry_state
                self._row = Row(Strand.LIVE, learns, target, work.block)
            case EndSegment():
                self._end(work.segment)
            case Lesson():
                self._begin_lesson(work)
            case ChangeRate():
                self.learner.set_rate(self.slot, work.rate)
            case ChangeReport():
                self._report = work.report
            case Refuse():
                self._delivery.messages.append(_refused(work.refusal))
            case Applied():
                self._applied(work)
            case AtBoundary():
                work.run()
            case _:
                assert_never(work)

    def _begin(self, segment: Segment) -> None:
        self._segment, self._segment_tick = segment, 0
        self._ahead_target = NO_TARGET
        self._mean = self._uniform()
        if self._carry_state:
            segment.start_state = self.learner.copy_state(self.slot, Strand.LIVE)
        self.learner.begin_segment(self.slot, Strand.LIVE, carry_state=self._carry_state)

    def _take_live(self, mean_probabilities: NDArray[np.float32]) -> None:
        every = self._report.every_ticks
        for row_tick, mean in enumerate(mean_probabilities, start=self._segment_tick + 1):
            if every and row_tick % every == 0:
                self._predict(mean, row_tick, final=False)
        self._segment_tick += len(mean_probabilities)
        self._mean = mean_probabilities[-1]

    def _end(self, segment: Segment) -> None:
        prediction = self._predict(self._mean, self._segment_tick, final=True)
        segment.final_index = prediction.index
        if segment.learns_ahead and segment.target is not None:
            # with per-tick updates the prediction was pushed toward the label: it does not count
            counts = self.learner.learning.update == "segment"
            if self.learning_stopped:
                loss = None
            elif self._segment_tick == 0:
                loss = self._uniform_loss()
            else:
                loss = self._update(segment, Strand.LIVE)
            self._learned(segment, segment.target, loss, counts=counts)
        self._segment = None

    def _begin_lesson(self, lesson: Lesson) -> None:
        segment = lesson.segment
        if not lesson.learns or self.learning_stopped:
            self._learned(segment, lesson.target, None, counts=True)
        elif not segment.blocks:
            self._learned(segment, lesson.target, self._uniform_loss(), counts=True)
        else:
            self._lesson = lesson
            if segment.start_state is not None:
                self.learner.restore_state(self.slot, Strand.LESSON, segment.start_state)
            self.learner.begin_segment(
                self.slot, Strand.LESSON, carry_state=segment.start_state is not None
            )
            block = TickBlock.join(segment.blocks)
            self._row = Row(Strand.LESSON, learns=True, target=lesson.target, block=block)
        segment.blocks.clear()
        segment.start_state = None

    def _finish_lesson(self) -> None:
        lesson, self._lesson = self._lesson, None
        assert lesson is not None, "a lesson is in progress"
        loss = self._update(lesson.segment, Strand.LESSON)
        self._learned(lesson.segment, lesson.target, loss, counts=True)

    def _update(self, segment: Segment, strand: Strand) -> float | None:
        """Let the optimiser step; return the lesson's loss, or None if it is not finite."""
        if self.learner.apply_update(self.slot):
            self.n_lessons += 1
            self._delivery.n_lessons += 1
        else:
            self.learning_stopped = True
            self._delivery.messages.append(
                ErrorMessage(
                    code="learning_stopped",
                    message=f"the gradient of segment {segment.number} is not finite; it"
                    " is not applied and the session learns no more",
                    fatal=False,
                )
            )
        loss = self.learner.segment_loss(self.slot, strand)
        return loss if math.isfinite(loss) else None

    def _uniform_loss(self) -> float:
        """Loss of a segment without ticks: no lesson, and a uniform prediction."""
        return math.log(len(self._mean))

    def _learned(self, segment: Segment, target: int, loss: float | None, *, counts: bool) -> None:
        correct = segment.final_index == target
        self.n_labelled += 1
        if counts:
            self.accuracy.score(correct=correct)
        self._delivery.messages.append(
            Learned(
                segment=segment.number,
                target=target,
                correct=correct,
                loss=loss,
                prequential_accuracy=self.accuracy.windowed if self.accuracy.n_scored else None,
                segments_labelled=self.n_labelled,
            )
        )

    def _predict(self, mean: NDArray[np.float32], n_ticks: int, *, final: bool) -> Prediction:
        segment = self._segment
        assert segment is not None, "a prediction belongs to a segment"
        index = int(mean.argmax())
        end_us = segment.begin_us + n_ticks * self._configuration.tick_us
        prediction = Prediction(
            segment=segment.number,
            tick=n_ticks,
            t_us=segment.end_us if final and segment.end_us is not None else end_us,
            index=index,
            label=self._configuration.class_names[index],
            confidence=float(mean[index]),
            probabilities=tuple(mean.tolist()) if self._report.probabilities else None,
            final=final,
        )
        self._delivery.messages.append(prediction)
        self._made_prediction = True
        return prediction

    def _applied(self, work: Applied) -> None:
        self._delivery.applied = work.sequence
        self._delivery.n_applied += 1
        if self._made_prediction:
            self._delivery.answered_s.append(work.arrived_s)
            self._made_prediction = False

    def _uniform(self) -> NDArray[np.float32]:
        n_classes = len(self._configuration.class_names)
        return np.full(n_classes, 1 / n_classes, np.float32)


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
