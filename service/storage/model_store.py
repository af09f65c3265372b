"""Stored models: named, versioned, never changed.

A principal's models are its own; those that are published belong to everybody and stand under no
owner. Each version is one model file of `tclif_core`, under a hash of owner and name: nothing of a
client names a path. Versions rise from 1 and are written once.
"""

import hashlib
import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.errors import NotStored, QuotaExceeded, StorageFailure, UnknownModel
from service.settings import QuotaSettings
from service.storage.storage import Storage
from tclif_core import Model, ModelFileError, pack_model, peek_model, unpack_model

FOLDER = "models"
EVERYBODY = ""
"""The owner of what is published; no principal is called so."""

Weights = Mapping[str, NDArray[np.float32]]
"""All parameters of a network by name."""

_LENGTH_BYTES = 8
_STORED = "stored"

_log = logging.getLogger(__name__)


class ModelVersion(NamedTuple):
    """Which model: whose, what it is called, and which of its versions."""

    owner: str
    name: str
    version: int

    @property
    def is_published(self) -> bool:
        """Whether everybody may begin from it."""
        return self.owner == EVERYBODY


class StoredModel(NamedTuple):
    """A model with its weights, and which it is."""

    version: ModelVersion
    model: Model


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """What is known of a version without reading its weights.

    Attributes:
        version: Which it is.
        document: What its file says of it, as JSON values.
        n_bytes: The size of its file.
    """

    version: ModelVersion
    document: dict[str, Any]
    n_bytes: int


