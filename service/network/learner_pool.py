"""The learners there are, one for each kind of network; only the engine thread touches them."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from tclif_core import Learner, LearningSpec, NetworkSpec, SlotIndex, grow_rows


class Seat(NamedTuple):
    """Where a session's network lives.

    Attributes:
        learner: The learner of its kind.
        slot: Its place there.
    """

    learner: Learner
    slot: SlotIndex


class LearnerPool:
    """Makes a learner for the first session of a kind and drops it after the last one.

    Args:
        make: Makes a learner.
    """

    def __init__(self, make: Callable[[NetworkSpec, LearningSpec], Learner]) -> None:
        self._make = make
        self._learners: dict[tuple[NetworkSpec, LearningSpec], Learner] = {}

    @property
    def memory_bytes(self) -> int:
        """What the learners take in memory, free slots included."""
        return sum(learner.memory_bytes for learner in self._learners.values())

    def open(self, network: NetworkSpec, learning: LearningSpec, *, seed: int, rate: float) -> Seat:
        """Give a new session its seat."""
        key = (network, learning)
        learner = self._learners.get(key)
        if learner is None:
            learner = self._learners[key] = self._make(*key)
        return Seat(learner, learner.open(seed=seed, rate=rate))

    def close(self, seat: Seat) -> None:
        """Free a seat."""
        learner, slot = seat
        learner.close(slot)
        if not learner.n_sessions:
            del self._learners[learner.network, learner.learning]

    def grow(self, seat: Seat, n_classes: int) -> Seat:
        """Move a session to a network with more classes, all else as it is."""
        learner, slot = seat
        rows = grow_rows(learner.network, learner.learning, learner.export(slot), n_classes)
        larger = replace(learner.network, classes=n_classes)
        grown = self.open(larger, learner.learning, seed=0, rate=0.0)
        grown.learner.replace(grown.slot, rows)
        self.close(seat)
        return grown
