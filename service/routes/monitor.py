"""``GET /v1/monitor``: the caller's sessions as server-sent events, for pages and people.

Each event holds everything, made when the reader takes it: one that reads slowly gets fewer events,
and no more than a few wait for it. A principal may watch from a few places at once.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from heapq import nlargest
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from service.access.principals import Principal
from service.errors import QuotaExceeded
from service.network.energy_report import report_energy
from service.observation.vital_signs import VitalSignsReader
from service.routes.callers import Caller
from service.routes.session_report import JsonObject, summarise
from service.sessions.session_registry import SessionRegistry
from service.sessions.sessions import Session
from service.settings import TelemetrySettings

router = APIRouter()

SHOWN_SESSIONS = 100
"""Sessions in one event, the most recently active ones."""

RETRY_MS = 1000
"""When a page that was told goodbye should ask again."""


class Monitors:
    """Who watches; only the event loop touches it."""

    def __init__(
        self,
        registry: SessionRegistry,
        vital_signs: VitalSignsReader,
        settings: TelemetrySettings,
        honours: Callable[[Principal], bool],
    ) -> None:
        """Make room for those who watch.

        Args:
            registry: The sessions.
            vital_signs: What is known of their networks.
            settings: How many may watch.
            honours: Whether somebody who was let in would still be.
        """
        self._registry = registry
        self._vital_signs = vital_signs
        self._honours = honours
        self._settings = settings
        self._watching: Counter[str] = Counter()
        self._ended = asyncio.Event()

    def end(self) -> None:
        """Say goodbye to everybody who watches."""
        self._ended.set()

    @contextmanager
    def place(self, principal: Principal) -> Iterator[None]:
        """Take one of a principal's places.

        Raises:
            QuotaExceeded: All are taken.
        """
        bound = self._settings.monitors
        if self._watching[principal.name] >= bound:
            raise QuotaExceeded(f"{bound} monitors are open; expected fewer before another one")
        self._watching[principal.name] += 1
        try:
            yield
        finally:
            self._watching[principal.name] -= 1
            # names of principals that watch no more are not remembered
            self._watching += Counter()

    def sessions(self, principal: Principal, every_s: float) -> AsyncIterator[ServerSentEvent]:
        """Tell how somebody's sessions are, at once and then each ``every_s``."""

        async def view() -> JsonObject:
            await self._vital_signs.refresh()
            return self._view(principal)

        return self.events(principal, every_s, "sessions", view)

    async def events(
        self,
        principal: Principal,
        every_s: float,
        name: str,
        view: Callable[[], Awaitable[JsonObject]],
    ) -> AsyncIterator[ServerSentEvent]:
        """Make an event at once and then one each ``every_s``, until the server ends.

        Args:
            principal: Who watches; once they would not be let in any more, it ends.
            every_s: Time from one event to the next.
            name: What the events are called.
            view: Makes the data of one.
        """
        number = 0
        while not self._ended.is_set():
            if not self._honours(principal):
                yield _goodbye("unauthorized")
                return
            number += 1
            yield ServerSentEvent(event=name, id=str(number), data=await view())
            try:
                async with asyncio.timeout(every_s):
                    await self._ended.wait()
            except TimeoutError:
                continue
        yield _goodbye("draining")

    def _view(self, principal: Principal) -> JsonObject:
        sessions = self._registry.sessions_of(principal.name)
        shown = nlargest(SHOWN_SESSIONS, sessions, key=lambda session: session.active_s)
        return {
            "time_ms": int(time.time() * 1000),
            "sessions": [self._line(session) for session in shown],
            "left_out": len(sessions) - len(shown),
        }

    def _line(self, session: Session) -> JsonObject:
        line = summarise(session) | {
            "backlog_ticks": session.backlog.n_ticks,
            "kept_segments": len(session.intake.segmentation.kept),
        }
        signs = self._vital_signs.of(session)
        if signs is None:
            return line
        return line | {
            "firing_rates": signs.firing_rates,
            "weight_change": signs.weight_change,
            "prequential_accuracy": signs.accuracy,
            "drifting": signs.is_drifting,
            "segments_labelled": signs.n_labelled,
            "lessons": signs.n_lessons,
            "learning_stopped": signs.learning_stopped,
            "spikes": signs.activity.spikes,
            "energy_joules": report_energy(session.network.learner, signs.activity).joules,
        }


def _goodbye(reason: str) -> ServerSentEvent:
    return ServerSentEvent(event="goodbye", data={"reason": reason}, retry=RETRY_MS)


def monitors_of(request: Request) -> Monitors:
    """Return who watches the server."""
    monitors: Monitors = request.app.state.service.monitors
    return monitors


async def hold_place(request: Request, principal: Caller) -> AsyncIterator[None]:
    """Hold a place until the last event is sent, or can't be."""
    with monitors_of(request).place(principal):
        yield


@router.get("/v1/monitor", response_class=EventSourceResponse, dependencies=[Depends(hold_place)])
async def watch_sessions(
    request: Request,
    principal: Caller,
    every_ms: Annotated[int, Query(ge=250, le=60_000)] = 1000,
) -> AsyncIterator[ServerSentEvent]:
    """Tell how the caller's sessions are, again and again, as server-sent events."""
    async for event in monitors_of(request).sessions(principal, every_ms / 1000):
        yield event
