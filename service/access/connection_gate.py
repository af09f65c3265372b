"""Connections that have not said yet what they want: few, and soon at an end.

    connection ─► its request is read ─► HTTP answer, or WebSocket
                      │ not whole in time: closed
                      └ too many: the oldest of the greediest peer is closed

Whoever connects and says nothing, or a byte now and then, costs a socket and some kilobytes, for a
bounded time and a bounded number of times.
"""

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, ClassVar, Protocol

import h11
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from service.access.allowance import Allowance
from service.settings import ListenerSettings

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

MAX_HEADER_BYTES = 16384
"""Longest request line and headers."""

MAX_FRAGMENTS = 256
"""Pieces that a message may come in: of 4 KiB, the longest has as many."""

PINGS_PER_S = 2.0
"""Pings and pongs that a peer may send for long; a burst of 64 at once."""

LAST_WORDS_S = 5.0
"""Longest wait for a peer to take what was said before its socket was closed."""

_PING_BURST = 64
_PIECE_BYTES = 8192
_PONG_BYTES = 65536


class Newcomer(Protocol):
    """What the gate needs of a connection."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport

    @property
    def peer(self) -> str:
        """Address of the other end, without port."""


class ConnectionGate:
    """Who waits at the door.

    Attributes:
        settings: Its bounds.
        n_turned_away: Connections that were closed before their request was read.
    """

    def __init__(self, settings: ListenerSettings) -> None:
        self.settings = settings
        # in the order of their coming; each with the timer that ends it
        self._pending: dict[Newcomer, asyncio.TimerHandle] = {}
        self.n_turned_away = 0

    def __len__(self) -> int:
        """How many connections have not said what they want."""
        return len(self._pending)

    def admit(self, connection: Newcomer, n_connections: int) -> None:
        """Let a new connection in, or turn it or another one away."""
        if n_connections > self.settings.max_connections:
            self._turn_away(connection)
        else:
            self.expect_request(connection)

    def expect_request(self, connection: Newcomer) -> None:
        """Give a connection some time for its request; does nothing if it has some already."""
        if connection in self._pending:
            return
        if len(self._pending) >= self.settings.max_pending:
            self._turn_away(self._oldest_of_the_greediest())
        self._pending[connection] = connection.loop.call_later(
            self.settings.request_timeout_s, self._turn_away, connection
        )

    def leave(self, connection: Newcomer) -> None:
        """Forget a connection whose request is whole, or that is gone."""
        timer = self._pending.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def _turn_away(self, connection: Newcomer) -> None:
        self.leave(connection)
        self.n_turned_away += 1
        connection.transport.abort()

    def _oldest_of_the_greediest(self) -> Newcomer:
        counts = Counter(connection.peer for connection in self._pending)
        ((greediest, _),) = counts.most_common(1)
        return next(each for each in self._pending if each.peer == greediest)


class GatedHttp(H11Protocol):
    """Uvicorn's HTTP connection, behind a gate."""

    gate: ClassVar[ConnectionGate]

    _stalled: asyncio.TimerHandle | None = None

    @property
    def peer(self) -> str:
        """Address of the other end, without port."""
        return "" if self.client is None else self.client[0]

    @override
    # uvicorn narrows the argument likewise
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, if there is room."""
        super().connection_made(transport)
        self.gate.admit(self, len(self.connections))

    @override
    def data_received(self, data: bytes) -> None:
        """Read on; a request that has begun is to be whole in time."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.gate.expect_request(self)
        else:
            self.gate.leave(self)

    @override
    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Become a WebSocket."""
        self.gate.leave(self)
        super().handle_websocket_upgrade(event)

    @override
    def pause_writing(self) -> None:
        """Note that the peer does not read; it has some time to begin again."""
        super().pause_writing()
        self._stalled = self.loop.call_later(
            self.gate.settings.write_timeout_s, self.transport.abort
        )

    @override
    def resume_writing(self) -> None:
        """Note that the peer reads on."""
        self._forgive()
        super().resume_writing()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._forgive()
        self.gate.leave(self)
        super().connection_lost(exc)

    def _forgive(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


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
    async def send(self, message: "ASGISendEvent") -> None:
        """Say something, unless the connection was closed below the application.

        Raises:
            ClientDisconnected: Uvicorn closed it by itself: a broken frame, a peer that is silent.
        """
        if self.handshake_complete and self.close_sent:
            raise ClientDisconnected
        await super().send(message)

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
        """Hand a whole message on."""
        self._n_fragments = 0
        super().send_receive_event_to_app()

    def _may_ping(self) -> bool:
        if self._pings is None:
            self._pings = Allowance(PINGS_PER_S, _PING_BURST, self.loop.time)
        return self._pings.take()


def gated(settings: ListenerSettings) -> type[GatedHttp]:
    """Return the HTTP connections of one server, behind a gate of their own."""

    class Gated(GatedHttp):
        gate = ConnectionGate(settings)

    return Gated
