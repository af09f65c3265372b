"""What a WebSocket says, as its transport gets it."""

import asyncio

import pytest
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState
from websockets.protocol import State

from service.access.bounded_web_socket import BoundedWebSocket


class Wire:
    """A transport that notes each write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closes = False

    def write(self, data: bytes) -> None:
        """Note it."""
        self.writes.append(data)

    def is_closing(self) -> bool:
        """Tell whether it was closed."""
        return self.closes

    def close(self) -> None:
        """Take nothing more."""
        self.closes = True


def text_frame(text: bytes) -> bytes:
    """Return a final text frame of a server, shorter than 126 bytes, as RFC 6455 lays it out."""
    return bytes([0x81, len(text)]) + text


def connected() -> tuple[BoundedWebSocket, Wire]:
    socket, wire = BoundedWebSocket(uvicorn.Config(app=FastAPI()), ServerState(), {}), Wire()
    socket.transport = wire  # type: ignore[assignment]  # all of it that is used
    socket.loop = asyncio.get_running_loop()
    socket.handshake_complete = True
    socket.conn.state = State.OPEN
    socket.queue = asyncio.Queue()
    return socket, wire


async def test_what_is_said_in_one_turn_of_the_loop_is_one_write_in_its_order() -> None:
    socket, wire = connected()

    await socket.send({"type": "websocket.send", "text": "a prediction"})
    await socket.send({"type": "websocket.send", "text": "an ack"})
    assert wire.writes == []
    await asyncio.sleep(0)

    assert wire.writes == [text_frame(b"a prediction") + text_frame(b"an ack")]
    await socket.send({"type": "websocket.send", "text": "more"})
    await asyncio.sleep(0)
    assert wire.writes[1:] == [text_frame(b"more")]


async def test_a_close_comes_after_what_was_said_before_it_in_the_same_turn() -> None:
    socket, wire = connected()

    await socket.send({"type": "websocket.send", "text": "last"})
    await socket.send({"type": "websocket.close", "code": 1000, "reason": ""})
    await asyncio.sleep(0)

    # 0x88: a close frame, its code 1000 in two bytes
    assert wire.writes == [text_frame(b"last") + bytes([0x88, 2, 0x03, 0xE8])]
    assert socket.close_timer is not None
    socket.close_timer.cancel()


async def test_nothing_is_written_to_a_transport_that_closes() -> None:
    socket, wire = connected()

    await socket.send({"type": "websocket.send", "text": "too late"})
    wire.close()
    await asyncio.sleep(0)

    assert wire.writes == []


@pytest.mark.parametrize("ended", ["disconnected", "close_sent"])
async def test_who_is_gone_is_told_nothing(ended: str) -> None:
    socket, wire = connected()
    setattr(socket, ended, True)

    with pytest.raises(ClientDisconnected):
        await socket.send({"type": "websocket.send", "text": "late"})

    await asyncio.sleep(0)
    assert wire.writes == []
