"""A server that is killed at any moment loses nothing and doubles nothing.

2,000 labelled segments, late labels, changing rates and refused messages among them, a snapshot
every fifth of a second; each killed run is held bit for bit against one that nobody disturbed.
"""

import asyncio
import random
from pathlib import Path

from tests.faults.conftest import Tell, UndisturbedRuns
from tests.faults.kill_plan import kill_at, kill_plan
from tests.faults.lesson_stream import LessonStream
from tests.faults.outcome import assert_every_lesson_once, assert_same, outcome
from tests.faults.resuming_client import ResumingClient
from tests.faults.server_process import server_process

N_KILLS = 100
SNAPSHOTS = {"tclif_storage__snapshot_every_s": "0.2"}


async def test_a_hundred_kills_change_no_bit(
    tmp_path: Path,
    generator: random.Random,
    tell: Tell,
    long_stream: LessonStream,
    expected: UndisturbedRuns,
) -> None:
    kills = kill_plan(generator, N_KILLS, len(long_stream.messages))

    async with server_process(tmp_path, **SNAPSHOTS) as server:
        client = ResumingClient(server.url, long_stream, generator=generator)
        async with asyncio.TaskGroup() as group:
            group.create_task(client.run())
            group.create_task(kill_at(kills, server, client, tell))
        reached = await outcome(server, client)

    assert server.n_starts == N_KILLS + 1
    assert_every_lesson_once(reached, long_stream)
    assert_same(reached, await expected.of(long_stream))
    tell(f"{client.n_connections} connections, {client.n_times_set_back} times set back")


async def test_kills_over_a_bad_wire_change_no_bit(
    tmp_path: Path,
    generator: random.Random,
    tell: Tell,
    long_stream: LessonStream,
    expected: UndisturbedRuns,
) -> None:
    kills = kill_plan(generator, 20, len(long_stream.messages))

    async with server_process(tmp_path, **SNAPSHOTS) as server:
        client = ResumingClient(
            server.url, long_stream, generator=generator, resend_chance=0.05, delay_chance=0.02
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(client.run())
            group.create_task(kill_at(kills, server, client, tell))
        reached = await outcome(server, client)

    assert_every_lesson_once(reached, long_stream)
    assert_same(reached, await expected.of(long_stream))
