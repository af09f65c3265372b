"""Messages become work in their order, or are refused as a whole."""

import numpy as np
import pytest

from service.configuration.configuration import SessionConfiguration
from service.errors import ProtocolViolation
from service.settings import SessionSettings
from service.stream.event_binning import TickBlock
from service.stream.intake import Intake, SessionMessage
from service.stream.segments import Segment
from service.stream.work import (
    BeginSegment,
    ChangeRate,
    ComputeTicks,
    EndSegment,
    Lesson,
    Refuse,
    TeachAhead,
    Work,
)
from service.wire_protocol import Label, SnapshotRequest
from tests.service.client_messages import begin, end, events, label, learning
from tests.service.open_requests import open_request


def new_intake(
    *, mode: str = "delayed", sensor: dict[str, object] | None = None, **bounds: int
) -> Intake:
    settings = SessionSettings.model_validate(bounds)
    request = open_request(
        tick_us=100,
        learning={"mode": mode},
        sensor=sensor or {"kind": "raw", "addresses": 5},
    )
    return Intake(SessionConfiguration.resolve(request, settings), settings)


def refused(work: list[Work]) -> tuple[str, int | None]:
    """Return code and sequence number of a message that was refused as a whole."""
    [refuse] = work
    assert isinstance(refuse, Refuse)
    return refuse.refusal.code, refuse.refusal.sequence


def n_ticks(work: list[Work]) -> int:
    return sum(item.block.n_ticks for item in work if isinstance(item, ComputeTicks))


# --- segments and events


def test_a_segment_becomes_begin_ticks_and_end() -> None:
    intake = new_intake()

    begun = intake.take(begin(1, 7, 1000))
    nothing_yet = intake.take(events(2, (1010, 4)))
    # an event at 1250 completes the ticks [1000, 1100) and [1100, 1200)
    two_ticks = intake.take(events(3, (1250, 0)))
    ended = intake.take(end(4, 7, 1300))

    [first] = begun
    assert isinstance(first, BeginSegment)
    assert first.segment.number == 7
    assert nothing_yet == []
    [ticks] = two_ticks
    assert isinstance(ticks, ComputeTicks)
    assert ticks.block.offsets.tolist() == [0, 1, 1]
    assert ticks.block.channels.tolist() == [4]
    assert n_ticks(ended) == 1
    last = ended[-1]
    assert isinstance(last, EndSegment)
    assert last.segment is first.segment


def test_an_empty_frame_computes_ticks_up_to_its_time() -> None:
    intake = new_intake()
    intake.take(begin(1, 0, 0))

    assert n_ticks(intake.take(events(2, base_us=350))) == 3
    assert intake.n_events == 0


