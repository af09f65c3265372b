"""Watching one session: what is shown, only while somebody looks, and only to its owner."""

import asyncio
import json
from collections.abc import Iterator

import httpx
import pytest

from service.access.principals import SessionKey
from service.routes.session_watch import Watch
from tests.end_to_end.conversation_partner import TIMEOUT_S, connected, segment
from tests.end_to_end.running_server import ServerThread, server_thread, visited
from tests.service.ward import Ward


@pytest.fixture(scope="module")
def shared_server() -> Iterator[ServerThread]:
    settings: dict[str, dict[str, object]] = {"engine": {"kernel": "reference"}}
    with server_thread(settings) as running:
        yield running


async def test_a_look_shows_each_tick_s_inputs_and_what_the_network_says() -> None:
    ward = Ward()
    session = await ward.open("kitchen", "alice")
    watch = Watch(ward.registry, SessionKey("alice", "kitchen"))
    watch.look()
    # one event a tick, on the channels 0 to 4 in turn
    ward.live(session, 0, 7)

    look = watch.look()

    assert look["network"] == {"inputs": 5, "hidden": [4, 3], "classes": ["zero", "one", "two"]}
    glimpses = look["glimpses"]
    assert isinstance(glimpses, list)
    assert sum(each["n_ticks"] for each in glimpses) == 7
    shown = [
        (each["from_tick"] + tick, channel)
        for each in glimpses
        for tick, channel in zip(each["ticks"], each["channels"], strict=True)
    ]
    assert shown == [(tick, tick % 5) for tick in range(7)]
    assert glimpses[-1]["probabilities"] == pytest.approx(
        session.network.running._mean.tolist(),  # noqa: SLF001 - what the final prediction was of
        abs=1e-4,
    )
    assert [len(each["neurons"]) for each in glimpses] == [2] * len(glimpses)


async def test_shown_spikes_are_those_of_the_network_s_last_tick() -> None:
    ward = Ward()
    session = await ward.open("kitchen", "alice")
    watch = Watch(ward.registry, SessionKey("alice", "kitchen"))
    watch.look()
    ward.live(session, 0, 7)

    glimpses = watch.look()["glimpses"]

    assert isinstance(glimpses, list)
    spikes = session.network.learner.last_spikes(session.network.slot)
    assert glimpses[-1]["neurons"] == [layer.nonzero()[0].tolist() for layer in spikes]


async def test_a_session_that_nobody_watches_any_more_shows_itself_to_nobody() -> None:
    ward = Ward()
    session = await ward.open("kitchen", "alice")
    one, other = (Watch(ward.registry, SessionKey("alice", "kitchen")) for _ in range(2))
    for watch in (one, other):
        watch.look()

    one.close()
    ward.live(session, 0, 3)

    assert one._scope.take() == ([], 0)  # noqa: SLF001 - nothing may wait where nobody reads
    assert other.look()["glimpses"]
    other.close()
    assert session.network.scopes == ()


async def test_a_session_of_another_principal_or_of_nobody_is_empty() -> None:
    ward = Ward()
    await ward.open("kitchen", "alice")

    for key in (SessionKey("bob", "kitchen"), SessionKey("alice", "attic")):
        look = Watch(ward.registry, key).look()
        assert look == {"network": None, "glimpses": [], "forgotten": 0}


async def test_whoever_watches_over_http_sees_what_is_streamed(
    shared_server: ServerThread,
) -> None:
    async with visited(shared_server) as server, connected(server.url) as partner:
        await partner.open()
        async with (
            asyncio.timeout(TIMEOUT_S),
            httpx.AsyncClient(base_url=f"http://{server.host}", trust_env=False) as http,
            http.stream("GET", "/v1/sessions/s/watch?every_ms=50") as answer,
        ):
            assert answer.headers["content-type"].startswith("text/event-stream")
            shown = 0
            async for line in answer.aiter_lines():
                if not line.startswith("data:"):
                    continue
                if shown == 0:
                    await partner.send(*segment(0, 1))
                look = json.loads(line.removeprefix("data:"))
                shown += sum(each["n_ticks"] for each in look["glimpses"])
                # a segment of the conversation partner has 20 ticks
                if shown >= 20:
                    break
        assert shown == 20
        await server.delete_all()
