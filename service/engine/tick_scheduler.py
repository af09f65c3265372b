"""Which sessions compute next, and how many ticks each: pure policy, no thread, no clock.

Sessions that have work stand in one of two queues: those that stream in real time, and those that
are ahead of it, which nobody waits for at a moment of their own. A batch takes sessions from the
front of the first queue, then of the second, until it is expected to last ``batch_ms``; who still
has work afterwards goes to the end of a queue. Every batch visits at least one session in real
time, if one waits, and one batch in ``TURN`` at least one that is ahead. So nobody starves, and
nobody floods:

* a session in real time waits at most as many batches as there were others before it;
* one that is ahead waits at most ``TURN`` times as many as there were others ahead before it.

A visit is as long as what has arrived allows, up to ``visit_ticks`` and to what a whole batch may
last. With the visit that uses it up, and one that is owed, a batch takes three times ``batch_ms``
at most, unless ``SHORTEST_VISIT`` ticks of a network take longer than that.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from service.settings import EngineSettings

Key = TypeVar("Key", bound=Hashable)

TURN = 8
"""In so many batches the sessions ahead of real time get at least one visit."""

SHORTEST_VISIT = 16
"""Ticks that are computed together in any case: weights are loaded once for them."""


class TickScheduler(Generic[Key]):
    """Round robin over the sessions that have work, those in real time first."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._batch_s = settings.batch_ms / 1000
        self._in_time: OrderedDict[Key, None] = OrderedDict()
        self._ahead: OrderedDict[Key, None] = OrderedDict()
        self._left_s = self._batch_s
        # batches in a row that left sessions waiting which are ahead
        self._n_without = 0

    def __bool__(self) -> bool:
        """Tell whether any session has work."""
        return bool(self._in_time) or bool(self._ahead)

    def add(self, key: Key, *, is_ahead: bool = False) -> None:
        """Say that a session has work; one that stands in a queue already keeps its place.

        Args:
            key: The session.
            is_ahead: Whether it streams ahead of real time.
        """
        if key not in self._in_time and key not in self._ahead:
            (self._ahead if is_ahead else self._in_time)[key] = None

    def discard(self, key: Key) -> None:
        """Forget a session, in a queue or not."""
        self._in_time.pop(key, None)
        self._ahead.pop(key, None)

    def next_batch(self) -> Iterator[Key]:
        """Take the sessions of the next batch out of the queues, one by one, each at most once.

        Between two of them `spend` says what the visit of the one before will take.
        """
        self._left_s = self._batch_s
        owes_a_turn = bool(self._ahead) and self._n_without >= TURN - 1
        n_in_time = n_ahead = 0
        while self._in_time and (not n_in_time or self._has_room(n_in_time)):
            n_in_time += 1
            yield self._in_time.popitem(last=False)[0]
        while self._ahead and (
            (owes_a_turn and not n_ahead) or self._has_room(n_in_time + n_ahead)
        ):
            n_ahead += 1
            yield self._ahead.popitem(last=False)[0]
        self._n_without = self._n_without + 1 if self._ahead and not n_ahead else 0

    def spend(self, seconds: float) -> None:
        """Count what a visit of the batch is expected to take."""
        self._left_s -= seconds

    def visit_ticks(self, seconds_a_tick: float) -> int:
        """Return how many ticks a session may compute in one batch.

        Args:
            seconds_a_tick: What one of its ticks takes.
        """
        affordable = int(self._batch_s / seconds_a_tick)
        return min(self._settings.visit_ticks, max(SHORTEST_VISIT, affordable))

    def _has_room(self, n_rows: int) -> bool:
        return n_rows < self._settings.batch_rows and self._left_s > 0
