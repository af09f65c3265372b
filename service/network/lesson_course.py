"""One lesson on its way: passages of kept ticks, one after the other, for one update."""

from collections.abc import Iterator

from service.network.visit import NO_TARGET, Row
from service.stream.event_binning import TickBlock
from service.stream.segments import Passage, Segment
from service.stream.work import Interval, Lesson
from service.wire_protocol import Learned
from tclif_core import Learner, SlotIndex, Strand


def learned_message(
    about: Segment | Interval,
    target: int,
    loss: float | None,
    accuracy: float | None,
    n_labelled: int,
) -> Learned:
    """Return what the client hears of a lesson."""
    number, from_us, to_us = None, None, None
    if isinstance(about, Segment):
        number = about.number
    else:
        from_us, to_us = about.from_us, about.to_us
    return Learned(
        segment=number,
        from_us=from_us,
        to_us=to_us,
        target=target,
        correct=about.was_taken_for(target),
        loss=loss,
        prequential_accuracy=accuracy,
        segments_labelled=n_labelled,
    )


class LessonCourse:
    """What a lesson computes, and the loss that it finds.

    Attributes:
        lesson: The lesson.
    """

    def __init__(
        self, lesson: Lesson, learner: Learner, slot: SlotIndex, *, carry_state: bool
    ) -> None:
        self.lesson = lesson
        self._learner, self._slot = learner, slot
        self._carry_state = carry_state
        self._loss, self._n_taught = 0.0, 0
        self._rows = self._all_rows()

    @staticmethod
    def has_ticks(lesson: Lesson) -> bool:
        """Tell whether a lesson has anything to compute."""
        return any(passage.blocks for passage in lesson.course)

    def next_row(self) -> Row | None:
        """Return the next ticks to compute, once those before are; None at the end."""
        return next(self._rows, None)

    @property
    def loss(self) -> float:
        """Mean loss of the taught ticks; at the end."""
        return self._loss / self._n_taught

    def _all_rows(self) -> Iterator[Row]:
        for passage in self.lesson.course:
            block = TickBlock.join(passage.blocks)
            self._stand_at(passage)
            if passage.n_lead:
                lead = block.cut(0, passage.n_lead)
                yield Row(Strand.LESSON, learns=True, target=NO_TARGET, block=lead)
            taught = block.cut(passage.n_lead, block.n_ticks)
            yield Row(Strand.LESSON, learns=True, target=self.lesson.target, block=taught)
            loss = self._learner.segment_loss(self._slot, Strand.LESSON)
            self._loss += loss * taught.n_ticks
            self._n_taught += taught.n_ticks

    def _stand_at(self, passage: Passage) -> None:
        """Put the lesson's strand where the passage starts."""
        learner, slot, start = self._learner, self._slot, passage.start
        if start is None:
            learner.begin_segment(slot, Strand.LESSON, carry_state=self._carry_state)
        elif start.state is None:
            learner.begin_segment(slot, Strand.LESSON)
        else:
            learner.resume_segment(slot, Strand.LESSON, start.state, tick=start.first_tick)
