"""Sessions side by side compute what each computes alone, bit for bit."""

import asyncio
import random
from contextlib import AsyncExitStack

from tests.end_to_end.conftest import Serve
from tests.end_to_end.conversation_partner import Heard, Message, connected, lessons
from tests.end_to_end.running_server import RunningServer, Weights, same_weights
from tests.faults.lesson_stream import LessonStream, lesson_stream
from tests.faults.outcome import assert_same, outcome, undisturbed
from tests.faults.resuming_client import ResumingClient, rude_visits

N_SESSIONS = 5
N_RUDE = 50


def script(session: int) -> list[Message]:
    """Return lessons that no other session gets, more of them for some than for others."""
    return lessons(range(10 * session, 10 * session + 2 + session % 3))


async def run_alone(server: RunningServer, session: int) -> tuple[list[Heard], Weights]:
    async with connected(server.url) as partner:
        await partner.open(session=f"alone-{session}")
        partner.fresh()
        await partner.send(*script(session))
        return await partner.settle(), await server.weights(f"alone-{session}")


async def test_interleaved_sessions_equal_solo_runs(serve: Serve) -> None:
    # rows and ticks of a batch so few that every batch mixes some sessions and leaves others out
    async with (
        serve(engine={"batch_rows": 3, "visit_ticks": 7}) as server,
        AsyncExitStack() as all_,
    ):
        alone = [await run_alone(server, session) for session in range(N_SESSIONS)]
        partners = [await all_.enter_async_context(connected(server.url)) for _ in alone]
        for session, partner in enumerate(partners):
            await partner.open(session=f"together-{session}")
            partner.fresh()

        # one message of each in turn
        longest = max(len(script(session)) for session in range(N_SESSIONS))
        for place in range(longest):
            for session, partner in enumerate(partners):
                await partner.send(*script(session)[place : place + 1])
        heard = [await partner.settle() for partner in partners]
        weights = [await server.weights(f"together-{n}") for n in range(N_SESSIONS)]

    assert heard == [messages for messages, _ in alone]
    assert all(same_weights(one, other) for one, (_, other) in zip(weights, alone, strict=True))


async def test_sessions_that_send_as_fast_as_they_can_equal_solo_runs(serve: Serve) -> None:
    async with (
        serve(engine={"batch_rows": 2, "visit_ticks": 5}) as server,
        AsyncExitStack() as all_,
    ):
        alone = [await run_alone(server, session) for session in range(N_SESSIONS)]
        partners = [await all_.enter_async_context(connected(server.url)) for _ in alone]

        async def run(session: int) -> list[Heard]:
            partner = partners[session]
            await partner.open(session=f"together-{session}")
            partner.fresh()
            await partner.send(*script(session))
            return await partner.settle()

        heard = await asyncio.gather(*(run(session) for session in range(N_SESSIONS)))
        weights = [await server.weights(f"together-{n}") for n in range(N_SESSIONS)]

    assert heard == [messages for messages, _ in alone]
    assert all(same_weights(one, other) for one, (_, other) in zip(weights, alone, strict=True))


def rude_stream(session: int) -> LessonStream:
    """Return lessons of one of three kinds, that no other session gets."""
    optimizer = ("adam", "sgd", "rmsprop")[session % 3]
    return lesson_stream(6, seed=session, learning={"optimizer": optimizer, "rate": 0.01})


async def test_fifty_sessions_that_vanish_and_take_over_equal_solo_runs(serve: Serve) -> None:
    # whoever is away for a moment is parked, and brought back from the disk
    storage = {"park_after_s": 0.01}
    async with serve(engine={"batch_rows": 7, "visit_ticks": 7}, storage=storage) as server:
        alone = [
            await undisturbed(server, server.url, rude_stream(session), f"alone-{session}")
            for session in range(N_RUDE)
        ]

        async def run(session: int) -> None:
            generator = random.Random(session)
            client = ResumingClient(
                server.url,
                rude_stream(session),
                session=f"together-{session}",
                generator=generator,
                visits=rude_visits(generator, n_visits=6, longest=6),
                resend_chance=0.1,
                delay_chance=0.1,
            )
            await client.run()
            assert_same(await outcome(server, client, f"together-{session}"), alone[session])

        async with asyncio.TaskGroup() as group:
            for session in range(N_RUDE):
                group.create_task(run(session))


async def test_weights_depend_on_the_seed_and_not_on_the_name(server: RunningServer) -> None:
    async with connected(server.url) as one, connected(server.url) as other:
        await one.open(session="a", seed=9)
        await other.open(session="b", seed=9)

        assert same_weights(await server.weights("a"), await server.weights("b"))


async def test_a_seed_that_the_server_chose_gives_the_same_weights_again(
    server: RunningServer,
) -> None:
    async with connected(server.url) as one, connected(server.url) as other:
        message = {"session": "a", "seed": None}
        opened = await one.open(**message)
        await other.open(session="b", seed=opened["seed"])

        assert same_weights(await server.weights("a"), await server.weights("b"))
