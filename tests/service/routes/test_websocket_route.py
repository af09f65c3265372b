"""Connections that end at moments that no network can be made to hit."""

import asyncio
import json
from typing import TYPE_CHECKING, cast

import pytest

from service.access.principals import Principal, SessionKey
from service.observation.telemetry import Telemetry
from service.routes.websocket_route import Connection
from service.sessions.outbox import Outbox
from service.sessions.sessions import Session
from service.settings import SocketSettings
from service.wire_protocol import Open
from tests.service.hand_engine import HandEngine
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

    async def send_text(self, _: str) -> None:
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
