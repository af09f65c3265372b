"""Segments that the client marks: what is kept for a label, what is dropped, what is refused."""

import numpy as np
import pytest

from service.errors import ProtocolViolation, Refusal
from service.settings import SessionSettings
from service.stream.client_segmentation import ClientSegmentation
from service.stream.cutting import StreamForm
from service.stream.segments import Segment
from service.stream.work import BeginSegment, ComputeTicks, EndSegment, Lesson, TeachAhead, Work

TICK_US = 10
N_INPUTS = 4


class Marked:
    """A stream that the client cuts, and what it asks for."""

    def __init__(
        self,
        *,
        late_us: int = 0,
        max_advance_ticks: int = 4096,
        kept_segments: int = 64,
        kept_ticks: int = 32768,
        kept_inputs: int = 1 << 20,
    ) -> None:
        settings = SessionSettings(
            max_advance_ticks=max_advance_ticks,
            kept_segments=kept_segments,
            kept_ticks=kept_ticks,
            kept_inputs=kept_inputs,
        )
        form = StreamForm(tick_us=TICK_US, late_us=late_us, n_inputs=N_INPUTS)
        self.cuts = ClientSegmentation(form, settings)
        self.kept = self.cuts.kept

    @property
    def open_segment(self) -> Segment | None:
        """The segment that is open."""
        return self.cuts.open_segment

    def begin(self, number: int, t_us: int) -> Segment:
        """Begin a segment."""
        [begun] = self.cuts.begin(number, t_us)
        assert isinstance(begun, BeginSegment)
        return begun.segment

    def end(self, number: int, t_us: int) -> tuple[Segment, int]:
        """End a segment; return it and how many ticks that completed."""
        *ticks, ended = self.cuts.end(number, t_us)
        assert isinstance(ended, EndSegment)
        return ended.segment, n_ticks_of(ticks)

    def label(self, number: int, target: int, *, ahead: bool = False) -> list[Work]:
        """Label a segment."""
        return self.cuts.label(number, target, learns=True, ahead=ahead)

    def move_horizon(self, time_us: int) -> int:
        """Send a frame without events; return how many ticks it completed."""
        return n_ticks_of(self.cuts.move_horizon(time_us).work)


def n_ticks_of(work: list[Work]) -> int:
    return sum(item.block.n_ticks for item in work if isinstance(item, ComputeTicks))


def learnt(work: list[Work]) -> Segment:
    """Return what the one lesson is about."""
    [lesson] = work
    assert isinstance(lesson, Lesson)
    assert isinstance(lesson.about, Segment)
    return lesson.about


def new_segmentation(**bounds: int) -> Marked:
    return Marked(**bounds)


def send(segmentation: Marked, *times_us: int, channel: int = 0) -> int:
    """Send a frame with one event at each time; return how many ticks it completed."""
    inputs = np.full(len(times_us), channel, np.int64)
    return n_ticks_of(segmentation.cuts.events(np.array(times_us, np.int64), inputs).work)


def run_segment(segmentation: Marked, number: int, n_ticks: int = 1) -> Segment:
    """Begin and end a segment of so many ticks with an event in each."""
    begin_us = 1000 * number
    segmentation.begin(number, begin_us)
    if n_ticks:
        send(segmentation, *range(begin_us, begin_us + n_ticks * TICK_US, TICK_US))
    segment, _ = segmentation.end(number, begin_us + n_ticks * TICK_US)
    return segment


def refusal_of_label(segmentation: Marked, number: int, *, ahead: bool = False) -> str:
    with pytest.raises(Refusal) as refusal:
        segmentation.label(number, 1, ahead=ahead)
    return refusal.value.code


# --- begin, events, end


def test_a_segment_collects_the_ticks_between_begin_and_end() -> None:
    segmentation = new_segmentation()

    segment = segmentation.begin(5, 100)
    # ticks [100, 110) [110, 120) [120, 130): an event at 125 completes two of them
    n_ticks = send(segmentation, 101, 125)
    ended, last = segmentation.end(5, 127)

    assert n_ticks == 2
    assert last == 1
    assert ended is segment
    assert (segment.number, segment.begin_us, segment.end_us) == (5, 100, 127)
    assert (segment.n_ticks, segment.n_kept_inputs) == (3, 2)
    assert [block.n_ticks for block in segment.stretches[0].blocks] == [2, 1]
    assert segmentation.open_segment is None


def test_a_segment_may_end_where_it_begins() -> None:
    segment = run_segment(new_segmentation(), 0, n_ticks=0)

    assert (segment.n_ticks, segment.n_kept_ticks, segment.has_events) == (0, 0, False)


