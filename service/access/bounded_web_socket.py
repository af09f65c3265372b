"""A WebSocket whose peer can't hold it up: few pings, few fragments, a bounded end.

Between it and the application events go by the handful, in two keys that ASGI does not know: a
frame and the empty one after it come together, as a rule, and so leave a prediction and its ack.
"""

import asyncio
from typing import TYPE_CHECKING, cast

from typing_extensions import override
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Frame

from service.access.allowance import Allowance

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent

MAX_FRAGMENTS = 256
"""Pieces that a message may come in: of 4 KiB, the longest has as many."""

PINGS_PER_S = 2.0
"""Pings and pongs that a peer may send for long; a burst of 64 at once."""

LAST_WORDS_S = 5.0
"""Longest wait for a peer to take what was said before its socket was closed."""

MOST_WAITING = 8
"""Short messages that may wait to be taken before the socket is read no more."""

_PING_BURST = 64
_PIECE_BYTES = 8192
_PONG_BYTES = 65536


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """Uvicorn's WebSocket, with bounds on what is no message and on how long its end may take.

    A socket is closed only once the peer has taken what was written before: one that reads nothing
    would stay for ever.
    """

    _n_fragments = 0
    _pings: Allowance | None = None
    _end: asyncio.TimerHandle | None = None
    _is_lost = False

    @override
    async def run_asgi(self) -> None:
        """Serve the connection, then end it, whether the peer reads its last words or not."""
        await super().run_asgi()
        self._end_soon()

    @override
    def keepalive_timeout(self) -> None:
        """Give up a peer that does not answer pings."""
        super().keepalive_timeout()
        self._end_soon()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)
        self._is_lost = True

    def _end_soon(self) -> None:
        if self._end is None and not self._is_lost:
            self._end = self.loop.call_later(LAST_WORDS_S, self.transport.abort)

    @override
    def data_received(self, data: bytes) -> None:
        """Read on, a piece at a time, so that a flood is noticed within a piece."""
        for start in range(0, len(data), _PIECE_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + _PIECE_BYTES])

    @override
    async def receive(self) -> "ASGIReceiveEvent":
        """Return the next event, and under ``also`` those that came with it.

        A message for which the application wakes costs it several times what one more does.
        """
        event = await super().receive()
        if not self.queue.empty():
            also = [self.queue.get_nowait() for _ in range(self.queue.qsize())]
            event = cast("ASGIReceiveEvent", {**event, "also": also})
            if self.read_paused:
                self.read_paused = False
                self.transport.resume_reading()
        return event

    @override
    async def send(self, message: "ASGISendEvent") -> None:
        """Say something, unless the connection was closed below the application.

        Args:
            message: ASGI's, or one of type ``websocket.send`` with ``texts``: some messages at
                once, for which the system is called once.

        Raises:
            ClientDisconnected: The connection is gone, or uvicorn closed it by itself: a broken
                frame, a peer that is silent.
        """
        if self.handshake_complete and self.close_sent:
            raise ClientDisconnected
        texts = message.get("texts")
        if not isinstance(texts, list):
            await super().send(message)
            return
        await self.writable.wait()
        if self.disconnected:
            raise ClientDisconnected
        try:
            for text in texts:
                self.conn.send_text(text.encode())
        except InvalidState as error:
            raise ClientDisconnected from error
        if not self.transport.is_closing():
            self.transport.write(b"".join(self.conn.data_to_send()))

    @override
    def handle_ping(self) -> None:
        """Answer, unless the peer asks too often or does not read its answers."""
        if not self._may_ping() or self.transport.get_write_buffer_size() > _PONG_BYTES:
            self.transport.abort()
        else:
            super().handle_ping()

    @override
    def handle_pong(self, event: Frame) -> None:
        """Take an answer, unless they come too often."""
        if self._may_ping():
            super().handle_pong(event)
        else:
            self.transport.abort()

    @override
    def handle_cont(self, event: Frame) -> None:
        """Take one more fragment, unless there are too many."""
        self._n_fragments += 1
        if self._n_fragments > MAX_FRAGMENTS:
            self.transport.abort()
        else:
            super().handle_cont(event)

    @override
    def send_receive_event_to_app(self) -> None:
        """Hand a whole message on, and read on while little waits to be taken.

        Uvicorn stops reading at every message: two calls of the system for each.
        """
        self._n_fragments = 0
        n_bytes = sum(map(len, self.frames))
        was_paused, self.read_paused = self.read_paused, True
        super().send_receive_event_to_app()
        self.read_paused = was_paused
        is_much = n_bytes > _PIECE_BYTES or self.queue.qsize() >= MOST_WAITING
        # once a close is sent reading goes on, or the peer's own would never be seen
        if is_much and not (was_paused or self.close_sent or self.transport.is_closing()):
            self.read_paused = True
            self.transport.pause_reading()

    def _may_ping(self) -> bool:
        if self._pings is None:
            self._pings = Allowance(PINGS_PER_S, _PING_BURST, self.loop.time)
        return self._pings.take()
