"""Servers that are killed, stand still, can't write or find their files damaged: not a bit changes.

A few of each; hundreds of them, and a disk that is really full, are in `tests/faults`.
"""

import asyncio
import random
import resource
from pathlib import Path

import pytest

from tests.end_to_end.running_server import RunningServer
from tests.faults.damage import damage, snapshots
from tests.faults.kill_plan import Kill, kill_at
from tests.faults.lesson_stream import LessonStream, lesson_stream
from tests.faults.outcome import (
    Outcome,
    assert_every_lesson_once,
    assert_same,
    outcome,
    undisturbed,
)
from tests.faults.resuming_client import ResumingClient
from tests.faults.server_process import ServerProcess, server_process

STREAM = lesson_stream(40, seed=1)
N_MESSAGES = len(STREAM.messages)
QUICK = {"tclif_storage__snapshot_every_s": "0.05", "tclif_storage__retry_at_most_s": "0.2"}


@pytest.fixture
async def expected(server: RunningServer) -> Outcome:
    """Give what the stream comes to where nothing happens."""
    return await undisturbed(server, server.url, STREAM)


def assert_unchanged(reached: Outcome, expected: Outcome, stream: LessonStream = STREAM) -> None:
    """Assert that nothing was lost and nothing doubled."""
    assert_every_lesson_once(reached, stream)
    assert_same(reached, expected)


async def test_a_server_killed_while_it_streams_and_while_it_starts_changes_no_bit(
    tmp_path: Path, expected: Outcome
) -> None:
    kills = [Kill(60, 0.0), Kill(0, 0.5), Kill(150, 0.05)]

    async with server_process(tmp_path, **QUICK) as server:
        client = ResumingClient(server.url, STREAM)
        async with asyncio.TaskGroup() as group:
            group.create_task(client.run())
            group.create_task(kill_at(kills, server, client))
        assert_unchanged(await outcome(server, client), expected)


async def stand_still(server: ServerProcess, client: ResumingClient) -> None:
    """Stop the server in mid-stream until its client has given it up."""
    client.let_send_until(N_MESSAGES // 2)
    await client.reached(N_MESSAGES // 4)
    server.pause()
    client.let_send_until(None)
    await asyncio.sleep(1)
    server.proceed()


async def test_a_server_that_stands_still_changes_no_bit(tmp_path: Path, expected: Outcome) -> None:
    async with server_process(tmp_path, **QUICK) as server:
        # given up after half of the pause and called again; what one lost connection swallows is
        # told again, so the window is well below what the server keeps for that
        client = ResumingClient(server.url, STREAM, silence_s=0.5, window=40)
        async with asyncio.TaskGroup() as group:
            group.create_task(client.run())
            group.create_task(stand_still(server, client))
        assert_unchanged(await outcome(server, client), expected)


async def write_nothing_for_a_while(server: ServerProcess, client: ResumingClient) -> None:
    """Let no file grow, as on a full disk, until the client has heard of it."""
    client.let_send_until(N_MESSAGES // 4)
    await client.reached(N_MESSAGES // 4)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    client.let_send_until(N_MESSAGES)
    await client.heard_complaints(1)
    await client.reached(N_MESSAGES)
    assert client.durable < N_MESSAGES
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, unlimited)


async def test_snapshots_that_cannot_be_written_are_told_and_made_up_for(
    tmp_path: Path, expected: Outcome
) -> None:
    async with server_process(tmp_path, **QUICK) as server:
        client = ResumingClient(server.url, STREAM, until_durable=True)
        async with asyncio.TaskGroup() as group:
            group.create_task(client.run())
            group.create_task(write_nothing_for_a_while(server, client))
        assert_unchanged(await outcome(server, client), expected)


async def damage_newest(server: ServerProcess, client: ResumingClient) -> None:
    """Kill the server and damage what it stored last."""
    client.let_send_until(N_MESSAGES // 2)
    await client.stored(N_MESSAGES // 4)
    server.kill()
    damage(snapshots(server.data)[-1], random.Random(3))
    server.spawn()
    client.let_send_until(None)


async def test_a_damaged_newest_snapshot_heals_by_resends(
    tmp_path: Path, expected: Outcome
) -> None:
    async with server_process(tmp_path, **QUICK) as server:
        client = ResumingClient(server.url, STREAM)
        async with asyncio.TaskGroup() as group:
            group.create_task(client.run())
            group.create_task(damage_newest(server, client))
        assert_unchanged(await outcome(server, client), expected)
