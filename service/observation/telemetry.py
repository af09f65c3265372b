"""What the server counts of itself, for Prometheus: aggregates over all sessions.

What is read when somebody asks, the sessions' gauges and distributions, is in `session_series`.
"""

import asyncio
import platform
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from importlib.metadata import version

import torch
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from service.access.principals import SessionKey
from service.errors import CloseCode, ServiceError
from service.network.visit import Delivery
from service.observation.tracing import NO_TRACING, Tracing
from service.stream.cutting import Counters
from service.wire_protocol import ErrorMessage, Learned, Prediction

# 50 ms is what a sensor's user does not notice: finest around it
_LAG_SECONDS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.075),
    *(0.1, 0.15, 0.2, 0.5, 1.0, 2.0, 5.0),
)
_TICK_SECONDS = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
_SNAPSHOT_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_SNAPSHOT_BYTES = tuple(4.0**power * 1024 for power in range(2, 11))
_REFUSALS = (
    *("bad_segment", "bad_value", "label_duplicate", "label_too_late", "late_events"),
    *("learning_stopped", "not_served", "quota", "snapshot_failed", "unknown_segment"),
)
_TURNED_AWAY = ("draining", "lag", "load", "memory", "quota", "request", "storage")
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
_BATCH_TICKS = (1, 4, 16, 64, 256, 1024, 4096)


