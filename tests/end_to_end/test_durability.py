"""A server that is killed, or loses what it wrote last, loses no lesson and learns none twice."""

from collections.abc import Sequence
from pathlib import Path

from tests.end_to_end.conversation_partner import (
    Heard,
    Message,
    Partner,
    connected,
    lessons,
    numbered,
    segment,
)
from tests.end_to_end.running_server import Weights, same_weights
from tests.faults.server_process import ServerProcess, server_process

SCRIPT = [*lessons(range(8)), *segment(8)[:3]]
"""It ends within a segment, so that the state of neurons and the waiting events count too."""

REST = [segment(8)[3], *lessons(range(9, 11))]


async def resend(partner: Partner, script: Sequence[Message]) -> None:
    """Send a script from where the server stands."""
    first = partner.next_sequence
    for sequence, message in enumerate(script[first - 1 :], start=first):
        await partner.say(numbered(message, sequence))
    partner.next_sequence = len(script) + 1
    await partner.settle()


async def undisturbed(server: ServerProcess) -> tuple[list[Heard], Weights]:
    """Return what is heard and learnt of the whole stream when nothing happens."""
    async with connected(server.url) as partner:
        await partner.open(session="undisturbed")
        await partner.send(*SCRIPT, *REST)
        await partner.settle()
        return partner.heard, await server.weights("undisturbed")


def lasting(heard: Sequence[Heard]) -> dict[tuple[object, object], Heard]:
    """Return finals and lessons by their segments: what may not be lost."""
    return {(m["type"], m["segment"]): m for m in heard if m["type"] == "learned" or m.get("final")}


async def test_a_killed_server_goes_on_bit_for_bit(tmp_path: Path) -> None:
    async with server_process(tmp_path, tclif_storage__snapshot_every_s="3600") as server:
        expected_heard, expected = await undisturbed(server)
        async with connected(server.url) as partner:
            first = await partner.open()
            await partner.send(*SCRIPT[:21])
            await partner.settle()
            await partner.say({"type": "snapshot"})
            await partner.until("ack", durable=21)
            await partner.send(*SCRIPT[21:])
            await partner.settle()
            server.kill()
        await server.start()

        async with connected(server.url) as again:
            second = await again.open(epoch=first["epoch"])
            assert (second["resumed"], second["next_sequence"]) == (True, 22)
            await resend(again, [*SCRIPT, *REST])
        weights = await server.weights("s")

    assert same_weights(weights, expected)
    assert lasting([*partner.heard, *again.heard]) == lasting(expected_heard)
