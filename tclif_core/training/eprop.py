"""Training as sessions learn: e-prop through a learner, one example after the other."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tclif_core.hyperparameters import LearningSpec, NetworkSpec
from tclif_core.learner import Learner
from tclif_core.training.evaluation import run_example
from tclif_core.training.examples import Example
from tclif_core.training.scores import Tally
from tclif_core.training.spec import TrainingSpec


class EpropTraining:
    """One session whose examples are its segments, each labelled while it runs."""

    def __init__(
        self, network: NetworkSpec, learning: LearningSpec, spec: TrainingSpec, *, kernel: str
    ) -> None:
        """Open the session.

        Raises:
            ValueError: The specifications do not fit each other, or the kernel is unknown.
        """
        self._learner = Learner(network, learning, kernel=kernel)
        self._slot = self._learner.open(seed=spec.seed, rate=spec.rate)

    def learn(self, examples: Sequence[Example], rate: float, tally: Tally) -> bool:
        """Make one update from the sum of the examples' gradients.

        Args:
            examples: At least one.
            rate: Learning rate of this update.
            tally: Answers, each given before its example moved a weight; written in place.

        Returns:
            False if the gradient or a weight is not finite: then the weights are those of before.
        """
        learner, slot = self._learner, self._slot
        learner.set_rate(slot, rate)
        moves_on_the_way = learner.learning.update == "tick"
        before = learner.export(slot) if moves_on_the_way else None
        for example in examples:
            run_example(learner, slot, example, tally, learns=True)
        if learner.apply_update(slot):
            return True
        if before is not None:
            learner.replace(slot, before)
        return False

    def weights(self) -> dict[str, NDArray[np.floating]]:
        """Return copies of all parameters, as `Learner.weights`."""
        return dict(self._learner.weights(self._slot))

    def state(self) -> dict[str, torch.Tensor]:
        """Return copies of all that the session is."""
        return self._learner.export(self._slot)

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `state` returned, bit for bit.

        Raises:
            ValueError: It is the state of another network or learning; nothing changed.
        """
        self._learner.replace(self._slot, state)
