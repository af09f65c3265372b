"""What the server measures of itself, for Prometheus: aggregates over all sessions."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from service.visit import Delivery
from service.wire_protocol import ErrorMessage, Learned, Prediction

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128)


class Telemetry:
    """The server's metrics, in a registry of their own so that two servers can share a process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._ticks = self._counter("ticks", "Ticks inside segments that were computed.")
        self._lesson_ticks = self._counter("lesson_ticks", "Ticks that lessons computed.")
        self._lessons = self._counter("lessons", "Lessons whose update was applied.")
        self._messages = self._counter("messages_applied", "Client messages that are done.")
        self._events = self._counter("events", "Events that came, dropped ones included.")
        self._predictions = self._counter("predictions", "Predictions made.", "final")
        self._labelled = self._counter("segments_labelled", "Labelled segments.", "correct")
        self._errors = self._counter("errors", "Errors that clients were told.", "code", "fatal")
        self._batch_rows = Histogram(
            "tclif_batch_rows",
            "Sessions that computed ticks in one batch.",
            buckets=_ROWS,
            registry=self._registry,
        )
        self._batch_seconds = self._histogram("batch_seconds", "Duration of one batch.")
        self._lag_seconds = self._histogram(
            "lag_seconds", "From a message's arrival to its prediction leaving."
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"tclif_{name}", text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(f"tclif_{name}", text, buckets=_SECONDS, registry=self._registry)

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show a gauge whose value is read when it is asked for; on the event loop."""
        Gauge(f"tclif_{name}", text, registry=self._registry).set_function(read)

    def batch_done(self, *, n_rows: int, seconds: float) -> None:
        """Count one batch; on the engine thread."""
        if n_rows:
            self._batch_rows.observe(n_rows)
            self._batch_seconds.observe(seconds)

    def events_came(self, n_events: int) -> None:
        """Count the events of one frame."""
        self._events.inc(n_events)

    def error_told(self, code: str, *, fatal: bool) -> None:
        """Count an error that a client is told."""
        self._errors.labels(code, str(fatal).lower()).inc()

    def delivered(self, delivery: Delivery, now_s: float) -> None:
        """Count what a session's visit brought."""
        self._ticks.inc(delivery.n_ticks)
        self._lesson_ticks.inc(delivery.n_lesson_ticks)
        self._lessons.inc(delivery.n_lessons)
        self._messages.inc(delivery.n_applied)
        for arrived_s in delivery.answered_s:
            self._lag_seconds.observe(now_s - arrived_s)
        for message in delivery.messages:
            match message:
                case Prediction():
                    self._predictions.labels(str(message.final).lower()).inc()
                case Learned():
                    self._labelled.labels(str(message.correct).lower()).inc()
                case ErrorMessage():
                    self.error_told(message.code, fatal=message.fatal)

    def page(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        return generate_latest(self._registry)