def test_events_outside_a_segment_are_counted_and_move_nothing() -> None:
    segmentation = new_segmentation()

    n_ticks = send(segmentation, 10, 20, 5000)
    moved = segmentation.move_horizon(9000)
    segmentation.begin(0, 100)

    assert n_ticks == moved == 0
    assert segmentation.cuts.counters.n_outside == 3
    # had the horizon moved to 5000 or 9000, an event at 105 would be late
    send(segmentation, 105)
    assert segmentation.cuts.counters.n_late == 0


def test_events_before_the_begin_do_not_count_as_the_segments_own() -> None:
    segmentation = new_segmentation()
    segment = segmentation.begin(0, 100)

    send(segmentation, 50, 60)

    assert not segment.has_events
    assert segmentation.cuts.counters.n_outside == 2


def test_an_empty_frame_completes_ticks_of_the_open_segment() -> None:
    segmentation = new_segmentation()
    segment = segmentation.begin(0, 100)

    frame = segmentation.move_horizon(135)

    assert frame == segment.n_ticks == 3
    assert not segment.has_events


def test_counters_add_up_over_frames_and_segments() -> None:
    segmentation = new_segmentation()
    segmentation.begin(0, 0)
    send(segmentation, 30)
    send(segmentation, 5, 6)
    send(segmentation, *[35] * 260)
    segmentation.end(0, 40)
    segmentation.begin(1, 100)
    send(segmentation, 130)
    send(segmentation, 99, 101)

    # late: 5, 6, then 101; outside: 99, before the begin; one event at 30 and 260 at 35 fall into
    # one tick and saturate by 261 - 255
    counters = segmentation.cuts.counters
    assert (counters.n_late, counters.n_outside, counters.n_saturated) == (3, 1, 6)


def test_beginning_while_a_segment_is_open_is_refused() -> None:
    segmentation = new_segmentation()
    segment = segmentation.begin(3, 0)

    with pytest.raises(Refusal, match="segment 4 begins while segment 3 is open") as refusal:
        segmentation.begin(4, 10)

    assert refusal.value.code == "bad_segment"
    assert segmentation.open_segment is segment


@pytest.mark.parametrize("number", [2, 3])
def test_a_number_that_does_not_rise_is_refused(number: int) -> None:
    segmentation = new_segmentation()
    run_segment(segmentation, 3)

    with pytest.raises(Refusal, match="expected a number that rises") as refusal:
        segmentation.begin(number, 0)

    assert refusal.value.code == "bad_segment"
    assert segmentation.open_segment is None


def test_numbers_may_skip_and_a_segment_may_begin_before_the_last_one_ended() -> None:
    segmentation = new_segmentation()
    run_segment(segmentation, 3)

    assert segmentation.begin(900, 0).number == 900


def test_ending_a_segment_while_none_is_open_is_refused() -> None:
    with pytest.raises(Refusal, match="segment 3 ends, but none is open") as refusal:
        new_segmentation().end(3, 10)

    assert refusal.value.code == "bad_segment"


def test_ending_another_segment_than_the_open_one_is_refused() -> None:
    segmentation = new_segmentation()
    segment = segmentation.begin(3, 0)

    with pytest.raises(Refusal, match="segment 2 ends, but segment 3 is open") as refusal:
        segmentation.end(2, 10)

    assert refusal.value.code == "bad_segment"
    assert segmentation.open_segment is segment


def test_ending_before_the_begin_is_refused_and_leaves_the_segment_open() -> None:
    segmentation = new_segmentation()
    segment = segmentation.begin(3, 100)

    with pytest.raises(Refusal, match="before its begin at 100 us") as refusal:
        segmentation.end(3, 99)

    assert refusal.value.code == "bad_segment"
    assert (segmentation.open_segment, segment.end_us) == (segment, None)


# --- one message may not order endless work


def test_a_frame_that_completes_too_many_ticks_changes_nothing() -> None:
    segmentation = new_segmentation(max_advance_ticks=3)
    segment = segmentation.begin(0, 0)

    # an event at 40 completes four ticks of 10
    with pytest.raises(ProtocolViolation, match="completes 4 ticks at once; expected at most 3"):
        send(segmentation, 5, 40)

    assert (segment.n_ticks, segment.has_events) == (0, False)
    assert send(segmentation, 39) == 3


def test_an_empty_frame_that_completes_too_many_ticks_changes_nothing() -> None:
    segmentation = new_segmentation(max_advance_ticks=3)
    segment = segmentation.begin(0, 0)

    with pytest.raises(ProtocolViolation, match="base_us 40 completes 4 ticks"):
        segmentation.move_horizon(40)

    assert segment.n_ticks == 0


def test_an_end_that_completes_too_many_ticks_leaves_the_segment_open() -> None:
    segmentation = new_segmentation(max_advance_ticks=3)
    segment = segmentation.begin(0, 0)

    with pytest.raises(ProtocolViolation, match="the end at 31 us completes 4 ticks"):
        segmentation.end(0, 31)

    assert segmentation.open_segment is segment
    assert segmentation.end(0, 30)[1] == 3


