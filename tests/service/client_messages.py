"""A client's messages after ``open``, in the order of a conversation."""

import numpy as np

from service.wire_protocol import EventFrame, Label, LearningChange, SegmentMark


def events(sequence: int, *events: tuple[int, int], base_us: int = 0) -> EventFrame:
    """Return a frame of (time, address) pairs; without any it moves the clock to ``base_us``."""
    times = np.array([t_us - base_us for t_us, _ in events], np.uint32)
    addresses = np.array([address for _, address in events], np.uint32)
    return EventFrame(sequence, base_us, times, addresses)


def begin(sequence: int, segment: int, t_us: int) -> SegmentMark:
    """Return the mark of a segment's begin."""
    return SegmentMark(sequence=sequence, action="begin", segment=segment, t_us=t_us)


def end(sequence: int, segment: int, t_us: int) -> SegmentMark:
    """Return the mark of a segment's end."""
    return SegmentMark(sequence=sequence, action="end", segment=segment, t_us=t_us)


def label(sequence: int, segment: int, target: int | str) -> Label:
    """Return the truth about a segment."""
    return Label(sequence=sequence, segment=segment, target=target)


def learning(
    sequence: int, *, mode: str | None = None, rate: float | None = None
) -> LearningChange:
    """Return a change of learning."""
    return LearningChange.model_validate({"sequence": sequence, "mode": mode, "rate": rate})
