"""A session that is full is not read; nothing is lost, and its neighbours do not notice."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from service.access.principals import SessionKey
from service.sessions.sessions import Session
from tests.end_to_end.conftest import Serve
from tests.end_to_end.conversation_partner import (
    TIMEOUT_S,
    Message,
    begin,
    begin_us,
    clock,
    connected,
    converse,
    end,
    lessons,
    of_kind,
)
from tests.end_to_end.running_server import RunningServer, same_weights

N_MESSAGES = 60


@asynccontextmanager
async def standing_still(server: RunningServer) -> AsyncIterator[None]:
    """Keep the engine from computing anything meanwhile."""
    stands, goes_on = threading.Event(), threading.Event()

    def stand() -> None:
        stands.set()
        goes_on.wait(TIMEOUT_S)

    server.service.engine.call(stand)
    await asyncio.to_thread(stands.wait, TIMEOUT_S)
    try:
        yield
    finally:
        goes_on.set()


def session_of(server: RunningServer, name: str = "s") -> Session:
    session = server.service.registry.get(SessionKey("local", name))
    assert session is not None
    return session


async def wait_until_received(server: RunningServer, name: str, n_messages: int) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while session_of(server, name).received < n_messages:
            await server.http.get("/health/live")


async def give_the_server_turns(server: RunningServer) -> None:
    """Let the event loop go round: a socket that it reads would be read by then."""
    for _ in range(30):
        await server.http.get("/health/live")


@pytest.mark.parametrize(
    ("bounds", "n_received"),
    [
        # begin, and then frames of twenty ticks each: two are under fifty, the third is not
        ({"inbox_ticks": 50}, 4),
        ({"inbox_messages": 7}, 7),
    ],
    ids=["ticks", "messages"],
)
async def test_a_full_inbox_stops_the_reading_of_its_socket(
    serve: Serve, bounds: dict[str, object], n_received: int
) -> None:
    frames = [clock(begin_us(0) + 20_000 * (n + 1)) for n in range(N_MESSAGES)]
    async with (
        serve(session=bounds) as server,
        connected(server.url) as full,
        connected(server.url) as neighbour,
    ):
        await full.open()
        await neighbour.open(session="neighbour")

        async with standing_still(server):
            await full.send(begin(0, begin_us(0)), *frames)
            await wait_until_received(server, "s", n_received)
            await give_the_server_turns(server)
            received = session_of(server).received
            # the neighbour's socket is read all the same
            await neighbour.send(begin(0, 0), end(0, 500))
            await wait_until_received(server, "neighbour", 2)
        await full.settle()
        await neighbour.settle()

        assert received == n_received
        assert session_of(server).applied == N_MESSAGES + 1
        assert (await server.state())["ticks"] == 20 * N_MESSAGES


async def test_a_client_that_overruns_its_credit_loses_nothing(serve: Serve) -> None:
    script = lessons(range(4))

    async with serve(session={"inbox_ticks": 5, "inbox_messages": 2}) as server:
        narrow = await converse(server.url, script)
        narrow_weights = await server.weights()
    async with serve() as server:
        wide = await converse(server.url, script)
        wide_weights = await server.weights()

    assert narrow == wide
    assert same_weights(narrow_weights, wide_weights)


async def test_credit_is_told_in_opened_and_in_every_ack(serve: Serve) -> None:
    async with serve(session={"inbox_ticks": 50}) as server, connected(server.url) as partner:
        opened = await partner.open()
        await partner.send(begin(0, 0), clock(30_000))
        await partner.settle()
        acks = of_kind("ack", partner.heard)

    assert opened["credit_ticks"] == 50
    # in the end all is computed, so all credit is back
    assert acks[-1]["credit_ticks"] == 50
    assert all(0 <= int(str(ack["credit_ticks"])) <= 50 for ack in acks)


async def test_a_burst_of_answers_does_not_cost_a_quick_reader_its_connection(
    serve: Serve,
) -> None:
    # more finals at once than may wait for a slow reader
    messages: list[Message] = [m for n in range(300) for m in (begin(n, 0), end(n, 0))]
    bounds: dict[str, object] = {"outbox_messages": 128, "outbox_predictions": 1}

    async with serve(socket=bounds) as server, connected(server.url) as partner:
        await partner.open()
        async with standing_still(server):
            await partner.send(*messages)
            await wait_until_received(server, "s", len(messages))
        heard = await partner.settle()

    assert [final["segment"] for final in of_kind("prediction", heard)] == list(range(300))


async def test_a_quick_reader_misses_no_prediction(serve: Serve) -> None:
    # forty predictions at once, where two may wait for a slow reader
    messages = [begin(0, 0), clock(40_000), end(0, 40_000)]

    async with serve(socket={"outbox_predictions": 2}) as server, connected(server.url) as partner:
        await partner.open(report={"every_ticks": 1})
        await partner.send(*messages)
        heard = of_kind("prediction", await partner.settle())

    assert [p["tick"] for p in heard] == [*range(1, 41), 40]
    assert all(p["skipped"] == 0 for p in heard)


async def test_unnumbered_messages_are_bounded_too(serve: Serve) -> None:
    async with serve(session={"inbox_messages": 5}) as server, connected(server.url) as partner:
        await partner.open()
        async with standing_still(server):
            for _ in range(N_MESSAGES):
                await partner.say({"type": "snapshot"})
            await give_the_server_turns(server)
            queued = session_of(server).backlog.n_messages
        await partner.send(begin(0, 0))
        heard = await partner.settle()
        left = session_of(server).backlog.n_messages

    assert (queued, left) == (5, 0)
    assert of_kind("error", heard) == []


async def test_a_close_waits_for_all_that_was_read_before_it(server: RunningServer) -> None:
    async with connected(server.url) as partner:
        await partner.open()
        await partner.send(*lessons(range(3)))
        await partner.say({"type": "snapshot"})
        await partner.say({"type": "close"})
        code = await partner.closed()

    *_, ack, goodbye = partner.heard
    assert ack == ack | {"type": "ack", "applied": 15, "durable": 15}
    assert goodbye == {"type": "goodbye", "reason": "closed", "durable": 15, "retry_after_ms": 0}
    assert code == 1000