def test_a_wild_time_is_refused_before_anything_is_counted() -> None:
    segmentation = new_segmentation()
    segmentation.begin(0, 0)

    with pytest.raises(ProtocolViolation):
        send(segmentation, 2**53 - 1)

    assert segmentation.cuts.kept_bytes == 0


# --- labels in delayed learning


def test_a_label_for_a_finished_segment_takes_its_kept_ticks() -> None:
    segmentation = new_segmentation()
    segment = run_segment(segmentation, 7, n_ticks=3)

    [lesson] = segmentation.label(7, 2)

    assert isinstance(lesson, Lesson)
    assert (lesson.about, lesson.target) == (segment, 2)
    [passage] = lesson.course
    assert (sum(block.n_ticks for block in passage.blocks), passage.n_lead) == (3, 0)
    assert segment.target == 2
    assert len(segmentation.kept) == 0


def test_a_label_for_the_open_segment_waits_for_its_end() -> None:
    segmentation = new_segmentation()
    segment = segmentation.begin(7, 0)
    send(segmentation, 5, 25)

    assert segmentation.label(7, 2) == []
    segmentation.end(7, 30)

    assert (segment.target, segment.is_whole, segment.learns_ahead) == (2, True, False)
    assert segment.n_kept_ticks == 3
    assert len(segmentation.kept) == 0


def test_labels_may_come_in_any_order() -> None:
    segmentation = new_segmentation()
    segments = [run_segment(segmentation, number) for number in range(3)]

    labelled = [learnt(segmentation.label(number, 0)) for number in (2, 0, 1)]

    assert labelled == [segments[2], segments[0], segments[1]]


@pytest.mark.parametrize("is_open", [True, False])
def test_a_second_label_is_refused(is_open: bool) -> None:  # noqa: FBT001 - a parameter of pytest
    segmentation = new_segmentation()
    if is_open:
        segmentation.begin(1, 0)
    else:
        run_segment(segmentation, 1)
    segmentation.label(1, 2)

    assert refusal_of_label(segmentation, 1) == "label_duplicate"


def test_a_second_label_after_the_end_of_a_segment_labelled_while_open_is_refused() -> None:
    segmentation = new_segmentation()
    segmentation.begin(1, 0)
    segmentation.label(1, 2)
    segmentation.end(1, 10)

    assert refusal_of_label(segmentation, 1) == "label_duplicate"


def test_labels_for_segments_never_begun_are_unknown() -> None:
    segmentation = new_segmentation()
    with pytest.raises(Refusal, match="none yet"):
        segmentation.label(0, 1)
    run_segment(segmentation, 1)
    run_segment(segmentation, 3)

    with pytest.raises(Refusal, match="the last one was 3"):
        segmentation.label(4, 1)
    assert refusal_of_label(segmentation, 2) == "unknown_segment"


# --- bounds


def test_the_oldest_segment_is_dropped_beyond_the_number_of_segments() -> None:
    segmentation = new_segmentation(kept_segments=2)
    run_segment(segmentation, 0)
    run_segment(segmentation, 1)
    assert segmentation.kept.n_dropped == 0

    run_segment(segmentation, 2)

    assert (len(segmentation.kept), segmentation.kept.n_dropped) == (2, 1)
    assert segmentation.kept.find(0) is None
    assert refusal_of_label(segmentation, 0) == "label_too_late"
    assert learnt(segmentation.label(1, 0)).number == 1


def test_segments_are_dropped_beyond_the_number_of_ticks_the_open_one_included() -> None:
    segmentation = new_segmentation(kept_ticks=6)
    run_segment(segmentation, 0, n_ticks=3)
    run_segment(segmentation, 1, n_ticks=3)
    segmentation.begin(2, 2000)

    # 3 + 3 + 1 ticks: the oldest goes at the open segment's first tick
    send(segmentation, 2010)

    assert refusal_of_label(segmentation, 0) == "label_too_late"
    assert len(segmentation.kept) == 1


def test_segments_are_dropped_beyond_the_number_of_inputs() -> None:
    segmentation = new_segmentation(kept_inputs=4)
    for number in range(3):
        segmentation.begin(number, 1000 * number)
        for channel in range(2):
            send(segmentation, 1000 * number, channel=channel)
        segmentation.end(number, 1000 * number + 10)

    # two inputs a segment: the third one pushes out the first
    assert len(segmentation.kept) == 2
    assert refusal_of_label(segmentation, 0) == "label_too_late"


