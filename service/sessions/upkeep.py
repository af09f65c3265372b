"""Which sessions leave memory, and which are deleted, as time goes by."""

import logging
from collections.abc import Callable

from service.access.audit import Act, record
from service.access.principals import SessionKey
from service.errors import StorageFailure
from service.sessions.session_archive import SessionArchive
from service.sessions.session_memory import SessionMemory
from service.sessions.sessions import Session
from service.settings import StorageSettings

_log = logging.getLogger(__name__)


class Upkeep:
    """Looks after sessions that nobody uses; only the event loop touches it."""

    def __init__(
        self,
        memory: SessionMemory,
        archive: SessionArchive,
        settings: StorageSettings,
        clock: Callable[[], float],
    ) -> None:
        self._memory = memory
        self._archive = archive
        self._settings = settings
        self._clock = clock

    async def tend(self, retry_after_ms: int) -> None:
        """Delete what has expired, park what nobody uses or what has no room any more.

        Args:
            retry_after_ms: Told to clients whose sessions have no room.
        """
        for session in list(self._memory.sessions.values()):
            await self._tend_one(session)
        for session in self._memory.dormant.sweep():
            self._archive.note_used(session.key, session.used_s)
        for manifest in self._archive.everything():
            key = SessionKey(manifest.principal, manifest.session)
            if self._memory.is_expired(key):
                await self._expire(key)
        await self._memory.relieve(retry_after_ms)

    async def _tend_one(self, session: Session) -> None:
        if session.is_attached:
            is_unused = session.silent_s >= self._settings.sleep_after_s
        elif self._memory.is_expired(session.key):
            await self._expire(session.key)
            return
        else:
            is_unused = self._clock() - session.used_s >= self._settings.park_after_s
        if is_unused:
            await self._memory.park(session)

    async def _expire(self, key: SessionKey) -> None:
        """Delete a session that nobody used for too long, unless somebody does now."""
        async with self._memory.lock(key):
            if not self._memory.is_expired(key):
                return
            try:
                await self._memory.erase(key)
            except StorageFailure as failure:
                _log.warning("expired session not deleted: %s", failure)
            else:
                record(Act.EXPIRE, principal=key.principal, session=key.name)
