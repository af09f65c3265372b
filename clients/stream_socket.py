"""The WebSocket under a session: how it is dialled, and messages read from it."""

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from clients.client_options import ClientOptions
from clients.connection_errors import ServerUnreachable
from clients.credentials import authorization, socket_logger
from clients.handshake import refused_handshake
from clients.resumption import Farewell
from service.wire_protocol import (
    MAX_SERVER_BYTES,
    SUBPROTOCOL,
    ProtocolViolation,
    ServerMessage,
    decode_server_text,
)

NOT_CONNECTED = (OSError, InvalidHandshake, InvalidURI)
"""What `dial` raises where no connection comes about; `farewell` says what it means."""

_CLOSE_FRAME_S = 10.0
"""Longest wait for the server to answer a close frame."""


def dial(url: str, options: ClientOptions) -> connect:
    """Describe a connection; ``async with`` makes it and closes it."""
    # frames of events are dense already, and the server is usually too near for a proxy
    return connect(
        url,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        compression=None,
        max_size=MAX_SERVER_BYTES,
        open_timeout=options.open_timeout_s,
        close_timeout=_CLOSE_FRAME_S,
        additional_headers=authorization(options.token),
        logger=socket_logger(),
        proxy=None,
    )


def farewell(url: str, error: Exception, *, has_token: bool) -> Farewell:
    """Say what an error of `NOT_CONNECTED` means."""
    if isinstance(error, InvalidStatus):
        return refused_handshake(url, error.response, has_token=has_token)
    return Farewell(unreachable=ServerUnreachable(f"no server answers at {url}: {error}"))


async def receive(socket: ClientConnection) -> ServerMessage:
    """Return the server's next message.

    Raises:
        ProtocolViolation: What came is none.
    """
    text = await socket.recv()
    if isinstance(text, bytes):
        raise ProtocolViolation(f"a binary message of {len(text)} bytes came, text was expected")
    return decode_server_text(text)
