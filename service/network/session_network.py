"""A session's network at work: the side of a session that only the engine thread touches.

It reads the inbox in order. Work that costs nothing is done on the way; work that costs ticks is
handed to the engine as rows, at most one at a time, so a session is in at most one batch and its
ticks are computed in their order.
"""

import math
from collections import deque
from typing import assert_never

from service.configuration.configuration import SessionConfiguration
from service.errors import InternalFailure
from service.network.findings import Findings
from service.network.learner_pool import LearnerPool, Seat
from service.network.running_segment import RunningSegment
from service.network.scope import Scope, show
from service.network.seated_network import SeatedNetwork
from service.network.teaching import Teaching
from service.network.tick_tally import TickTally
from service.network.visit import NO_TARGET, Answer, Row
from service.settings import SessionSettings
from service.state_tree import Tree, branch, listed, truth, whole
from service.stream.event_binning import TickBlock
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
    KeepState,
    Lesson,
    Refuse,
    TeachAhead,
    Work,
)
from service.wire_protocol import SegmentedByWindow, Unsegmented
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
        self.tally = TickTally()
        self.failure: InternalFailure | None = None
        self.running = RunningSegment(configuration)
        request = configuration.request
        self._carry_state = request.carry_state
        self.findings = Findings()
        self.scopes: tuple[Scope, ...] = ()  # the event loop replaces it, whole
        self.teaching = Teaching(
            self._seated,
            self.running,
            self.findings,
            window=settings.accuracy_window,
            carry_state=self._carry_state,
        )
        # states that are carried or kept have to hold eligibility, label or not
        keeps_states = isinstance(request.segmentation, SegmentedByWindow | Unsegmented)
        self._always_learns = self._carry_state or keeps_states
        self._ahead_target, self._row_tick = NO_TARGET, 0
        self._row: Row | None = None
        # messages whose ticks are among the row's, and at which of its ticks they end
        self._row_ends: deque[tuple[int, Applied]] = deque()
        self._stretch: Stretch | None = None

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
        self.do_what_is_free(inbox)
        if self._row is None:
            return None
        if self._row.strand is Strand.LIVE and not self._row_tick:
            self._row = self._joined(self._row, inbox, visit_ticks)
        stop = min(self._row_tick + visit_ticks, self._row.block.n_ticks)
        row = self._row
        return Row(row.strand, row.learns, row.target, row.block.cut(self._row_tick, stop))

    def do_what_is_free(self, inbox: deque[Work]) -> None:
        """Do what costs nothing, up to the next ticks to compute.

        Args:
            inbox: The session's work; what is done is taken out.
        """
        while self._row is None and inbox:
            self._start(inbox[0])
            inbox.popleft()

    def take_results(self, row: Row, answer: Answer) -> None:
        """Take what the batch computed for the row that `next_row` returned.

        Args:
            row: That row.
            answer: What was computed for it.

        Raises:
            InternalFailure: The network is no longer finite.
        """
        # a mean over a segment's ticks is no number any more once one of them was none
        if not math.isfinite(sum(answer.mean_probabilities[-1].tolist())):
            raise InternalFailure("the network's probabilities are not finite; it is quarantined")
        n_ticks = row.block.n_ticks
        if row.strand is Strand.LIVE:
            first = self.running.n_ticks - self._row_tick
            show(self.scopes, row, answer, self.seat, self.running.n_ticks)
            for prediction in self.running.advance(answer, self._stretch):
                self._end_messages(prediction.tick - first - 1)
                self.findings.predicted(prediction)
        self.findings.computed(row)
        self.tally.take(row)
        self._row_tick += n_ticks
        self._end_messages(self._row_tick)
        assert self._row is not None, "results belong to a row in progress"
        if self._row_tick == self._row.block.n_ticks:
            self._row, self._row_tick = self.teaching.go_on(), 0

    def has_work(self, inbox: deque[Work]) -> bool:
        """Tell whether another visit has something to do."""
        return self._row is not None or bool(inbox)

    def fail(self, failure: InternalFailure, inbox: deque[Work]) -> None:
        """Compute nothing more; whoever waits for this session hears why."""
        self.failure = failure
        self.findings.failed(failure)
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

    def capture(self) -> Tree:
        """Return all that the network is, between two messages."""
        assert self._row is None, "between two messages nothing is in progress"
        return {
            "rows": self._seated.capture(),
            **self.teaching.capture(),
            "tally": self.tally.capture(),
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
        self.teaching.restore(tree)
        self.tally.restore(branch(tree, "tally"))
        self._ahead_target = whole(tree, "ahead_target")

    def roll_back(self, tree: Tree) -> None:
        """Take back the weights that `capture` returned, and all that moves them; between messages.

        The running segment, the score and what was told stay.

        Raises:
            Refusal: They are those of another network.
        """
        n_classes = len(listed(branch(tree, "running"), "class_names"))
        self._seated.roll_back(branch(tree, "rows"), n_classes)
        self.teaching.learning_stopped = truth(tree, "learning_stopped")

    def _start(self, work: Work) -> None:  # noqa: C901, PLR0912 - one flat case for each kind of work
        match work:  # what every frame brings comes first
            case Applied():
                self.findings.applied(work)
            case ComputeTicks():
                target = NO_TARGET if self.teaching.learning_stopped else self._ahead_target
                learns = target != NO_TARGET or self._always_learns
                self._row, self._stretch = (
                    Row(Strand.LIVE, learns, target, work.block),
                    work.stretch,
                )
            case BeginSegment():
                self._begin(work.segment)
            case TeachAhead():
                self._ahead_target = work.target
            case KeepState():
                work.stretch.state = self.learner.copy_state(self.slot, Strand.LIVE)
            case EndSegment():
                self._end(work.segment)
            case Lesson():
                self._row = self.teaching.begin(work)
            case GrowClasses():
                self._grow(work)
            case ChangeRate():
                self.learner.set_rate(self.slot, work.rate)
            case ChangeReport():
                self.running.report = work.report
            case Refuse():
                self.findings.refused(work.refusal)
            case AtBoundary():
                work.run()
            case _:
                assert_never(work)

    def _joined(self, row: Row, inbox: deque[Work], most_ticks: int) -> Row:
        """Return a live row with the ticks of the messages after it, as many as have arrived."""
        blocks, n_ticks = [row.block], row.block.n_ticks
        while n_ticks < most_ticks:
            n_marks = _n_marks(inbox)
            work = inbox[n_marks] if n_marks < len(inbox) else None
            if not isinstance(work, ComputeTicks) or work.stretch is not self._stretch:
                break
            for _ in range(n_marks):
                mark = inbox.popleft()
                assert isinstance(mark, Applied), "counted as one"
                self._row_ends.append((n_ticks, mark))
            inbox.popleft()
            blocks.append(work.block)
            n_ticks += work.block.n_ticks
        return Row(row.strand, row.learns, row.target, TickBlock.join(blocks))

    def _end_messages(self, n_ticks: int) -> None:
        """Note that messages are done whose last tick is among so many of the row's."""
        while self._row_ends and self._row_ends[0][0] <= n_ticks:
            self.findings.applied(self._row_ends.popleft()[1])

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
        self.findings.predicted(self.running.end())
        self.teaching.end_segment(segment, n_ticks)


def _n_marks(inbox: deque[Work]) -> int:
    """Count the ends of messages at the front of an inbox."""
    n_marks = 0
    while n_marks < len(inbox) and isinstance(inbox[n_marks], Applied):
        n_marks += 1
    return n_marks


def _cancel(inbox: deque[Work], failure: InternalFailure) -> None:
    """Empty the inbox of a session that computes no more."""
    while inbox:
        work = inbox.popleft()
        if isinstance(work, AtBoundary):
            work.refuse(failure)
