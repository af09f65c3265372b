"""What a program may look at and wait for while its session streams."""

from collections import deque

from clients.connection_errors import ClientClosed
from clients.session_link import SessionLink
from service.wire_protocol import Opened


class SessionView:
    """How a session stands, as its client knows it."""

    def __init__(self, link: SessionLink) -> None:
        self._link = link

    @property
    def opened(self) -> Opened:
        """What the server said when the session was opened, the last time it was."""
        if self._link.opened is None:
            raise ClientClosed("the client is not open: use it in an 'async with' block")
        return self._link.opened

    @property
    def durable(self) -> int:
        """Number of the newest message that the server can't lose any more."""
        return self._link.buffer.durable

    @property
    def is_blocked(self) -> bool:
        """Whether sending waits because the server does not make durable what it has."""
        return self._link.buffer.is_full

    @property
    def trouble(self) -> str | None:
        """Why there is no connection just now, while the client tries to come back; else None."""
        return self._link.trouble

    @property
    def lags_s(self) -> deque[float]:
        """Seconds from the writing of a segment's end to its final prediction, last 65,536."""
        return self._link.lags.lags_s

    @property
    def n_connections(self) -> int:
        """Connections so far: 1, and one more for each time the client came back."""
        return self._link.n_connections

    @property
    def n_missed(self) -> int:
        """Messages that were forgotten because nobody iterated over them in time."""
        return self._link.inbox.n_missed

    async def snapshot(self) -> None:
        """Have the session stored, and wait until everything sent so far is durable.

        A server that can't store it says so by `snapshot_failed` and tries again.
        """
        self._link.buffer.want_snapshot()
        self._link.notify()
        await self._link.until(lambda: not self._link.buffer.is_snapshot_awaited)

    async def drain(self) -> None:
        """Wait until everything sent is applied; what it caused has arrived by then."""
        newest = self._link.buffer.newest
        await self._link.until(lambda: self._link.buffer.applied >= newest)

    async def until_lost(self) -> None:
        """Wait until there is no connection; `trouble` says why."""
        await self._link.until(lambda: self._link.trouble is not None)

    async def until_read(self) -> None:
        """Wait until everything that has arrived was iterated over, by another task."""
        await self._link.until(lambda: len(self._link.inbox) == 0)
