"""Which ticks of a stream have been labelled, so that none is learnt twice."""

from bisect import bisect_left, bisect_right

import numpy as np

from service.state_tree import Tree, array


class TaughtTicks:
    """Disjoint ranges of ticks, in order; ranges that touch are one."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []

    def __len__(self) -> int:
        """How many ranges there are."""
        return len(self._starts)

    def overlaps(self, start: int, stop: int) -> bool:
        """Tell whether a tick from ``start`` to ``stop`` (exclusive) is among them."""
        after = bisect_right(self._stops, start)
        return after < len(self) and self._starts[after] < stop

    def add(self, start: int, stop: int) -> None:
        """Put in ticks of which none is there yet."""
        low, high = bisect_left(self._stops, start), bisect_right(self._starts, stop)
        if low < high:
            start, stop = min(start, self._starts[low]), max(stop, self._stops[high - 1])
        self._starts[low:high] = [start]
        self._stops[low:high] = [stop]

    def forget_before(self, tick: int) -> None:
        """Let go of ranges that end at or before a tick: nobody can label those ticks any more."""
        n_gone = bisect_right(self._stops, tick)
        del self._starts[:n_gone], self._stops[:n_gone]

    def capture(self) -> Tree:
        """Return the ranges as a tree."""
        return {
            "starts": np.array(self._starts, np.int64),
            "stops": np.array(self._stops, np.int64),
        }

    def restore(self, tree: Tree) -> None:
        """Go on from what `capture` returned."""
        self._starts = array(tree, "starts", np.int64).tolist()
        self._stops = array(tree, "stops", np.int64).tolist()
