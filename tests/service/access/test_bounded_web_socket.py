"""What a WebSocket says, as its transport gets it."""

import asyncio
from typing import TYPE_CHECKING, cast

import pytest
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState
from websockets.protocol import State

from service.access.bounded_web_socket import MOST_WAITING, BoundedWebSocket

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent


class Wire:
    """A transport that notes each write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closes = False
        self.n_paused = 0
        self.n_resumed = 0

    def pause_reading(self) -> None:
        """Count it."""
        self.n_paused += 1

    def resume_reading(self) -> None:
        """Count it."""
        self.n_resumed += 1

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
    # it reads frames from here on, no request
    socket.conn.parser = socket.conn.parse()
    next(socket.conn.parser)
    socket.queue = asyncio.Queue()
    return socket, wire


def saying(*texts: str) -> "ASGISendEvent":
    return cast("ASGISendEvent", {"type": "websocket.send", "texts": list(texts)})


async def test_what_is_said_together_is_one_write_in_its_order() -> None:
    socket, wire = connected()

    await socket.send(saying("a prediction", "an ack"))
    await socket.send(saying("more"))

    assert wire.writes == [
        text_frame(b"a prediction") + text_frame(b"an ack"),
        text_frame(b"more"),
    ]


async def test_a_close_comes_after_what_was_said_before_it() -> None:
    socket, wire = connected()

    await socket.send(saying("last"))
    await socket.send({"type": "websocket.close", "code": 1000, "reason": ""})

    # 0x88: a close frame, its code 1000 in two bytes
    assert b"".join(wire.writes) == text_frame(b"last") + bytes([0x88, 2, 0x03, 0xE8])
    assert socket.close_timer is not None
    socket.close_timer.cancel()


async def test_nothing_is_written_to_a_transport_that_closes() -> None:
    socket, wire = connected()

    wire.close()
    await socket.send(saying("too late"))

    assert wire.writes == []


@pytest.mark.parametrize("ended", ["disconnected", "close_sent"])
async def test_who_is_gone_is_told_nothing(ended: str) -> None:
    socket, wire = connected()
    setattr(socket, ended, True)

    with pytest.raises(ClientDisconnected):
        await socket.send(saying("late"))

    assert wire.writes == []


def binary_frame(data: bytes) -> bytes:
    """Return a final binary frame of a client, masked with zeros, shorter than 65,536 bytes."""
    if len(data) < 126:
        return bytes([0x82, 0x80 | len(data)]) + bytes(4) + data
    return bytes([0x82, 0x80 | 126]) + len(data).to_bytes(2, "big") + bytes(4) + data


async def test_messages_that_came_together_are_taken_together_in_their_order() -> None:
    socket, wire = connected()

    socket.data_received(binary_frame(b"events") + binary_frame(b"close"))
    event = await socket.receive()

    assert event["type"] == "websocket.receive"
    assert event["bytes"] == b"events"
    assert [also["bytes"] for also in event["also"]] == [b"close"]  # type: ignore[typeddict-item]
    assert wire.n_paused == 0


@pytest.mark.parametrize(
    ("n_messages", "n_bytes"), [(MOST_WAITING, 1), (1, 8193)], ids=["many", "a long one"]
)
async def test_a_socket_is_read_no_more_while_much_waits_to_be_taken(
    n_messages: int, n_bytes: int
) -> None:
    socket, wire = connected()

    socket.data_received(binary_frame(bytes(n_bytes)) * (n_messages - 1))
    assert wire.n_paused == 0
    socket.data_received(binary_frame(bytes(n_bytes)))
    assert (wire.n_paused, wire.n_resumed) == (1, 0)
    await socket.receive()

    assert (wire.n_paused, wire.n_resumed) == (1, 1)


@pytest.mark.parametrize("n_bytes", [1, 8193])
async def test_a_socket_whose_close_is_sent_is_read_on_for_that_of_the_peer(n_bytes: int) -> None:
    socket, wire = connected()
    socket.close_sent = True

    socket.data_received(binary_frame(bytes(n_bytes)) * MOST_WAITING)

    assert wire.n_paused == 0
