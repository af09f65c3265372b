import pytest

from clients.load_script import Script
from clients.load_task import FRAME_US, SEGMENT_FRAMES, Task
from service.wire_protocol import (
    ClientMessage,
    EventFrame,
    Label,
    SegmentMark,
    decode_binary,
    decode_client_text,
)

LABEL_FRAMES = (4, 21)
SEGMENTS = 4


@pytest.fixture(scope="module")
def script() -> Script:
    return Script(Task(), 5, LABEL_FRAMES)


def read(message: bytes | str) -> ClientMessage | EventFrame:
    return decode_binary(message) if isinstance(message, bytes) else decode_client_text(message)


def frames(script: Script) -> list[list[ClientMessage | EventFrame]]:
    return [
        [read(message) for message in script.messages(frame)]
        for frame in range(SEGMENTS * SEGMENT_FRAMES)
    ]


def test_messages_are_numbered_one_after_the_other(script: Script) -> None:
    said = [message for messages in frames(script) for message in messages]

    numbers = [getattr(message, "sequence", None) for message in said]
    # four segments of 25 frames of two messages, four begins and ends, three labels
    assert numbers == list(range(1, 4 * 25 * 2 + 4 + 4 + 3 + 1))


def test_a_number_belongs_to_the_frame_that_says_it(script: Script) -> None:
    for frame, messages in enumerate(frames(script)):
        numbers = [getattr(message, "sequence", 0) for message in messages]
        assert script.first_sequence(frame) == numbers[0]
        assert [script.frame_of(number) for number in numbers] == [frame] * len(numbers)


def test_each_frame_is_closed_at_its_end(script: Script) -> None:
    for frame, messages in enumerate(frames(script)):
        events, close = (m for m in messages if isinstance(m, EventFrame))
        assert (events.base_us, close.base_us) == (frame * FRAME_US, (frame + 1) * FRAME_US)
        assert events.count > close.count == 0


def test_segments_lie_back_to_back(script: Script) -> None:
    said = [message for messages in frames(script) for message in messages]

    marks = [(m.action, m.segment, m.t_us) for m in said if isinstance(m, SegmentMark)]
    second_us = 1_000_000
    assert marks == [
        mark
        for number in range(SEGMENTS)
        for mark in (
            ("begin", number, number * second_us),
            ("end", number, (number + 1) * second_us),
        )
    ]


def test_a_label_tells_the_truth_about_the_segment_before_within_its_delay(script: Script) -> None:
    labels = [
        (frame, message)
        for frame, messages in enumerate(frames(script))
        for message in messages
        if isinstance(message, Label)
    ]

    assert [label.segment for _, label in labels] == [0, 1, 2]
    assert [label.target for _, label in labels] == [script.segment(n).label for n in range(3)]
    for frame, label in labels:
        assert label.segment is not None
        delay = frame - (label.segment + 1) * SEGMENT_FRAMES
        assert LABEL_FRAMES[0] <= delay <= LABEL_FRAMES[1]


def test_sessions_hear_classes_in_orders_of_their_own() -> None:
    task = Task()

    orders = [
        [Script(task, session, LABEL_FRAMES).segment(n).label for n in range(20)]
        for session in (1, 2, 1)
    ]

    assert orders[0] == orders[2] != orders[1]
