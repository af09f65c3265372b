"""Fifty rude sessions that are parked whenever nobody looks, among others that expire."""

import asyncio
import random
from pathlib import Path

from tests.end_to_end.conversation_partner import connected, lessons
from tests.faults.conftest import Tell
from tests.faults.lesson_stream import LessonStream, lesson_stream
from tests.faults.outcome import assert_every_lesson_once, assert_same, outcome, undisturbed
from tests.faults.resuming_client import ResumingClient, rude_visits
from tests.faults.server_process import ServerProcess, server_process

N_SESSIONS = 50
N_SEGMENTS = 25
N_BYSTANDERS = 60
EXPIRE_AFTER_S = 20

OPTIMIZERS = ("adam", "sgd", "rmsprop")


def stream_of(session: int) -> LessonStream:
    """Return lessons that no other session gets."""
    learning = {"optimizer": OPTIMIZERS[session % 3], "rate": 0.01}
    return lesson_stream(N_SEGMENTS, seed=session, learning=learning)


async def leave_behind(server: ServerProcess, name: str) -> None:
    """Begin a session that nobody comes back to."""
    async with connected(server.url) as partner:
        await partner.open(session=name)
        await partner.send(*lessons(range(2)))
        await partner.settle()


async def test_fifty_rude_sessions_equal_solo_runs_amid_parking_and_expiry(
    tmp_path: Path, generator: random.Random, tell: Tell
) -> None:
    streams = [stream_of(session) for session in range(N_SESSIONS)]
    (tmp_path / "alone").mkdir()
    async with server_process(tmp_path / "alone") as server:
        alone = [
            await undisturbed(server, server.url, stream, f"alone-{session}")
            for session, stream in enumerate(streams)
        ]
    tell("solo runs are done")

    settings = {
        "tclif_storage__park_after_s": "0.05",
        "tclif_storage__expire_after_s": str(EXPIRE_AFTER_S),
        "tclif_storage__snapshot_every_s": "0.5",
        "tclif_engine__batch_rows": "7",
        "tclif_engine__visit_ticks": "7",
    }
    async with server_process(tmp_path, **settings) as server:

        async def run(session: int, own: random.Random) -> int:
            name = f"together-{session}"
            client = ResumingClient(
                server.url,
                streams[session],
                session=name,
                generator=own,
                visits=rude_visits(own, n_visits=20, longest=8),
                resend_chance=0.1,
                delay_chance=0.1,
            )
            await client.run()
            reached = await outcome(server, client, name)
            assert_every_lesson_once(reached, streams[session])
            assert_same(reached, alone[session])
            return client.n_connections

        async with asyncio.TaskGroup() as group:
            runs = [
                group.create_task(run(session, random.Random(generator.random())))
                for session in range(N_SESSIONS)
            ]
            for number in range(N_BYSTANDERS):
                group.create_task(leave_behind(server, f"bystander-{number}"))
        tell(f"{sum(task.result() for task in runs)} connections; bystanders expire")

        async with asyncio.timeout(10 * EXPIRE_AFTER_S):
            # no event of the server's reaches this process
            while len(await server.sessions()) > N_SESSIONS:  # noqa: ASYNC110
                await asyncio.sleep(0.5)
