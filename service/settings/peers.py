"""Who may talk to the server, where, and how much of it one of them may have."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from service.settings.strict import STRICT


class ListenerSettings(BaseModel):
    """Where the server listens and who may talk to it."""

    model_config = STRICT

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

    serves_page: bool = True
    """Whether ``/`` is the page for browsers; its files are public, what they show is not."""

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
    """A request's line and headers, handshakes included, must be whole in this time; so must a
    handshake of TLS before them."""

    write_timeout_s: Annotated[float, Field(gt=0)] = 30.0
    """A peer that takes nothing of an HTTP answer for so long is closed."""

    handshakes_per_s: Annotated[float, Field(gt=0)] = 100.0
    """New sockets that are taken in a second; more of them wait their turn in the system's queue,
    so that a flood leaves time to the sessions that are there."""

    @model_validator(mode="after")
    def _certificate_and_key_go_together(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("one of certificate_file and key_file came; expected both or neither")
        return self


class AccessSettings(BaseModel):
    """Who may come in."""

    model_config = STRICT

    tokens_file: Path | None = None
    """File of hashed tokens that ``tclif-admin token new`` makes; read at the start and at SIGHUP.
    Without it nobody is asked for credentials, and everybody is the administrator ``local``."""


class QuotaSettings(BaseModel):
    """What each principal may have and send."""

    model_config = STRICT

    sessions: Annotated[int, Field(ge=1)] = 1024
    """Sessions of one principal, in memory and parked."""

    session_bytes: Annotated[int, Field(ge=1)] = 8 << 30
    """Learner memory of one principal's sessions together, in memory and parked; checked before a
    new one. Classes that are added to one count, but are not refused for it."""

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

    model_config = STRICT

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
    """Acknowledgements are gathered for this long, so that one covers many messages; one that waits
    leaves with the next message, but no sooner than this after the one before."""

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
