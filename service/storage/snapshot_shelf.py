"""What is known of one session's snapshots, and what is durable because of them."""

import asyncio
from dataclasses import dataclass, field

from service.storage.snapshot_store import StoredSnapshot

WITNESSES = 2
"""Snapshots that must contain a message before it counts as durable."""


@dataclass(slots=True, eq=False)
class SnapshotShelf:
    """What is stored of one session.

    Attributes:
        folder: Where.
        stored: All of its snapshots, newest first.
        verified: The two newest that were verified and hold the weights of now, newest first.
        turn: Held while one is being stored.
        n_failures: Attempts that failed since the last that did not.
        rhythm: The task that stores it every few seconds.
        wanted: The task that stores it because its client asked.
        is_wanted: Whether the client asked after that task had begun to look.
    """

    folder: str
    stored: list[StoredSnapshot]
    verified: list[StoredSnapshot]
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    n_failures: int = 0
    rhythm: asyncio.Task[None] | None = None
    wanted: asyncio.Task[None] | None = None
    is_wanted: bool = False

    def is_behind(self, sequence: int) -> bool:
        """Tell whether a message is not yet contained in two verified snapshots."""
        return len(self.verified) < WITNESSES or self.verified[-1].manifest.applied < sequence
