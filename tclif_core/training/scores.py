"""Right answers and losses, added up over examples.

An example of one class is right if its mean class probabilities are largest there. One without is
scored tick by tick: a labelled tick is right if its largest logit is the one of its class, or of
the largest target where targets are numbers.

Shapes: T ticks of one example, C classes.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tclif_core.training.examples import Example


@dataclass(slots=True)
class Tally:
    """What was answered so far.

    Attributes:
        n_right: Right answers.
        n_answers: Answers that were scored.
        loss_sum: Of the losses of labelled ticks.
        n_losses: How many losses that is.
    """

    n_right: int = 0
    n_answers: int = 0
    loss_sum: float = 0.0
    n_losses: int = 0

    def add_answers(
        self, example: Example, logits: NDArray[np.floating], mean: NDArray[np.floating]
    ) -> None:
        """Score the answers to one example.

        Args:
            example: What was asked.
            logits: ``[T, C]``.
            mean: Class probabilities, averaged over the ticks ``[C]``.
        """
        if example.label is not None:
            self.n_right += int(mean.argmax() == example.label)
            self.n_answers += 1
            return
        labelled = example.labelled
        targets = example.targets[labelled]
        classes = targets if targets.ndim == 1 else targets.argmax(axis=1)
        self.n_right += int(np.count_nonzero(logits[labelled].argmax(axis=1) == classes))
        self.n_answers += len(classes)

    def add_loss(self, loss_sum: float, n_losses: int) -> None:
        """Add the losses of some labelled ticks."""
        self.loss_sum += loss_sum
        self.n_losses += n_losses

    @property
    def score(self) -> float | None:
        """Share of right answers; None before the first."""
        return self.n_right / self.n_answers if self.n_answers else None

    @property
    def loss(self) -> float | None:
        """Mean loss; None before the first."""
        return self.loss_sum / self.n_losses if self.n_losses else None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)
