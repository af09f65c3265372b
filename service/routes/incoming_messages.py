"""What a socket brings, message by message, and which frame closes another."""

from collections import deque
from typing import TYPE_CHECKING

from fastapi import WebSocket, WebSocketDisconnect

from service.errors import ProtocolViolation
from service.wire_protocol import (
    HEADER_BYTES,
    ClientMessage,
    EventFrame,
    decode_binary,
    decode_client_text,
)

if TYPE_CHECKING:
    from starlette.types import Message


class IncomingMessages:
    """The messages of one socket, in their order; those that came together wait here."""

    def __init__(self, socket: WebSocket, max_message_bytes: int) -> None:
        self._socket = socket
        self._max_bytes = max_message_bytes
        self._events: deque[Message] = deque()

    def __bool__(self) -> bool:
        """Tell whether one is here."""
        return bool(self._events)

    async def wait(self) -> None:
        """Wait until one is here."""
        event = await self._socket.receive()
        self._events.extend((event, *event.get("also", ())))

    def take(self) -> ClientMessage | EventFrame:
        """Read the next one; there is one.

        Raises:
            WebSocketDisconnect: It is the end of the connection.
            ProtocolViolation: It is no message.
        """
        event = self._events.popleft()
        if event["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(event.get("code", 1005))
        data = event.get("bytes")
        if data is not None:
            return decode_binary(data, max_bytes=self._max_bytes)
        return decode_client_text(event["text"], max_bytes=self._max_bytes)

    def take_closing(self, frame: EventFrame) -> EventFrame | None:
        """Take the frame without events that came right after one with events, if it is here.

        Args:
            frame: The one that was taken last.
        """
        data = self._events[0].get("bytes") if frame.count and self._events else None
        if data is None or len(data) != HEADER_BYTES:
            return None
        try:
            closing = decode_binary(data)
        except ProtocolViolation:
            # it is read again in its turn, and answered then
            return None
        if closing.sequence != frame.sequence + 1:
            return None
        self._events.popleft()
        return closing
