"""The server: its rooms built, opened and closed in their order."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from fastapi import FastAPI

from service import VERSION
from service.access.access import PUBLIC_PATHS, Access
from service.access.audit import Act, record
from service.access.origin_check import PROBLEMS, OriginCheck
from service.access.request_form import RequestForm
from service.access.session_quota import SessionQuota
from service.access.token_book import TokenBook
from service.access.token_file import TokensUnreadable
from service.access.traffic_quota import TrafficQuota
from service.engine.tick_engine import TickEngine
from service.errors import StorageFailure, Unauthorized
from service.observation.session_series import SessionSeries
from service.observation.telemetry import Telemetry
from service.observation.tracing import NO_TRACING, Tracing, open_tracing
from service.observation.vital_signs import VitalSignsReader
from service.routes import (
    http_models,
    http_routes,
    http_snapshots,
    monitor,
    page,
    session_watch,
    websocket_route,
)
from service.routes.metrics_listener import MetricsListener
from service.routes.refused_requests import answer_refusals
from service.routes.response_count import ResponseCount
from service.sessions.admission import Admission
from service.sessions.session_archive import SessionArchive
from service.sessions.session_registry import SessionRegistry
from service.sessions.snapshot_keeper import SnapshotKeeper
from service.settings import Settings
from service.storage.data_lock import DataFolder, open_data
from service.storage.model_store import ModelStore
from service.storage.shipped_models import publish_shipped
from service.storage.snapshot_store import SnapshotStore
from service.storage.storage_threads import StorageThreads
from service.stream import compiled_binning

if TYPE_CHECKING:
    from service.routes.connection import Connection

TEND_EVERY_S = 1.0
"""Time between two looks at which sessions are to be parked or deleted."""

TIME_LOOP_EVERY_S = 0.25
"""Time between two looks at how busy the event loop is."""

_log = logging.getLogger(__name__)


class Service:
    """The rooms of one running server.

    Attributes:
        is_ready: Whether sessions can be opened: the kernel is compiled, nothing is draining.
        connections: The sockets that are open.
    """

    def __init__(
        self,
        settings: Settings,
        tokens: TokenBook,
        traffic: TrafficQuota,
        data: DataFolder,
        loop: asyncio.AbstractEventLoop,
        *,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self.settings = settings
        self.tokens = tokens
        self.traffic = traffic
        self.telemetry = Telemetry(tracing)
        self._admission = Admission(settings.admission)
        self.engine = TickEngine(settings.engine, self.telemetry, self._admission, loop)
        self._data = data
        self._threads = StorageThreads(settings.storage.writers, settings.storage.store_timeout_s)
        store = SnapshotStore(data.storage, settings.storage, time.time)
        self._keeper = SnapshotKeeper(store, self._threads, settings.storage, self.telemetry)
        self.models = ModelStore(data.storage, settings.quota)
        self.registry = SessionRegistry(
            self.engine,
            settings.session,
            settings.socket,
            settings.storage,
            quota=SessionQuota(settings.session, settings.quota),
            models=self.models,
            archive=SessionArchive(store, self._threads, self.engine, settings.session, time.time),
            keeper=self._keeper,
            admission=self._admission,
        )
        self._chores: list[asyncio.Task[None]] = []
        self.vital_signs = VitalSignsReader(self.engine, self.registry)
        self.monitors = monitor.Monitors(
            self.registry, self.vital_signs, settings.telemetry, tokens.honours
        )
        self.is_ready = False
        self.connections: set[Connection] = set()
        self._watch()

    async def start(self) -> None:
        """Compile the loops, find what is stored and start the engine."""
        _log.info("preparing the kernel; the first start compiles it, a minute or more")
        await asyncio.to_thread(self.engine.warm_up)
        await asyncio.to_thread(compiled_binning.warm_up)
        if self.settings.storage.shipped_models:
            await self._publish_shipped()
        await self.registry.start()
        self.engine.start()
        chores = (self._tend(), self._hold_data(), self._time_loop())
        self._chores = [asyncio.create_task(chore) for chore in chores]
        self.is_ready = True
        parked, url = len(self.registry.archive), self._data.storage.url
        _log.info("ready, kernel %s, %d sessions in %s", self.settings.engine.kernel, parked, url)

    async def _publish_shipped(self) -> None:
        try:
            await self._threads.run(lambda: publish_shipped(self.models))
        except StorageFailure as failure:
            _log.warning("the models that come with the server are not offered: %s", failure)

    def reload_tokens(self) -> None:
        """Read the file of tokens again and end the connections of those that are gone."""
        try:
            self.tokens.reload()
        except TokensUnreadable as error:
            _log.error("the tokens stay as they were: %s", error)
            record(Act.RELOAD, outcome="failed")
            return
        record(Act.RELOAD, outcome="done", tokens=len(self.tokens))
        for connection in list(self.connections):
            principal = connection.principal
            try:
                self.tokens.check(principal)
            except Unauthorized as error:
                record(Act.REVOKE, principal=principal.name, token=principal.token_id)
                connection.end(error)

    async def drain(self) -> None:
        """Take nothing more in, store every session, say goodbye and wait until it is heard."""
        self.is_ready = False
        self.monitors.end()
        for chore in self._chores:
            chore.cancel()
        connections = list(self.connections)
        for connection in connections:
            connection.fence()
        # bounded by a setting; each session hears goodbye as soon as it is stored
        await self.registry.drain()
        for connection in connections:
            connection.drain()
        # each connection bounds its own last words
        await asyncio.gather(*(connection.ended.wait() for connection in connections))

    async def stop(self) -> None:
        """End the engine after the batch in progress, leave the data folder, send what waits."""
        self._keeper.stop()
        await asyncio.to_thread(self.engine.stop)
        try:
            await self._threads.run(self._data.lock.release)
        except StorageFailure as failure:
            _log.warning("the data folder stays locked until its lease runs out: %s", failure)
        self._threads.stop()
        await asyncio.to_thread(self.telemetry.tracing.close)

    async def _tend(self) -> None:
        """Park and expire sessions."""
        while True:
            await asyncio.sleep(TEND_EVERY_S)
            await self.registry.tend()

    async def _time_loop(self) -> None:
        """Tell how much processor time the event loop takes."""
        before_s = time.thread_time()
        while True:
            await asyncio.sleep(TIME_LOOP_EVERY_S)
            now_s = time.thread_time()
            self._admission.looped(now_s - before_s)
            before_s = now_s

    async def _hold_data(self) -> None:
        """Go on holding the data folder, where that takes doing."""
        every_s = self._data.lock.renew_every_s
        while every_s:
            await asyncio.sleep(every_s)
            try:
                await self._threads.run(self._data.lock.renew)
            except StorageFailure as failure:
                # nothing is stored meanwhile, and every client hears that
                _log.error("the data folder is not held: %s", failure)

    def _watch(self) -> None:
        self.telemetry.watch("ready", "Whether sessions can be opened.", lambda: self.is_ready)
        self.telemetry.watch(
            "real_time_load",
            "Share of its time that engine or event loop spends on sessions in real time.",
            lambda: self._admission.load,
        )
        self.telemetry.watch(
            "real_time_load_limit",
            "Load up to which new sessions are opened.",
            lambda: self.settings.admission.new_load,
        )
        self.telemetry.watch(
            "session_bytes",
            "Memory that the sessions' networks are accounted for.",
            lambda: self.registry.bytes_used,
        )
        self.telemetry.watch(
            "session_bytes_limit",
            "Most that they may take together.",
            lambda: self.settings.session.max_total_bytes,
        )
        n_single = self.settings.telemetry.single_sessions
        self.telemetry.add(SessionSeries(self.registry, self.vital_signs, single_sessions=n_single))


def create_app(settings: Settings) -> FastAPI:
    """Build the server.

    Raises:
        TokensUnreadable: There should be a file of tokens, and it can't be read.
        AddressUnavailable: The port for metrics can't be had.
        StorageFailure: The data folder can't be reached, or is another server's.
        TracingUnavailable: Spans are asked for, and the packages are not there.
    """
    tracing = open_tracing(settings.tracing)
    tokens = TokenBook(settings.access.tokens_file)
    traffic = TrafficQuota(settings.quota)
    data = open_data(settings.storage.url, settings.storage.lease_s)

    port = settings.listener.metrics_port
    metrics = None if port is None else MetricsListener(settings.listener, port)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service = Service(
            settings, tokens, traffic, data, asyncio.get_running_loop(), tracing=tracing
        )
        app.state.service = service
        await service.start()
        async with metrics.serving(service) if metrics else nullcontext():
            yield
        await service.drain()
        await service.stop()

    # no pages of FastAPI's own: they load their scripts from elsewhere
    app = FastAPI(
        title="tclif",
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses=PROBLEMS,
    )
    allowed_hosts = (*settings.listener.allowed_hosts, settings.listener.host)
    # from the inside to the outside: who comes from a foreign page is not even asked for a token
    app.state.metrics = metrics
    app.add_middleware(RequestForm, settings=settings.listener)
    files = page.read_files() if settings.listener.serves_page else {}
    public_paths = PUBLIC_PATHS.union(files)
    app.add_middleware(Access, tokens=tokens, traffic=traffic, public_paths=public_paths)
    app.add_middleware(OriginCheck, allowed_hosts=allowed_hosts)
    app.add_middleware(ResponseCount)
    app.include_router(http_routes.router)
    app.include_router(monitor.router)
    app.include_router(session_watch.router)
    app.include_router(page.router_of(files))
    app.include_router(http_snapshots.router)
    app.include_router(http_models.router)
    app.include_router(websocket_route.router)

    answer_refusals(app)
    return app
