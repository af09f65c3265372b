"""Which sessions exist, and what it takes to open, resume, take over and delete one."""

import asyncio
import secrets
from collections.abc import Iterator
from importlib.metadata import version
from weakref import WeakValueDictionary

from service.audit import Act, record
from service.configuration import SessionConfiguration
from service.errors import (
    CloseCode,
    Draining,
    EpochMismatch,
    InternalFailure,
    UnknownSession,
)
from service.outbox import Outbox
from service.principals import SessionKey
from service.session_quota import SessionQuota
from service.sessions import Engine, Session
from service.settings import SessionSettings, SocketSettings
from service.wire_protocol import NUMBER_LIMIT, Limits, Open
from tclif_core import Learner

VERSION = version("tclif")


class SessionRegistry:
    """Every session by its owner and name; only the event loop touches it.

    Attributes:
        limits: What every client is told.
        is_draining: Whether no session may be opened any more.
    """

    def __init__(
        self,
        engine: Engine,
        settings: SessionSettings,
        socket_settings: SocketSettings,
        quota: SessionQuota,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._quota = quota
        self._sessions: dict[SessionKey, Session] = {}
        # one open at a time for each key: a take-over waits, and nobody may slip in between
        self._opening: WeakValueDictionary[SessionKey, asyncio.Lock] = WeakValueDictionary()
        self.is_draining = False
        self.limits = Limits(
            max_message_bytes=socket_settings.max_message_bytes,
            max_advance_ticks=settings.max_advance_ticks,
            kept_segments=settings.kept_segments,
            kept_ticks=settings.kept_ticks,
            idle_s=socket_settings.idle_s,
        )

    def __iter__(self) -> Iterator[Session]:
        """Walk over the sessions of everybody, in order of their keys."""
        return iter(sorted(self._sessions.values(), key=lambda session: session.key))

    def __len__(self) -> int:
        """How many sessions there are."""
        return len(self._sessions)

    @property
    def bytes_used(self) -> int:
        """Memory that the sessions' networks are accounted for."""
        return self._quota.bytes_in_memory

    def get(self, key: SessionKey) -> Session | None:
        """Return the session of that key, if there is one."""
        return self._sessions.get(key)

    def find(self, key: SessionKey) -> Session:
        """Return the session of that key.

        Raises:
            UnknownSession: There is none.
        """
        session = self._sessions.get(key)
        if session is None:
            raise UnknownSession(f"session {key.name!r} came; expected one of GET /v1/sessions")
        return session

    def sessions_of(self, principal: str) -> list[Session]:
        """List a principal's sessions in order of their names."""
        return [session for session in self if session.principal == principal]

    async def open(self, request: Open, outbox: Outbox, principal: str) -> Session:
        """Find, make or take over the session that ``request`` names, and attach ``outbox`` to it.

        Args:
            request: It names one of the principal's sessions, or leaves the name to the server.
            outbox: What the connection will be told.
            principal: Whose connection it is.

        Raises:
            OpenRefused: The request can't be met; nothing changed.
            InternalFailure: The session is quarantined.
            Draining: The server is shutting down.
        """
        if self.is_draining:
            raise Draining("the server is shutting down; expected a later open")
        key = SessionKey(principal, request.session or f"s-{secrets.token_hex(8)}")
        # lives as long as anybody holds it or waits for it
        lock = self._opening.setdefault(key, asyncio.Lock())
        async with lock:
            session = self._sessions.get(key)
            if session is None:
                session = await self._create(key, request)
                resumed = False
            else:
                await self._take_over(session, request)
                resumed = True
            opened = session.opened(resumed=resumed, limits=self.limits, version=VERSION)
            session.attach(outbox, opened, request.report)
            record(Act.OPEN, **session.log_fields, resumed=resumed)
            return session

    async def delete(self, key: SessionKey) -> bool:
        """Erase a session, attached or not; tell whether there was one."""
        session = self._sessions.pop(key, None)
        if session is None:
            return False
        session.retire()
        self._quota.release(key.principal, self._bytes_of(session.configuration))
        await asyncio.wrap_future(self._engine.call(lambda: self._engine.close_network(session)))
        record(Act.DELETE, **session.log_fields)
        return True

    async def _create(self, key: SessionKey, request: Open) -> Session:
        if request.epoch is not None:
            raise EpochMismatch(
                f"epoch {request.epoch} came, but there is no session {key.name!r}; open it without"
                " an epoch to begin anew"
            )
        configuration = SessionConfiguration.resolve(request, self._settings)
        n_bytes = self._bytes_of(configuration)
        # a session that is being made counts already
        self._quota.reserve(key.principal, n_bytes)
        seed = secrets.randbelow(NUMBER_LIMIT) if request.seed is None else request.seed
        try:
            network = await asyncio.wrap_future(
                self._engine.call(
                    lambda: self._engine.open_network(configuration, seed, self._settings)
                )
            )
        except BaseException:
            self._quota.release(key.principal, n_bytes)
            raise
        session = Session(
            key,
            epoch=secrets.randbelow(NUMBER_LIMIT),
            seed=seed,
            configuration=configuration,
            settings=self._settings,
            engine=self._engine,
            network=network,
        )
        self._sessions[key] = session
        return session

    async def _take_over(self, session: Session, request: Open) -> None:
        if request.epoch is not None and request.epoch != session.epoch:
            raise EpochMismatch(
                f"epoch {request.epoch} came; session {session.name!r} is another incarnation,"
                f" epoch {session.epoch}"
            )
        session.configuration.check_same(request, seed=session.seed)
        if session.failure is not None:
            raise InternalFailure(session.failure.message)
        # the old reader is fenced from here on: what it reads finds its connection detached
        session.dismiss("taken_over", CloseCode.ORDERLY)
        await session.wait_until_drained()
        if session.failure is not None:
            raise InternalFailure(session.failure.message)

    @staticmethod
    def _bytes_of(configuration: SessionConfiguration) -> int:
        return Learner.session_bytes(configuration.network, configuration.learning)
