"""Which sessions exist, and what it takes to open, resume, take over and delete one."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

from service.access.audit import Act, record
from service.access.principals import SessionKey
from service.access.session_quota import SessionQuota
from service.configuration.configuration import DEFAULT_TICK_US
from service.errors import (
    CloseCode,
    Draining,
    EpochMismatch,
    InternalFailure,
    Overloaded,
    SnapshotFailed,
    UnknownSession,
)
from service.sessions.admission import Admission
from service.sessions.engine import Engine
from service.sessions.greeting import greeting
from service.sessions.outbox import Outbox
from service.sessions.session_archive import SessionArchive
from service.sessions.session_memory import SessionMemory
from service.sessions.sessions import Session
from service.sessions.snapshot_keeper import SnapshotKeeper, told
from service.sessions.upkeep import Upkeep
from service.settings import SessionSettings, SocketSettings, StorageSettings
from service.storage.model_store import ModelStore
from service.storage.snapshot_format import Manifest
from service.wire_protocol import Open

_log = logging.getLogger(__name__)


class SessionRegistry:
    """Every session by its owner and name; only the event loop touches it.

    A session is in memory, or parked: stored, and brought back when it is asked for.

    Attributes:
        archive: Knows the parked ones.
        keeper: Stores those in memory.
        is_draining: Whether no session may be opened any more.
    """

    def __init__(
        self,
        engine: Engine,
        settings: SessionSettings,
        socket_settings: SocketSettings,
        storage_settings: StorageSettings,
        *,
        quota: SessionQuota,
        models: ModelStore,
        archive: SessionArchive,
        keeper: SnapshotKeeper,
        admission: Admission,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._socket_settings = socket_settings
        self._drain_timeout_s = storage_settings.drain_timeout_s
        self.archive = archive
        self.keeper = keeper
        self._admission = admission
        self._memory = SessionMemory(
            engine,
            settings,
            storage_settings,
            quota=quota,
            models=models,
            archive=archive,
            keeper=keeper,
            admission=admission,
            clock=clock,
        )
        self._upkeep = Upkeep(self._memory, archive, storage_settings, clock)
        self.is_draining = False

    def __iter__(self) -> Iterator[Session]:
        """Walk over the sessions in memory, everybody's, in order of their keys."""
        return iter(sorted(self._memory.sessions.values(), key=lambda session: session.key))

    def __len__(self) -> int:
        """How many sessions are in memory."""
        return len(self._memory.sessions)

    @property
    def bytes_used(self) -> int:
        """Memory that the sessions' networks are accounted for."""
        return self._memory.bytes_used

    @property
    def n_parked(self) -> int:
        """How many sessions are stored and not in memory."""
        return len(self.archive)

    async def start(self) -> None:
        """Find the sessions that an earlier server stored.

        Raises:
            StorageFailure: The data folder can't be read.
        """
        await self._memory.take_stock()

    def get(self, key: SessionKey) -> Session | None:
        """Return the session of that key, if it is in memory."""
        return self._memory.sessions.get(key)

    def sessions_of(self, principal: str) -> list[Session]:
        """List a principal's sessions in memory, in order of their names."""
        return [session for session in self if session.principal == principal]

    def parked_of(self, principal: str) -> list[Manifest]:
        """List what is known of a principal's parked sessions, in order of their names."""
        parked = [m for m in self.archive.everything() if m.principal == principal]
        return sorted(parked, key=lambda manifest: manifest.session)

    def check_exists(self, key: SessionKey) -> None:
        """Refuse a key that nobody has.

        Raises:
            UnknownSession: There is no such session, in memory or parked.
        """
        if key not in self._memory.sessions and self.archive.parked(key) is None:
            raise UnknownSession(f"session {key.name!r} came; expected one of GET /v1/sessions")

    @asynccontextmanager
    async def hold(self, key: SessionKey) -> AsyncIterator[Session]:
        """Hold a session in memory, brought back if it is parked; nobody opens or parks it.

        Raises:
            UnknownSession: There is none.
            QuotaExceeded: There is no room to bring it back.
            Overloaded: It can't be brought back now.
        """
        self.check_exists(key)
        async with self._memory.lock(key):
            session = self.get(key) or await self._memory.bring_back(key)
            if session is None:
                raise UnknownSession(f"session {key.name!r} came, which is no more")
            yield session

    async def open(self, request: Open, outbox: Outbox, principal: str) -> Session:
        """Find, make or take over the session that ``request`` names, and attach ``outbox`` to it.

        Args:
            request: It names one of the principal's sessions, or leaves the name to the server.
            outbox: What the connection will be told.
            principal: Whose connection it is.

        Raises:
            OpenRefused: The request can't be met; nothing changed.
            InternalFailure: The session is quarantined.
            Overloaded: It can't be stored or brought back now, or the sessions in real time
                leave no room for it.
            Draining: The server is shutting down.
        """
        self._check_draining()
        key = SessionKey(principal, request.session or f"s-{secrets.token_hex(8)}")
        async with self._memory.lock(key):
            failure: SnapshotFailed | None = None
            self._admit_known(key, request)
            session = self.get(key) or await self._memory.bring_back(key)
            resumed = session is not None
            if session is None:
                session = await self._create(key, request)
            else:
                failure = await self._take_over(session, request)
            self._check_draining()
            opened = greeting(session, self._socket_settings, resumed=resumed)
            session.attach(outbox, opened, request.report)
            if failure is not None:
                session.tell(told(failure))
            record(Act.OPEN, **session.log_fields, resumed=resumed)
            return session

    async def rouse(self, session: Session) -> Session:
        """Bring back a session that left memory while its connection was attached.

        Args:
            session: What the connection has of it.

        Returns:
            The session to go on with, the connection attached.

        Raises:
            Overloaded: It can't be brought back now, or not as it left; the client may resume.
            QuotaExceeded: There is no room for it.
            Draining: The server is shutting down.
        """
        self._check_draining()
        async with self._memory.lock(session.key):
            if session.successor is None and session.is_attached:
                tick_us, n_bytes = session.configuration.tick_us, session.network_bytes
                self._admission.admit(tick_us=tick_us, n_bytes=n_bytes, is_known=True)
                await self._memory.bring_back(session.key)
        if session.successor is None:
            raise Overloaded("the session could not go on as it was; expected a resume")
        return session.successor

    async def delete(self, key: SessionKey) -> bool:
        """Erase a session with its snapshots, attached or not; tell whether there was one.

        Raises:
            StorageFailure: Its snapshots could not be deleted: it is parked.
        """
        session = self.get(key)
        if session is not None:
            # whoever waits for it, a take-over for example, lets go of its lock
            session.retire()
        async with self._memory.lock(key):
            was_there = await self._memory.erase(key)
        if was_there:
            record(Act.DELETE, principal=key.principal, session=key.name)
        return was_there

    async def tend(self) -> None:
        """Delete what has expired, park what nobody uses or what has no room any more.

        To be called every now and then.
        """
        await self._upkeep.tend(self._socket_settings.retry_after_ms)

    async def drain(self) -> None:
        """Open no more sessions; store those there are and say goodbye to each, in bounded time.

        Nobody may send them anything any more.
        """
        self.is_draining = True
        timeout_s = self._drain_timeout_s
        tasks = [asyncio.create_task(self._settle(session)) for session in self]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=timeout_s)
            if late:
                _log.error("%d sessions were not stored within %g s", len(late), timeout_s)
            for task in late:
                task.cancel()
        for session in (*self, *self._memory.dormant.everybody()):
            self._say_goodbye(session)

    async def _settle(self, session: Session) -> None:
        try:
            await session.backlog.wait_until_done()
            await self.keeper.store(session)
        except (SnapshotFailed, InternalFailure, UnknownSession) as error:
            _log.warning("drained without a snapshot: %s", error, extra=session.log_fields)
        self._say_goodbye(session)

    def _say_goodbye(self, session: Session) -> None:
        retry_after_ms = self._socket_settings.retry_after_ms
        session.dismiss("draining", CloseCode.DRAINING, retry_after_ms=retry_after_ms)

    def _check_draining(self) -> None:
        if self.is_draining:
            raise Draining("the server is shutting down; expected a later open")

    def _admit_known(self, key: SessionKey, request: Open) -> None:
        """Let a session come back, if the sessions in real time leave it room.

        Raises:
            AtCapacity: They do not.
        """
        session, manifest = self.get(key), self.archive.parked(key)
        if session is not None:
            if session.is_attached or self._admission.is_measured(session.active_s):
                return
            tick_us, n_bytes = session.configuration.tick_us, session.network_bytes
        elif manifest is not None:
            tick_us, n_bytes = request.tick_us or DEFAULT_TICK_US, manifest.network_bytes
        else:
            return
        self._admission.admit(tick_us=tick_us, n_bytes=n_bytes, is_known=True)

    async def _create(self, key: SessionKey, request: Open) -> Session:
        if request.epoch is not None:
            raise EpochMismatch(
                f"epoch {request.epoch} came, but there is no session {key.name!r}; open it without"
                " an epoch to begin anew"
            )
        return await self._memory.create(key, request)

    async def _take_over(self, session: Session, request: Open) -> SnapshotFailed | None:
        """Make a session free for a new connection; return why it could not be stored, if so."""
        if request.epoch is not None and request.epoch != session.epoch:
            raise EpochMismatch(
                f"epoch {request.epoch} came; session {session.name!r} is another incarnation,"
                f" epoch {session.epoch}"
            )
        session.configuration.check_same(request, seed=session.seed)
        if session.failure is not None:
            raise InternalFailure(session.failure.message)
        was_attached = session.is_attached
        # the old reader is fenced from here on: what it reads finds its connection detached
        session.dismiss("taken_over", CloseCode.ORDERLY)
        await session.backlog.wait_until_done()
        if session.failure is not None:
            raise InternalFailure(session.failure.message)
        if was_attached:
            try:
                await self.keeper.store(session)
            except SnapshotFailed as failure:
                return failure
        return None
