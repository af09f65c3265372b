"""The snapshots of sessions in the data folder: written, verified, found again, thinned out.

    sessions/<sha256 of principal NUL name>/<number, 20 digits>.safetensors
    aside/<the same>-<number>/...

Numbers are microseconds since 1970, or one more than the highest where that is not more: they rise
and are never given twice, not even to a session that was deleted and begun anew. No name of a
client becomes the name of a file. Everything here blocks; it is called from worker threads.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from service.errors import NotStored, SnapshotUnreadable, StorageFailure
from service.settings import StorageSettings
from service.state_tree import Tree
from service.storage.snapshot_format import Manifest, read_manifest, unpack
from service.storage.storage import Storage

SESSIONS, ASIDE = "sessions", "aside"
_ENDING = ".safetensors"
_DIGITS = 20

_log = logging.getLogger(__name__)


class StoredSnapshot(NamedTuple):
    """A snapshot that was verified, or whose manifest was read.

    Attributes:
        number: Its place in the order of the session's snapshots.
        n_bytes: Its size.
        manifest: What it is of.
    """

    number: int
    n_bytes: int
    manifest: Manifest

    @property
    def name(self) -> str:
        """How it is called in answers over HTTP."""
        return f"{self.number:0{_DIGITS}}"


def folder_of(principal: str, session: str) -> str:
    """Return the folder of a session's snapshots."""
    digest = hashlib.sha256(f"{principal}\0{session}".encode()).hexdigest()
    return f"{SESSIONS}/{digest}"


class SnapshotStore:
    """Every session's files."""

    def __init__(
        self, storage: Storage, settings: StorageSettings, clock: Callable[[], float]
    ) -> None:
        """Look into a storage.

        Args:
            storage: The data folder.
            settings: How many snapshots are kept.
            clock: Seconds since 1970.
        """
        self._storage = storage
        self._settings = settings
        self._clock = clock

    def next_number(self, last: int | None) -> int:
        """Return the number of a session's next snapshot."""
        now = int(self._clock() * 1e6)
        return now if last is None else max(last + 1, now)

    def write(
        self, folder: str, number: int, contents: bytes, manifest: Manifest
    ) -> StoredSnapshot:
        """Store a snapshot and read it back.

        Raises:
            StorageFailure: It can't be written, or is not there as it was written.
        """
        name = _name(folder, number)
        self._storage.write(name, contents)
        if self._storage.read(name) != contents:
            raise StorageFailure(f"{name!r} is not as it was written")
        return StoredSnapshot(number, len(contents), manifest)

    def numbers(self, folder: str) -> list[int]:
        """Return the numbers of a session's snapshots, newest first, sound or not.

        Raises:
            StorageFailure: The folder can't be read.
        """
        return sorted(self._numbers(folder), reverse=True)

    def read(self, folder: str, number: int) -> tuple[StoredSnapshot, Tree]:
        """Return one snapshot, once every byte of it is known to be as written.

        Raises:
            NotStored: There is none of that number.
            SnapshotUnreadable: It is damaged.
            StorageFailure: It can't be read.
        """
        contents = self._storage.read(_name(folder, number))
        manifest, tree = unpack(contents)
        return StoredSnapshot(number, len(contents), manifest), tree

    def manifests(self, folder: str) -> list[StoredSnapshot]:
        """Return a session's snapshots, newest first; damaged ones are left out.

        Raises:
            StorageFailure: The folder can't be read.
        """
        return list(self._manifests(folder))

    def sessions(self) -> Iterator[StoredSnapshot]:
        """Walk over the sessions that are stored, each by its newest readable snapshot.

        Raises:
            StorageFailure: The data folder can't be read.
        """
        for digest in self._storage.folders(SESSIONS):
            newest = next(self._manifests(f"{SESSIONS}/{digest}"), None)
            if newest is None:
                _log.warning("%s/%s holds no snapshot that can be read", SESSIONS, digest)
            else:
                yield newest

    def thin(self, folder: str, newest_first: Sequence[StoredSnapshot]) -> list[StoredSnapshot]:
        """Delete the snapshots that nobody needs any more; return those that are left.

        Kept are the two newest, those asked for, and periodic ones with some time between them;
        of the last two kinds the newest, so many as the settings say.

        Args:
            folder: The session's.
            newest_first: All of its snapshots.

        Raises:
            StorageFailure: One can't be deleted.
        """
        superfluous = self._superfluous(newest_first)
        for number in superfluous:
            self._storage.delete(_name(folder, number))
        return [snapshot for snapshot in newest_first if snapshot.number not in superfluous]

    def delete(self, folder: str) -> None:
        """Delete all of a session's snapshots.

        Raises:
            StorageFailure: They can't be deleted; some may be.
        """
        self._storage.delete_folder(folder)

    def set_one_aside(self, folder: str, number: int) -> None:
        """Move a damaged snapshot out of the way, so that nobody reads it again.

        Raises:
            NotStored: There is none of that number.
            StorageFailure: It can't be moved.
        """
        digest = folder.rpartition("/")[2]
        self._storage.move(_name(folder, number), _name(f"{ASIDE}/{digest}", number))

    def set_aside(self, folder: str) -> bool:
        """Move a folder without a sound snapshot out of the way; tell whether there was one.

        Raises:
            StorageFailure: It can't be moved.
        """
        if not self._storage.sizes(folder):
            return False
        aside = f"{ASIDE}/{folder.rpartition('/')[2]}-{self.next_number(None)}"
        self._storage.move_folder(folder, aside)
        _log.error("no snapshot in %s is sound: set aside as %s", folder, aside)
        return True

    def _numbers(self, folder: str) -> dict[int, int]:
        """Return the bytes of a folder's snapshots by their number."""
        found = {}
        for name, n_bytes in self._storage.sizes(folder).items():
            stem = name.removesuffix(_ENDING)
            if len(stem) == _DIGITS and stem.isdecimal() and stem != name:
                found[int(stem)] = n_bytes
        return found

    def _manifests(self, folder: str) -> Iterator[StoredSnapshot]:
        for number, n_bytes in sorted(self._numbers(folder).items(), reverse=True):
            name = _name(folder, number)
            try:
                manifest = read_manifest(partial(self._storage.read_begin, name))
            except NotStored:
                continue
            except SnapshotUnreadable as error:
                _log.warning("snapshot %s: %s", name, error)
                continue
            yield StoredSnapshot(number, n_bytes, manifest)

    def _superfluous(self, newest_first: Sequence[StoredSnapshot]) -> set[int]:
        older = newest_first[2:]
        requested = [s.number for s in older if s.manifest.requested]
        kept = set(requested[: self._settings.kept_requested])
        periodic: list[int] = []
        last_s = float("-inf")
        # from the oldest on, so that what was kept once stays until its place is needed
        for snapshot in reversed(older):
            if snapshot.manifest.requested:
                continue
            if snapshot.manifest.taken_s - last_s >= self._settings.periodic_spacing_s:
                periodic.append(snapshot.number)
                last_s = snapshot.manifest.taken_s
        n_periodic = self._settings.kept_periodic
        kept |= set(periodic[-n_periodic:] if n_periodic else ())
        return {s.number for s in older} - kept


def _name(folder: str, number: int) -> str:
    return f"{folder}/{number:0{_DIGITS}}{_ENDING}"
