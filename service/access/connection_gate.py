"""Connections that have not said yet what they want: few, and soon at an end.

    connection ─► its request is read ─► HTTP answer, or WebSocket
                      │ not whole in time: closed
                      └ too many: the oldest of the greediest peer is closed

Whoever connects and says nothing, or a byte now and then, costs a socket and some kilobytes, for a
bounded time and a bounded number of times.
"""

import asyncio
from collections import Counter
from typing import ClassVar, Protocol

import h11
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.settings import ListenerSettings

MAX_HEADER_BYTES = 16384
"""Longest request line and headers."""


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


def gated(settings: ListenerSettings) -> type[GatedHttp]:
    """Return the HTTP connections of one server, behind a gate of their own."""

    class Gated(GatedHttp):
        gate = ConnectionGate(settings)

    return Gated
