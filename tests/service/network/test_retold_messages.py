"""Finals and lessons that are told again, in memory and from a tree."""

import pytest

from service.network.retold_messages import RETOLD_MESSAGES, RetoldMessages
from service.wire_protocol import Learned, Prediction


def final(segment: int, *, is_final: bool = True, n_classes: int | None = None) -> Prediction:
    return Prediction(
        segment=segment,
        tick=3,
        t_us=7,
        index=0,
        label="zero",
        confidence=0.1,
        probabilities=None if n_classes is None else (1 / 3,) * n_classes,
        final=is_final,
    )


def lesson(segment: int) -> Learned:
    return Learned(segment=segment, target=1, correct=True, loss=0.1, segments_labelled=2)


def test_finals_and_lessons_are_remembered_in_their_order_and_no_more_than_a_few() -> None:
    retold = RetoldMessages()
    retold.note(final(0, is_final=False))
    for segment in range(RETOLD_MESSAGES):
        retold.note(final(segment))
    retold.note(lesson(0))

    assert list(retold) == [final(s) for s in range(1, RETOLD_MESSAGES)] + [lesson(0)]


def test_they_come_back_from_a_tree_as_they_were() -> None:
    retold, again = RetoldMessages(), RetoldMessages()
    for message in (final(0), final(1, n_classes=3), lesson(0)):
        retold.note(message)

    again.restore({"retold": retold.capture()})

    assert list(again) == list(retold)


@pytest.mark.parametrize("retold", [None, [7], [{"type": "learned"}], [{"type": "prediction"}]])
def test_what_is_no_such_list_is_refused(retold: object) -> None:
    with pytest.raises(ValueError, match=r"retold|validation error"):
        RetoldMessages().restore({"retold": retold})
