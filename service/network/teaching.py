"""A network's lessons: what labels make of it, and how right it was before each of them."""

import math

from service.errors import Refusal
from service.network.findings import Findings
from service.network.lesson_course import LessonCourse, learned_message
from service.network.prequential_accuracy import PrequentialAccuracy
from service.network.running_segment import RunningSegment
from service.network.seated_network import SeatedNetwork
from service.network.visit import Row
from service.state_tree import Tree, branch, truth, whole
from service.stream.segments import Segment
from service.stream.work import Interval, Lesson
from tclif_core import Strand


class Teaching:
    """Lessons one after the other, each for one update; only the engine thread touches it.

    Attributes:
        accuracy: The score, each prediction judged before its lesson.
        n_labelled: Labels that were told of.
        n_lessons: Updates of the weights.
        learning_stopped: Whether a gradient was not finite: nothing is learnt any more.
    """

    def __init__(
        self,
        seated: SeatedNetwork,
        running: RunningSegment,
        findings: Findings,
        *,
        window: int,
        carry_state: bool,
    ) -> None:
        """Begin with nothing learnt.

        Args:
            seated: The network that is taught.
            running: Its running segment.
            findings: Where lessons are told.
            window: Labelled segments in the windowed accuracy.
            carry_state: Whether segments begin where the one before ended.
        """
        self._seated = seated
        self._running = running
        self._findings = findings
        self._carry_state = carry_state
        self._course: LessonCourse | None = None
        self.accuracy = PrequentialAccuracy(window)
        self.n_labelled = 0
        self.n_lessons = 0
        self.learning_stopped = False

    def begin(self, lesson: Lesson) -> Row | None:
        """Begin a lesson; return its first ticks, or None if it is over without any."""
        if not lesson.learns or self.learning_stopped:
            self._learned(lesson.about, lesson.target, None)
        elif not LessonCourse.has_ticks(lesson):
            self._learned(lesson.about, lesson.target, self._uniform_loss())
        else:
            learner, slot = self._seated.seat
            self._course = LessonCourse(lesson, learner, slot, carry_state=self._carry_state)
        return self.go_on()

    def go_on(self) -> Row | None:
        """Return the next ticks of the lesson in progress; after its last ones learn from it."""
        if self._course is None:
            return None
        row = self._course.next_row()
        if row is None:
            course, self._course = self._course, None
            lesson = course.lesson
            loss = self._update(lesson.about, course.loss)
            self._learned(lesson.about, lesson.target, loss)
        return row

    def end_segment(self, segment: Segment, n_ticks: int) -> None:
        """Learn from a segment that learnt while it ran, if it did; its prediction is told."""
        if not segment.learns_ahead or segment.target is None:
            return
        learner, slot = self._seated.seat
        if self.learning_stopped:
            loss = None
        elif n_ticks == 0:
            loss = self._uniform_loss()
        else:
            loss = self._update(segment, learner.segment_loss(slot, Strand.LIVE))
        # with per-tick updates the prediction was pushed toward the label: it does not count
        counts = learner.learning.update == "segment"
        self._learned(segment, segment.target, loss, counts=counts)

    def capture(self) -> Tree:
        """Return what was taught so far, between two lessons."""
        return {
            "accuracy": self.accuracy.capture(),
            "n_labelled": self.n_labelled,
            "n_lessons": self.n_lessons,
            "learning_stopped": self.learning_stopped,
        }

    def restore(self, tree: Tree) -> None:
        """Go on from what `capture` returned.

        Raises:
            ValueError: The tree does not fit.
        """
        self.accuracy.restore(branch(tree, "accuracy"))
        self.n_labelled = whole(tree, "n_labelled")
        self.n_lessons = whole(tree, "n_lessons")
        self.learning_stopped = truth(tree, "learning_stopped")

    def _update(self, about: Segment | Interval, loss: float) -> float | None:
        """Let the optimiser step; return the lesson's loss, or None if it is not finite."""
        learner, slot = self._seated.seat
        if learner.apply_update(slot):
            self.n_lessons += 1
            self._findings.updated()
        else:
            self.learning_stopped = True
            self._findings.refused(
                Refusal(
                    "learning_stopped",
                    f"the gradient of {about.name} is not finite; it is not applied and the"
                    " session learns no more",
                )
            )
        return loss if math.isfinite(loss) else None

    def _uniform_loss(self) -> float:
        """Loss of a segment without ticks: no lesson, and a uniform prediction."""
        return math.log(len(self._running.class_names))

    def _learned(
        self, about: Segment | Interval, target: int, loss: float | None, *, counts: bool = True
    ) -> None:
        self.n_labelled += 1
        if counts:
            self.accuracy.score(correct=about.was_taken_for(target))
        accuracy = self.accuracy.windowed if self.accuracy.n_scored else None
        self._findings.learned(learned_message(about, target, loss, accuracy, self.n_labelled))