def test_an_open_segment_that_alone_is_too_long_can_no_more_be_labelled() -> None:
    segmentation = new_segmentation(kept_ticks=3)
    run_segment(segmentation, 0, n_ticks=2)
    segment = segmentation.begin(1, 1000)
    send(segmentation, 1005, 1041)

    assert refusal_of_label(segmentation, 1) == "label_too_late"
    assert (segment.is_whole, segment.stretches, segment.target) == (False, [], None)
    # dropped: segment 0 first, then the open one
    assert segmentation.kept.n_dropped == 2


def test_a_finished_segment_that_was_too_long_can_not_be_labelled_either() -> None:
    segmentation = new_segmentation(kept_ticks=3)
    segment = run_segment(segmentation, 1, n_ticks=4)

    assert not segment.is_whole
    assert len(segmentation.kept) == 0
    assert refusal_of_label(segmentation, 1) == "label_too_late"


def test_a_segment_that_was_too_long_goes_on_and_is_dropped_once() -> None:
    segmentation = new_segmentation(kept_ticks=3)
    segment = segmentation.begin(1, 0)
    for t_us in (45, 95, 145):
        send(segmentation, t_us)

    assert segment.n_ticks == 14
    assert segmentation.kept.n_dropped == 1
    assert segmentation.end(1, 150)[1] == 1


def test_a_label_that_came_before_the_segment_grew_too_long_is_still_its_label() -> None:
    segmentation = new_segmentation(kept_ticks=3)
    segment = segmentation.begin(1, 0)
    segmentation.label(1, 2)
    send(segmentation, 45)
    segmentation.end(1, 50)

    assert (segment.target, segment.is_whole) == (2, False)
    assert refusal_of_label(segmentation, 1) == "label_duplicate"


def test_what_became_of_old_numbers_is_remembered_for_a_bounded_time() -> None:
    segmentation = new_segmentation(kept_segments=1)
    for number in range(66):
        run_segment(segmentation, number)
        segmentation.label(number, 0)

    # 64 numbers are remembered for each kept segment: 0 and 1 are forgotten, so count as dropped
    assert refusal_of_label(segmentation, 1) == "label_too_late"
    assert refusal_of_label(segmentation, 2) == "label_duplicate"
    assert refusal_of_label(segmentation, 66) == "unknown_segment"


def test_forgotten_numbers_count_as_dropped_in_whatever_order_they_were_labelled() -> None:
    segmentation = new_segmentation(kept_segments=2)
    run_segment(segmentation, 0)
    run_segment(segmentation, 1)
    segmentation.label(1, 0)
    segmentation.label(0, 0)
    for number in range(2, 130):
        run_segment(segmentation, number)
        segmentation.label(number, 0)

    # 2 x 64 numbers are remembered: first 1 was forgotten, then 0
    assert refusal_of_label(segmentation, 1) == "label_too_late"
    assert refusal_of_label(segmentation, 0) == "label_too_late"


def test_memory_of_kept_ticks_is_told() -> None:
    segmentation = new_segmentation()
    run_segment(segmentation, 0, n_ticks=3)
    segmentation.begin(1, 1000)
    send(segmentation, 1000, 1010)

    # three ticks with an input each, and one tick of the open segment: 8 bytes for each
    assert segmentation.cuts.kept_bytes == 8 * (3 + 3) + 8 * (1 + 1)


# --- labels ahead


def test_a_label_ahead_is_learnt_while_the_segment_runs_and_keeps_nothing() -> None:
    segmentation = new_segmentation()
    segment = segmentation.begin(1, 0)

    assert segmentation.label(1, 2, ahead=True) == [TeachAhead(2)]
    send(segmentation, 5, 25)
    segmentation.end(1, 30)

    assert (segment.learns_ahead, segment.stretches, segment.n_ticks) == (True, [], 3)
    assert (len(segmentation.kept), segmentation.cuts.kept_bytes) == (0, 0)
    assert refusal_of_label(segmentation, 1, ahead=True) == "label_duplicate"


def test_a_label_ahead_after_the_first_event_is_too_late() -> None:
    segmentation = new_segmentation()
    segment = segmentation.begin(1, 0)
    send(segmentation, 5)

    assert refusal_of_label(segmentation, 1, ahead=True) == "label_too_late"
    assert segment.target is None


def test_a_label_ahead_after_the_first_tick_is_too_late() -> None:
    segmentation = new_segmentation()
    segmentation.begin(1, 0)
    segmentation.move_horizon(10)

    assert refusal_of_label(segmentation, 1, ahead=True) == "label_too_late"


def test_a_label_ahead_for_a_finished_segment_is_too_late_and_the_segment_stays() -> None:
    segmentation = new_segmentation()
    run_segment(segmentation, 1)

    assert refusal_of_label(segmentation, 1, ahead=True) == "label_too_late"
    # the session may go back to delayed learning, and then the label is in time
    assert learnt(segmentation.label(1, 2)).number == 1
