"""How much each principal may send: events, messages, handshakes and requests in a time.

Who streams faster than that loses nothing: its sockets are not read for a while, as when its
session is full. Who connects or asks too often is refused and told when to come back.
"""

import time
from collections.abc import Callable

from service.access.allowance import Allowance
from service.errors import QuotaExceeded
from service.settings import QuotaSettings

REQUEST_BURST_S = 10.0
"""Requests of this long may come at once."""


class Traffic:
    """What one principal sends, over all its connections.

    Attributes:
        n_connections: WebSocket connections that it has now.
    """

    def __init__(
        self,
        name: str,
        settings: QuotaSettings,
        clock: Callable[[], float],
    ) -> None:
        self._name = name
        self._settings = settings
        self._events = Allowance(settings.events_per_s, settings.events_per_s, clock)
        self._messages = Allowance(settings.messages_per_s, settings.messages_per_s, clock)
        per_minute = settings.connections_per_minute
        self._handshakes = Allowance(per_minute / 60, per_minute, clock)
        per_s = settings.requests_per_s
        self._requests = Allowance(per_s, max(1.0, REQUEST_BURST_S * per_s), clock)
        self.n_connections = 0

    def connect(self) -> None:
        """Count one more connection; `disconnect` belongs to it whatever comes of it.

        Raises:
            QuotaExceeded: There are too many, or too many in a minute.
        """
        self.n_connections += 1
        settings = self._settings
        if self.n_connections > settings.connections:
            raise QuotaExceeded(
                f"principal {self._name!r} has {self.n_connections - 1} connections; expected"
                f" fewer than {settings.connections} before a new one"
            )
        if not self._handshakes.take():
            raise QuotaExceeded(
                f"principal {self._name!r} connects too often; expected at most"
                f" {settings.connections_per_minute} connections a minute"
            )

    def disconnect(self) -> None:
        """Count one connection less."""
        self.n_connections -= 1

    def ask(self) -> None:
        """Count an HTTP request.

        Raises:
            QuotaExceeded: There are too many of them.
        """
        if not self._requests.take():
            raise QuotaExceeded(
                f"principal {self._name!r} asks too often; expected at most"
                f" {self._settings.requests_per_s:g} requests a second"
            )

    def owe(self, n_events: int, n_messages: int = 1) -> float:
        """Count messages with so many events; return the seconds until the next may be read."""
        return max(self._messages.owe(n_messages), self._events.owe(n_events) if n_events else 0.0)


class TrafficQuota:
    """The traffic of every principal that came so far; as many as had tokens."""

    def __init__(
        self,
        settings: QuotaSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._traffic: dict[str, Traffic] = {}

    def of(self, principal: str) -> Traffic:
        """Return a principal's traffic."""
        traffic = self._traffic.get(principal)
        if traffic is None:
            traffic = Traffic(principal, self._settings, self._clock)
            self._traffic[principal] = traffic
        return traffic
