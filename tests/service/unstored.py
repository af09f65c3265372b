"""A registry for tests of other things than storing: its sessions live in memory alone."""

import time
from collections.abc import Callable, Sequence
from uuid import uuid4

from typing_extensions import override

from service.access.session_quota import SessionQuota
from service.observation.telemetry import Telemetry
from service.sessions.admission import Admission
from service.sessions.engine import Engine
from service.sessions.session_archive import SessionArchive
from service.sessions.session_registry import SessionRegistry
from service.sessions.sessions import Session
from service.sessions.snapshot_keeper import SnapshotKeeper
from service.settings import (
    AdmissionSettings,
    QuotaSettings,
    SessionSettings,
    SocketSettings,
    StorageSettings,
)
from service.storage.model_store import ModelStore
from service.storage.snapshot_format import Manifest
from service.storage.snapshot_store import SnapshotStore, StoredSnapshot
from service.storage.storage import Storage
from service.storage.storage_threads import StorageThreads

THREADS = StorageThreads(2, timeout_s=30.0)
"""For all tests: they end with the process."""


WHOEVER_COMES = AdmissionSettings(new_load=1e9, known_load=1e9)
"""Lets everybody in: how busy a machine is that runs tests says nothing about the server."""


class IdleKeeper(SnapshotKeeper):
    """Says that everything is stored, and stores nothing."""

    @override
    def adopt(
        self,
        session: Session,
        stored: Sequence[StoredSnapshot] = (),
        verified: Sequence[StoredSnapshot] = (),
    ) -> None:
        pass

    @override
    async def forget(self, session: Session) -> None:
        pass

    @override
    async def store(
        self, session: Session, *, requested: bool = False, urgent: bool = True
    ) -> StoredSnapshot:
        manifest = Manifest(
            principal=session.principal,
            session=session.name,
            epoch=session.epoch,
            applied=session.received,
            ticks=session.n_ticks,
            events=0,
            network_bytes=session.network_bytes,
            taken_s=0.0,
            used_s=session.used_s,
            requested=requested,
            version="0",
        )
        return StoredSnapshot(1, 1, manifest)


def unstored_registry(
    engine: Engine,
    settings: SessionSettings | None = None,
    quota: QuotaSettings | None = None,
    clock: Callable[[], float] = time.time,
    admission: Admission | None = None,
) -> SessionRegistry:
    """Return a registry with an empty archive."""
    bounds = settings or SessionSettings()
    storage_settings = StorageSettings(url=f"memory://{uuid4()}")
    storage = Storage(storage_settings.url)
    store = SnapshotStore(storage, storage_settings, clock)
    quotas = quota or QuotaSettings()
    return SessionRegistry(
        engine,
        bounds,
        SocketSettings(),
        storage_settings,
        quota=SessionQuota(bounds, quotas),
        models=ModelStore(storage, quotas),
        archive=SessionArchive(store, THREADS, engine, bounds, clock),
        admission=admission or Admission(WHOEVER_COMES),
        keeper=IdleKeeper(store, THREADS, storage_settings, Telemetry()),
        clock=clock,
    )
