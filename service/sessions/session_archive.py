"""Sessions that are stored and not in memory: which there are, and how one comes back."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from service.access.principals import SessionKey
from service.configuration.configuration import SessionConfiguration
from service.errors import NotStored, SnapshotUnreadable, StorageFailure
from service.sessions.engine import Engine
from service.sessions.sessions import Session
from service.settings import SessionSettings
from service.state_tree import Tree, branch, text, whole
from service.storage.snapshot_format import Manifest
from service.storage.snapshot_shelf import WITNESSES
from service.storage.snapshot_store import SnapshotStore, StoredSnapshot, folder_of
from service.storage.storage_threads import StorageThreads

_UNFIT = (ValueError, LookupError, TypeError, AttributeError, StopIteration)
"""What restoring from a tree that no server wrote may raise."""

_log = logging.getLogger(__name__)


class Loaded(NamedTuple):
    """A session as it was found.

    Attributes:
        session: As its newest sound snapshot holds it.
        stored: All of its snapshots but the damaged ones, newest first.
        verified: That snapshot and, if there is one, the next older sound one.
        damaged: Numbers of newer ones that could not be read.
    """

    session: Session
    stored: Sequence[StoredSnapshot]
    verified: Sequence[StoredSnapshot]
    damaged: Sequence[int]


class SessionArchive:
    """The stored sessions; only the event loop touches it."""

    def __init__(
        self,
        store: SnapshotStore,
        threads: StorageThreads,
        engine: Engine,
        settings: SessionSettings,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._threads = threads
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._parked: dict[SessionKey, Manifest] = {}

    async def take_stock(self) -> None:
        """Find the sessions that an earlier server stored.

        Raises:
            StorageFailure: The data folder can't be read.
        """
        for stored in await self._threads.run(lambda: list(self._store.sessions())):
            manifest = stored.manifest
            self._parked[SessionKey(manifest.principal, manifest.session)] = manifest

    def __len__(self) -> int:
        """How many sessions are parked."""
        return len(self._parked)

    def parked(self, key: SessionKey) -> Manifest | None:
        """Return what is known of a parked session."""
        return self._parked.get(key)

    def everything(self) -> list[Manifest]:
        """Return what is known of all parked sessions."""
        return list(self._parked.values())

    def note(self, key: SessionKey, manifest: Manifest) -> None:
        """A session has left memory; this is its newest snapshot."""
        self._parked[key] = manifest

    def note_used(self, key: SessionKey, used_s: float) -> None:
        """A parked session was used until then."""
        manifest = self._parked.get(key)
        if manifest is not None:
            self._parked[key] = manifest.model_copy(update={"used_s": used_s})

    def forget(self, key: SessionKey) -> None:
        """A session is in memory again, or no more."""
        self._parked.pop(key, None)

    async def snapshots(self, key: SessionKey) -> list[StoredSnapshot]:
        """Return a session's snapshots, newest first.

        Raises:
            StorageFailure: They can't be read.
        """
        return await self._threads.run(partial(self._store.manifests, folder_of(*key)))

    async def erase(self, key: SessionKey) -> None:
        """Delete all snapshots of a session.

        Raises:
            StorageFailure: They can't be deleted; the session may be there after a restart.
        """
        await self._threads.run(partial(self._store.delete, folder_of(*key)))
        self.forget(key)

    async def set_aside(self, key: SessionKey) -> None:
        """Put what is stored of a session, and is not sound, out of the way.

        Raises:
            StorageFailure: It can't be moved.
        """
        await self._threads.run(partial(self._store.set_aside, folder_of(*key)))
        self.forget(key)

    async def load(self, key: SessionKey) -> Loaded | None:
        """Bring a session back from its newest sound snapshot; the room for it is the caller's.

        Returns:
            The session, or ``None`` if neither of its two newest snapshots is sound.

        Raises:
            StorageFailure: The data folder can't be read.
        """
        folder = folder_of(*key)
        session: Session | None = None
        verified: list[StoredSnapshot] = []
        damaged: list[int] = []
        for number in await self._threads.run(partial(self._store.numbers, folder)):
            if session is None and len(damaged) == WITNESSES:
                # older ones may be sound, but lack messages that were told to be durable
                return None
            try:
                stored, session = await self._restore(key, number, session)
            except NotStored:
                continue
            except SnapshotUnreadable as error:
                _log.error("snapshot %s/%d: %s", folder, number, error)
                damaged.append(number)
                continue
            # what a deleted session left behind is no older state of this one
            if stored.manifest.epoch == session.epoch:
                verified.append(stored)
            if len(verified) == WITNESSES:
                break
        if session is None:
            return None
        await self._put_away(folder, damaged)
        # a damaged one may have a sound manifest; counted, it would push out a sound one
        kept = [one for one in await self.snapshots(key) if one.number not in damaged]
        return Loaded(session, kept, verified, damaged)

    async def _put_away(self, folder: str, damaged: Sequence[int]) -> None:
        """Leave no damaged file where the next damaged one would make two."""
        try:
            for number in damaged:
                await self._threads.run(partial(self._store.set_one_aside, folder, number))
        except StorageFailure as error:
            _log.warning("a damaged snapshot stays: %s", error)

    async def _restore(
        self, key: SessionKey, number: int, session: Session | None
    ) -> tuple[StoredSnapshot, Session]:
        """Verify a snapshot, and make the session of it unless a newer one made it."""
        stored, tree = await self._threads.run(partial(self._store.read, folder_of(*key), number))
        return stored, session or await self._build(key, tree)

    async def _build(self, key: SessionKey, tree: Tree) -> Session:
        try:
            state = branch(tree, "session")
            configuration = SessionConfiguration.restored(branch(tree, "configuration"))
            settings = self._settings.with_created(branch(tree, "limits"))
            epoch, seed, kernel = whole(state, "epoch"), whole(state, "seed"), text(state, "kernel")
        except _UNFIT as error:
            raise _unfit(error) from error
        network = await asyncio.wrap_future(
            self._engine.call(
                lambda: self._engine.open_network(configuration, seed, settings, kernel=kernel)
            )
        )
        session = Session(
            key,
            epoch=epoch,
            seed=seed,
            configuration=configuration,
            settings=settings,
            network=network,
            notify=self._engine.notify,
            clock=self._clock,
        )

        def restore_network() -> None:
            try:
                opened = session.intake.segmentation.open_segment
                network.restore(branch(tree, "network"), opened)
            except _UNFIT as error:
                raise _unfit(error) from error

        try:
            session.restore(tree)
            await asyncio.wrap_future(self._engine.call(restore_network))
        except (*_UNFIT, SnapshotUnreadable) as error:
            await asyncio.wrap_future(
                self._engine.call(lambda: self._engine.close_network(session))
            )
            raise _unfit(error) from error
        return session


def _unfit(error: Exception) -> SnapshotUnreadable:
    return SnapshotUnreadable(f"it does not fit together: {error}")
