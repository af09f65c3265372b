"""Connections that end at moments that no network can be made to hit."""

import asyncio
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from starlette.types import Message
from typing_extensions import override

from service.access.principals import Principal, SessionKey
from service.access.traffic_quota import TrafficQuota
from service.observation.telemetry import Telemetry
from service.routes.connection import Connection
from service.sessions.outbox import Outbox
from service.sessions.sessions import Session
from service.settings import QuotaSettings, SessionSettings, SocketSettings
from service.wire_protocol import Open, encode_event_frame
from tests.service.hand_engine import HandEngine
from tests.service.household import TIMEOUT_S, Household
from tests.service.open_requests import open_request
from tests.service.unstored import unstored_registry

if TYPE_CHECKING:
    from fastapi import WebSocket

    from service.access.traffic_quota import Traffic


class OpeningSocket:
    """Says ``open`` and then nothing more."""

    def __init__(self) -> None:
        self._has_spoken = False

    async def receive(self) -> dict[str, object]:
        """Return the one message, then wait for ever."""
        if self._has_spoken:
            await asyncio.Event().wait()
        self._has_spoken = True
        request = open_request().model_dump(mode="json", exclude_none=True)
        return {"type": "websocket.receive", "text": json.dumps(request)}

    async def send(self, _: Message) -> None:
        """Take what the server says."""


async def test_who_goes_just_as_the_session_is_opened_leaves_it_detached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = unstored_registry(HandEngine())
    connection = Connection(
        cast("WebSocket", OpeningSocket()),
        Principal("p"),
        traffic=cast("Traffic", None),
        registry=registry,
        settings=SocketSettings(),
        telemetry=Telemetry(),
    )
    serving = asyncio.create_task(connection.serve())
    opened: list[bool] = []
    really_open = registry.open

    async def open_and_vanish(request: Open, outbox: Outbox, principal: str) -> Session:
        session = await really_open(request, outbox, principal)
        opened.append(session.is_attached)
        asyncio.get_running_loop().call_soon(serving.cancel)
        return session

    monkeypatch.setattr(registry, "open", open_and_vanish)
    await asyncio.gather(serving, return_exceptions=True)

    session = registry.get(SessionKey("p", "s"))
    assert opened == [True]
    assert session is not None
    assert not session.is_attached


class FloodingSocket(OpeningSocket):
    """Says ``open``, begins a segment, and then always has a frame that brings another tick."""

    def __init__(self) -> None:
        super().__init__()
        self.n_received = 0

    @override
    async def receive(self) -> dict[str, object]:
        """Return the next message, without waiting for anything."""
        self.n_received += 1
        if self.n_received == 1:
            return await super().receive()
        sequence = self.n_received - 1
        if sequence == 1:
            return {"type": "websocket.receive", "text": json.dumps(_BEGIN)}
        none = np.empty(0, np.int64)
        frame = encode_event_frame(sequence, sequence * 4000, none, none)
        return {"type": "websocket.receive", "bytes": frame}


_BEGIN = {"type": "segment", "action": "begin", "segment": 0, "t_us": 0, "sequence": 1}


async def test_a_flood_ahead_of_real_time_lets_others_have_their_turn_after_each_message() -> None:
    socket = FloodingSocket()
    connection = Connection(
        cast("WebSocket", socket),
        Principal("p"),
        traffic=TrafficQuota(QuotaSettings()).of("p"),
        # no slack: every tick is ahead
        registry=unstored_registry(HandEngine(), SessionSettings(real_time_slack_s=1e-9)),
        settings=SocketSettings(),
        telemetry=Telemetry(),
    )
    serving = asyncio.create_task(connection.serve())
    seen: list[int] = []

    while socket.n_received < 50 and not serving.done():
        await asyncio.sleep(0)
        seen.append(socket.n_received)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)

    # the first frame completes no tick, so the two after the mark may come together
    assert max(after - before for before, after in itertools.pairwise(seen)) <= 3


class ScriptedSocket(OpeningSocket):
    """Says ``open``, begins a segment, sends an event beyond its end, ends it, and vanishes."""

    def __init__(self) -> None:
        super().__init__()
        end = _BEGIN | {"action": "end", "t_us": 4000, "sequence": 3}
        beyond = encode_event_frame(2, 0, np.array([6000]), np.array([1]))
        self._script = iter((json.dumps(_BEGIN), beyond, json.dumps(end)))

    @override
    async def receive(self) -> dict[str, object]:
        """Return the next message."""
        if not self._has_spoken:
            return await super().receive()
        said = next(self._script, None)
        if said is None:
            return {"type": "websocket.disconnect", "code": 1000}
        field = "bytes" if isinstance(said, bytes) else "text"
        return {"type": "websocket.receive", field: said}


async def test_events_that_a_segments_end_drops_are_counted() -> None:
    telemetry = Telemetry()
    connection = Connection(
        cast("WebSocket", ScriptedSocket()),
        Principal("p"),
        traffic=TrafficQuota(QuotaSettings()).of("p"),
        registry=unstored_registry(HandEngine()),
        settings=SocketSettings(),
        telemetry=telemetry,
    )

    await connection.serve()

    page = (await telemetry.page()).decode()
    assert 'tclif_dropped_events_total{reason="outside_segments"} 1.0' in page


class RousingSocket(OpeningSocket):
    """Says ``open`` and, once it is let, begins a segment."""

    def __init__(self) -> None:
        super().__init__()
        self.may_speak = asyncio.Event()
        self._n_received = 0

    @override
    async def receive(self) -> dict[str, object]:
        """Return the next of the two messages, then wait for ever."""
        self._n_received += 1
        if self._n_received == 2:
            await self.may_speak.wait()
            return {"type": "websocket.receive", "text": json.dumps(_BEGIN)}
        return await super().receive()

    async def close(self, _: int) -> None:
        """End."""


async def test_who_is_taken_over_while_its_session_is_roused_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = Household(tmp_path / "data", sleep_after_s=60.0)
    socket = RousingSocket()
    connection = Connection(
        cast("WebSocket", socket),
        Principal("p"),
        traffic=TrafficQuota(QuotaSettings()).of("p"),
        registry=house.registry,
        settings=SocketSettings(),
        telemetry=Telemetry(),
    )
    really_rouse = house.registry.rouse

    async def rouse_too_late(session: Session) -> Session:
        await house.registry.open(open_request(), Outbox(SocketSettings(), house.clock), "p")
        return await really_rouse(session)

    monkeypatch.setattr(house.registry, "rouse", rouse_too_late)
    serving = asyncio.create_task(connection.serve())
    await house.until(lambda: any(session.is_attached for session in house.registry))
    [left] = house.registry
    await house.until(lambda: not left.backlog.inbox)
    house.clock.advance(60.0)
    await house.registry.tend()
    assert left.is_dormant
    socket.may_speak.set()
    await asyncio.wait_for(serving, TIMEOUT_S)

    [session] = house.registry
    assert session.is_attached
    assert session.received == 0
