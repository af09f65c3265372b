"""Objects in one folder: on this machine's disk, or wherever fsspec reaches.

An object is there whole or not at all. Locally that is a temporary file, fsync and rename; object
stores promise it of every upload. Names are relative, with ``/`` between folders, and never come
from a client. Every call blocks, and may come from any thread.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from service.errors import NotStored, ServiceError, StorageFailure
from tclif_core import write_whole


class Storage:
    """One folder of objects.

    Attributes:
        url: Where it is, as logs may show it.
        local_path: The folder on this machine's disk, ``None`` if it is elsewhere.
        check_held: Called before anything is changed; raises once the folder is another server's.
    """

    def __init__(self, url: str) -> None:
        """Find the folder; a local one is made if it is not there.

        Args:
            url: A path, or a URL of any file system that fsspec knows.

        Raises:
            StorageFailure: No file system serves the URL, or the folder can't be made.
        """
        self.url = url.partition("://")[0] + "://…" if "@" in url else url
        self.check_held: Callable[[], None] = lambda: None
        with self._named("open", ""):
            # listings are never remembered: another server may have written before this one
            expanded = str(Path(url).expanduser()) if "://" not in url else url
            self._files, self._root = fsspec.core.url_to_fs(expanded, use_listings_cache=False)
        self.local_path: Path | None = None
        if isinstance(self._files, LocalFileSystem):
            self.local_path = Path(self._root)
            with self._named("make", ""):
                _make_folder(self.local_path)

    def write(self, name: str, contents: bytes) -> None:
        """Put an object in place of what has that name; it outlives a loss of power.

        Raises:
            StorageFailure: It can't be written; what was there stays.
        """
        self.check_held()
        with self._named("write", name):
            if self.local_path is not None:
                path = self.local_path / name
                _make_folder(path.parent)
                write_whole(path, contents)
            else:
                self._files.pipe_file(self._place(name), contents)

    def read(self, name: str) -> bytes:
        """Return an object.

        Raises:
            NotStored: There is none of that name.
            StorageFailure: It can't be read.
        """
        with self._named("read", name):
            contents: bytes = self._files.cat_file(self._place(name))
            return contents

    def read_begin(self, name: str, n_bytes: int) -> bytes:
        """Return the first bytes of an object, all of it if it is shorter.

        Raises:
            NotStored: There is none of that name.
            StorageFailure: It can't be read.
        """
        with self._named("read", name):
            if self.local_path is not None:
                with (self.local_path / name).open("rb") as stream:
                    return stream.read(n_bytes)
            contents: bytes = self._files.cat_file(self._place(name), start=0, end=n_bytes)
            return contents

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the bytes of each object in a folder by its name there; none if there is none.

        Raises:
            StorageFailure: The folder can't be listed.
        """
        return {
            name: int(entry["size"])
            for name, entry in self._entries(folder)
            if entry["type"] != "directory"
        }

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders in a folder, sorted.

        Raises:
            StorageFailure: The folder can't be listed.
        """
        return sorted(name for name, entry in self._entries(folder) if entry["type"] == "directory")

    def delete(self, name: str) -> None:
        """Delete an object; one that is not there is deleted already.

        Raises:
            StorageFailure: It can't be deleted.
        """
        self.check_held()
        with self._named("delete", name):
            try:
                self._files.rm_file(self._place(name))
            except FileNotFoundError:
                return

    def delete_folder(self, folder: str) -> None:
        """Delete a folder with all that is in it; one that is not there is deleted already.

        Raises:
            StorageFailure: It can't be deleted; some of it may be.
        """
        self.check_held()
        with self._named("delete", folder):
            try:
                if self.local_path is not None:
                    path = self.local_path / folder
                    shutil.rmtree(path)
                    _keep_names(path.parent)
                else:
                    self._files.rm(self._place(folder), recursive=True)
            except FileNotFoundError:
                return

    def move(self, name: str, to: str) -> None:
        """Give an object another name.

        Raises:
            NotStored: There is none of that name.
            StorageFailure: It can't be moved; elsewhere than on disk it may have both names.
        """
        self.check_held()
        with self._named("move", name):
            if self.local_path is not None:
                _make_folder((self.local_path / to).parent)
                (self.local_path / name).rename(self.local_path / to)
                return
            self._files.cp_file(self._place(name), self._place(to))
            self._files.rm_file(self._place(name))

    def move_folder(self, folder: str, to: str) -> None:
        """Give a folder of objects another name.

        Raises:
            StorageFailure: It can't be moved; elsewhere than on disk some of it may be.
        """
        self.check_held()
        with self._named("move", folder):
            if self.local_path is not None:
                _make_folder((self.local_path / to).parent)
                (self.local_path / folder).rename(self.local_path / to)
                return
            # object stores have no folders, and fsspec's own move stumbles over that
            for name in self.sizes(folder):
                self._files.cp_file(self._place(f"{folder}/{name}"), self._place(f"{to}/{name}"))
            self._files.rm(self._place(folder), recursive=True)

    def delete_partials(self) -> None:
        """Delete the half-written files that a killed server left; nobody may write meanwhile.

        Raises:
            StorageFailure: One can't be deleted.
        """
        if self.local_path is None:
            return
        with self._named("tidy", ""):
            for path in self.local_path.rglob(".*.partial"):
                path.unlink(missing_ok=True)

    def _entries(self, folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
        with self._named("list", folder):
            try:
                entries = self._files.ls(self._place(folder), detail=True)
            except FileNotFoundError:
                entries = []
        for entry in entries:
            name = entry["name"].rstrip("/").rpartition("/")[2]
            # half-written files, which a killed server may leave, begin with a dot
            if name and not name.startswith("."):
                yield name, entry

    def _place(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}" if name else self._root

    @contextmanager
    def _named(self, action: str, name: str) -> Iterator[None]:
        """Say of whatever goes wrong what was tried and where."""
        where = f"{name!r} in {self.url!r}" if name else repr(self.url)
        try:
            yield
        except ServiceError:
            raise
        except FileNotFoundError as error:
            raise NotStored(f"can't {action} {where}: it is not there") from error
        except Exception as error:
            # every file system has errors of its own
            text = str(error) or type(error).__name__
            raise StorageFailure(f"can't {action} {where}: {text}") from error


def _make_folder(path: Path) -> None:
    """Make a folder that outlives a loss of power, and those above it that are missing."""
    if path.is_dir():
        return
    _make_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    _keep_names(path.parent)


def _keep_names(folder: Path) -> None:
    if os.name != "posix":
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
