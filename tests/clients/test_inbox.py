"""An application hears each thing once."""

from clients.inbox import Inbox, StreamMessage
from service.wire_protocol import ErrorMessage, Learned, Prediction


def prediction(segment: int, *, final: bool = True) -> Prediction:
    return Prediction(
        segment=segment, tick=1, t_us=4, index=0, label="a", confidence=1.0, final=final
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
    inbox = Inbox(limit=10_000)
    return [inbox.put(message) for message in messages]


def test_a_second_final_prediction_of_a_segment_is_a_double() -> None:
    assert accepted(prediction(1), prediction(2), prediction(1)) == [True, True, False]


def test_a_second_lesson_of_a_segment_is_a_double() -> None:
    assert accepted(learned(1), prediction(1), learned(1)) == [True, True, False]


def test_lessons_of_intervals_are_told_apart_by_both_ends() -> None:
    first, second = learned(from_us=1), learned(from_us=1, to_us=8)

    assert accepted(first, second, learned(1), first) == [True, True, True, False]


def test_predictions_before_the_final_one_and_errors_are_never_doubles() -> None:
    error = ErrorMessage(code="late_events", message="", fatal=False)
    early = prediction(1, final=False)

    assert accepted(early, early, error, error) == [True] * 4


def test_a_double_is_known_after_more_messages_than_the_server_repeats() -> None:
    finals = [prediction(segment) for segment in range(1024)]

    # the server repeats 64 finals and 64 lessons at most
    assert accepted(*finals, finals[-128]) == [True] * 1024 + [False]


def test_what_is_remembered_is_bounded() -> None:
    finals = [prediction(segment) for segment in range(1025)]

    assert accepted(*finals, finals[0])[-1]


def test_a_full_inbox_forgets_its_oldest_message_and_counts_it() -> None:
    inbox = Inbox(limit=2)

    for segment in range(3):
        inbox.put(prediction(segment))

    assert len(inbox) == 2
    assert inbox.n_missed == 1
    assert inbox.take() == prediction(1)
