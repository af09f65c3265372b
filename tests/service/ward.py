"""Sessions of several principals under observation: a reader of vital signs, and its metrics."""

import asyncio

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from service.observation.session_series import SessionSeries
from service.observation.vital_signs import VitalSigns, VitalSignsReader
from service.sessions.outbox import Outbox
from service.sessions.sessions import Session
from service.settings import SocketSettings
from tests.service.client_messages import begin, end, events, label
from tests.service.fake_clock import FakeClock
from tests.service.hand_engine import HandEngine
from tests.service.open_requests import open_request
from tests.service.unstored import unstored_registry

TIMEOUT_S = 10.0
TICK_US = 4000
Samples = dict[str, float]


class Ward:
    """A registry whose sessions are observed."""

    def __init__(self, *, single_sessions: int = 50) -> None:
        self.engine = HandEngine()
        self.clock = FakeClock()
        self.registry = unstored_registry(self.engine, clock=self.clock)
        self.reader = VitalSignsReader(self.engine, self.registry, self.clock)
        self.series = SessionSeries(
            self.registry, self.reader, single_sessions=single_sessions, clock=self.clock
        )
        self._page = CollectorRegistry()
        self._page.register(self.series)

    async def open(self, name: str, principal: str = "p", **fields: object) -> Session:
        """Open a session whose network spikes easily."""
        network = {
            "hidden": [4, 3],
            "classes": ["zero", "one", "two"],
            "hyperparameters": {"threshold": 0.3, "input_gain": 5},
        }
        request = open_request(session=name, network=network, seed=1, **fields)
        async with asyncio.timeout(TIMEOUT_S):
            return await self.registry.open(
                request, Outbox(SocketSettings(), self.clock), principal
            )

    def live(self, session: Session, number: int, n_ticks: int, target: int | None = None) -> None:
        """Let a session take in a segment with an event of each tick, and compute it."""
        first, from_us = session.received + 1, number * 1_000_000_000
        ticks = [(from_us + TICK_US * tick, tick % 5) for tick in range(n_ticks)]
        now_s = self.clock()
        session.accept(begin(first, number, from_us), now_s)
        session.accept(events(first + 1, *ticks, base_us=from_us), now_s)
        session.accept(end(first + 2, number, from_us + TICK_US * n_ticks), now_s)
        if target is not None:
            session.accept(label(first + 3, number, target), now_s)
        self.engine.compute(session)

    def live_ahead(self, session: Session, number: int, n_ticks: int, target: int) -> None:
        """Let a session learn a segment while it runs."""
        first, from_us, now_s = session.received + 1, number * 1_000_000_000, self.clock()
        ticks = [(from_us + TICK_US * tick, tick % 5) for tick in range(n_ticks)]
        session.accept(begin(first, number, from_us), now_s)
        session.accept(label(first + 1, number, target), now_s)
        session.accept(events(first + 2, *ticks, base_us=from_us), now_s)
        session.accept(end(first + 3, number, from_us + TICK_US * n_ticks), now_s)
        self.engine.compute(session)

    async def signs(self, session: Session) -> VitalSigns:
        """Read anew and return what was read."""
        self.clock.advance(10.0)
        async with asyncio.timeout(TIMEOUT_S):
            await self.reader.refresh()
        signs = self.reader.of(session)
        assert signs is not None
        return signs

    async def scrape(self) -> Samples:
        """Read anew and return every sample as ``name{label=value,…}``."""
        self.clock.advance(10.0)
        async with asyncio.timeout(TIMEOUT_S):
            await self.reader.refresh()
        return {
            sample.name
            + "".join(f"{{{k}={v}}}" for k, v in sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(generate_latest(self._page).decode())
            for sample in family.samples
        }
