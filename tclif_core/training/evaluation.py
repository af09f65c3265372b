"""What weights are worth: inference as sessions do it, without learning.

Shapes: T ticks of one example, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tclif_core.batch import SlotIndex, Strand
from tclif_core.hyperparameters import LearningSpec, Loss, NetworkSpec
from tclif_core.learner import Learner
from tclif_core.training.examples import Example
from tclif_core.training.scores import Tally

Weights = Mapping[str, NDArray[np.floating]]
"""All parameters by name, as `Learner.weights` returns them."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a network answered to examples.

    Attributes:
        tally: Its answers and losses.
        firing_rates: Spikes a neuron and tick of each hidden layer.
        weight_change: How far each layer is from where it began, ``|W - W0| / |W0|``: hidden
            layers, then the readout.
    """

    tally: Tally
    firing_rates: tuple[float, ...]
    weight_change: tuple[float, ...]


class Evaluator:
    """A network that only infers, with whatever weights it is given."""

    def __init__(self, network: NetworkSpec, loss: Loss, *, seed: int, kernel: str = "cpu") -> None:
        """Make room for one network.

        Args:
            network: Sizes and constants.
            loss: What losses are reported.
            seed: Of the weights that changes are counted from.
            kernel: See `Learner`.

        Raises:
            ValueError: The kernel is unknown, or the seed outside its interval.
        """
        self._learner = Learner(network, LearningSpec(update="frozen", loss=loss), kernel=kernel)
        self._slot = self._learner.open(seed=seed, rate=0.0)

    def warm_up(self) -> None:
        """Compile all that is needed; a second call does nothing."""
        self._learner.warm_up()

    def evaluate(self, weights: Weights, examples: Sequence[Example]) -> Evaluation:
        """Run every example from a fresh state.

        Raises:
            ValueError: Weights or an example do not fit the network.
        """
        learner, slot = self._learner, self._slot
        learner.load_weights(slot, weights)
        tally = Tally()
        for example in examples:
            run_example(learner, slot, example, tally, learns=False)
        counts, n_ticks = learner.spike_counts(slot)
        rates = [
            float(count) / (size * max(1, n_ticks))
            for count, size in zip(counts, learner.network.hidden, strict=True)
        ]
        return Evaluation(tally, tuple(rates), tuple(learner.weight_change(slot)))


def run_example(
    learner: Learner, slot: SlotIndex, example: Example, tally: Tally, *, learns: bool
) -> None:
    """Advance a session by one example as a segment of its own, and score its answers.

    Args:
        learner: Holds the session.
        slot: The session.
        example: A whole segment.
        tally: Written in place.
        learns: Whether its targets are learnt.

    Raises:
        ValueError: The example does not fit the network.
    """
    slots = np.array([slot], np.int64)
    learner.begin_segment(slot, Strand.LIVE)
    result = learner.advance(
        slots,
        np.array([Strand.LIVE], np.int64),
        np.array([learns]),
        example.block,
        example.targets,
    )
    tally.add_answers(example, result.logits, result.mean_probabilities[-1])
    labelled = example.labelled
    # added up in double precision: a pass has some hundred thousand ticks
    losses = result.loss[labelled].astype(np.float64)
    tally.add_loss(float(losses.sum()), len(losses))
