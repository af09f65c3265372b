"""Connections taken at a pace: a flood of them waits in the system's queue, not on the event loop.

    system's queue ─► accepted at handshakes_per_s ─► TLS, where it is asked for ─► protocol

Uvicorn takes every connection that there is at once. What that costs is paid by the sessions that
are there already; here it has a bound.
"""

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import uvicorn
from typing_extensions import override

from service.access.allowance import Allowance
from service.settings import ListenerSettings

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol

BURST_S = 0.1
"""Connections of this long may be taken at once."""

RETRY_S = 1.0
"""Time until the next try when none can be taken."""

_BACKLOG = 512

_log = logging.getLogger(__name__)


class AddressUnavailable(OSError):
    """There is no such host here, or another process has the port."""


def bind(host: str, port: int) -> list[socket.socket]:
    """Take a port at every address that a host name has.

    Raises:
        AddressUnavailable: One of them can't be had.
    """
    bound: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            each = socket.socket(family, kind, protocol)
            bound.append(each)
            # a server that was killed leaves connections that would hold the port for a minute
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            each.bind(address)
    except OSError as error:
        for each in bound:
            each.close()
        raise AddressUnavailable(
            f"host {host!r} and port {port} came, which can't be had ({error.strerror}); expected"
            " an address of this machine and a free port"
        ) from error
    return bound


class PacedListener:
    """Takes the connections of some sockets; to uvicorn it is a server of asyncio's.

    Attributes:
        sockets: What it listens on.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        make_protocol: Callable[[], asyncio.Protocol],
        settings: ListenerSettings,
        tls: ssl.SSLContext | None,
    ) -> None:
        self.sockets = tuple(sockets)
        self._make_protocol = make_protocol
        self._settings = settings
        self._tls = tls
        per_s = settings.handshakes_per_s
        self._pace = Allowance(per_s, max(1.0, BURST_S * per_s), time.monotonic)
        self._tasks: set[asyncio.Task[None]] = set()
        self._beginning: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Listen and take connections from now on."""
        for each in self.sockets:
            each.settimeout(0)
            each.listen(_BACKLOG)
            self._tasks.add(asyncio.create_task(self._accept(each)))

    def close(self) -> None:
        """Take no more; those that are there stay."""
        for task in (*self._tasks, *self._beginning):
            task.cancel()
        for each in self.sockets:
            each.close()

    async def wait_closed(self) -> None:
        """Wait until `close` has had its effect."""
        await asyncio.gather(*self._tasks, *self._beginning, return_exceptions=True)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:
                # no file is left, or the peer: the others go on meanwhile
                _log.warning("can't take a connection: %s", error)
                await asyncio.sleep(RETRY_S)
                continue
            if len(self._beginning) < self._settings.max_pending:
                task = asyncio.create_task(self._begin(connection))
                self._beginning.add(task)
                task.add_done_callback(self._beginning.discard)
            else:
                connection.close()
            await asyncio.sleep(self._pace.owe(1))

    async def _begin(self, connection: socket.socket) -> None:
        """Shake hands for TLS, if so, and hand over to the protocol."""
        timeout_s = None if self._tls is None else self._settings.request_timeout_s
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().connect_accepted_socket(
                self._make_protocol, connection, ssl=self._tls, ssl_handshake_timeout=timeout_s
            )
        except OSError as error:
            # what a peer gets wrong is its own affair
            _log.debug("a connection ended before it began: %s", error)
            connection.close()


class PacedServer(uvicorn.Server):
    """Uvicorn on sockets whose connections are taken at a pace."""

    def __init__(self, config: uvicorn.Config, settings: ListenerSettings) -> None:
        super().__init__(config)
        self._listener_settings = settings

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then listen on bound sockets."""
        # without any, uvicorn starts the application and listens nowhere
        await super().startup([])
        listener = PacedListener(
            sockets or [], self._make_protocol, self._listener_settings, self.config.ssl
        )
        listener.start()
        self.servers = [cast("asyncio.Server", listener)]

    def _make_protocol(self) -> asyncio.Protocol:
        protocol_class = cast("type[H11Protocol]", self.config.http_protocol_class)
        return protocol_class(self.config, self.server_state, self.lifespan.state)
