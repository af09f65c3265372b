"""What the server tells of itself."""

from typing import Annotated

from pydantic import BaseModel, Field

from service.settings.strict import STRICT


class TelemetrySettings(BaseModel):
    """What the server tells of itself."""

    model_config = STRICT

    single_sessions: Annotated[int, Field(ge=0, le=1000)] = 50
    """Sessions with series of their own in ``/metrics``, the most recently active; 0 for none."""

    monitors: Annotated[int, Field(ge=0)] = 8
    """Streams of ``/v1/monitor`` and of sessions' ``watch`` that one principal may read at once."""


class TracingSettings(BaseModel):
    """Spans for OpenTelemetry; needs the packages of the extra ``tracing``."""

    model_config = STRICT

    enabled: bool = False
    """Whether opens, batches, lessons and snapshots are traced."""

    endpoint: Annotated[str, Field(min_length=1)] = "http://localhost:4318/v1/traces"
    """Where a collector takes spans by OTLP over HTTP."""

    sampled_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the traces that are kept."""

    queued_spans: Annotated[int, Field(ge=512)] = 2048
    """Spans that may wait to be sent; further ones are dropped."""
