from typing import get_args

import numpy as np
import pytest

from tclif_core import Learner, LearningSpec, NeuronSpec
from tclif_core.hyperparameters import NeuronKind
from tclif_core.scalar_intervals import scalar_intervals
from tests.tclif_core.streams import small_network


def _learner(kind: NeuronKind) -> Learner:
    return Learner(
        small_network(hidden=(3,), neuron=NeuronSpec(kind=kind)), LearningSpec(), kernel="reference"
    )


@pytest.mark.parametrize(
    ("kind", "name", "fixed"),
    [
        ("lif", "dendrite_decay_minimum", 0.0),
        ("lif", "soma_to_dendrite", 0.0),
        ("lif", "dendrite_to_soma", 1.0),
        ("tclif", "dendrite_decay_minimum", 1.0),
        ("tclif", "soma_decay_minimum", 1.0),
    ],
)
def test_weights_can_not_make_a_neuron_another_kind(
    kind: NeuronKind, name: str, fixed: float
) -> None:
    learner = _learner(kind)
    slot = learner.open(seed=0, rate=0.1)
    weights = learner.weights(slot)
    weights[f"layer0.{name}"] = np.array(0.5 if name != "soma_to_dendrite" else -0.5)

    with pytest.raises(ValueError, match=rf"layer0.{name} must lie in \[{fixed:g}, {fixed:g}\]"):
        learner.load_weights(slot, weights)

    assert float(learner.weights(slot)[f"layer0.{name}"]) == fixed


@pytest.mark.parametrize("kind", get_args(NeuronKind))
def test_every_kind_starts_inside_its_intervals(kind: NeuronKind) -> None:
    learner = _learner(kind)
    weights = learner.weights(learner.open(seed=0, rate=0.1))

    for name, (low, high) in scalar_intervals(learner.network).items():
        assert np.float32(low) <= weights[f"layer0.{name}"] <= np.float32(high)


@pytest.mark.parametrize("reached", [0.0, 1.0])
def test_a_coupling_that_no_sigmoid_reaches_is_refused(reached: float) -> None:
    learner = _learner("tclif")
    slot = learner.open(seed=0, rate=0.1)
    weights = learner.weights(slot)
    weights["layer0.dendrite_to_soma"] = np.array(reached)

    with pytest.raises(ValueError, match=r"layer0\.dendrite_to_soma must lie in"):
        learner.load_weights(slot, weights)
