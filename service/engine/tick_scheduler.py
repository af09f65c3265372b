"""Which sessions compute next, and how many ticks each: pure policy, no thread, no clock.

Sessions that have work stand in a queue. A batch takes the first ``batch_rows`` of them, each for
at most ``visit_ticks``; who still has work afterwards goes to the end of the queue. So a session
that floods the server delays a neighbour by one visit, never more than
``ceil(sessions with work / batch_rows)`` batches.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from service.settings import EngineSettings

Key = TypeVar("Key", bound=Hashable)


class TickScheduler(Generic[Key]):
    """Round robin over the sessions that have work."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._ready: OrderedDict[Key, None] = OrderedDict()

    def __bool__(self) -> bool:
        """Tell whether any session has work."""
        return bool(self._ready)

    def add(self, key: Key) -> None:
        """Say that a session has work; one that stands in the queue already keeps its place."""
        self._ready.setdefault(key)

    def discard(self, key: Key) -> None:
        """Forget a session, in the queue or not."""
        self._ready.pop(key, None)

    def next_batch(self) -> list[Key]:
        """Take the sessions of the next batch out of the queue, each at most once."""
        n_rows = min(self._settings.batch_rows, len(self._ready))
        return [self._ready.popitem(last=False)[0] for _ in range(n_rows)]

    @property
    def visit_ticks(self) -> int:
        """How many ticks a session may compute in one batch."""
        return self._settings.visit_ticks
