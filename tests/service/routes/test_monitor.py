"""The stream of events about one's own sessions: what is told, to whom, how often, and its end."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi.sse import ServerSentEvent

from service.access.principals import LOCAL, Principal, SessionKey
from service.errors import QuotaExceeded
from service.routes.monitor import SHOWN_SESSIONS, Monitors
from service.settings import TelemetrySettings
from tests.end_to_end.conversation_partner import TIMEOUT_S, connected, converse, segment
from tests.end_to_end.running_server import RunningServer, ServerThread, server_thread, visited
from tests.service.ward import Ward

ALICE = Principal("alice")
AT_ONCE_S = 0.0


def monitors(ward: Ward, **settings: int) -> Monitors:
    return Monitors(
        ward.registry,
        ward.reader,
        TelemetrySettings.model_validate(settings),
        lambda _: True,
    )


async def next_event(events: AsyncIterator[ServerSentEvent]) -> ServerSentEvent:
    async with asyncio.timeout(TIMEOUT_S):
        return await anext(events)


def lines(event: ServerSentEvent) -> list[dict[str, object]]:
    assert event.event == "sessions"
    told: list[dict[str, object]] = event.data["sessions"]
    return told


# --- what is told, and to whom


async def test_an_event_tells_how_each_session_is() -> None:
    ward = Ward()
    session = await ward.open("kitchen", "alice")
    ward.live(session, 0, 20, target=1)
    await ward.signs(session)
    ward.clock.advance(1.0)

    [line] = lines(await next_event(monitors(ward).sessions(ALICE, AT_ONCE_S)))

    network = session.network
    assert line["session"] == "kitchen"
    assert (line["ticks"], line["events"], line["applied"]) == (20, 20, 4)
    assert (line["segments_labelled"], line["lessons"], line["backlog_ticks"]) == (1, 1, 0)
    assert line["weight_change"] == tuple(network.learner.weight_change(network.slot))
    assert line["prequential_accuracy"] == network.teaching.accuracy.windowed
    assert (line["drifting"], line["learning_stopped"]) == (False, False)
    rates = line["firing_rates"]
    assert isinstance(rates, tuple)
    assert len(rates) == 2


async def test_nobody_sees_the_sessions_of_another() -> None:
    ward = Ward()
    for principal in ("alice", "bob"):
        await ward.open("same-name", principal)
        await ward.open(f"of-{principal}", principal)

    told = lines(await next_event(monitors(ward).sessions(ALICE, AT_ONCE_S)))

    assert {line["session"] for line in told} == {"same-name", "of-alice"}


async def test_a_session_that_nothing_is_known_of_yet_is_told_without_its_network() -> None:
    ward = Ward()
    await ward.open("new", "alice")
    ward.engine.holds_calls = True

    [line] = lines(await next_event(monitors(ward).sessions(ALICE, AT_ONCE_S)))

    assert line["session"] == "new"
    assert "firing_rates" not in line
    ward.engine.release()


async def test_an_event_is_bounded_to_the_most_recently_active_sessions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.routes.monitor.SHOWN_SESSIONS", 2)
    ward = Ward()
    for name in ("a", "b", "c"):
        ward.clock.advance(1.0)
        ward.live(await ward.open(name, "alice"), 0, 1)

    event = await next_event(monitors(ward).sessions(ALICE, AT_ONCE_S))

    assert SHOWN_SESSIONS == 100
    assert [line["session"] for line in lines(event)] == ["c", "b"]
    assert event.data["left_out"] == 1


async def test_every_event_is_made_when_it_is_taken() -> None:
    ward = Ward()
    session = await ward.open("a", "alice")
    events = monitors(ward).sessions(ALICE, AT_ONCE_S)
    first = lines(await next_event(events))
    # a reader that takes nothing meanwhile misses two segments and hears the last state
    for number in range(3):
        ward.live(session, number, 10)

    second = lines(await next_event(events))

    assert (first[0]["ticks"], second[0]["ticks"]) == (0, 30)


async def test_a_deleted_session_is_gone_from_the_next_event() -> None:
    ward = Ward()
    await ward.open("a", "alice")
    events = monitors(ward).sessions(ALICE, AT_ONCE_S)
    assert lines(await next_event(events))

    await ward.registry.delete(SessionKey("alice", "a"))

    assert lines(await next_event(events)) == []


# --- how many, and the end


def test_a_principal_has_a_bounded_number_of_places_and_takes_none_of_another() -> None:
    watching = monitors(Ward(), monitors=2)

    with watching.place(ALICE), watching.place(ALICE):
        with pytest.raises(QuotaExceeded, match="2 monitors are open"), watching.place(ALICE):
            pass
        with watching.place(Principal("bob")):
            pass
    with watching.place(ALICE), watching.place(ALICE):
        pass


async def test_a_server_that_ends_says_goodbye_to_who_waits_and_who_comes() -> None:
    ward = Ward()
    watching = monitors(ward)
    events = watching.sessions(ALICE, TIMEOUT_S)
    await next_event(events)
    waiting = asyncio.ensure_future(next_event(events))
    await asyncio.sleep(0)

    watching.end()

    goodbye = await waiting
    assert (goodbye.event, goodbye.data) == ("goodbye", {"reason": "draining"})
    assert goodbye.retry is not None
    assert [event async for event in events] == []
    late = [event.event async for event in watching.sessions(ALICE, TIMEOUT_S)]
    assert late == ["goodbye"]


async def test_a_revoked_token_ends_the_stream() -> None:
    ward, honoured = Ward(), {ALICE}
    watching = Monitors(ward.registry, ward.reader, TelemetrySettings(), honoured.__contains__)
    events = watching.sessions(ALICE, AT_ONCE_S)
    assert (await next_event(events)).event == "sessions"

    honoured.clear()

    assert [event.data async for event in events] == [{"reason": "unauthorized"}]


# --- through a socket


@pytest.fixture(scope="module")
def shared_server() -> Iterator[ServerThread]:
    sections: dict[str, dict[str, object]] = {
        "engine": {"kernel": "reference"},
        "telemetry": {"monitors": 1},
    }
    with server_thread(sections) as running:
        yield running


@pytest.fixture
async def server(shared_server: ServerThread) -> AsyncIterator[RunningServer]:
    async with visited(shared_server) as running:
        yield running
        await running.delete_all()


async def heard(response: httpx.Response) -> AsyncIterator[dict[str, str]]:
    """Read events by the rules of the HTML standard, comments left out."""
    event: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            if name:
                event[name] = value
        elif event:
            yield event
            event = {}


async def test_events_come_at_once_and_again_as_server_sent_events(server: RunningServer) -> None:
    async with (
        connected(server.url) as partner,
        server.http.stream("GET", "/v1/monitor", params={"every_ms": 250}) as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache"
        events = heard(response)
        first = await anext(events)
        assert (first["event"], first["id"]) == ("sessions", "1")
        assert json.loads(first["data"])["sessions"] == []

        await partner.open()
        await partner.send(*segment(0, 1))
        await partner.settle()
        told = []
        async for event in events:
            told = json.loads(event["data"])["sessions"]
            if told and told[0].get("segments_labelled") == 1:
                break

    assert (told[0]["session"], told[0]["ticks"]) == ("s", 20)


async def test_one_monitor_too_many_is_refused_until_another_leaves(server: RunningServer) -> None:
    async with server.http.stream("GET", "/v1/monitor") as response:
        await anext(heard(response))
        refused = await server.http.get("/v1/monitor")
    assert (refused.status_code, refused.json()["code"]) == (429, "quota")

    async with asyncio.timeout(TIMEOUT_S):
        while True:
            async with server.http.stream("GET", "/v1/monitor") as response:
                if response.status_code == httpx.codes.OK:
                    break


@pytest.mark.parametrize("every_ms", ["249", "60001", "often"])
async def test_a_rate_out_of_bounds_is_refused(server: RunningServer, every_ms: str) -> None:
    response = await server.http.get("/v1/monitor", params={"every_ms": every_ms})

    assert (response.status_code, response.json()["code"]) == (422, "bad_message")


async def test_a_server_that_is_told_to_stop_ends_the_stream_in_order() -> None:
    with server_thread({"engine": {"kernel": "reference"}}) as running:
        async with visited(running) as server:
            await converse(server.url, segment(0))
            async with server.http.stream(
                "GET", "/v1/monitor", params={"every_ms": 60_000}
            ) as response:
                events = heard(response)
                await anext(events)
                server.stop()
                rest = [event["event"] async for event in events]

    assert rest == ["goodbye"]


async def test_the_principal_of_a_server_without_tokens_watches_its_own() -> None:
    ward = Ward()
    await ward.open("a", LOCAL.name)

    assert lines(await next_event(monitors(ward).sessions(LOCAL, AT_ONCE_S)))