def test_a_frame_and_the_empty_one_after_it_are_one_work_with_the_ticks_of_both() -> None:
    one, other = new_intake(), new_intake()
    for intake in (one, other):
        intake.take(begin(1, 7, 1000))
    frame, closing = events(2, (1010, 4), (1130, 3)), events(3, base_us=1300)

    together = one.take_closed(frame, closing)
    in_turn = [*other.take(frame), *other.take(closing)]

    # ticks of 100: the event at 1130 completes one, the empty frame two more
    assert together is not None
    [ticks] = together
    first, second = in_turn
    assert isinstance(ticks, ComputeTicks)
    assert isinstance(first, ComputeTicks)
    assert isinstance(second, ComputeTicks)
    assert ticks.block.sizes.tolist() == [1, 1, 0]
    joined = TickBlock.join([first.block, second.block])
    for ours, theirs in zip(ticks.block, joined, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert one.n_events == other.n_events == 2


@pytest.mark.parametrize(
    ("first", "closing_us"),
    [
        # before the segment's begin; late; and a time that completes more ticks than one may
        ((990, 4), 1300),
        ((1010, 4), 1300),
        ((1250, 4), 1000 + 100 * 5000),
    ],
    ids=["outside", "late", "far"],
)
def test_what_can_not_be_taken_with_the_frame_after_it_changes_nothing(
    first: tuple[int, int], closing_us: int
) -> None:
    intake = new_intake()
    intake.take(begin(1, 7, 1000))
    intake.take(events(2, base_us=1200))
    before = intake.capture()()

    assert intake.take_closed(events(3, first), events(4, base_us=closing_us)) is None

    assert str(intake.capture()()) == str(before)


def test_base_us_of_a_frame_with_events_moves_nothing() -> None:
    intake = new_intake()
    intake.take(begin(1, 0, 0))

    # all of base 500 and offset 10: one event at 510 completes five ticks; nothing less by its base
    assert n_ticks(intake.take(events(2, (510, 1), base_us=500))) == 5
    assert intake.take(events(3, (510, 1), base_us=0)) == []


def test_events_are_pooled_as_the_sensor_says() -> None:
    intake = new_intake(sensor={"kind": "dvs", "width": 4, "height": 2, "pool": 2})
    intake.take(begin(1, 0, 0))

    # polarity 1, y 1, x 3: address (1 * 2 + 1) * 4 + 3 = 15; pooled: two columns, one row: input 3
    [ticks] = intake.take(events(2, (50, 15), (100, 0)))

    assert isinstance(ticks, ComputeTicks)
    assert ticks.block.channels.tolist() == [3]


def test_late_events_are_reported_once_a_frame_after_its_ticks() -> None:
    intake = new_intake()
    intake.take(begin(1, 0, 0))
    intake.take(events(2, (250, 0)))

    work = intake.take(events(3, (10, 0), (20, 0), (310, 0)))

    ticks, report = work
    assert isinstance(ticks, ComputeTicks)
    assert isinstance(report, Refuse)
    assert (report.refusal.code, report.refusal.sequence) == ("late_events", 3)
    assert report.refusal.message.startswith("2 of 3 events")


def test_events_outside_a_segment_are_counted_but_no_work() -> None:
    intake = new_intake()

    assert intake.take(events(1, (10, 0), (9999, 1))) == []
    assert intake.n_events == 2


@pytest.mark.parametrize(
    "marks",
    [
        [begin(1, 0, 0), begin(2, 1, 0)],
        [begin(1, 3, 0), end(2, 4, 0)],
        [begin(1, 3, 500), end(2, 3, 499)],
    ],
    ids=["begin while open", "end of another", "end before begin"],
)
def test_marks_out_of_order_are_refused_with_their_number(marks: list[SessionMessage]) -> None:
    intake = new_intake()
    first, second = marks
    intake.take(first)

    assert refused(intake.take(second)) == ("bad_segment", 2)


def test_a_message_that_orders_endless_work_is_fatal_with_its_number() -> None:
    intake = new_intake(max_advance_ticks=10)
    intake.take(begin(1, 0, 0))

    with pytest.raises(ProtocolViolation) as violation:
        intake.take(events(2, (1100, 0)))

    assert (violation.value.code, violation.value.sequence) == ("bad_message", 2)
    assert intake.n_events == 0
    assert n_ticks(intake.take(events(2, (1099, 0)))) == 10


# --- labels


@pytest.mark.parametrize("target", [2, "two"])
def test_a_label_names_its_class_by_index_or_name(target: int | str) -> None:
    intake = new_intake()
    intake.take(begin(1, 0, 0))
    intake.take(end(2, 0, 100))

    [lesson] = intake.take(label(3, 0, target))

    assert isinstance(lesson, Lesson)
    assert isinstance(lesson.about, Segment)
    assert (lesson.about.number, lesson.target, lesson.learns) == (0, 2, True)


@pytest.mark.parametrize("target", [-1, 3, "three", "2", ""])
def test_a_label_of_no_class_is_refused_and_the_segment_waits_on(target: int | str) -> None:
    intake = new_intake()
    intake.take(begin(1, 0, 0))
    intake.take(end(2, 0, 100))

    assert refused(intake.take(label(3, 0, target))) == ("bad_value", 3)
    assert isinstance(intake.take(label(4, 0, 1))[0], Lesson)


def test_an_index_means_the_index_even_where_names_are_numbers() -> None:
    request = open_request(network={"classes": ["5", "1", "0"]})
    settings = SessionSettings()
    intake = Intake(SessionConfiguration.resolve(request, settings), settings)
    intake.take(begin(1, 0, 0))
    intake.take(end(2, 0, 100))
    intake.take(begin(3, 1, 100))
    intake.take(end(4, 1, 200))

    by_index, by_name = intake.take(label(5, 0, 0)), intake.take(label(6, 1, "0"))

    assert [work.target for work in (*by_index, *by_name) if isinstance(work, Lesson)] == [0, 2]


def test_a_label_for_the_current_segment_is_learnt_at_its_end() -> None:
    intake = new_intake()
    intake.take(begin(1, 0, 0))

    assert intake.take(label(2, 0, 1)) == []
    *_, last, lesson = intake.take(end(3, 0, 100))
    assert isinstance(last, EndSegment)
    assert isinstance(lesson, Lesson)
    assert (lesson.target, lesson.learns) == (1, True)


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([label(1, 0, 1)], "unknown_segment"),
        ([begin(1, 0, 0), label(2, 0, 1), label(3, 0, 1)], "label_duplicate"),
        ([begin(1, 0, 0), end(2, 0, 9), label(3, 0, 1), label(4, 0, 2)], "label_duplicate"),
        (
            [
                begin(1, 0, 0),
                end(2, 0, 9),
                begin(3, 1, 9),
                end(4, 1, 20),
                label(5, 0, 1),
            ],
            "label_too_late",
        ),
        (
            [begin(1, 0, 0), events(2, (401, 0)), end(3, 0, 500), label(4, 0, 1)],
            "label_too_late",
        ),
    ],
    ids=["never begun", "twice while open", "twice", "pushed out by another", "too long"],
)
def test_labels_that_can_not_be_learnt_are_refused(
    messages: list[SessionMessage], code: str
) -> None:
    intake = new_intake(kept_segments=1, kept_ticks=4)

    *before, last = messages
    for message in before:
        intake.take(message)

    assert refused(intake.take(last)) == (code, len(messages))


