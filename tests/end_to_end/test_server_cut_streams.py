"""Streams that the server cuts, over a real connection: equal bits, and equal to the library."""

import random
from itertools import pairwise

import numpy as np
import pytest

from tclif_core import EventBlock, Learner, LearningSpec, NetworkSpec, NeuronSpec, Strand
from tests.end_to_end.conftest import Serve
from tests.end_to_end.conversation_partner import (
    N_ADDRESSES,
    TICK_US,
    Event,
    Heard,
    Message,
    begin,
    clock,
    codes,
    connected,
    converse,
    events,
    label,
    of_kind,
    spikes,
)
from tests.end_to_end.running_server import RunningServer, same_weights

SILENCE = {"by": "silence", "gap_us": 30_000}
WINDOW = {"by": "window", "length_us": 12_500}
NONE = {"by": "none"}


def interval(from_us: int, to_us: int, target: int) -> Message:
    return {"type": "label", "from_us": from_us, "to_us": to_us, "target": target}


def stream() -> list[Event]:
    """Return three bursts of twenty ticks, eighty ticks of silence between them."""
    return [event for number in range(3) for event in spikes(number)]


def script(cuts: list[int], *labels: Message) -> list[Message]:
    """Cut the stream there, let the clock run on, and tell some truth about it."""
    pairs = stream()
    bounds = sorted({0, len(pairs), *cuts})
    frames = [events(pairs[start:stop]) for start, stop in pairwise(bounds)]
    return [*frames, clock(300_000), *labels]


LABELS: dict[str, list[Message]] = {
    "silence": [label(1, 1), label(0, "two"), label(2, 0)],
    "window": [label(1, 1), interval(3_000, 9_000, 2), interval(100_000, 130_000, 0), label(12, 1)],
    "none": [interval(3_000, 9_000, 2), interval(100_000, 130_000, 0), interval(50_000, 60_000, 1)],
}


@pytest.mark.parametrize("segmentation", [SILENCE, WINDOW, NONE], ids=lambda s: s["by"])
async def test_any_cutting_of_the_same_events_gives_equal_bits(
    server: RunningServer, segmentation: dict[str, object]
) -> None:
    labels = LABELS[str(segmentation["by"])]
    whole = await converse(
        server.url, script([], *labels), session="whole", segmentation=segmentation
    )
    cuts = random.Random(3).sample(range(len(stream())), 17)
    parts = await converse(
        server.url, script(cuts, *labels), session="parts", segmentation=segmentation
    )

    assert len(of_kind("learned", whole)) == len(labels)
    assert parts == whole
    assert same_weights(await server.weights("parts"), await server.weights("whole"))


@pytest.mark.parametrize("segmentation", [SILENCE, WINDOW, NONE], ids=lambda s: s["by"])
async def test_a_stream_whose_connections_vanish_ends_as_if_none_had(
    server: RunningServer, segmentation: dict[str, object]
) -> None:
    messages = script([40, 90, 200, 333], *LABELS[str(segmentation["by"])])
    await converse(server.url, messages, session="whole", segmentation=segmentation)

    n_sent = 0
    while n_sent < len(messages):
        async with connected(server.url) as partner:
            opened = await partner.open(session="parts", segmentation=segmentation)
            # what did not arrive is sent again
            n_sent = partner.next_sequence - 1
            assert "open_segment" not in opened
            await partner.send(*messages[n_sent : n_sent + 3])
            n_sent += 3
            if n_sent < len(messages):
                partner.vanish()
            else:
                await partner.settle()

    assert same_weights(await server.weights("parts"), await server.weights("whole"))


