"""Spans for OpenTelemetry, where they are asked for: an open, a batch, a lesson, a snapshot.

The packages are optional and imported here alone. Switched off, nothing of them is imported, and a
place that would be traced costs one look at `Tracing.is_on`.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from service.settings import TracingSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

Attribute = str | int | float | bool | Sequence[str]

FLUSH_MS = 3000
"""Longest that spans which wait to be sent keep a server that ends."""


class TracingUnavailable(ValueError):
    """Tracing is switched on, but its packages are not installed."""


class Tracing:
    """Where spans go; from any thread.

    Attributes:
        is_on: Whether anybody wants them.
    """

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        self._provider = provider
        self._tracer = None if provider is None else provider.get_tracer("tclif")
        self.is_on = provider is not None

    @contextmanager
    def span(self, name: str, **attributes: Attribute) -> Iterator[None]:
        """Trace what is done inside; what is raised there marks the span as failed."""
        if self._tracer is None:
            yield
            return
        with self._tracer.start_as_current_span(name, attributes=_prefixed(attributes)):
            yield

    def record(self, name: str, *, seconds: float, **attributes: Attribute) -> None:
        """Trace what has just ended.

        Args:
            name: What it was.
            seconds: How long it took.
            **attributes: What it was about.
        """
        if self._tracer is None:
            return
        end_ns = time.time_ns()
        span = self._tracer.start_span(
            name, attributes=_prefixed(attributes), start_time=end_ns - int(seconds * 1e9)
        )
        span.end(end_ns)

    def close(self) -> None:
        """Send what waits, for a moment; it blocks."""
        if self._provider is not None:
            self._provider.force_flush(FLUSH_MS)
            self._provider.shutdown()


NO_TRACING = Tracing()
"""Nobody wants spans."""


def open_tracing(settings: TracingSettings) -> Tracing:
    """Return where spans go.

    Raises:
        TracingUnavailable: They are asked for, and the packages are not there.
    """
    if not settings.enabled:
        return NO_TRACING
    try:
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - optional
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - optional
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - optional
        from opentelemetry.sdk.trace.sampling import TraceIdRatioBased  # noqa: PLC0415 - optional

        exporter = span_exporter(settings)
    except ImportError as error:
        raise TracingUnavailable(
            f"TCLIF_TRACING__ENABLED is set and {error.name} is missing; expected the packages of"
            " the extra `tracing`: pip install 'tclif[tracing]'"
        ) from error
    provider = TracerProvider(
        sampler=TraceIdRatioBased(settings.sampled_share),
        resource=Resource.create({"service.name": "tclif", "service.version": version("tclif")}),
        # the server ends it, in order
        shutdown_on_exit=False,
    )
    # bounded: what the collector does not take is dropped
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=settings.queued_spans))
    return Tracing(provider)


def span_exporter(settings: TracingSettings) -> "SpanExporter":
    """Return what sends spans to a collector by OTLP over HTTP.

    Raises:
        ImportError: Its package is not installed.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - optional
        OTLPSpanExporter,
    )

    return OTLPSpanExporter(settings.endpoint)


def _prefixed(attributes: dict[str, Attribute]) -> dict[str, Attribute]:
    return {f"tclif.{name}": value for name, value in attributes.items()}
