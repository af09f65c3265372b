"""Snapshots that were damaged on the disk while the server was down.

One of them heals by what the client sends again. Without any sound one the session is lost, and
its client is told so: it never goes on with another network in silence.
"""

import asyncio
import random
from pathlib import Path

from tests.end_to_end.conversation_partner import SMALL_OPEN, connected, lessons
from tests.faults.conftest import Tell, UndisturbedRuns
from tests.faults.damage import damage, snapshots
from tests.faults.lesson_stream import LessonStream
from tests.faults.outcome import assert_every_lesson_once, assert_same, outcome
from tests.faults.resuming_client import ResumingClient
from tests.faults.server_process import ServerProcess, server_process

N_DAMAGED = 20
SENT_MEANWHILE = 200
QUICK = {"tclif_storage__snapshot_every_s": "0.1"}


async def damage_newest_at(
    places: list[int],
    server: ServerProcess,
    client: ResumingClient,
    generator: random.Random,
    tell: Tell,
) -> None:
    """Kill the server at these messages, damage its newest snapshot and start it again."""
    for place in places:
        since = client.farthest
        client.let_send_until(max(place, since) + SENT_MEANWHILE)
        await client.reached(place)
        # one damaged file heals, two do not: both of the newest are to be sound again
        await client.stored(since)
        server.kill()
        what = damage(snapshots(server.data)[-1], generator)
        tell(f"message {client.farthest} applied, {client.durable} durable: {what}")
        n_before = client.n_connections
        server.spawn()
        await client.connected_more_often_than(n_before)
    client.let_send_until(None)


async def test_a_damaged_newest_snapshot_heals_by_resends(
    tmp_path: Path,
    generator: random.Random,
    tell: Tell,
    long_stream: LessonStream,
    expected: UndisturbedRuns,
) -> None:
    n_messages = len(long_stream.messages)
    places = sorted(generator.sample(range(1, n_messages), N_DAMAGED))

    async with server_process(tmp_path, **QUICK) as server:
        client = ResumingClient(server.url, long_stream, generator=generator)
        async with asyncio.TaskGroup() as group:
            group.create_task(client.run())
            group.create_task(damage_newest_at(places, server, client, generator, tell))
        reached = await outcome(server, client)

    assert client.n_times_set_back > 0
    assert_every_lesson_once(reached, long_stream)
    assert_same(reached, await expected.of(long_stream))


async def test_without_a_sound_snapshot_the_client_is_told(
    tmp_path: Path, generator: random.Random, tell: Tell
) -> None:
    async with server_process(tmp_path, **QUICK) as server:
        async with connected(server.url) as partner:
            opened = await partner.open()
            await partner.send(*lessons(range(5)))
            await partner.settle()
            await partner.say({"type": "snapshot"})
            await partner.until("ack", durable=25)
        server.kill()
        for file in snapshots(server.data):
            tell(damage(file, generator))
        await server.start()

        async with connected(server.url) as late, connected(server.url) as anew:
            await late.say({**SMALL_OPEN, "epoch": opened["epoch"]})
            close_code = await late.closed()
            begun = await anew.open()

    assert (late.heard[-1]["code"], close_code) == ("epoch_mismatch", 4400)
    assert (begun["resumed"], begun["next_sequence"]) == (False, 1)
    assert begun["epoch"] != opened["epoch"]
