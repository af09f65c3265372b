"""Time that a test plays to a camera: its clock, and when it gives the next block."""

import asyncio
from collections.abc import Callable


class PlayedTime:
    """A clock that stands, and a sleep that ends when the test says so."""

    def __init__(self) -> None:
        self.now_s = 500.0
        self._pulses = asyncio.Semaphore(0)

    def clock(self) -> float:
        """Tell the time, in seconds."""
        return self.now_s

    async def sleep(self, _: float) -> None:
        """Wait for the next pulse."""
        await self._pulses.acquire()

    def pulse(self, after_s: float = 0.0) -> None:
        """Let time pass, then one block be given."""
        self.now_s += after_s
        self._pulses.release()


async def until(is_so: Callable[[], bool]) -> None:
    """Let the loop run until something is so."""
    async with asyncio.timeout(300):
        while not is_so():  # noqa: ASYNC110 - what it is about does not tell when it changes
            await asyncio.sleep(0)
