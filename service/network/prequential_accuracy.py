"""Test-then-train score: was each prediction right, judged before its own lesson."""

from collections import deque

from service.network.drift import DriftDetector
from service.state_tree import Tree, branch, listed, whole


class PrequentialAccuracy:
    """Accuracy over the last ``window`` labelled segments, and over all of them.

    Attributes:
        n_scored: Predictions that were scored.
        n_correct: Those that were right.
        drift: Whether the share of right ones has changed.
    """

    def __init__(self, window: int) -> None:
        self._recent: deque[bool] = deque(maxlen=window)
        self.n_scored = 0
        self.n_correct = 0
        self.drift = DriftDetector()

    def score(self, *, correct: bool) -> None:
        """Take one prediction that was made before its label was learnt."""
        self._recent.append(correct)
        self.n_scored += 1
        self.n_correct += correct
        self.drift.take(correct=correct)

    @property
    def windowed(self) -> float:
        """Share of right predictions among the last ``window``, 0 before the first."""
        return sum(self._recent) / len(self._recent) if self._recent else 0.0

    @property
    def overall(self) -> float:
        """Share of right predictions since the session began, 0 before the first."""
        return self.n_correct / self.n_scored if self.n_scored else 0.0

    def capture(self) -> Tree:
        """Return the score's state."""
        return {
            "recent": list(self._recent),
            "n_scored": self.n_scored,
            "n_correct": self.n_correct,
            "drift": self.drift.capture(),
        }

    def restore(self, tree: Tree) -> None:
        """Go on from what `capture` returned."""
        self._recent.clear()
        self._recent.extend(bool(correct) for correct in listed(tree, "recent"))
        self.n_scored, self.n_correct = whole(tree, "n_scored"), whole(tree, "n_correct")
        self.drift.restore(branch(tree, "drift"))
