"""How a client cuts, times and batches the same events changes no bit of what it hears."""

import random
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest

from tests.end_to_end.conversation_partner import (
    SEGMENT_TICKS,
    TICK_US,
    Event,
    Heard,
    Message,
    begin,
    begin_us,
    clock,
    connected,
    end,
    events,
    label,
    spikes,
)
from tests.end_to_end.running_server import RunningServer, Weights, same_weights

Cut = Callable[[Sequence[Event]], list[Message]]


def in_one_frame(pairs: Sequence[Event]) -> list[Message]:
    return [events(pairs)]


def one_event_a_frame(pairs: Sequence[Event]) -> list[Message]:
    return [events([pair]) for pair in pairs]


def anywhere(pairs: Sequence[Event]) -> list[Message]:
    bounds = sorted({0, len(pairs), *random.Random(1).sample(range(len(pairs)), 9)})
    return [events(pairs[start:stop]) for start, stop in pairwise(bounds)]


def with_the_clock_between(pairs: Sequence[Event]) -> list[Message]:
    """Move the horizon to each next event before it comes: no event is late by that."""
    messages: list[Message] = []
    for start in range(0, len(pairs), 10):
        messages += [clock(pairs[start][0]), events(pairs[start : start + 10])]
    return messages


def shuffled_within_a_frame(pairs: Sequence[Event]) -> list[Message]:
    mixed = list(pairs)
    random.Random(2).shuffle(mixed)
    return [events(mixed)]


def with_offsets_from_zero(pairs: Sequence[Event]) -> list[Message]:
    """Give ``base_us`` 0: that of a frame with events moves nothing."""
    half = len(pairs) // 2
    return [(0, pairs[:half]), (0, pairs[half:])]


def script(cut: Cut) -> list[Message]:
    messages: list[Message] = []
    for number in range(3):
        messages.append(begin(number, begin_us(number)))
        messages += cut(spikes(number))
        messages.append(end(number, begin_us(number) + SEGMENT_TICKS * TICK_US))
        messages.append(label(number, number))
    return messages


async def run(
    server: RunningServer, name: str, messages: list[Message], *, one_by_one: bool = False
) -> tuple[list[Heard], Weights]:
    async with connected(server.url) as partner:
        await partner.open(session=name, report={"every_ticks": 1, "probabilities": True})
        partner.fresh()
        heard: list[Heard] = []
        if one_by_one:
            for message in messages:
                await partner.send(message)
                heard += await partner.settle()
        else:
            await partner.send(*messages)
            heard = await partner.settle()
        return heard, await server.weights(name)


@pytest.mark.parametrize(
    "cut",
    [
        one_event_a_frame,
        anywhere,
        with_the_clock_between,
        shuffled_within_a_frame,
        with_offsets_from_zero,
    ],
)
async def test_any_cutting_of_the_same_events_gives_equal_bits(
    server: RunningServer, cut: Cut
) -> None:
    whole, whole_weights = await run(server, "whole", script(in_one_frame))
    parts, part_weights = await run(server, "parts", script(cut))

    # twenty ticks a segment, each told, and the final one, and the lesson
    assert len(whole) == 3 * (SEGMENT_TICKS + 2)
    assert parts == whole
    assert same_weights(part_weights, whole_weights)


async def test_waiting_for_each_ack_gives_the_bits_of_sending_all_at_once(
    server: RunningServer,
) -> None:
    at_once, weights_at_once = await run(server, "at-once", script(anywhere))
    waiting, weights_waiting = await run(server, "waiting", script(anywhere), one_by_one=True)

    assert waiting == at_once
    assert same_weights(weights_waiting, weights_at_once)
