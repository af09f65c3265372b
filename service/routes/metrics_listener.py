"""``/metrics`` on a listener of its own, without a token: for a network that others don't reach."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from typing_extensions import override

from service.access.access import METRICS_PATH
from service.access.connection_gate import MAX_HEADER_BYTES, gated
from service.access.origin_check import OriginCheck
from service.access.paced_server import PacedServer, bind
from service.routes.http_routes import show_metrics
from service.settings import ListenerSettings


class MetricsListener(PacedServer):
    """A second server on the same event loop, which has this one page."""

    def __init__(self, settings: ListenerSettings, port: int) -> None:
        """Take the port.

        Raises:
            AddressUnavailable: It can't be had.
        """
        self._pages = Starlette(routes=[Route(METRICS_PATH, show_metrics)])
        allowed_hosts = (*settings.allowed_hosts, settings.metrics_host)
        config = uvicorn.Config(
            OriginCheck(self._pages, allowed_hosts),
            http=gated(settings),
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
        )
        super().__init__(config, settings)
        self._sockets = bind(settings.metrics_host, port)

    @property
    def port(self) -> int:
        """The port that it has."""
        port: int = self._sockets[0].getsockname()[1]
        return port

    @asynccontextmanager
    async def serving(self, service: object) -> AsyncIterator[None]:
        """Show a service's metrics as long as the block lasts."""
        self._pages.state.service = service
        serving = asyncio.create_task(self.serve(self._sockets))
        try:
            yield
        finally:
            self.should_exit = True
            await serving

    @contextmanager
    @override
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the server beside this one."""
        yield
