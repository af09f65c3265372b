"""What a tick takes, of each kind of network, as it was measured not long ago."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from tclif_core import Learner

FIRST_GUESS_S = 5e-5
"""For networks that have computed nothing yet."""

_NEWEST = 0.1
"""Weight of the newest batch in the mean."""


class TickCosts:
    """Seconds a tick, by learner, with all that belongs to it; the engine thread's."""

    def __init__(self, clock: Callable[[], float] = time.thread_time) -> None:
        self._clock = clock
        self._seconds: WeakKeyDictionary[Learner, float] = WeakKeyDictionary()
        self._bytes: WeakKeyDictionary[Learner, int] = WeakKeyDictionary()

    def seconds_a_tick(self, learner: Learner) -> float:
        """Return what a tick of a learner's sessions takes on average, more than zero."""
        return self._seconds.get(learner, FIRST_GUESS_S)

    @contextmanager
    def measured(self, learner: Learner, n_ticks: int) -> Iterator[None]:
        """Measure what is done meanwhile, for so many ticks."""
        began_s = self._clock()
        yield
        # a clock may stand still for so short a time
        newest_s = max(1e-7, (self._clock() - began_s) / n_ticks)
        before_s = self._seconds.get(learner, newest_s)
        self._seconds[learner] = before_s + _NEWEST * (newest_s - before_s)

    def session_bytes(self, learner: Learner) -> int:
        """Return what each session of a learner takes in memory, worked out once."""
        n_bytes = self._bytes.get(learner)
        if n_bytes is None:
            n_bytes = self._bytes[learner] = Learner.session_bytes(
                learner.network, learner.learning
            )
        return n_bytes
