"""Two hundred cuts, messages sent twice and late, a server that stands still for ten seconds."""

import asyncio
import random
from pathlib import Path

from tests.faults.conftest import Tell, UndisturbedRuns
from tests.faults.lesson_stream import LessonStream
from tests.faults.outcome import assert_every_lesson_once, assert_same, outcome
from tests.faults.resuming_client import ResumingClient, rude_visits
from tests.faults.server_process import server_process
from tests.faults.unsteady_proxy import unsteady_proxy

N_CUTS = 200
PAUSE_S = 10.0


async def test_two_hundred_cuts_change_no_bit(
    tmp_path: Path,
    generator: random.Random,
    tell: Tell,
    long_stream: LessonStream,
    expected: UndisturbedRuns,
) -> None:
    n_bytes = sum(map(len, long_stream.messages))
    quotas = iter([generator.randrange(1, n_bytes // N_CUTS) for _ in range(N_CUTS)])

    async with (
        server_process(tmp_path) as server,
        unsteady_proxy(server.port, generator, quotas, slow_chance=0.05) as (url, proxy),
    ):
        client = ResumingClient(url, long_stream, generator=generator)
        await client.run()
        reached = await outcome(server, client)

    assert proxy.n_cuts == N_CUTS
    tell(f"{proxy.n_cuts} cuts, {client.n_connections} connections were opened")
    assert_every_lesson_once(reached, long_stream)
    assert_same(reached, await expected.of(long_stream))


async def test_clients_that_leave_rudely_and_say_things_twice_change_no_bit(
    tmp_path: Path,
    generator: random.Random,
    tell: Tell,
    long_stream: LessonStream,
    expected: UndisturbedRuns,
) -> None:
    async with server_process(tmp_path) as server:
        client = ResumingClient(
            server.url,
            long_stream,
            generator=generator,
            visits=rude_visits(generator, n_visits=200, longest=60),
            resend_chance=0.2,
            delay_chance=0.02,
        )
        await client.run()
        reached = await outcome(server, client)

    tell(f"{client.n_connections} connections were opened")
    assert_every_lesson_once(reached, long_stream)
    assert_same(reached, await expected.of(long_stream))


async def test_a_server_that_stands_still_changes_no_bit(
    tmp_path: Path,
    generator: random.Random,
    tell: Tell,
    long_stream: LessonStream,
    expected: UndisturbedRuns,
) -> None:
    # the impatient one calls again and again meanwhile: all of that waits when the server goes on
    places = sorted(generator.randrange(1, len(long_stream.messages)) for _ in range(2))

    async with server_process(tmp_path) as server:
        clients = [
            ResumingClient(
                server.url,
                long_stream,
                session=name,
                generator=random.Random(generator.random()),
                silence_s=silence_s,
                window=40,
            )
            for name, silence_s in (("patient", 60.0), ("impatient", 2.0))
        ]

        async def pause() -> None:
            for place in places:
                await clients[0].reached(place)
                tell(f"message {place} is applied: the server stands still for {PAUSE_S:g} s")
                server.pause()
                await asyncio.sleep(PAUSE_S)
                server.proceed()

        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(client.run())
            group.create_task(pause())
        reached = [
            await outcome(server, client, name)
            for client, name in zip(clients, ("patient", "impatient"), strict=True)
        ]

    assert clients[0].n_connections == 1
    assert clients[1].n_connections > 1
    for each in reached:
        assert_every_lesson_once(each, long_stream)
        assert_same(each, await expected.of(long_stream))
