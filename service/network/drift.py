"""Whether a session's accuracy has changed: ADWIN over its right and wrong predictions.

ADWIN (Bifet and Gavalda, 2007) keeps a window of outcomes and cuts off its older part once the two
parts differ by more than chance explains. A network that learns gets better, which is such a change
too: a *drop* is a change after which fewer predictions are right.

A detector's state is the outcomes it has seen since it last began anew, so that it can be stored as
plain text and made again by playing them back. They are bounded: at `HORIZON` of them the detector
begins anew with the newer half, whether anything is ever stored or not.
"""

from river.drift import ADWIN

from service.state_tree import Tree, text, whole

HORIZON = 4096
"""Outcomes that a detector remembers at most."""

SHOWN_OUTCOMES = 200
"""For how many labelled segments a drop is shown."""


class DriftDetector:
    """Changes in a stream of outcomes, of which each is right or wrong.

    Attributes:
        n_changes: Changes so far, to the better or worse.
        n_drops: Those to the worse.
    """

    def __init__(self) -> None:
        self.n_changes = 0
        self.n_drops = 0
        self._since_drop = SHOWN_OUTCOMES
        self._begin_anew("")

    @property
    def is_drifting(self) -> bool:
        """Whether the accuracy dropped, and not long ago."""
        return self._since_drop < SHOWN_OUTCOMES

    def take(self, *, correct: bool) -> None:
        """Take the next outcome."""
        self._since_drop = min(self._since_drop + 1, SHOWN_OUTCOMES)
        before = self._adwin.estimation
        self._adwin.update(int(correct))
        self._outcomes.append("1" if correct else "0")
        if self._adwin.drift_detected:
            self.n_changes += 1
            if self._adwin.estimation < before:
                self.n_drops += 1
                self._since_drop = 0
            # as River does at its next update
            self._begin_anew("")
        elif len(self._outcomes) == HORIZON:
            self._begin_anew("".join(self._outcomes[HORIZON // 2 :]))

    def capture(self) -> Tree:
        """Return all there is to know."""
        return {
            "outcomes": "".join(self._outcomes),
            "n_changes": self.n_changes,
            "n_drops": self.n_drops,
            "since_drop": self._since_drop,
        }

    def restore(self, tree: Tree) -> None:
        """Become what `capture` returned: every later outcome is judged alike."""
        self.n_changes, self.n_drops = whole(tree, "n_changes"), whole(tree, "n_drops")
        self._since_drop = whole(tree, "since_drop")
        self._begin_anew(text(tree, "outcomes"))

    def _begin_anew(self, outcomes: str) -> None:
        """Forget everything but ``outcomes``.

        River's state is a function of them, be it reached now or outcome by outcome. A change that
        only shows with the older half gone is not counted.
        """
        self._outcomes = list(outcomes)
        self._adwin = ADWIN()
        for outcome in outcomes:
            self._adwin.update(int(outcome))
