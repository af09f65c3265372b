"""What a segment without end is taken for lately: the mean since it was last told."""

import numpy as np
from numpy.typing import NDArray

from service.state_tree import Tree, array, whole


class RunningMean:
    """Mean class probabilities of some ticks, added up one by one.

    Tick by tick, so that the sum does not depend on how ticks are cut into visits.
    """

    def __init__(self, n_classes: int) -> None:
        self._sum = np.zeros(n_classes)
        self._n_ticks = 0

    def add(self, logits: NDArray[np.floating]) -> None:
        """Take in the logits ``[T, C]`` of some ticks."""
        for tick in logits:
            powers = np.exp(tick.astype(np.float64) - float(tick.max()))
            self._sum = self._sum + powers / powers.sum()
        self._n_ticks += len(logits)

    def take(self) -> NDArray[np.float32]:
        """Return the mean of the ticks since the last call, at least one, and begin anew."""
        mean = (self._sum / self._n_ticks).astype(np.float32)
        self._sum, self._n_ticks = np.zeros_like(self._sum), 0
        return mean

    def grow(self, n_classes: int) -> None:
        """Make room for more classes."""
        self._sum = np.pad(self._sum, (0, n_classes - len(self._sum)))

    def capture(self) -> Tree:
        """Return the sum as a tree."""
        return {"sum": self._sum, "n_ticks": self._n_ticks}

    def restore(self, tree: Tree) -> None:
        """Go on from what `capture` returned."""
        self._sum, self._n_ticks = array(tree, "sum", np.float64), whole(tree, "n_ticks")
