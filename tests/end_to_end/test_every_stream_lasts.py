"""A killed server goes on bit for bit, whoever cuts the stream and whatever classes have come."""

from pathlib import Path

import pytest

from tests.end_to_end.conversation_partner import (
    Event,
    Message,
    Partner,
    clock,
    connected,
    events,
    label,
    spikes,
)
from tests.end_to_end.running_server import Weights, same_weights
from tests.faults.server_process import ServerProcess, server_process

MORE: Message = {"type": "classes", "add": ["three"]}


def interval(from_us: int, to_us: int, target: int) -> Message:
    return {"type": "label", "from_us": from_us, "to_us": to_us, "target": target}


def frames(number: int) -> list[Message]:
    pairs: list[Event] = spikes(number)
    half = len(pairs) // 2
    return [events(pairs[:half]), events(pairs[half:])]


SCRIPTS: dict[str, tuple[dict[str, object], list[Message]]] = {
    "silence": (
        {"by": "silence", "gap_us": 30_000},
        [*frames(0), *frames(1), label(0, 1), MORE, label(1, 3), *frames(2), clock(260_000)],
    ),
    "window": (
        {"by": "window", "length_us": 12_500},
        [*frames(0), label(0, 1), MORE, *frames(1), interval(14_000, 40_000, 3), label(5, 2)],
    ),
    "none": (
        {"by": "none"},
        [*frames(0), interval(3_000, 9_000, 1), MORE, *frames(1), interval(9_000, 101_000, 3)],
    ),
}


async def finish(partner: Partner, server: ServerProcess, script: list[Message]) -> Weights:
    """Send what the server has not and return the weights at the end."""
    await partner.send(*script[partner.next_sequence - 1 :])
    await partner.settle()
    return await server.weights(str(partner.heard[0]["session"]))


@pytest.mark.parametrize("kind", SCRIPTS)
async def test_a_killed_server_goes_on_with_every_kind_of_stream(tmp_path: Path, kind: str) -> None:
    segmentation, script = SCRIPTS[kind]
    bounds = {"tclif_storage__snapshot_every_s": "3600", "tclif_session__checkpoint_ticks": "4"}
    fields: dict[str, object] = {"segmentation": segmentation, "carry_state": True}
    async with server_process(tmp_path, **bounds) as server:
        async with connected(server.url) as partner:
            await partner.open(session="undisturbed", **fields)
            expected = await finish(partner, server, script)
        async with connected(server.url) as partner:
            await partner.open(**fields)
            # the kept states, and the classes of now, are in what is stored
            await partner.send(*script[:5])
            await partner.settle()
            await partner.say({"type": "snapshot"})
            await partner.until("ack", durable=5)
            await partner.send(*script[5:])
            server.kill()
        await server.start()

        async with connected(server.url) as again:
            opened = await again.open(**fields)
            assert (opened["resumed"], again.next_sequence) == (True, 6)
            weights = await finish(again, server, script)

    assert weights["readout.b"].shape == (4,)
    assert same_weights(weights, expected)
