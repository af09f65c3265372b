"""A long stream of labelled segments, written down before it is sent; it depends on its seed alone.

Labels come late by up to some segments, the rate changes now and then, and some messages are
refused: what waits, what was changed and what was refused must survive too.
"""

import random
from typing import NamedTuple

from tests.end_to_end.conversation_partner import (
    CLASSES,
    SMALL_OPEN,
    Message,
    label,
    learning,
    numbered,
    segment,
)

RATE_EVERY = 40
"""Segments between two changes of the learning rate."""

LATEST_LABEL = 6
"""Segments that a label may be late."""


class LessonStream(NamedTuple):
    """What one client wants to say.

    Attributes:
        opening: Its ``open``, without session and epoch.
        messages: Message n is ``messages[n - 1]``, as it goes over the wire.
        n_segments: How many segments there are, each labelled once.
        answers: The number of the message that each final and each lesson answers, ``final`` or
            ``learned``, and the segment.
    """

    opening: dict[str, object]
    messages: list[str | bytes]
    n_segments: int
    answers: list[tuple[int, str, int]]


def lesson_stream(n_segments: int, seed: int, **opening: object) -> LessonStream:
    """Write a stream.

    Args:
        n_segments: How many labelled segments.
        seed: Of everything that is random: events, targets, how late a label comes.
        opening: Fields of ``open`` that differ from the small session's.
    """
    generator = random.Random(seed)
    messages: list[Message] = []
    labels: dict[int, list[Message]] = {}
    answers: list[tuple[int, str, int]] = []
    first = generator.randrange(1 << 20)
    for place in range(n_segments):
        number = first + place
        if place % RATE_EVERY == RATE_EVERY - 1:
            messages.append(learning(rate=generator.uniform(0.001, 0.02)))
        messages.extend(segment(number))
        answers.append((len(messages), "final", number))
        due = min(place + generator.randrange(LATEST_LABEL), n_segments - 1)
        truth = label(number, generator.randrange(len(CLASSES)))
        labels.setdefault(due, []).append(truth)
        for told in labels.pop(place, ()):
            messages.append(told)
            answers.append((len(messages), "learned", _segment_of(told)))
            if generator.random() < 0.02:
                # refused as a label that came before; its number is consumed all the same
                messages.append(told)
    request = SMALL_OPEN | {"report": {"every_ticks": 0, "probabilities": True}} | opening
    wire = [numbered(message, sequence) for sequence, message in enumerate(messages, start=1)]
    return LessonStream(request, wire, n_segments, answers)


def _segment_of(told: Message) -> int:
    assert isinstance(told, dict)
    number = told["segment"]
    assert isinstance(number, int)
    return number
