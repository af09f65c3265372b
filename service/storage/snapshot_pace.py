"""How fast snapshots may be written, so that storing never starves computing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from service.settings import StorageSettings

_BURST_S = 1.0
"""So much of the rate may be saved up while nothing is written."""


class SnapshotPace:
    """A budget of bytes: so many a second, and so many in memory at a time.

    Who is urgent does not wait for the rate but uses it up; the others then wait longer. Those who
    wait go on in the order in which they came.
    """

    def __init__(
        self,
        settings: StorageSettings,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._balance = settings.bytes_per_s * _BURST_S
        self._balanced_s = clock()
        self._turn = asyncio.Lock()
        self._in_flight = 0
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def room(self, n_bytes: int, *, urgent: bool) -> AsyncIterator[None]:
        """Hold the room for one snapshot, once there is some."""
        if urgent:
            self._refill()
        else:
            async with self._turn:
                await self._sleep_until_affordable()
        self._balance -= n_bytes
        async with self._freed:
            # one that is larger than all the room is written alone
            await self._freed.wait_for(
                lambda: (
                    not self._in_flight
                    or self._in_flight + n_bytes <= self._settings.bytes_in_flight
                )
            )
            self._in_flight += n_bytes
        try:
            yield
        finally:
            self._in_flight -= n_bytes
            async with self._freed:
                self._freed.notify_all()

    async def _sleep_until_affordable(self) -> None:
        while True:
            self._refill()
            if self._balance >= 0:
                return
            await self._sleep(-self._balance / self._settings.bytes_per_s)

    def _refill(self) -> None:
        now_s = self._clock()
        rate = self._settings.bytes_per_s
        earned = (now_s - self._balanced_s) * rate
        self._balance = min(self._balance + earned, rate * _BURST_S)
        self._balanced_s = now_s
