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


class TickCost:
    """What a tick of one learner's sessions takes, with all that belongs to it.

    Attributes:
        seconds: On average, more than zero.
        session_bytes: What each of its sessions takes in memory.
    """

    __slots__ = ("_is_measured", "seconds", "session_bytes")

    def __init__(self, session_bytes: int) -> None:
        self.seconds = FIRST_GUESS_S
        self.session_bytes = session_bytes
        self._is_measured = False

    def take(self, seconds: float) -> None:
        """Take in what a tick of the newest batch took."""
        if self._is_measured:
            self.seconds += _NEWEST * (seconds - self.seconds)
        else:
            self.seconds, self._is_measured = seconds, True


class TickCosts:
    """Costs by learner; the engine thread's."""

    def __init__(self, clock: Callable[[], float] = time.thread_time) -> None:
        self._clock = clock
        self._costs: WeakKeyDictionary[Learner, TickCost] = WeakKeyDictionary()

    def of(self, learner: Learner) -> TickCost:
        """Return what a tick of a learner's sessions takes."""
        cost = self._costs.get(learner)
        if cost is None:
            n_bytes = Learner.session_bytes(learner.network, learner.learning)
            cost = self._costs[learner] = TickCost(n_bytes)
        return cost

    @contextmanager
    def measured(self, learner: Learner, n_ticks: int) -> Iterator[None]:
        """Measure what is done meanwhile, for so many ticks."""
        began_s = self._clock()
        yield
        # a clock may stand still for so short a time
        self.of(learner).take(max(1e-7, (self._clock() - began_s) / n_ticks))
