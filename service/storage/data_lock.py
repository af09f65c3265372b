"""One server at a time works on a data folder.

On this machine's disk that is a lock of the operating system, which ends with the process however
it ends. Elsewhere it is a lease: an object that names its owner and until when it is held. The
owner renews it, and changes nothing once it could have run out; who comes later waits until it has
run out, or is refused as soon as it sees it renewed.
"""

import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from typing_extensions import override

from service.errors import DataInUse, NotStored, StorageFailure
from service.storage.storage import Storage

LEASE = "lease.json"
LOCK = "lock"


class DataLock(Protocol):
    """A folder held by this server."""

    renew_every_s: float
    """How often `renew` is to be called; 0: never."""

    def renew(self) -> None:
        """Go on holding it.

        Raises:
            DataInUse: Another server has it.
            StorageFailure: The folder can't be reached.
        """

    def release(self) -> None:
        """Let the next server have it."""


def lock_data(storage: Storage, lease_s: float) -> DataLock:
    """Take a folder for this server; blocks while an old lease may still run out.

    Args:
        storage: The folder. Once the lock is lost, its changes are refused.
        lease_s: How long a lease lasts where there is no lock of the operating system.

    Raises:
        DataInUse: Another server works on it.
        StorageFailure: The folder can't be reached.
    """
    if storage.local_path is not None:
        return FileLock(storage.local_path)
    lease = Lease(storage, lease_s, time.time, time.sleep)
    lease.acquire()
    return lease


class DataFolder(NamedTuple):
    """The data folder, held by this server."""

    storage: Storage
    lock: DataLock


def open_data(url: str, lease_s: float) -> DataFolder:
    """Open a data folder for this server alone, and tidy up after the one before.

    Args:
        url: Where it is.
        lease_s: How long a lease lasts where there is no lock of the operating system.

    Raises:
        DataInUse: Another server works on it.
        StorageFailure: It can't be reached.
    """
    storage = Storage(url)
    lock = lock_data(storage, lease_s)
    storage.delete_partials()
    return DataFolder(storage, lock)


class FileLock(DataLock):
    """A lock of the operating system on a file in the folder."""

    def __init__(self, folder: Path) -> None:
        self.renew_every_s = 0.0
        path = folder / LOCK
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StorageFailure(f"can't lock {str(folder)!r}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(self._file, 200).decode(errors="replace").strip() or "another server"
            os.close(self._file)
            raise DataInUse(
                f"data folder {str(folder)!r} came, which {owner} works on; expected one of this"
                " server's own"
            ) from error
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{_this_server()}\n".encode())

    @override
    def renew(self) -> None:
        """Do nothing: the lock lasts as long as the process."""

    @override
    def release(self) -> None:
        """Close the file, and with it the lock."""
        os.close(self._file)


class Lease(DataLock):
    """An object that says who works on the folder, and until when."""

    def __init__(
        self,
        storage: Storage,
        lease_s: float,
        clock: Callable[[], float],
        wait: Callable[[float], None],
    ) -> None:
        self.renew_every_s = lease_s / 3
        self._storage = storage
        self._lease_s = lease_s
        self._clock = clock
        self._wait = wait
        self._token = secrets.token_hex(8)
        self._held_until_s = float("-inf")
        storage.check_held = self._check_held

    def acquire(self) -> None:
        """Wait for the lease of a server that ended, and take its place.

        Raises:
            DataInUse: The lease is renewed: its owner lives.
            StorageFailure: The folder can't be reached.
        """
        first = self._read()
        # seen by this clock alone: the other server's may be wrong
        seen_s = self._clock()
        while first is not None and self._clock() - seen_s < self._lease_s:
            self._wait(self.renew_every_s / 5)
            now = self._read()
            if now is not None and now != first:
                raise self._taken(now)
            first = now
        self._write()
        # of two that write at once the later stays; both look once that is settled
        self._wait(self.renew_every_s / 5)
        self.renew()

    @override
    def renew(self) -> None:
        """Hold the folder for another ``lease_s``."""
        now = self._read()
        if now is not None and now.get("token") != self._token:
            self._held_until_s = float("-inf")
            raise self._taken(now)
        self._write()

    @override
    def release(self) -> None:
        """Delete the lease, if it is still this server's."""
        now = self._read()
        if now is not None and now.get("token") == self._token:
            self._storage.delete(LEASE)
        self._held_until_s = float("-inf")

    def _check_held(self) -> None:
        if self._clock() >= self._held_until_s:
            raise StorageFailure(
                f"the lease on {self._storage.url!r} has run out; nothing is changed until it is"
                " renewed"
            )

    def _taken(self, now: dict[str, object]) -> DataInUse:
        return DataInUse(
            f"data folder {self._storage.url!r} came, which {now.get('owner')!s:.200} works on;"
            " expected one of this server's own"
        )

    def _read(self) -> dict[str, object] | None:
        try:
            lease = json.loads(self._storage.read(LEASE))
        except NotStored:
            return None
        except ValueError:
            # half a lease is nobody's, but it may just be written
            return {}
        return lease if isinstance(lease, dict) else {}

    def _write(self) -> None:
        until_s = self._clock() + self._lease_s
        lease = {"token": self._token, "owner": _this_server(), "until": until_s}
        before_s, self._held_until_s = self._held_until_s, until_s
        try:
            # its own lease is what a server may always write
            self._storage.write(LEASE, json.dumps(lease).encode())
        except StorageFailure:
            self._held_until_s = before_s
            raise


def _this_server() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"