class ModelStore:
    """The models in a data folder. Every call blocks, and may come from any thread."""

    def __init__(self, storage: Storage, quota: QuotaSettings) -> None:
        self._storage = storage
        self._quota = quota
        # what is in a version's file never changes, so it is read once
        self._known: dict[str, ModelRecord] = {}
        self._adding = threading.Lock()

    def newest(self, principal: str, name: str) -> StoredModel:
        """Read the model that a principal means by a name: its own, or else a published one.

        Raises:
            UnknownModel: There is none, or its newest version is damaged.
            StorageFailure: The data folder can't be read.
        """
        for owner in (principal, EVERYBODY):
            versions = self._versions(owner, name)
            if versions:
                return self._read(ModelVersion(owner, name, versions[-1]))
        raise UnknownModel(f"model {name!r} came; expected one of GET /v1/models")

    def records(self, principal: str, name: str) -> list[ModelRecord]:
        """Return every version of the model that a principal means by a name, oldest first.

        Raises:
            UnknownModel: There is none.
            StorageFailure: The data folder can't be read.
        """
        for owner in (principal, EVERYBODY):
            found = list(self._records_in(_folder(owner, name)))
            if found:
                return found
        raise UnknownModel(f"model {name!r} came; expected one of GET /v1/models")

    def visible(self, principal: str) -> list[ModelRecord]:
        """Return the newest version of every model that a principal may begin from, by name.

        Raises:
            StorageFailure: The data folder can't be read.
        """
        newest = {
            (record.version.name, record.version.is_published): record
            for record in self._everything()
            if record.version.owner in (principal, EVERYBODY)
        }
        return [record for _, record in sorted(newest.items(), key=lambda item: item[0])]

    def add(self, owner: str, name: str, model: Model) -> ModelVersion:
        """Store a model as the next version of its name.

        Raises:
            QuotaExceeded: The owner has as many as allowed.
            ModelFileError: It is no model that can be kept.
            StorageFailure: It can't be written, or reads back otherwise.
        """
        with self._adding:
            versions = self._versions(owner, name)
            version = ModelVersion(owner, name, versions[-1] + 1 if versions else 1)
            stored = {
                "owner": owner,
                "name": name,
                "version": version.version,
                "stored": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            provenance = {**model.provenance, _STORED: stored}
            contents = pack_model(replace(model, provenance=provenance), name)
            if owner != EVERYBODY:
                self._check_quota(owner, len(contents))
            path = _path(version)
            self._storage.write(path, contents)
            if self._storage.read(path) != contents:
                raise StorageFailure(f"model {name!r} reads back otherwise than it was written")
        return version

    def remove(self, owner: str, name: str, version: int | None) -> list[ModelVersion]:
        """Delete a version, or all of them; return what is gone.

        The newest one stays as long as there are others: its number must not be given again.

        Raises:
            UnknownModel: There is no such model or version, or it is the newest of several.
            StorageFailure: It can't be deleted.
        """
        with self._adding:
            there = self._versions(owner, name)
            gone = there if version is None else [v for v in there[:-1] if v == version]
            if not gone:
                which = "" if version is None else f" version {version}"
                expected = f"one of {there[:-1]}, or all of {there}" if there else "a stored model"
                raise UnknownModel(f"model {name!r}{which} came; expected {expected}")
            for number in gone:
                self._storage.delete(_path(ModelVersion(owner, name, number)))
        return [ModelVersion(owner, name, number) for number in gone]

    def _check_quota(self, owner: str, n_bytes: int) -> None:
        mine = [record for record in self._everything() if record.version.owner == owner]
        if len(mine) >= self._quota.models:
            raise QuotaExceeded(
                f"principal {owner!r} has {len(mine)} stored models; expected fewer than"
                f" {self._quota.models} before a new one"
            )
        n_stored = sum(record.n_bytes for record in mine)
        if n_stored + n_bytes > self._quota.model_bytes:
            raise QuotaExceeded(
                f"the model takes {n_bytes} bytes and all others of principal {owner!r}"
                f" {n_stored}; expected at most {self._quota.model_bytes} together"
            )

    def _read(self, version: ModelVersion) -> StoredModel:
        path = _path(version)
        try:
            return StoredModel(version, unpack_model(self._storage.read(path), path))
        except (ModelFileError, NotStored) as error:
            _log.error("model damaged: %s", error)
            raise UnknownModel(
                f"model {version.name!r} came, whose newest version {version.version} is damaged;"
                " expected one of GET /v1/models"
            ) from error

    def _versions(self, owner: str, name: str) -> list[int]:
        return [version for version, _ in _numbered(self._storage.sizes(_folder(owner, name)))]

    def _everything(self) -> Iterator[ModelRecord]:
        """Walk over every version of every model, older versions of a model first."""
        for folder in self._storage.folders(FOLDER):
            yield from self._records_in(f"{FOLDER}/{folder}")

    def _records_in(self, folder: str) -> Iterator[ModelRecord]:
        for version, n_bytes in _numbered(self._storage.sizes(folder)):
            path = f"{folder}/{version}.safetensors"
            record = self._known.get(path)
            if record is None:
                try:
                    record = self._peek(path, n_bytes)
                except (ModelFileError, NotStored, KeyError, TypeError, ValueError) as error:
                    _log.error("model damaged: %s", error)
                    continue
                self._known[path] = record
            yield record

    def _peek(self, path: str, n_bytes: int) -> ModelRecord:
        n_header = int.from_bytes(self._storage.read_begin(path, _LENGTH_BYTES), "little")
        begin = self._storage.read_begin(path, _LENGTH_BYTES + min(n_header, n_bytes))
        document = peek_model(begin, path)
        stored = document["provenance"][_STORED]
        version = ModelVersion(str(stored["owner"]), str(stored["name"]), int(stored["version"]))
        if _path(version) != path:
            raise ValueError(f"{path} says that it is {_path(version)}")
        return ModelRecord(version, document, n_bytes)


def _folder(owner: str, name: str) -> str:
    digest = hashlib.sha256(f"{owner}\x00{name}".encode()).hexdigest()
    return f"{FOLDER}/{digest}"


def _path(version: ModelVersion) -> str:
    return f"{_folder(version.owner, version.name)}/{version.version}.safetensors"


def _numbered(sizes: dict[str, int]) -> list[tuple[int, int]]:
    """Return version and size of each file that is a version, oldest first."""
    return sorted(
        (int(number), n_bytes)
        for number, dot, rest in (name.partition(".") for name in sizes)
        if number.isascii() and number.isdecimal() and dot + rest == ".safetensors"
        for n_bytes in [sizes[number + dot + rest]]
    )
