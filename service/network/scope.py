"""A look into one running network: its inputs, spikes and answers, while somebody looks.

The engine thread puts a glimpse in after each visit of the running segment, the event loop takes
them out. A scope that is read too slowly forgets its oldest glimpses, and says how many.
"""

import threading
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.network.learner_pool import Seat
from service.network.visit import Answer, Row

MOST_EVENTS = 20_000
"""Inputs that wait in a scope; the oldest glimpses beyond that are forgotten."""

MOST_GLIMPSES = 64
"""Glimpses that wait in a scope."""


class Glimpse(NamedTuple):
    """What one visit brought.

    Attributes:
        from_tick: Its first tick, counted from the segment's begin.
        n_ticks: Its ticks.
        ticks: ``[E]`` int64, the tick of each input, counted from ``from_tick``.
        channels: ``[E]`` int32, the channel of each input.
        neurons: Of each hidden layer the neurons that spiked in the visit's last tick, int64. The
            ticks before it are not known: a kernel keeps the spikes of one tick only.
        probabilities: The segment's prediction after the last tick, ``[C]`` float32.
    """

    from_tick: int
    n_ticks: int
    ticks: NDArray[np.int64]
    channels: NDArray[np.int32]
    neurons: list[NDArray[np.int64]]
    probabilities: NDArray[np.float32]


def glimpse(row: Row, answer: Answer, spikes: list[NDArray[np.bool_]], from_tick: int) -> Glimpse:
    """Return what is to be seen of a visit.

    Args:
        row: The ticks that were computed.
        answer: What was computed for them.
        spikes: Each hidden layer's spikes in the last of them, ``[N]``.
        from_tick: Ticks of the segment before them.
    """
    block = row.block
    ticks = np.repeat(np.arange(block.n_ticks), block.sizes)
    neurons = [np.flatnonzero(layer) for layer in spikes]
    # a copy: the row is a view of a larger block, which would be kept
    channels = block.channels.copy()
    probabilities = answer.mean_probabilities[-1].copy()
    return Glimpse(from_tick, block.n_ticks, ticks, channels, neurons, probabilities)


class Scope:
    """Where one watcher's glimpses wait; the engine thread and the event loop share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._glimpses: list[Glimpse] = []
        self._n_events = 0
        self._n_forgotten = 0

    def put(self, seen: Glimpse) -> None:
        """Add a glimpse, and forget the oldest while there are too many."""
        with self._lock:
            self._glimpses.append(seen)
            self._n_events += len(seen.channels)
            # the newest one stays, however large it is
            while len(self._glimpses) > 1 and self._is_full():
                self._n_events -= len(self._glimpses.pop(0).channels)
                self._n_forgotten += 1

    def take(self) -> tuple[list[Glimpse], int]:
        """Take all glimpses out; return them, oldest first, and how many were forgotten."""
        with self._lock:
            taken = self._glimpses, self._n_forgotten
            self._glimpses, self._n_events, self._n_forgotten = [], 0, 0
        return taken

    def _is_full(self) -> bool:
        return len(self._glimpses) > MOST_GLIMPSES or self._n_events > MOST_EVENTS


def show(scopes: tuple[Scope, ...], row: Row, answer: Answer, seat: Seat, from_tick: int) -> None:
    """Put a glimpse of a visit into every scope; where there is none nothing is copied.

    Args:
        scopes: Who looks.
        row: The ticks that were computed, in the running segment.
        answer: What was computed for them.
        seat: The network, as the last of them left it.
        from_tick: Ticks of the segment before them.
    """
    if scopes:
        seen = glimpse(row, answer, seat.learner.last_spikes(seat.slot), from_tick)
        for scope in scopes:
            scope.put(seen)
