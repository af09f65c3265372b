"""Wires that get cut, clients that leave rudely or say things twice: not a bit changes.

The same with more of everything, and with servers that die, is in `tests/faults`.
"""

import random

import pytest

from tests.end_to_end.running_server import RunningServer
from tests.faults.lesson_stream import lesson_stream
from tests.faults.outcome import assert_every_lesson_once, assert_same, outcome, undisturbed
from tests.faults.resuming_client import ResumingClient, rude_visits
from tests.faults.unsteady_proxy import unsteady_proxy

N_SEGMENTS = 60


async def test_cuts_anywhere_change_no_bit(server: RunningServer) -> None:
    n_cuts, generator = 15, random.Random(1)
    stream = lesson_stream(N_SEGMENTS, seed=1)
    expected = await undisturbed(server, server.url, stream)

    quotas = iter([generator.randrange(100, 9000) for _ in range(n_cuts)])
    async with unsteady_proxy(server.port, generator, quotas) as (url, proxy):
        client = ResumingClient(url, stream, generator=generator)
        await client.run()

    assert proxy.n_cuts == n_cuts
    reached = await outcome(server, client)
    assert_every_lesson_once(reached, stream)
    assert_same(reached, expected)


async def test_messages_sent_twice_and_late_change_no_bit(server: RunningServer) -> None:
    generator = random.Random(2)
    stream = lesson_stream(N_SEGMENTS, seed=2)
    expected = await undisturbed(server, server.url, stream)

    client = ResumingClient(
        server.url, stream, generator=generator, resend_chance=0.3, delay_chance=0.05
    )
    await client.run()

    reached = await outcome(server, client)
    assert_every_lesson_once(reached, stream)
    assert_same(reached, expected)


@pytest.mark.parametrize("seed", [3, 4])
async def test_clients_that_vanish_or_take_over_change_no_bit(
    server: RunningServer, seed: int
) -> None:
    generator = random.Random(seed)
    stream = lesson_stream(N_SEGMENTS, seed=seed)
    expected = await undisturbed(server, server.url, stream)

    visits = rude_visits(generator, n_visits=20, longest=15)
    client = ResumingClient(server.url, stream, generator=generator, visits=visits)
    await client.run()

    assert next(visits, None) is None
    reached = await outcome(server, client)
    assert_every_lesson_once(reached, stream)
    assert_same(reached, expected)
