"""A WebSocket for many sessions of one process: messages in and out, with no task and no queue.

The protocol itself is that of `websockets`, without its asyncio side, which would cost more than
all else that a load does.
"""

import asyncio
import ssl
from collections.abc import Sequence
from typing import Protocol

from typing_extensions import override
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from clients.credentials import authorization, socket_logger
from service.wire_protocol import MAX_SERVER_BYTES, SUBPROTOCOL


class Listener(Protocol):
    """Who hears what a socket has to tell; called on the event loop."""

    def connected(self) -> None:
        """Messages can be sent."""

    def heard(self, texts: Sequence[bytes]) -> None:
        """Messages came, in this order, all at once."""

    def lost(self, close_code: int, reason: str) -> None:
        """The connection is over, or has not come about."""


class LoadSocket(asyncio.Protocol):
    """One connection."""

    def __init__(self, url: str, token: str | None, listener: Listener) -> None:
        self._socket = ClientProtocol(
            parse_uri(url),
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            max_size=MAX_SERVER_BYTES,
            logger=socket_logger(),
        )
        self._headers = authorization(token)
        self._listener = listener
        self._transport: asyncio.Transport | None = None

    @override
    # asyncio hands over a transport that can be written to
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Shake hands."""
        self._transport = transport
        request = self._socket.connect()
        request.headers.update(self._headers)
        self._socket.send_request(request)
        self._flush()

    @override
    def data_received(self, data: bytes) -> None:
        """Read what came."""
        self._socket.receive_data(data)
        texts: list[bytes] = []
        for event in self._socket.events_received():
            if isinstance(event, Response):
                if self._socket.state is State.OPEN:
                    self._listener.connected()
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                assert event.fin, "the server sends its short messages whole"
                texts.append(bytes(event.data))
        # answers to pings
        self._flush()
        if texts:
            self._listener.heard(texts)

    @override
    def eof_received(self) -> None:
        """Read no more."""
        self._socket.receive_eof()
        self._flush()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Tell how it ended."""
        self._transport = None
        refusal = self._socket.handshake_exc
        if isinstance(refusal, InvalidStatus):
            self._listener.lost(refusal.response.status_code, "handshake refused")
        else:
            reason = self._socket.close_reason or str(refusal or exc or "")
            self._listener.lost(self._socket.close_code or 1006, reason)

    def send(self, messages: Sequence[bytes | str]) -> None:
        """Send messages at once; what the socket does not take now waits in its transport."""
        if self._socket.state is not State.OPEN:
            return
        for message in messages:
            if isinstance(message, str):
                self._socket.send_text(message.encode())
            else:
                self._socket.send_binary(message)
        self._flush()

    def abort(self) -> None:
        """End without a word."""
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        """Write what the protocol has to say; an empty piece means that it says no more."""
        if self._transport is None:
            return
        pieces = self._socket.data_to_send()
        self._transport.write(b"".join(pieces))
        if b"" in pieces:
            self._transport.close()


async def connect(socket: LoadSocket, url: str) -> None:
    """Connect a socket; its listener hears what comes of it.

    Raises:
        OSError: Nobody answers.
    """
    where = parse_uri(url)
    context = ssl.create_default_context() if where.secure else None
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: socket, where.host, where.port, ssl=context)
