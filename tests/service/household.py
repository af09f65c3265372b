"""A registry whose sessions are stored for real, with an engine, a clock and sleep done by hand."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from typing_extensions import override

from service.access.principals import SessionKey
from service.access.session_quota import SessionQuota
from service.errors import StorageFailure
from service.observation.telemetry import Telemetry
from service.sessions.admission import Admission
from service.sessions.outbox import Outbox
from service.sessions.session_archive import SessionArchive
from service.sessions.session_registry import SessionRegistry
from service.sessions.sessions import Session
from service.sessions.snapshot_keeper import SnapshotKeeper
from service.settings import QuotaSettings, SessionSettings, SocketSettings, StorageSettings
from service.state_tree import Tree
from service.storage.model_store import ModelStore
from service.storage.snapshot_store import SnapshotStore, folder_of
from service.storage.storage import Storage
from service.wire_protocol import Opened, ServerMessage
from tests.service.client_messages import begin, end, events, label
from tests.service.fake_clock import FakeClock
from tests.service.hand_engine import HandEngine
from tests.service.open_requests import open_request
from tests.service.unstored import THREADS, WHOEVER_COMES

TIMEOUT_S = 20.0
NETWORK = {
    "hidden": [4, 3],
    "classes": ["zero", "one", "two"],
    # so small a network fires only if it is easily excited; silence would hide mistakes
    "hyperparameters": {"threshold": 0.3, "input_gain": 5},
}


class WillingEngine(HandEngine):
    """Computes a session's work at the loop's next turn."""

    @override
    def notify(self, session: Session) -> None:
        asyncio.get_running_loop().call_soon(self.compute, session)


class MoodyStorage(Storage):
    """Fails to write while it is told to."""

    is_full = False

    @override
    def write(self, name: str, contents: bytes) -> None:
        if self.is_full:
            raise StorageFailure(f"can't write {name!r}: no space left on device")
        super().write(name, contents)


class HandSleep:
    """Sleepers that wake when a test lets time pass.

    Attributes:
        asked_s: How long each sleep was meant to be, in their order.
    """

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._sleepers: list[tuple[float, asyncio.Event]] = []
        self.asked_s: list[float] = []

    async def __call__(self, seconds: float) -> None:
        """Sleep until the clock has moved so far."""
        self.asked_s.append(seconds)
        woken = asyncio.Event()
        self._sleepers.append((self._clock() + seconds, woken))
        await woken.wait()

    def pass_time(self, seconds: float) -> None:
        """Let time pass and wake those whose time it is."""
        self._clock.advance(seconds)
        for due in [pair for pair in self._sleepers if pair[0] <= self._clock()]:
            self._sleepers.remove(due)
            due[1].set()


class Household:
    """One server's sessions over a data folder that may see several servers."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: FakeClock | None = None,
        session: dict[str, object] | None = None,
        **storage: object,
    ) -> None:
        self.clock = clock or FakeClock()
        self.sleep = HandSleep(self.clock)
        self.engine = WillingEngine()
        self.storage = MoodyStorage(str(folder))
        self.settings = StorageSettings.model_validate({"url": str(folder)} | storage)
        bounds = SessionSettings.model_validate(session or {})
        self.store = SnapshotStore(self.storage, self.settings, self.clock)
        self.telemetry = Telemetry()
        self.keeper = SnapshotKeeper(
            self.store,
            THREADS,
            self.settings,
            self.telemetry,
            clock=self.clock,
            sleep=self.sleep,
        )
        self.archive = SessionArchive(self.store, THREADS, self.engine, bounds, self.clock)
        self.registry = SessionRegistry(
            self.engine,
            bounds,
            SocketSettings(),
            self.settings,
            quota=SessionQuota(bounds, QuotaSettings()),
            models=ModelStore(self.storage, QuotaSettings()),
            archive=self.archive,
            keeper=self.keeper,
            admission=Admission(WHOEVER_COMES),
            clock=self.clock,
        )

    async def open(self, name: str = "s", **fields: object) -> tuple[Session, Opened, Outbox]:
        """Open a session from a new connection."""
        defaults: dict[str, object] = {
            "network": NETWORK,
            "tick_us": 100,
            "seed": 4,
            "learning": {"optimizer": "adam", "rate": 0.01},
        }
        outbox = Outbox(SocketSettings(), self.clock)
        async with asyncio.timeout(TIMEOUT_S):
            request = open_request(session=name, **defaults | fields)
            session = await self.registry.open(request, outbox, "local")
            opened, *_ = await outbox.take()
        assert isinstance(opened, Opened)
        return session, opened, outbox

    async def live(self, session: Session, *segments: int) -> None:
        """Let a session take in labelled segments of ten ticks, and wait until it has."""
        for number in segments:
            first, from_us = session.received + 1, 10_000 * number
            spikes = [(from_us + 17 * k, (number + k * k) % 5) for k in range(58)]
            session.accept(begin(first, number, from_us), 0.0)
            session.accept(events(first + 1, *spikes, base_us=from_us), 0.0)
            session.accept(end(first + 2, number, from_us + 1000), 0.0)
            session.accept(label(first + 3, number, number % 3), 0.0)
        async with asyncio.timeout(TIMEOUT_S):
            await session.backlog.wait_until_done()

    async def captured(self, session: Session) -> Tree:
        """Return all that a session is."""
        return await asyncio.wait_for(asyncio.wrap_future(session.capture()), TIMEOUT_S)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Let everything run until something is so."""
        async with asyncio.timeout(TIMEOUT_S):
            while not is_so():  # noqa: ASYNC110 - what happens on other threads wakes nobody here
                await asyncio.sleep(0)

    async def has_asked_for_sleep(self, n_times: int) -> None:
        """Let everything run until the keeper has gone to sleep so many times."""
        await self.until(lambda: len(self.sleep.asked_s) == n_times)

    async def told(self, outbox: Outbox) -> list[ServerMessage]:
        """Take everything that an outbox holds, the gathered ack included."""
        self.clock.advance(0.050)
        async with asyncio.timeout(TIMEOUT_S):
            return await outbox.take()

    def applied(self, name: str = "s") -> list[int]:
        """Return what each of a session's snapshots contains, newest first."""
        stored = self.store.manifests(folder_of("local", name))
        return [snapshot.manifest.applied for snapshot in stored]

    def damage(self, place: int, name: str = "s") -> None:
        """Flip a bit in one of a session's snapshots, 0 being the newest."""
        folder = folder_of("local", name)
        file = f"{folder}/{self.store.numbers(folder)[place]:020}.safetensors"
        contents = bytearray(self.storage.read(file))
        contents[len(contents) // 2] ^= 1
        self.storage.write(file, bytes(contents))

    async def after_a_crash(self, folder: Path) -> "Household":
        """Return the next server on the same folder; this one says no more."""
        self.keeper.stop()
        successor = Household(folder, clock=self.clock)
        await successor.registry.start()
        return successor


def key(name: str = "s") -> SessionKey:
    """Return the key of a session of these tests."""
    return SessionKey("local", name)
