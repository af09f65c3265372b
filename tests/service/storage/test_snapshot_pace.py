"""How fast snapshots may be written."""

import asyncio

from service.settings import StorageSettings
from service.storage.snapshot_pace import SnapshotPace
from tests.service.fake_clock import FakeClock

RATE = 100


class Writers:
    """Snapshots of some bytes that are written until they are told to end."""

    def __init__(self, **settings: int) -> None:
        self.clock = FakeClock()
        self.slept_s: list[float] = []
        known = StorageSettings.model_validate({"bytes_per_s": RATE} | settings)
        self.pace = SnapshotPace(known, self.clock, self.sleep)
        self.writing: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def sleep(self, seconds: float) -> None:
        """Let the clock run at once."""
        self.slept_s.append(seconds)
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    async def begin(self, name: str, n_bytes: int, *, urgent: bool = False) -> None:
        """Begin one and let everybody go as far as they come."""
        self._ends[name] = asyncio.Event()

        async def write() -> None:
            async with self.pace.room(n_bytes, urgent=urgent):
                self.writing.append(name)
                await self._ends[name].wait()
                self.writing.remove(name)

        self._tasks.append(asyncio.create_task(write()))
        await self.settle()

    async def end(self, name: str) -> None:
        """End one and let everybody go as far as they come."""
        self._ends[name].set()
        await self.settle()

    async def settle(self) -> None:
        """Let every task run until it waits."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def finish(self) -> None:
        """End all."""
        for end in self._ends.values():
            end.set()
        await asyncio.gather(*self._tasks)


async def test_what_is_beyond_the_rate_is_paid_for_by_waiting() -> None:
    writers = Writers()

    # a second's worth is saved up; the first takes five
    await writers.begin("a", 500)
    await writers.begin("b", 100)

    assert writers.writing == ["a", "b"]
    assert writers.slept_s == [4.0]
    await writers.finish()


async def test_who_is_urgent_goes_first_but_uses_the_rate_up() -> None:
    writers = Writers()

    await writers.begin("a", 300, urgent=True)
    await writers.begin("b", 300, urgent=True)
    assert writers.slept_s == []
    await writers.begin("c", 1)

    assert writers.slept_s == [5.0]
    await writers.finish()


async def test_memory_under_way_is_bounded_and_a_large_one_goes_alone() -> None:
    writers = Writers(bytes_in_flight=1000, bytes_per_s=10**9)
    await writers.begin("a", 600)
    await writers.begin("b", 400)
    await writers.begin("c", 1)
    assert writers.writing == ["a", "b"]

    await writers.end("a")
    assert writers.writing == ["b", "c"]
    await writers.begin("huge", 5000, urgent=True)
    assert writers.writing == ["b", "c"]
    await writers.end("b")
    await writers.end("c")

    assert writers.writing == ["huge"]
    await writers.finish()


async def test_who_gives_up_leaves_no_room_taken() -> None:
    writers = Writers(bytes_in_flight=10)
    await writers.begin("a", 10)
    waiting = asyncio.create_task(writers.pace.room(10, urgent=True).__aenter__())
    await writers.settle()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    await writers.end("a")
    await writers.begin("b", 10)

    assert writers.writing == ["b"]
    await writers.finish()
