"""Where sessions are stored, how often, and for how long."""

from typing import Annotated

from pydantic import BaseModel, Field

from service.settings.strict import STRICT


class StorageSettings(BaseModel):
    """The data folder, and the snapshots of sessions in it."""

    model_config = STRICT

    url: Annotated[str, Field(min_length=1)] = "~/.local/state/tclif"
    """The data folder: a path, or a URL that fsspec knows, such as ``s3://bucket/folder``."""

    shipped_models: bool = True
    """Whether the models that come with the server are published at its start, where no model of
    their name is."""

    lease_s: Annotated[float, Field(gt=0)] = 15.0
    """How long a server that ended without a word keeps the next one from a data folder that is not
    on this machine's disk."""

    snapshot_every_s: Annotated[float, Field(gt=0)] = 5.0
    """Time between two snapshots of a session that changes."""

    retry_at_most_s: Annotated[float, Field(gt=0)] = 60.0
    """Longest wait after snapshots that could not be stored; each failure doubles the wait."""

    store_timeout_s: Annotated[float, Field(gt=0)] = 30.0
    """A snapshot that takes longer to be stored counts as failed."""

    writers: Annotated[int, Field(ge=1)] = 2
    """Threads that seal, write and verify snapshots."""

    bytes_per_s: Annotated[int, Field(ge=1)] = 128 << 20
    """Bytes of periodic snapshots that are written in a second, on average over a few; others wait
    their turn. Snapshots that somebody waits for come first and are not held back."""

    bytes_in_flight: Annotated[int, Field(ge=1)] = 256 << 20
    """Memory of the snapshots that are being written at a time; a larger one is written alone."""

    kept_periodic: Annotated[int, Field(ge=0)] = 4
    """Snapshots of a session, besides the two newest, that are kept to roll back to."""

    periodic_spacing_s: Annotated[float, Field(ge=0)] = 600.0
    """Least time between those."""

    kept_requested: Annotated[int, Field(ge=0)] = 8
    """Snapshots of a session, besides, that were asked for over HTTP."""

    park_after_s: Annotated[float, Field(ge=0)] = 300.0
    """A session without a connection for so long leaves memory and stays stored."""

    sleep_after_s: Annotated[float, Field(ge=0)] = 60.0
    """A session whose connection says nothing for so long leaves memory too; its next message
    brings it back, and its client does not notice."""

    expire_after_s: Annotated[float, Field(gt=0)] = 30 * 86400.0
    """A session without a connection for so long is deleted with its snapshots."""

    max_stored_sessions: Annotated[int, Field(ge=1)] = 10_000
    """Sessions in memory and parked ones together."""

    drain_timeout_s: Annotated[float, Field(gt=0)] = 20.0
    """How long a server that is told to end stores sessions before it ends anyway."""
