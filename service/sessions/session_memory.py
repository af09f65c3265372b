"""How sessions come into memory and leave it: made, brought back, parked, erased.

Every one of these is done under the lock of the session's key, one at a time.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from functools import partial
from weakref import WeakValueDictionary

from service.access.principals import SessionKey
from service.access.session_quota import SessionQuota
from service.configuration.configuration import SessionConfiguration
from service.errors import (
    CloseCode,
    InternalFailure,
    MemoryFull,
    Overloaded,
    QuotaExceeded,
    SnapshotFailed,
    StorageFailure,
    UnknownSession,
)
from service.sessions.admission import Admission
from service.sessions.dormant_sessions import DormantSessions
from service.sessions.engine import Engine
from service.sessions.session_archive import Loaded, SessionArchive
from service.sessions.sessions import Session
from service.sessions.snapshot_keeper import SnapshotKeeper
from service.settings import SessionSettings, StorageSettings
from service.storage.model_store import ModelStore, StoredModel
from service.wire_protocol import NUMBER_LIMIT, Open

_log = logging.getLogger(__name__)


class SessionMemory:
    """The sessions in memory; only the event loop touches it.

    Attributes:
        sessions: By their keys.
        dormant: What is left of parked ones that are attached.
    """

    def __init__(
        self,
        engine: Engine,
        settings: SessionSettings,
        storage_settings: StorageSettings,
        *,
        quota: SessionQuota,
        models: ModelStore,
        archive: SessionArchive,
        keeper: SnapshotKeeper,
        admission: Admission,
        clock: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._storage_settings = storage_settings
        self._quota = quota
        self._models = models
        self._archive = archive
        self._keeper = keeper
        self._admission = admission
        self._clock = clock
        self.sessions: dict[SessionKey, Session] = {}
        self.dormant = DormantSessions()
        self._locks: WeakValueDictionary[SessionKey, asyncio.Lock] = WeakValueDictionary()

    @property
    def bytes_used(self) -> int:
        """Memory that the networks are accounted for."""
        return self._quota.bytes_in_memory

    def lock(self, key: SessionKey) -> asyncio.Lock:
        """Return the lock under which a session is opened, parked or deleted."""
        # lives as long as anybody holds it or waits for it
        return self._locks.setdefault(key, asyncio.Lock())

    def is_expired(self, key: SessionKey) -> bool:
        """Tell whether nobody used a session for so long that it is to be deleted."""
        # whoever is attached uses it, asleep or not
        there = self.sessions.get(key) or self.dormant.get(key) or self._archive.parked(key)
        if there is None:
            return False
        return self._clock() - there.used_s >= self._storage_settings.expire_after_s

    async def take_stock(self) -> None:
        """Find the sessions that an earlier server stored.

        Raises:
            StorageFailure: The data folder can't be read.
        """
        await self._archive.take_stock()
        for manifest in self._archive.everything():
            self._quota.adopt(manifest.principal, manifest.network_bytes)

    async def create(self, key: SessionKey, request: Open) -> Session:
        """Make a new session and store it; its lock is held.

        Raises:
            OpenRefused: The request can't be met; nothing changed.
            Overloaded: It can't be stored now; nothing changed.
        """
        stored = await self._find_model(key.principal, request)
        configuration = SessionConfiguration.resolve(request, self._settings, stored)
        self._check_stored()
        n_bytes = configuration.network_bytes()
        self._admission.admit(tick_us=configuration.tick_us, n_bytes=n_bytes, is_known=False)
        # a session that is being made counts already
        await self._make_room(lambda: self._quota.reserve(key.principal, n_bytes))
        seed = secrets.randbelow(NUMBER_LIMIT) if request.seed is None else request.seed
        try:
            network = await asyncio.wrap_future(
                self._engine.call(
                    lambda: self._engine.open_network(
                        configuration,
                        seed,
                        self._settings,
                        None if stored is None else stored.model.weights,
                    )
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
            network=network,
            notify=self._engine.notify,
            clock=self._clock,
        )
        self._take_in(session)
        self._keeper.adopt(session)
        try:
            # what a damaged incarnation left may not be taken for this one's past
            await self._archive.set_aside(key)
            await self._keeper.store(session)
        except (StorageFailure, SnapshotFailed) as error:
            await self._remove(session)
            self._quota.release(key.principal, n_bytes)
            raise Overloaded("new sessions can't be stored now; expected a later open") from error
        return session

    async def _find_model(self, principal: str, request: Open) -> StoredModel | None:
        """Return the stored model that a new session is to begin from, if it is to."""
        if request.model is None:
            return None
        try:
            return await asyncio.to_thread(self._models.newest, principal, request.model)
        except StorageFailure as error:
            _log.warning("a model can't be read: %s", error)
            raise Overloaded("models can't be read now; expected a later open") from error

    async def bring_back(self, key: SessionKey) -> Session | None:
        """Bring a parked session into memory; its lock is held.

        One that was damaged is stored again before anybody goes on with it: what its client was
        told is durable lies in one sound file, and should lie in two.

        Returns:
            The session; None if there is none, it has expired, or no snapshot of it is sound.

        Raises:
            QuotaExceeded: There is no room for it.
            Overloaded: It can't be read now.
        """
        manifest = self._archive.parked(key)
        if manifest is None:
            return None
        if self.is_expired(key):
            try:
                await self.erase(key)
            except StorageFailure as error:
                raise Overloaded("the session can't be read now; expected a later open") from error
            return None
        await self._make_room(lambda: self._quota.wake(manifest.network_bytes))
        try:
            loaded = await self._archive.load(key)
            if loaded is None:
                await self._archive.set_aside(key)
        except BaseException as error:
            self._quota.park(manifest.network_bytes)
            if isinstance(error, StorageFailure):
                raise Overloaded("the session can't be read now; expected a later open") from error
            raise
        if loaded is None:
            self._quota.release(key.principal, manifest.network_bytes)
            return None
        session = loaded.session
        self._take_in(session)
        self._archive.forget(key)
        self._keeper.adopt(session, loaded.stored, loaded.verified)
        self.dormant.wake(session)
        self._recount(session, manifest.network_bytes)
        await self._make_whole(loaded)
        return session

    async def _make_whole(self, loaded: Loaded) -> None:
        """Store a session that lost a file, so that it may lose another one."""
        if not loaded.damaged:
            return
        session = loaded.session
        try:
            await self._keeper.store(session)
        except SnapshotFailed as failure:
            # the keeper goes on trying; until then there is one sound file less than there should
            _log.warning("brought back, not stored again: %s", failure, extra=session.log_fields)

    def _take_in(self, session: Session) -> None:
        """Put a session into memory, and count what it grows by."""
        self.sessions[session.key] = session
        session.note_growth = partial(self._quota.grow, session.principal)

    def _recount(self, session: Session, n_bytes: int) -> None:
        """Correct the room of a session that came back as an older, smaller one."""
        if n_bytes != session.network_bytes:
            self._quota.release(session.principal, n_bytes)
            self._quota.adopt(session.principal, session.network_bytes)
            self._quota.wake(session.network_bytes)

    async def park(self, session: Session) -> bool:
        """Let a session leave memory; tell whether it did. A connection stays, and sleeps."""
        is_there = self.sessions.get(session.key) is session and session.failure is None
        if not is_there or self.lock(session.key).locked():
            return False
        async with self.lock(session.key):
            await session.backlog.wait_until_done()
            try:
                newest = await self._keeper.store(session)
            except (SnapshotFailed, InternalFailure, UnknownSession) as error:
                _log.warning("not parked: %s", error, extra=session.log_fields)
                return False
            if session.is_attached:
                # a message without a number moves no count but that of the backlog
                if newest.manifest.applied != session.received or session.backlog.n_messages:
                    # it was heard of meanwhile
                    return False
                # from here on its connection asks for it before it says anything to it
                self.dormant.put(session)
            # the snapshot may have been taken while it was still used
            used = newest.manifest.model_copy(update={"used_s": session.used_s})
            # noted first: whoever asks meanwhile finds it, and waits for its lock
            self._archive.note(session.key, used)
            await self._remove(session)
            self._quota.park(session.network_bytes)
            return True

    async def relieve(self, retry_after_ms: int) -> None:
        """Park sessions until those that grew have room: first those without a connection.

        Then the largest ones: their clients hear goodbye, lose nothing, and may come back once
        there is room.
        """
        while self._quota.is_overfull:
            if await self._park_oldest():
                continue
            attached = [s for s in self.sessions.values() if s.is_attached and s.failure is None]
            if not attached:
                return
            largest = max(attached, key=lambda session: session.network_bytes)
            largest.dismiss("quota", CloseCode.QUOTA, retry_after_ms=retry_after_ms)
            if not await self.park(largest):
                return

    async def erase(self, key: SessionKey) -> bool:
        """Delete a session with its snapshots; its lock is held.

        Returns:
            Whether there was one.

        Raises:
            StorageFailure: Its snapshots could not be deleted: it is parked.
        """
        session = self.sessions.get(key)
        self.dormant.forget(key)
        if session is not None:
            session.retire()
            newest = self._keeper.newest(session)
            await self._remove(session)
            self._quota.park(session.network_bytes)
            if newest is not None:
                # it is there until its snapshots are not
                n_bytes = {"network_bytes": session.network_bytes}
                self._archive.note(key, newest.manifest.model_copy(update=n_bytes))
            else:
                self._quota.disown(key.principal, session.network_bytes)
        manifest = self._archive.parked(key)
        await self._archive.erase(key)
        if manifest is not None:
            self._quota.disown(key.principal, manifest.network_bytes)
        return session is not None or manifest is not None

    async def _remove(self, session: Session) -> None:
        """Take a session out of memory."""
        del self.sessions[session.key]
        await self._keeper.forget(session)
        await asyncio.wrap_future(self._engine.call(lambda: self._engine.close_network(session)))

    async def _make_room(self, take: Callable[[], None]) -> None:
        """Take room in memory; sessions without a connection are parked for it, oldest first."""
        while True:
            try:
                take()
            except MemoryFull:
                if not await self._park_oldest():
                    raise
            else:
                return

    async def _park_oldest(self) -> bool:
        """Park the session that was left longest ago of those that can be; tell if there is one."""
        left = [session for session in self.sessions.values() if not session.is_attached]
        for session in sorted(left, key=lambda session: session.used_s):
            # one that was opened meanwhile is no longer without a connection
            if not session.is_attached and await self.park(session):
                return True
        return False

    def _check_stored(self) -> None:
        n_stored = len(self.sessions) + len(self._archive)
        if n_stored >= self._storage_settings.max_stored_sessions:
            raise QuotaExceeded(
                f"{n_stored} sessions are stored; expected fewer than"
                f" {self._storage_settings.max_stored_sessions} before a new one"
            )
