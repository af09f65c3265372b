"""Every setting of the server, from the environment (``TCLIF_…``) and the command line.

One class a room; a room receives its own class and sees no other. Illegal values and unknown names
are refused at the start.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_STRICT = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ListenerSettings(BaseModel):
    """Where the server listens and who may talk to it."""

    model_config = _STRICT

    host: str = "127.0.0.1"
    """Address to listen on. Without ``access.tokens_file`` it must be one of loopback."""

    port: Annotated[int, Field(ge=0, le=65535)] = 8700
    """TCP port; 0 takes any free one."""

    allowed_hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")
    """Host names that a request's ``Host`` and ``Origin`` may carry, without port; ``host`` is
    always among them."""

    certificate_file: Path | None = None
    """PEM file of the certificate and its chain, for TLS: ``wss`` and ``https``."""

    key_file: Path | None = None
    """PEM file of its private key, without passphrase."""

    metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Where ``/metrics`` has a listener of its own, which asks for no token; 0 takes any free port.
    ``/metrics`` at ``port`` stays."""

    metrics_host: str = "127.0.0.1"
    """Address of that listener. Whoever reaches it reads the metrics of everybody."""

    max_body_bytes: Annotated[int, Field(ge=1024)] = 64 << 10
    """Longest body of an HTTP request; a longer one is answered with 413."""

    body_timeout_s: Annotated[float, Field(gt=0)] = 10.0
    """A body must be whole in this time."""

    max_connections: Annotated[int, Field(ge=2)] = 768
    """Sockets of every kind, those that wait included; one more is closed at once. Below the 1024
    files that a process may have open where nobody raised that limit."""

    max_pending: Annotated[int, Field(ge=1)] = 256
    """Sockets whose request is not whole yet; beyond them the oldest of the peer that has most of
    them is closed."""

    request_timeout_s: Annotated[float, Field(gt=0)] = 10.0
    """A request's line and headers, handshakes included, must be whole in this time."""

    write_timeout_s: Annotated[float, Field(gt=0)] = 30.0
    """A peer that takes nothing of an HTTP answer for so long is closed."""

    handshakes_per_s: Annotated[float, Field(gt=0)] = 200.0
    """New sockets that are read in a second; more of them wait their turn, so that a flood leaves
    time to the sessions that are there."""

    @model_validator(mode="after")
    def _certificate_and_key_go_together(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("one of certificate_file and key_file came; expected both or neither")
        return self


class AccessSettings(BaseModel):
    """Who may come in."""

    model_config = _STRICT

    tokens_file: Path | None = None
    """File of hashed tokens that ``tclif-admin token new`` makes; read at the start and at SIGHUP.
    Without it nobody is asked for credentials, and everybody is the administrator ``local``."""


class QuotaSettings(BaseModel):
    """What each principal may have and send."""

    model_config = _STRICT

    sessions: Annotated[int, Field(ge=1)] = 1024
    """Sessions of one principal, in memory and parked."""

    session_bytes: Annotated[int, Field(ge=1)] = 8 << 30
    """Learner memory of one principal's sessions together, in memory and parked."""

    events_per_s: Annotated[float, Field(gt=0)] = 5_000_000.0
    """Events a second over all connections; who sends more is read more slowly and loses nothing.
    A second's worth may come at once."""

    messages_per_s: Annotated[float, Field(gt=0)] = 20_000.0
    """Messages a second over all connections, likewise."""

    models: Annotated[int, Field(ge=1)] = 100
    """Versions of models that one principal may have stored, published ones left out."""

    model_bytes: Annotated[int, Field(ge=1)] = 1 << 30
    """Their files together."""

    connections: Annotated[int, Field(ge=1)] = 512
    """WebSocket connections at a time; one more is closed with 4429."""

    connections_per_minute: Annotated[int, Field(ge=1)] = 3000
    """WebSocket connections that may begin in a minute; one more is closed with 4429."""

    requests_per_s: Annotated[float, Field(gt=0)] = 500.0
    """HTTP requests a second, health left out; more are answered with 429. Ten seconds' worth may
    come at once."""


class SocketSettings(BaseModel):
    """One WebSocket connection."""

    model_config = _STRICT

    max_message_bytes: Annotated[int, Field(ge=1024)] = 1 << 20
    """Longest client message; a longer one closes the connection with 1009."""

    open_timeout_s: Annotated[float, Field(gt=0)] = 10.0
    """A connection that sends no ``open`` in this time is closed."""

    idle_s: Annotated[float, Field(gt=0)] = 300.0
    """A connection that sends no message in this time is closed; its session stays."""

    ping_interval_s: Annotated[float, Field(gt=0)] = 20.0
    """Time between pings."""

    ping_timeout_s: Annotated[float, Field(gt=0)] = 60.0
    """A peer that does not answer a ping in this time is detached. Answers queue behind the data of
    a client that sends faster than it is read, so this is longer than any backlog takes."""

    ack_delay_ms: Annotated[float, Field(gt=0, le=50)] = 20.0
    """Acknowledgements are gathered for this long, so that one covers many messages."""

    ack_every_s: Annotated[float, Field(gt=0, le=1)] = 1.0
    """An attached client gets an acknowledgement at least this often."""

    outbox_messages: Annotated[int, Field(ge=128)] = 1024
    """Messages that may wait for a slow reader before the connection is closed with 1013.

    The least has room for what a resumed connection is told first.
    """

    outbox_predictions: Annotated[int, Field(ge=1)] = 32
    """Non-final predictions among them; older ones are thinned and counted in ``skipped``."""

    retry_after_ms: Annotated[int, Field(ge=0)] = 1000
    """Told to clients that should come back later."""


class SessionSettings(BaseModel):
    """What one session may hold."""

    model_config = _STRICT

    max_sessions: Annotated[int, Field(ge=1)] = 256
    """Sessions in memory, attached or not."""

    max_session_bytes: Annotated[int, Field(ge=1)] = 64 << 20
    """Learner memory of one session; checked before anything is allocated."""

    max_total_bytes: Annotated[int, Field(ge=1)] = 4 << 30
    """Learner memory of all sessions together."""

    inbox_ticks: Annotated[int, Field(ge=1)] = 8192
    """Ticks a session may queue before its socket is no longer read."""

    inbox_inputs: Annotated[int, Field(ge=1)] = 1 << 20
    """Non-zero inputs of those ticks, likewise."""

    waiting_inputs: Annotated[int, Field(ge=1)] = 1 << 20
    """Counts of open ticks that a session may need at most: (late ticks + 1) times inputs."""

    inbox_messages: Annotated[int, Field(ge=1)] = 1024
    """Messages a session may queue before its socket is no longer read."""

    max_advance_ticks: Annotated[int, Field(ge=1)] = 4096
    """Ticks that one message may complete."""

    kept_segments: Annotated[int, Field(ge=1)] = 64
    """Finished segments that wait for a label."""

    kept_ticks: Annotated[int, Field(ge=1)] = 32768
    """Ticks of kept segments, the open one included."""

    kept_inputs: Annotated[int, Field(ge=1)] = 4 << 20
    """Non-zero inputs (channel and tick) of kept segments, the open one included."""

    checkpoint_ticks: Annotated[int, Field(ge=1)] = 256
    """Ticks between kept states that lessons of intervals start from; each takes the memory of
    neurons and traces. Shorter ones make lessons quicker."""

    max_kept_bytes: Annotated[int, Field(ge=1)] = 96 << 20
    """Memory that the kept ticks and states of one session may take; a session that could come to
    need more is not opened."""

    accuracy_window: Annotated[int, Field(ge=1)] = 200
    """Labelled segments in the windowed prequential accuracy."""

    def as_created(self) -> dict[str, int]:
        """Return what a session keeps for its life, whatever the settings become."""
        return self.model_dump(exclude=set(_OF_THE_SERVER))

    def with_created(self, created: Mapping[str, object]) -> Self:
        """Return these settings with what a session was created with.

        Raises:
            ValueError: A value is not allowed.
        """
        kept = self.model_dump().keys() - _OF_THE_SERVER
        known = {name: value for name, value in created.items() if name in kept}
        return type(self).model_validate(self.model_dump() | known)


_OF_THE_SERVER = frozenset(
    {
        "max_sessions",
        "max_session_bytes",
        "max_total_bytes",
        "inbox_ticks",
        "inbox_inputs",
        "inbox_messages",
    }
)
"""Settings of sessions that change nothing of what a session computes."""


class EngineSettings(BaseModel):
    """The thread that computes."""

    model_config = _STRICT

    kernel: Literal["cpu", "reference"] = "cpu"
    """Which kernel new sessions get: ``cpu`` or ``reference``."""

    batch_rows: Annotated[int, Field(ge=1)] = 64
    """Sessions in one batch."""

    visit_ticks: Annotated[int, Field(ge=1)] = 64
    """Ticks of one session in one batch, so that its weights are loaded once for several ticks."""


class StorageSettings(BaseModel):
    """The data folder, and the snapshots of sessions in it."""

    model_config = _STRICT

    url: Annotated[str, Field(min_length=1)] = "~/.local/state/tclif"
    """The data folder: a path, or a URL that fsspec knows, such as ``s3://bucket/folder``."""

    lease_s: Annotated[float, Field(gt=0)] = 15.0
    """How long a server that ended without a word keeps the next one from a data folder that is not
    on this machine's disk."""

    snapshot_every_s: Annotated[float, Field(gt=0)] = 5.0
    """Time between two snapshots of a session that changes."""

    retry_at_most_s: Annotated[float, Field(gt=0)] = 60.0
    """Longest wait after snapshots that could not be stored; each failure doubles the wait."""

    store_timeout_s: Annotated[float, Field(gt=0)] = 30.0
    """A snapshot that takes longer to be stored counts as failed."""

    writers: Annotated[int, Field(ge=1)] = 2
    """Threads that seal, write and verify snapshots."""

    bytes_per_s: Annotated[int, Field(ge=1)] = 128 << 20
    """Bytes of periodic snapshots that are written in a second, on average over a few; others wait
    their turn. Snapshots that somebody waits for come first and are not held back."""

    bytes_in_flight: Annotated[int, Field(ge=1)] = 256 << 20
    """Memory of the snapshots that are being written at a time; a larger one is written alone."""

    kept_periodic: Annotated[int, Field(ge=0)] = 4
    """Snapshots of a session, besides the two newest, that are kept to roll back to."""

    periodic_spacing_s: Annotated[float, Field(ge=0)] = 600.0
    """Least time between those."""

    kept_requested: Annotated[int, Field(ge=0)] = 8
    """Snapshots of a session, besides, that were asked for by a message or over HTTP."""

    park_after_s: Annotated[float, Field(ge=0)] = 300.0
    """A session without a connection for so long leaves memory and stays stored."""

    expire_after_s: Annotated[float, Field(gt=0)] = 30 * 86400.0
    """A session without a connection for so long is deleted with its snapshots."""

    max_stored_sessions: Annotated[int, Field(ge=1)] = 10_000
    """Sessions in memory and parked ones together."""

    drain_timeout_s: Annotated[float, Field(gt=0)] = 20.0
    """How long a server that is told to end stores sessions before it ends anyway."""


class TelemetrySettings(BaseModel):
    """What the server tells of itself."""

    model_config = _STRICT

    single_sessions: Annotated[int, Field(ge=0, le=1000)] = 50
    """Sessions with series of their own in ``/metrics``, the most recently active; 0 for none."""

    monitors: Annotated[int, Field(ge=0)] = 8
    """Streams of ``/v1/monitor`` that one principal may read at a time."""


class TracingSettings(BaseModel):
    """Spans for OpenTelemetry; needs the packages of the extra ``tracing``."""

    model_config = _STRICT

    enabled: bool = False
    """Whether opens, batches, lessons and snapshots are traced."""

    endpoint: Annotated[str, Field(min_length=1)] = "http://localhost:4318/v1/traces"
    """Where a collector takes spans by OTLP over HTTP."""

    sampled_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the traces that are kept."""

    queued_spans: Annotated[int, Field(ge=512)] = 2048
    """Spans that may wait to be sent; further ones are dropped."""


class Settings(BaseSettings):
    """All rooms' settings; ``TCLIF_ENGINE__KERNEL=reference`` sets ``engine.kernel``."""

    model_config = SettingsConfigDict(
        env_prefix="TCLIF_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    listener: ListenerSettings = ListenerSettings()
    access: AccessSettings = AccessSettings()
    quota: QuotaSettings = QuotaSettings()
    socket: SocketSettings = SocketSettings()
    session: SessionSettings = SessionSettings()
    engine: EngineSettings = EngineSettings()
    storage: StorageSettings = StorageSettings()

    telemetry: TelemetrySettings = TelemetrySettings()
    tracing: TracingSettings = TracingSettings()

    @model_validator(mode="after")
    def _every_variable_has_a_room(self) -> Self:
        # within a room unknown names are refused already; a misspelt room would go unnoticed
        rooms = {f"TCLIF_{room}".upper() for room in type(self).model_fields}
        for name in os.environ:
            room, _, _ = name.upper().partition("__")
            if room.startswith("TCLIF_") and room not in rooms:
                raise ValueError(f"{name} is set; expected one of {sorted(rooms)}, then __NAME")
        return self
