"""A disk that is full for a while: nothing is lost, and the client knows what is safe.

The data folder is a small file system of its own, which takes root to mount.
"""

import asyncio
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Tell, UndisturbedRuns
from tests.faults.lesson_stream import LessonStream
from tests.faults.outcome import assert_every_lesson_once, assert_same, outcome
from tests.faults.resuming_client import ResumingClient
from tests.faults.server_process import ServerProcess, server_process

DISK_BYTES = 8 << 20
QUICK = {"tclif_storage__snapshot_every_s": "0.1", "tclif_storage__retry_at_most_s": "0.5"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small file system where the server's data will lie."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    data = tmp_path / "data"
    data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(data)]
    if subprocess.run(mount, check=False).returncode:  # noqa: S603 - our own command
        pytest.skip("this machine does not let a file system be mounted")
    yield data
    subprocess.run(["umount", str(data)], check=True)  # noqa: S603, S607 - our own command


def fill(disk: Path) -> Path:
    """Leave not a byte free; return the file that took it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return ballast


async def fill_and_free(
    disk: Path, server: ServerProcess, client: ResumingClient, n_messages: int, tell: Tell
) -> None:
    """Fill the disk in mid-stream, kill the server while it is full, and free it."""
    quarter = n_messages // 4
    client.let_send_until(quarter)
    await client.reached(quarter)
    ballast = fill(disk)
    client.let_send_until(2 * quarter)
    await client.reached(2 * quarter)
    await client.heard_complaints(1)
    tell(f"full: {client.farthest} applied, {client.durable} durable")
    assert client.durable <= quarter

    server.kill()
    server.spawn()
    client.let_send_until(3 * quarter)
    await client.reached(3 * quarter)
    await client.heard_complaints(client.storage_complaints + 1)
    tell(f"full, killed and started: {client.farthest} applied, {client.durable} durable")
    assert client.durable <= quarter

    ballast.unlink()
    await client.stored(3 * quarter)
    tell(f"free: {client.farthest} applied, {client.durable} durable")
    client.let_send_until(None)


async def test_a_full_disk_loses_nothing(
    small_disk: Path,
    generator: random.Random,
    tell: Tell,
    long_stream: LessonStream,
    expected: UndisturbedRuns,
) -> None:
    n_messages = len(long_stream.messages)

    async with server_process(small_disk.parent, **QUICK) as server:
        client = ResumingClient(server.url, long_stream, generator=generator, until_durable=True)
        async with asyncio.TaskGroup() as group:
            group.create_task(client.run())
            group.create_task(fill_and_free(small_disk, server, client, n_messages, tell))
        reached = await outcome(server, client)

    assert_every_lesson_once(reached, long_stream)
    assert_same(reached, await expected.of(long_stream))
