"""A session's network in its seat: how it is stored, taken back, and moved when classes come."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from service.errors import Refusal
from service.network.learner_pool import LearnerPool, Seat
from service.state_tree import Tree
from service.stream.segments import Stretch
from tclif_core import grow_rows, grow_state


class SeatedNetwork:
    """All that a learner holds of one session; only the engine thread touches it.

    Attributes:
        seat: Where it is now.
    """

    def __init__(self, pool: LearnerPool, seat: Seat) -> None:
        self.seat = seat
        self._pool = pool

    def leave(self) -> None:
        """Free its seat."""
        self._pool.close(self.seat)

    def grow(self, n_classes: int, stretches: Iterable[Stretch] = ()) -> None:
        """Move to a network with more classes, and let kept states grow with it."""
        learner = self.seat.learner
        for stretch in stretches:
            if stretch.state is not None:
                stretch.state = grow_state(
                    learner.network, learner.learning, stretch.state, n_classes
                )
        self.seat = self._pool.grow(self.seat, n_classes)

    def capture(self) -> Tree:
        """Return its rows by name."""
        rows = self.seat.learner.export(self.seat.slot)
        return {name: row.numpy() for name, row in rows.items()}

    def restore(self, tree: Tree, n_classes: int) -> None:
        """Go on from what `capture` returned, as of a network with so many classes.

        Raises:
            ValueError: The rows are those of another network, or unsound.
        """
        if n_classes > self.seat.learner.network.classes:
            self.grow(n_classes)
        rows = {name: np.array(row) for name, row in tree.items()}
        self.seat.learner.replace(self.seat.slot, rows)

    def roll_back(self, tree: Tree, n_classes: int) -> None:
        """Take back the weights that `capture` returned, of so many classes or fewer than now.

        Raises:
            Refusal: They are those of another network.
        """
        learner, slot = self.seat
        rows = {name: np.array(row) for name, row in tree.items()}
        now = learner.network
        try:
            if n_classes < now.classes:
                # classes that came since begin anew
                before = replace(now, classes=n_classes)
                grown = grow_rows(before, learner.learning, rows, now.classes)
                rows = {name: row.numpy() for name, row in grown.items()}
            learner.roll_back(slot, rows)
        except ValueError as error:
            raise Refusal("bad_value", f"the snapshot does not fit the session: {error}") from error
