"""What one session of a load says, frame by frame, and under which numbers.

Everything follows from the session's and the frame's number, so nothing is kept: whatever the
server asks for after a lost connection is written anew.

    frame 0 of a segment    begin, events, close
    frame k                 events, close, and in one of them the label of the segment before
    last frame              events, close, end
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from clients.load_task import (
    CLASSES,
    FRAME_US,
    SEGMENT_FRAMES,
    VARIANTS,
    Task,
    stamped,
)
from service.wire_protocol import Label, SegmentMark, encode

_FIRST_SEGMENT_MESSAGES = 2 * SEGMENT_FRAMES + 2
_SEGMENT_MESSAGES = _FIRST_SEGMENT_MESSAGES + 1


class Segment(NamedTuple):
    """What a session's segment is about.

    Attributes:
        label: Its class.
        variant: Which of the class's recordings it is.
        label_frame: Frame of the *next* segment that brings its label.
    """

    label: int
    variant: int
    label_frame: int


class Script:
    """One session's messages."""

    def __init__(self, task: Task, session: int, label_frames: tuple[int, int]) -> None:
        """Write a session's script.

        Args:
            task: Shared by all sessions.
            session: Its number; it decides the order of the classes.
            label_frames: First and last frame of a segment that may bring the label of the one
                before.
        """
        self._task = task
        self._session = session
        self._label_frames = label_frames
        # the running segment, and the one before it
        self.segment = lru_cache(maxsize=4)(self._draw)

    def messages(self, frame: int) -> list[bytes | str]:
        """Return what is said at the end of a frame, counted from 0 through all segments."""
        number, place = divmod(frame, SEGMENT_FRAMES)
        segment = self.segment(number)
        sequence, begin_us = self.first_sequence(frame), frame * FRAME_US
        end_us = begin_us + FRAME_US
        said: list[bytes | str] = []
        if place == 0:
            begin = SegmentMark(action="begin", segment=number, t_us=begin_us, sequence=sequence)
            said.append(encode(begin))
        events = self._task.frame(segment.label, segment.variant, place)
        said.append(stamped(events, sequence + len(said), begin_us))
        said.append(stamped(self._task.close, sequence + len(said), end_us))
        if number and place == self.segment(number - 1).label_frame:
            target = self.segment(number - 1).label
            label = Label(segment=number - 1, target=target, sequence=sequence + len(said))
            said.append(encode(label))
        if place == SEGMENT_FRAMES - 1:
            sequence += len(said)
            end = SegmentMark(action="end", segment=number, t_us=end_us, sequence=sequence)
            said.append(encode(end))
        return said

    def first_sequence(self, frame: int) -> int:
        """Return the number of a frame's first message."""
        number, place = divmod(frame, SEGMENT_FRAMES)
        before = number * _SEGMENT_MESSAGES - (number > 0)
        has_begun = place > 0
        has_label = number > 0 and place > self.segment(number - 1).label_frame
        return 1 + before + 2 * place + has_begun + has_label

    def frame_of(self, sequence: int) -> int:
        """Return the frame that a message belongs to."""
        number = (sequence - 1 + 1 * (sequence > _FIRST_SEGMENT_MESSAGES)) // _SEGMENT_MESSAGES
        first = number * SEGMENT_FRAMES
        frames = range(first, first + SEGMENT_FRAMES)
        return max(frame for frame in frames if self.first_sequence(frame) <= sequence)

    def _draw(self, number: int) -> Segment:
        generator = np.random.default_rng((self._session, number))
        first, last = self._label_frames
        label, variant = generator.integers((CLASSES, VARIANTS)).tolist()
        return Segment(label, variant, int(generator.integers(first, last + 1)))
