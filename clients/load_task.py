"""What sessions of a load stream: twenty classes that a network of SHD's size soon learns apart.

Each class prefers its own hundred of the 700 channels, thirty to one; in every tick of 4 ms 45
different channels speak, drawn by preference. Frames of ten ticks are written once, as messages
whose number and time are stamped in when they are sent, so that streaming them costs next to
nothing.
"""

import struct

import numpy as np
from numpy.typing import NDArray

from service.wire_protocol import (
    CochleaSensor,
    LearningRequest,
    NetworkRequest,
    Open,
    ReportRequest,
    encode_event_frame,
)

CHANNELS = 700
CLASSES = 20
TICK_US = 4000
FRAME_TICKS = 10
SEGMENT_FRAMES = 25
FRAME_US = FRAME_TICKS * TICK_US
FRAME_S = FRAME_US / 1e6
SEGMENT_S = SEGMENT_FRAMES * FRAME_S

ACTIVE_CHANNELS = 45
VARIANTS = 4

_PREFERRED_CHANNELS = 100
_PREFERENCE = 30.0
_SEED = 20
# with these both hidden layers spike in 5% to 10% of the ticks from the beginning on; with gains of
# 1 the upper one is silent until it has learnt, and a silent network is no load
_GAINS: dict[str, bool | int | float | str] = {"input_gain": 5.0, "hidden_gain": 6.0}
_NUMBERS = struct.Struct("<QQ")
_NUMBERS_BEGIN = 8
_NUMBERS_END = _NUMBERS_BEGIN + _NUMBERS.size


def request(session: str) -> Open:
    """Describe a session of the load: 700-128-128-20, learning, a prediction a frame."""
    return Open(
        session=session,
        sensor=CochleaSensor(channels=CHANNELS),
        network=NetworkRequest(hidden=(128, 128), classes=CLASSES, hyperparameters=_GAINS),
        tick_us=TICK_US,
        learning=LearningRequest(rate=0.002),
        report=ReportRequest(every_ticks=FRAME_TICKS),
    )


def stamped(template: bytes, sequence: int, base_us: int) -> bytes:
    """Return an events message with another number and time, without looking at its events."""
    numbers = _NUMBERS.pack(sequence, base_us)
    return template[:_NUMBERS_BEGIN] + numbers + template[_NUMBERS_END:]


class Task:
    """The frames of all classes, in some variants that differ by chance.

    Attributes:
        close: A frame without events, which says that its time has passed.
    """

    def __init__(self) -> None:
        generator = np.random.default_rng(_SEED)
        weights = np.ones((CLASSES, CHANNELS))
        for row in weights:
            row[generator.choice(CHANNELS, _PREFERRED_CHANNELS, replace=False)] = _PREFERENCE
        self._segments = [[_segment(generator, row) for _ in range(VARIANTS)] for row in weights]
        nothing = np.empty(0, np.int64)
        self.close = encode_event_frame(0, 0, nothing, nothing)

    def frame(self, label: int, variant: int, number: int) -> bytes:
        """Return the events of a class's frame ``number``, 0 to ``SEGMENT_FRAMES`` - 1."""
        return self._segments[label][variant][number]


def _segment(generator: np.random.Generator, weights: NDArray[np.float64]) -> list[bytes]:
    """Write the frames of one segment."""
    n_ticks = SEGMENT_FRAMES * FRAME_TICKS
    # the largest of weighted exponential times: a draw without replacement, for all ticks at once
    keys = generator.exponential(size=(n_ticks, CHANNELS)) / weights
    channels = np.argpartition(keys, ACTIVE_CHANNELS, axis=1)[:, :ACTIVE_CHANNELS]
    begins_us = np.arange(n_ticks)[:, None] % FRAME_TICKS * TICK_US
    offsets_us = begins_us + generator.integers(0, TICK_US, channels.shape)
    return [
        encode_event_frame(0, 0, offsets_us[first:last].ravel(), channels[first:last].ravel())
        for first in range(0, n_ticks, FRAME_TICKS)
        for last in [first + FRAME_TICKS]
    ]
