"""An application hears each thing once."""

from clients.inbox import Inbox, StreamMessage
from service.wire_protocol import ErrorMessage, Learned, Prediction


def prediction(segment: int, *, tick: int = 1, final: bool = True) -> Prediction:
    return Prediction(
        segment=segment, tick=tick, t_us=4, index=0, label="a", confidence=1.0, final=final
    )


def learned(segment: int | None = None, from_us: int | None = None, to_us: int = 9) -> Learned:
    return Learned(
        segment=segment,
        from_us=from_us,
        to_us=None if from_us is None else to_us,
        target=0,
        correct=True,
        loss=0.0,
        segments_labelled=1,
    )


def accepted(*messages: StreamMessage) -> list[bool]:
    inbox = Inbox(limit=10_000, remembered=10_000)
    return [inbox.put(message, newest=1) for message in messages]


def test_a_second_final_prediction_of_a_segment_is_a_double() -> None:
    assert accepted(prediction(1), prediction(2), prediction(1)) == [True, True, False]


def test_predictions_on_the_way_come_once_each_and_before_the_final_one() -> None:
    early, late = prediction(1, tick=1, final=False), prediction(1, tick=2, final=False)

    # the final one of the same tick is another thing
    assert accepted(early, late, early, late, prediction(1, tick=2), late) == [
        *(True, True, False, False, True, False)
    ]


def test_a_second_lesson_of_a_segment_is_a_double() -> None:
    assert accepted(learned(1), prediction(1), learned(1)) == [True, True, False]


def test_lessons_of_intervals_are_told_apart_by_both_ends() -> None:
    first, second = learned(from_us=1), learned(from_us=1, to_us=8)

    assert accepted(first, second, learned(1), first) == [True, True, True, False]


def test_a_refusal_comes_once_for_each_message_and_code() -> None:
    late = ErrorMessage(code="late_events", message="", sequence=3, fatal=False)
    other = late.model_copy(update={"sequence": 4})

    assert accepted(late, other, late.model_copy(update={"code": "bad_value"}), late) == [
        *(True, True, True, False)
    ]


def test_an_error_about_no_message_is_never_a_double() -> None:
    error = ErrorMessage(code="snapshot_failed", message="", fatal=False)

    assert accepted(error, error) == [True, True]


def test_a_lesson_is_known_until_its_cause_is_durable() -> None:
    inbox = Inbox(limit=10_000, remembered=10_000)
    # lesson n is heard when message 10 n is the newest
    for segment in range(200):
        inbox.put(learned(segment), newest=10 * segment)

    inbox.forget(500)

    # 0 to 50 can't be computed again; of the others each is known
    assert inbox.put(learned(50), newest=2000)
    assert not inbox.put(learned(51), newest=2000)


def test_what_the_server_repeats_whatever_is_durable_stays_known() -> None:
    inbox = Inbox(limit=10_000, remembered=10_000)
    for segment in range(200):
        inbox.put(learned(segment), newest=10 * segment)

    inbox.forget(10_000)

    # the last 64
    assert not inbox.put(learned(136), newest=2000)
    assert inbox.put(learned(135), newest=2000)


def test_what_is_remembered_is_bounded() -> None:
    inbox = Inbox(limit=10_000, remembered=10)

    for segment in range(75):
        inbox.put(learned(segment), newest=segment)

    # 10 and the 64 that a server repeats: the first of 75 is gone
    assert inbox.put(learned(0), newest=99)
    assert not inbox.put(learned(74), newest=99)


def test_a_full_inbox_forgets_its_oldest_message_and_counts_it() -> None:
    inbox = Inbox(limit=2, remembered=10)

    for segment in range(3):
        inbox.put(prediction(segment), newest=1)

    assert len(inbox) == 2
    assert inbox.n_missed == 1
    assert inbox.take() == prediction(1)
