"""What a session's ticks brought that its network does not count itself; part of its state."""

from service.network.visit import NO_TARGET, Row
from service.state_tree import Tree, whole


class TickTally:
    """Sums over the ticks computed since the session began, those of lessons included.

    Attributes:
        n_inputs: Non-zero inputs.
        n_eligible: Ticks at which eligibility moved.
        n_labelled: Ticks that had a target.
    """

    def __init__(self) -> None:
        self.n_inputs = 0
        self.n_eligible = 0
        self.n_labelled = 0

    def take(self, row: Row) -> None:
        """Take ticks that were computed."""
        n_ticks = row.block.n_ticks
        self.n_inputs += row.block.n_inputs
        self.n_eligible += n_ticks * row.learns
        self.n_labelled += n_ticks * (row.learns and row.target != NO_TARGET)

    def capture(self) -> Tree:
        """Return the sums."""
        return {
            "n_inputs": self.n_inputs,
            "n_eligible": self.n_eligible,
            "n_labelled": self.n_labelled,
        }

    def restore(self, tree: Tree) -> None:
        """Go on from what `capture` returned."""
        self.n_inputs = whole(tree, "n_inputs")
        self.n_eligible = whole(tree, "n_eligible")
        self.n_labelled = whole(tree, "n_labelled")