@pytest.mark.parametrize("kernel", ["cpu", "reference"])
async def test_a_lesson_of_an_interval_equals_the_library(serve: Serve, kernel: str) -> None:
    network = NetworkSpec(
        inputs=N_ADDRESSES,
        hidden=(8, 6),
        classes=3,
        neuron=NeuronSpec(threshold=0.3),
        input_gain=5.0,
    )
    learner = Learner(network, LearningSpec(optimizer="adam"), kernel=kernel)
    slot = learner.open(seed=4, rate=0.01)
    pairs = spikes(0)
    first_us = pairs[0][0]
    dense = np.zeros((15, N_ADDRESSES), np.float32)
    for t_us, address in pairs:
        tick = (t_us - first_us) // TICK_US
        if tick < len(dense):
            dense[tick, address] += 1
    # ticks 9 to 14 begin in the interval
    learner.begin_segment(slot, Strand.LESSON)
    learner.advance(
        np.array([slot], np.int64),
        np.array([Strand.LESSON], np.int64),
        np.array([True]),
        EventBlock.from_dense([dense]),
        np.array([-1] * 9 + [2] * 6, np.int64),
    )
    assert learner.apply_update(slot)

    settings: dict[str, object] = {"checkpoint_ticks": 4}
    async with serve(engine={"kernel": kernel}, session=settings) as server:
        told = interval(first_us + 9 * TICK_US - 1, first_us + 14 * TICK_US + 1, 2)
        heard = await converse(server.url, [events(pairs), told], segmentation=NONE)
        weights = await server.weights()

    [learned] = of_kind("learned", heard)
    assert learned["loss"] == learner.segment_loss(slot, Strand.LESSON)
    assert same_weights(weights, learner.weights(slot))


async def test_windows_named_by_number_equal_their_intervals(server: RunningServer) -> None:
    pairs = spikes(0)
    first_us = pairs[0][0]
    frames = [events(pairs), clock(100_000)]
    by_number: list[Heard] = await converse(
        server.url, [*frames, label(1, 2)], session="number", segmentation=WINDOW
    )
    begin_us = first_us + 12_500
    by_time = await converse(
        server.url,
        [*frames, interval(begin_us, begin_us + 12_500, 2)],
        session="time",
        segmentation=WINDOW,
    )

    [one], [other] = of_kind("learned", by_number), of_kind("learned", by_time)
    assert one["loss"] == other["loss"]
    assert (other["from_us"], other["to_us"]) == (begin_us, begin_us + 12_500)
    assert "segment" not in other
    assert same_weights(await server.weights("number"), await server.weights("time"))


@pytest.mark.parametrize(
    ("segmentation", "expected"),
    [({"by": "client"}, None), (SILENCE, None), (WINDOW, 256), (NONE, 256)],
)
async def test_checkpoints_are_told_where_intervals_are_served(
    server: RunningServer, segmentation: dict[str, object], expected: int | None
) -> None:
    async with connected(server.url) as partner:
        opened = await partner.open(segmentation=segmentation)

    limits = opened["limits"]
    assert isinstance(limits, dict)
    assert limits.get("checkpoint_ticks") == expected


async def test_refusals_of_the_kinds_are_told_and_the_stream_goes_on(
    server: RunningServer,
) -> None:
    heard = await converse(
        server.url,
        [begin(0, 0), *script([]), label(0, 0), interval(0, 10**9, 1), interval(1, 2, 1)],
        segmentation=NONE,
    )

    assert codes(heard) == ["bad_segment", "bad_value", "unknown_segment", "unknown_segment"]
    assert of_kind("prediction", heard)


async def test_a_label_ahead_names_the_next_segment_of_a_silence(server: RunningServer) -> None:
    messages: list[Message] = [
        label(0, 1),
        events(spikes(0)),
        clock(60_000),
        label(1, 0),
        events(spikes(1)),
        clock(160_000),
    ]
    heard = await converse(
        server.url, messages, segmentation=SILENCE, learning={"mode": "ahead", "rate": 0.01}
    )

    assert [message["segment"] for message in of_kind("learned", heard)] == [0, 1]
    assert [p["segment"] for p in of_kind("prediction", heard) if p["final"]] == [0, 1]
