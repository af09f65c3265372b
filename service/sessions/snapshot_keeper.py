"""When sessions are stored, and what is durable because of it.

A message is durable once it is contained in the older of the session's two newest verified
snapshots, so that one damaged file is healed by what the client sends again. While something
changes, a snapshot is taken every few seconds, each session in a rhythm of its own; whoever needs
everything to be safe (`store`) gets copies until that is so.

A snapshot is copied on the engine thread between two messages; sealing, writing and reading back
happen on threads of their own.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

from service import VERSION
from service.access.principals import SessionKey
from service.errors import InternalFailure, SnapshotFailed, StorageFailure, UnknownSession
from service.sessions.sessions import Session
from service.settings import StorageSettings
from service.state_tree import Tree, branch, whole
from service.storage.snapshot_format import Manifest, pack
from service.storage.snapshot_pace import SnapshotPace
from service.storage.snapshot_shelf import WITNESSES, SnapshotShelf
from service.storage.snapshot_store import SnapshotStore, StoredSnapshot, folder_of
from service.storage.storage_threads import StorageThreads
from service.wire_protocol import ErrorMessage
from tclif_core import FileFault

_log = logging.getLogger(__name__)


class SnapshotWatcher(Protocol):
    """Who wants to know how storing goes."""

    def snapshot_stored(self, owner: SessionKey, *, seconds: float, n_bytes: int) -> None:
        """Count a snapshot that was verified."""

    def snapshot_failed(self) -> None:
        """Count one that could not be stored."""


class SnapshotKeeper:
    """Stores the sessions in memory; only the event loop touches it."""

    def __init__(
        self,
        store: SnapshotStore,
        threads: StorageThreads,
        settings: StorageSettings,
        watcher: SnapshotWatcher,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Keep sessions safe.

        Args:
            store: Where snapshots go.
            threads: Where that blocks.
            settings: How often, and how fast.
            watcher: Is told of it.
            clock: Seconds since 1970.
            sleep: Waits so many seconds.
        """
        self._store = store
        self._threads = threads
        self._settings = settings
        self._watcher = watcher
        self._clock = clock
        self._sleep = sleep
        self._pace = SnapshotPace(settings, time.monotonic, sleep)
        self._shelves: dict[Session, SnapshotShelf] = {}

    def adopt(
        self,
        session: Session,
        stored: Sequence[StoredSnapshot] = (),
        verified: Sequence[StoredSnapshot] = (),
    ) -> None:
        """Begin to store a session from time to time.

        Args:
            session: It came into memory.
            stored: All of its snapshots, newest first.
            verified: The sound ones that it was brought back from, newest first.
        """
        shelf = SnapshotShelf(folder_of(*session.key), list(stored), list(verified[:WITNESSES]))
        self._shelves[session] = shelf
        self._note_durable(session, shelf)
        shelf.rhythm = asyncio.create_task(self._keep(session, shelf))

    async def forget(self, session: Session) -> None:
        """Store a session no more; what is being written is written first."""
        shelf = self._shelves.pop(session, None)
        if shelf is None:
            return
        async with shelf.turn:
            for task in (shelf.rhythm, shelf.wanted):
                if task is not None:
                    task.cancel()

    def newest(self, session: Session) -> StoredSnapshot | None:
        """Return the last snapshot of a session in memory, if there is one."""
        shelf = self._shelves.get(session)
        return shelf.verified[0] if shelf is not None and shelf.verified else None

    def request(self, session: Session) -> None:
        """Store a session soon, until all that was read so far is durable; tell it if that fails.

        However often this is asked for, one snapshot is taken at a time.
        """
        shelf = self._shelves.get(session)
        if shelf is None:
            return
        shelf.is_wanted = True
        if shelf.wanted is None or shelf.wanted.done():
            shelf.wanted = asyncio.create_task(self._answer(session, shelf))

    async def store(
        self, session: Session, *, requested: bool = False, urgent: bool = True
    ) -> StoredSnapshot:
        """Store a session until all that was read so far is durable.

        Args:
            session: One in memory.
            requested: Take a snapshot even if nothing changed, and keep it to roll back to.
            urgent: Do not wait for the budget of bytes a second.

        Returns:
            The snapshot that holds its state.

        Raises:
            SnapshotFailed: It could not be stored; it is tried again, what is durable stands still.
            InternalFailure: The session is quarantined.
            UnknownSession: It is not in memory any more.
        """
        shelf = self._shelf(session)
        async with shelf.turn:
            if requested or shelf.is_behind(session.received):
                return await self._take(
                    session, shelf, requested=requested, until_durable=True, urgent=urgent
                )
            return shelf.verified[0]

    async def roll_back(self, session: Session, number: int) -> None:
        """Give a session the weights of one of its snapshots, and store it until that is durable.

        Raises:
            NotStored: There is none of that number.
            SnapshotUnreadable: It is damaged.
            Refusal: It does not fit the session as it is now.
            SnapshotFailed: The weights are back but not stored yet.
            InternalFailure: The session is quarantined.
        """
        shelf = self._shelf(session)
        async with shelf.turn:
            _, tree = await self._threads.run(partial(self._store.read, shelf.folder, number))
            network = branch(tree, "network")
            await asyncio.wrap_future(
                session.at_boundary(lambda: session.network.roll_back(network))
            )
            # what was stored before holds other weights: it witnesses nothing of these
            shelf.verified.clear()
            await self._take(session, shelf, requested=False, until_durable=True, urgent=True)

    def stop(self) -> None:
        """Store nothing more."""
        for shelf in self._shelves.values():
            for task in (shelf.rhythm, shelf.wanted):
                if task is not None:
                    task.cancel()

    def _shelf(self, session: Session) -> SnapshotShelf:
        shelf = self._shelves.get(session)
        if shelf is None:
            raise UnknownSession(f"session {session.name!r} is not in memory any more")
        return shelf

    async def _keep(self, session: Session, shelf: SnapshotShelf) -> None:
        # sessions that came together shall not stay together
        await self._sleep(self._settings.snapshot_every_s * random.random())  # noqa: S311
        while session.failure is None:
            if shelf.is_behind(session.received):
                await self._try(session, self._store_once(session, shelf))
            wait_s = self._settings.snapshot_every_s * 2.0 ** min(shelf.n_failures, 30)
            longest_s = max(self._settings.retry_at_most_s, self._settings.snapshot_every_s)
            await self._sleep(min(wait_s, longest_s))

    async def _store_once(self, session: Session, shelf: SnapshotShelf) -> None:
        async with shelf.turn:
            await self._take(session, shelf, requested=False, until_durable=False, urgent=False)

    async def _answer(self, session: Session, shelf: SnapshotShelf) -> None:
        while shelf.is_wanted:
            shelf.is_wanted = False
            # no place to roll back to: clients ask for it only to forget what they keep
            await self._try(session, self.store(session, urgent=False))

    async def _try(self, session: Session, work: Awaitable[object]) -> None:
        """Do something that may fail to store, and tell the client if it does."""
        try:
            await work
        except SnapshotFailed as failure:
            session.tell(told(failure))
        except (InternalFailure, UnknownSession):
            # whoever quarantined or deleted the session has said so
            return

    async def _take(
        self,
        session: Session,
        shelf: SnapshotShelf,
        *,
        requested: bool,
        until_durable: bool,
        urgent: bool,
    ) -> StoredSnapshot:
        """Store a copy of the session as it is now, or two; the caller has the turn."""
        try:
            async with self._pace.room(session.snapshot_bytes, urgent=urgent):
                tree = await asyncio.wrap_future(session.capture())
                manifest = self._describe(session, tree, requested=requested)
                taken = await self._write(session, shelf, manifest, tree)
                witness = manifest.model_copy(update={"requested": False})
                while until_durable and shelf.is_behind(manifest.applied):
                    await self._write(session, shelf, witness, tree)
        except (StorageFailure, FileFault) as failure:
            shelf.n_failures += 1
            self._watcher.snapshot_failed()
            _log.error("snapshot not stored: %s", failure, extra=session.log_fields)
            raise SnapshotFailed(
                f"the session could not be stored; messages up to {session.ack().durable} are"
                " durable, and it is tried again"
            ) from failure
        shelf.n_failures = 0
        return taken

    def _describe(self, session: Session, tree: Tree, *, requested: bool) -> Manifest:
        return Manifest(
            principal=session.principal,
            session=session.name,
            epoch=session.epoch,
            applied=whole(branch(tree, "session"), "received"),
            ticks=whole(branch(tree, "session"), "ticks"),
            events=whole(branch(tree, "intake"), "n_events"),
            network_bytes=session.network_bytes,
            taken_s=self._clock(),
            used_s=session.used_s,
            requested=requested,
            version=VERSION,
        )

    async def _write(
        self, session: Session, shelf: SnapshotShelf, manifest: Manifest, tree: Tree
    ) -> StoredSnapshot:
        began_s = time.monotonic()
        number = self._store.next_number(shelf.stored[0].number if shelf.stored else None)
        configuration, settings = session.configuration, session.settings

        def seal_and_store() -> StoredSnapshot:
            whole_tree = tree | {
                "configuration": configuration.capture(),
                "limits": settings.as_created(),
            }
            contents = pack(manifest, whole_tree)
            return self._store.write(shelf.folder, number, contents, manifest)

        stored = await self._threads.run(seal_and_store)
        shelf.stored.insert(0, stored)
        shelf.verified = [stored, *shelf.verified][:WITNESSES]
        self._note_durable(session, shelf)
        seconds = time.monotonic() - began_s
        self._watcher.snapshot_stored(session.key, seconds=seconds, n_bytes=stored.n_bytes)
        await self._thin(shelf)
        return stored

    async def _thin(self, shelf: SnapshotShelf) -> None:
        try:
            shelf.stored = await self._threads.run(
                partial(self._store.thin, shelf.folder, tuple(shelf.stored))
            )
        except StorageFailure as failure:
            # they are in nobody's way; the next snapshot tries again
            _log.warning("old snapshots stay: %s", failure)

    def _note_durable(self, session: Session, shelf: SnapshotShelf) -> None:
        if len(shelf.verified) == WITNESSES:
            session.be_durable(shelf.verified[-1].manifest.applied)


def told(failure: SnapshotFailed) -> ErrorMessage:
    """Return what a client hears of a snapshot that could not be stored."""
    return ErrorMessage(code=failure.code, message=failure.message, fatal=False)
