"""``GET /v1/sessions/{name}/watch``: what goes on inside one session, as server-sent events.

Inputs, spikes and answers of the running segment, while somebody reads them; a session that nobody
watches pays nothing. Whoever reads slowly misses glimpses, and hears how many.
"""

from collections.abc import AsyncIterator
from contextlib import closing
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from service.access.principals import SessionKey
from service.network.scope import Glimpse, Scope
from service.network.session_network import SessionNetwork
from service.routes.callers import Caller
from service.routes.monitor import hold_place, monitors_of
from service.routes.session_report import JsonObject
from service.sessions.session_registry import SessionRegistry

router = APIRouter()


class Watch:
    """One watcher of one session, which may be parked and come back meanwhile."""

    def __init__(self, registry: SessionRegistry, key: SessionKey) -> None:
        self._registry = registry
        self._key = key
        self._scope = Scope()
        self._network: SessionNetwork | None = None

    def look(self) -> JsonObject:
        """Return what there was to see since the last look; at once the first time."""
        self._follow()
        glimpses, n_forgotten = self._scope.take()
        return {
            "network": None if self._network is None else _described(self._network),
            "glimpses": [_shown(each) for each in glimpses],
            "forgotten": n_forgotten,
        }

    def close(self) -> None:
        """Look no more."""
        if self._network is not None:
            others = (scope for scope in self._network.scopes if scope is not self._scope)
            self._network.scopes = tuple(others)
            self._network = None

    def _follow(self) -> None:
        """Look into the network that the session has now: a parked one comes back with another."""
        session = self._registry.get(self._key)
        network = None if session is None else session.network
        if network is self._network:
            return
        self.close()
        self._network = network
        if network is not None:
            network.scopes = (*network.scopes, self._scope)


def _described(network: SessionNetwork) -> JsonObject:
    spec = network.learner.network
    return {
        "inputs": spec.inputs,
        "hidden": list(spec.hidden),
        "classes": list(network.running.class_names),
    }


def _shown(seen: Glimpse) -> JsonObject:
    return {
        "from_tick": seen.from_tick,
        "n_ticks": seen.n_ticks,
        "ticks": seen.ticks.tolist(),
        "channels": seen.channels.tolist(),
        "neurons": [layer.tolist() for layer in seen.neurons],
        "probabilities": [round(float(each), 4) for each in seen.probabilities],
    }


@router.get(
    "/v1/sessions/{name}/watch",
    response_class=EventSourceResponse,
    dependencies=[Depends(hold_place)],
)
async def watch_session(
    request: Request,
    principal: Caller,
    name: str,
    every_ms: Annotated[int, Query(ge=50, le=5_000)] = 100,
) -> AsyncIterator[ServerSentEvent]:
    """Show what goes on inside a session, again and again, as server-sent events."""
    registry: SessionRegistry = request.app.state.service.registry
    with closing(Watch(registry, SessionKey(principal.name, name))) as watch:

        async def look() -> JsonObject:
            return watch.look()

        async for event in monitors_of(request).events(principal, every_ms / 1000, "look", look):
            yield event
