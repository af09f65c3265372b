import numpy as np

from clients.load_task import (
    ACTIVE_CHANNELS,
    CHANNELS,
    CLASSES,
    FRAME_TICKS,
    FRAME_US,
    SEGMENT_FRAMES,
    TICK_US,
    Task,
    request,
    stamped,
)
from service.wire_protocol import decode_binary


def test_a_stamped_frame_has_another_number_and_time_and_the_same_events() -> None:
    template = Task().frame(3, 1, 7)

    frame = decode_binary(stamped(template, 2**40 + 5, 123_456_789))

    assert (frame.sequence, frame.base_us) == (2**40 + 5, 123_456_789)
    assert frame.addresses.tolist() == decode_binary(template).addresses.tolist()
    assert frame.offsets_us.tolist() == decode_binary(template).offsets_us.tolist()


def test_every_tick_has_as_many_different_channels_as_stated() -> None:
    task = Task()

    for number in range(SEGMENT_FRAMES):
        frame = decode_binary(task.frame(0, 0, number))
        ticks = frame.offsets_us // TICK_US
        for tick in range(FRAME_TICKS):
            channels = frame.addresses[ticks == tick]
            assert len(set(channels.tolist())) == len(channels) == ACTIVE_CHANNELS
            assert channels.max() < CHANNELS
        assert frame.offsets_us.max() < FRAME_US


def test_classes_prefer_channels_of_their_own() -> None:
    task = Task()
    counts = np.zeros((2 * CLASSES, CHANNELS))
    for label in range(CLASSES):
        for number in range(SEGMENT_FRAMES):
            for variant in (0, 1):
                frame = decode_binary(task.frame(label, variant, number))
                np.add.at(counts[label + variant * CLASSES], frame.addresses, 1)

    # whichever variant of a class: it looks most like the other variant of the same class
    alike = counts[:CLASSES] @ counts[CLASSES:].T
    assert alike.argmax(axis=1).tolist() == list(range(CLASSES))


def test_the_closing_frame_is_empty() -> None:
    frame = decode_binary(stamped(Task().close, 9, FRAME_US))

    assert (frame.count, frame.sequence, frame.base_us) == (0, 9, FRAME_US)


def test_a_session_asks_for_one_prediction_a_frame() -> None:
    asked = request("load-1")

    assert asked.report.every_ticks == FRAME_TICKS
    assert asked.network is not None
    assert (asked.network.hidden, asked.network.classes) == ((128, 128), CLASSES)
