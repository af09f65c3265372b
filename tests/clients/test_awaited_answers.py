import pytest

from clients.awaited_answers import AwaitedAnswers
from service.wire_protocol import ErrorMessage, Prediction


def prediction(segment: int, *, final: bool = True) -> Prediction:
    return Prediction(
        segment=segment, tick=3, t_us=10, label="a", index=0, confidence=0.5, final=final
    )


def refusal(sequence: int) -> ErrorMessage:
    return ErrorMessage(code="bad_segment", message="no", fatal=False, sequence=sequence)


def test_what_is_awaited_is_kept_and_nothing_else() -> None:
    awaited = AwaitedAnswers()

    with awaited.await_final(4), awaited.await_refusal(9):
        for message in (prediction(3), prediction(4, final=False), refusal(8)):
            awaited.note(message)
        before = awaited.final(4), awaited.refusal(9)
        awaited.note(prediction(4))
        awaited.note(refusal(9))
        after = awaited.final(4), awaited.refusal(9)

    assert before == (None, None)
    assert after == (prediction(4), refusal(9))


def test_what_is_not_awaited_any_more_is_forgotten() -> None:
    awaited = AwaitedAnswers()
    with awaited.await_final(4):
        pass
    awaited.note(prediction(4))

    with pytest.raises(KeyError):
        awaited.final(4)