def test_a_labelled_segment_that_grew_too_long_ends_with_a_report_instead_of_a_lesson() -> None:
    intake = new_intake(kept_ticks=4)
    intake.take(begin(1, 0, 0))
    intake.take(label(2, 0, 1))
    intake.take(events(3, (450, 0)))
    intake.take(events(4, (550, 0)))

    *_, last, report = intake.take(end(5, 0, 600))

    assert isinstance(last, EndSegment)
    assert isinstance(report, Refuse)
    assert (report.refusal.code, report.refusal.sequence) == ("label_too_late", 5)


def test_interval_labels_are_refused_where_segments_are_the_clients() -> None:
    message = Label(sequence=4, from_us=0, to_us=10, target=1)

    assert refused(new_intake().take(message)) == ("bad_value", 4)


# --- the learning mode


def test_with_learning_off_a_label_is_scored_but_not_learnt() -> None:
    intake = new_intake(mode="off")
    intake.take(begin(1, 0, 0))
    intake.take(end(2, 0, 100))

    [lesson] = intake.take(label(3, 0, 1))

    assert isinstance(lesson, Lesson)
    assert not lesson.learns


def test_the_mode_changes_from_the_message_on() -> None:
    intake = new_intake()
    for number in range(2):
        intake.take(begin(1 + 2 * number, number, 1000 * number))
        intake.take(end(2 + 2 * number, number, 1000 * number + 100))

    before = intake.take(label(5, 0, 1))
    assert intake.take(learning(6, mode="off")) == []
    after = intake.take(label(7, 1, 1))

    assert intake.mode == "off"
    assert [work.learns for work in (*before, *after) if isinstance(work, Lesson)] == [True, False]


def test_a_rate_alone_leaves_the_mode() -> None:
    intake = new_intake(mode="ahead")

    assert intake.take(learning(1, rate=0.5)) == [ChangeRate(0.5)]
    assert intake.mode == "ahead"


def test_a_label_ahead_teaches_from_the_first_event_on() -> None:
    intake = new_intake(mode="ahead")
    intake.take(begin(1, 0, 0))

    assert intake.take(label(2, 0, "one")) == [TeachAhead(1)]
    intake.take(events(3, (150, 0)))
    ended = intake.take(end(4, 0, 200))
    assert not any(isinstance(work, Lesson) for work in ended)


def test_the_mode_stays_while_a_segment_learns_ahead() -> None:
    intake = new_intake(mode="ahead")
    for message in (begin(1, 0, 0), label(2, 0, 1)):
        intake.take(message)

    assert refused(intake.take(learning(3, mode="off", rate=0.5))) == ("bad_value", 3)

    # the rate may change, and so may the mode once the segment has ended
    assert intake.take(learning(4, rate=0.5)) == [ChangeRate(0.5)]
    intake.take(end(5, 0, 100))
    assert intake.take(learning(6, mode="off")) == []
    assert intake.mode == "off"


def test_a_label_ahead_after_an_event_is_too_late() -> None:
    intake = new_intake(mode="ahead")
    intake.take(begin(1, 0, 0))
    intake.take(events(2, (10, 0)))

    assert refused(intake.take(label(3, 0, 1))) == ("label_too_late", 3)


# --- what the intake leaves to others


@pytest.mark.parametrize("sequence", [3, None])
def test_a_snapshot_is_nothing_to_compute(sequence: int | None) -> None:
    assert new_intake().take(SnapshotRequest(sequence=sequence)) == []