class Telemetry:
    """The server's metrics, in a registry of their own so that two servers can share a process.

    Attributes:
        tracing: Where spans go.
    """

    def __init__(self, tracing: Tracing = NO_TRACING) -> None:
        self.tracing = tracing
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        build = Info("tclif_build", "What runs here.", registry=self._registry)
        packages = {name: version(name) for name in ("numpy", "torch")}
        build.info({"version": version("tclif"), "python": platform.python_version()} | packages)
        self._ticks = self._counter("ticks", "Ticks inside segments that were computed.")
        self._lesson_ticks = self._counter("lesson_ticks", "Ticks that lessons computed.")
        self._lessons = self._counter("lessons", "Lessons whose update was applied.")
        self._messages = self._counter("messages_applied", "Client messages that are done.")
        self._events = self._counter("events", "Events that came, dropped ones included.")
        self._dropped = self._counter(
            "dropped_events", "Events that moved no network, or not in full.", "reason"
        )
        self._predictions = self._counter("predictions", "Predictions made.", "final")
        self._labelled = self._counter("segments_labelled", "Labelled segments.", "correct")
        self._errors = self._counter("errors", "Errors that clients were told.", "code", "fatal")
        self._refused = self._counter("sessions_refused", "Opens that were refused.", "reason")
        self._paced_seconds = self._counter(
            "paced_seconds",
            "Time sockets were not read as their principal sent too much.",
        )
        self._responses = self._counter(
            "http_responses", "Answers over HTTP, refused handshakes included.", "status"
        )
        self._connections = Gauge(
            "tclif_connections", "WebSocket connections that are open.", registry=self._registry
        )
        self._connections_closed = self._counter(
            "connections_closed", "WebSocket connections that ended.", "code"
        )
        self._batch_rows = self._histogram(
            "batch_rows", "Sessions that computed ticks in one batch.", _ROWS
        )
        self._batch_ticks = self._histogram(
            "batch_ticks", "Ticks of all sessions in one batch.", _BATCH_TICKS
        )
        self._batch_seconds = self._histogram(
            "batch_seconds", "Duration of one batch.", _LAG_SECONDS
        )
        self._tick_seconds = self._histogram(
            "tick_seconds", "Duration of a batch for each of its ticks.", _TICK_SECONDS
        )
        self._lag_seconds = self._histogram(
            "lag_seconds", "From a message's arrival to its prediction leaving.", _LAG_SECONDS
        )
        self._snapshot_seconds = self._histogram(
            "snapshot_seconds", "From a snapshot's capture to its being safe.", _SNAPSHOT_SECONDS
        )
        self._snapshot_bytes = self._histogram(
            "snapshot_bytes", "Size of a stored snapshot.", _SNAPSHOT_BYTES
        )
        self._snapshot_failures = self._counter(
            "snapshot_failures", "Snapshots that could not be stored."
        )
        self._registry.register(_DeviceMemory())
        self._begin_at_zero()

    def _begin_at_zero(self) -> None:
        """Show what has not happened yet: a series that begins at 1 never rises, and warns of none.

        Codes that are not named here begin when they are first told.
        """
        for reason in ("late", "outside_segments", "saturated"):
            self._dropped.labels(reason)
        for truth in ("false", "true"):
            self._predictions.labels(truth)
            self._labelled.labels(truth)
        for code in _fatal_codes(ServiceError):
            self._errors.labels(code, "true")
        for code in _REFUSALS:
            self._errors.labels(code, "false")
        for reason in _TURNED_AWAY:
            self._refused.labels(reason)
        for close_code in ("lost", *(str(int(code)) for code in CloseCode)):
            self._connections_closed.labels(close_code)
        for status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            self._responses.labels(str(int(status)))

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"tclif_{name}", text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"tclif_{name}", text, buckets=buckets, registry=self._registry)

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show a gauge whose value is read when it is asked for; on the event loop."""
        Gauge(f"tclif_{name}", text, registry=self._registry).set_function(read)

    def add(self, collector: Collector) -> None:
        """Show metrics that are made when they are asked for; on the event loop."""
        self._registry.register(collector)

    def batch_done(self, *, n_rows: int, n_ticks: int, seconds: float) -> None:
        """Count one batch; on the engine thread."""
        if n_rows:
            self._batch_rows.observe(n_rows)
            self._batch_ticks.observe(n_ticks)
            self._batch_seconds.observe(seconds)
            self._tick_seconds.observe(seconds / n_ticks)

    def events_came(self, n_events: int) -> None:
        """Count the events of one frame."""
        if n_events:
            self._events.inc(n_events)

    def events_dropped(self, before: Counters, after: Counters) -> None:
        """Count what one message moved of a session's dropped events."""
        if after is not before:
            self._dropped.labels("late").inc(after.n_late - before.n_late)
            self._dropped.labels("outside_segments").inc(after.n_outside - before.n_outside)
            self._dropped.labels("saturated").inc(after.n_saturated - before.n_saturated)

    def paced(self, seconds: float) -> None:
        """Count time that a socket was not read because its principal sent too much."""
        self._paced_seconds.inc(seconds)

    def error_told(self, code: str, *, fatal: bool) -> None:
        """Count an error that a client is told."""
        self._errors.labels(code, str(fatal).lower()).inc()

    def session_refused(self, reason: str) -> None:
        """Count an open that was refused, by the error's reason."""
        self._refused.labels(reason).inc()

    def answered(self, status: int) -> None:
        """Count an answer over HTTP."""
        self._responses.labels(str(status)).inc()

    def connection_opened(self) -> None:
        """Count a connection."""
        self._connections.inc()

    def connection_closed(self, code: int | None) -> None:
        """Count a connection's end by our close code, None where the peer left without one."""
        self._connections.dec()
        self._connections_closed.labels("lost" if code is None else str(int(code))).inc()

    def snapshot_stored(self, owner: SessionKey, *, seconds: float, n_bytes: int) -> None:
        """Count a snapshot that is stored and verified; from any thread.

        Args:
            owner: Of which session.
            seconds: From its capture on.
            n_bytes: Of its file.
        """
        self._snapshot_seconds.observe(seconds)
        self._snapshot_bytes.observe(n_bytes)
        self.tracing.record(
            "snapshot",
            seconds=seconds,
            principal=owner.principal,
            session=owner.name,
            bytes=n_bytes,
        )

    def snapshot_failed(self) -> None:
        """Count a snapshot that could not be stored; from any thread."""
        self._snapshot_failures.inc()

    def delivered(self, deliveries: Sequence[Delivery], now_s: float) -> None:
        """Count what a batch brought to its sessions."""
        self._ticks.inc(sum(delivery.n_ticks for delivery in deliveries))
        self._messages.inc(sum(delivery.n_applied for delivery in deliveries))
        self._lesson_ticks.inc(sum(delivery.n_lesson_ticks for delivery in deliveries))
        self._lessons.inc(sum(delivery.n_lessons for delivery in deliveries))
        n_passing = 0
        for delivery in deliveries:
            for arrived_s in delivery.answered_s:
                self._lag_seconds.observe(now_s - arrived_s)
            for message in delivery.messages:
                match message:
                    case Prediction(final=False):
                        # there may be one a tick
                        n_passing += 1
                    case Prediction():
                        self._predictions.labels("true").inc()
                    case Learned():
                        self._labelled.labels(str(message.correct).lower()).inc()
                    case ErrorMessage():
                        self.error_told(message.code, fatal=message.fatal)
        self._predictions.labels("false").inc(n_passing)

    def families(self) -> list[Metric]:
        """Return every metric as it is now, with its name, kind and meaning; on the event loop."""
        return list(self._registry.collect())

    async def page(self) -> bytes:
        """Return the metrics in Prometheus' text format.

        They are gathered at once; writing them down takes longer and keeps no stream waiting.
        """
        return await asyncio.to_thread(generate_latest, _Gathered(self.families()))


def _fatal_codes(kind: type[ServiceError]) -> set[str]:
    """Return the codes of all errors that end a connection."""
    below = [code for error in kind.__subclasses__() for code in _fatal_codes(error)]
    return {kind.code, *below} if kind.fatal else set(below)


class _Gathered(CollectorRegistry):
    """Metrics of one moment, as a registry."""

    def __init__(self, families: list[Metric]) -> None:
        super().__init__()
        self._families = families

    @override
    def collect(self) -> Iterator[Metric]:
        yield from self._families


class _DeviceMemory(Collector):
    """What torch holds of the memory of each accelerator; nothing where there is none in use."""

    @override
    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "tclif_device_memory_bytes", "Memory of an accelerator.", labels=["device", "kind"]
        )
        for device in range(torch.cuda.device_count()):
            name = f"cuda:{device}"
            family.add_metric([name, "allocated"], torch.cuda.memory_allocated(device))
            family.add_metric([name, "reserved"], torch.cuda.memory_reserved(device))
        yield family
