"""The reference equals an independent network in NumPy: every kind, loss, update and option."""

from typing import Any

import numpy as np
import pytest
import torch

from tclif_core import DecayProfile, EventBlock, Learner, LearningSpec, NeuronSpec, Strand
from tests.oracles.network_by_hand import HandLearner
from tests.tclif_core.streams import random_counts, random_targets, small_network

N_SEGMENTS, N_TICKS, RATE = 4, 15, 0.02

KINDS: list[dict[str, Any]] = [
    {"kind": "adaptive_tclif", "decay_profile": DecayProfile(scale_ticks=4.0, amplitude=0.1)},
    {"kind": "learnable_tclif"},
    {"kind": "tclif"},
    {"kind": "two_compartment", "dendrite_decay_minimum": 0.4},
    {"kind": "lif"},
    {"kind": "lif", "decay_profile": DecayProfile(scale_ticks=4.0, amplitude=0.1)},
]
LEARNING: list[dict[str, Any]] = [
    {"optimizer": "sgd"},
    {"optimizer": "sgd", "momentum": 0.8, "gradient_clip": 3.0},
    {"optimizer": "rmsprop", "momentum": 0.5, "weight_decay": 0.3},
    {"optimizer": "adam", "first_moment_decay": 0.5, "weight_decay": 0.1, "gradient_clip": 1.0},
    {"optimizer": "adam", "layer_rates": (0.5, 0.0, 2.0)},
    {"optimizer": "sgd", "filter_readout_trace": True},
    {"optimizer": "sgd", "filter_hidden_traces": True, "filter_readout_trace": True},
    {"optimizer": "sgd", "feedback": "broadcast", "loss": "mean_squared"},
    {"optimizer": "sgd", "learn_decay_minima": False, "learn_couplings": True},
    {"update": "tick", "optimizer": "sgd"},
    {"update": "tick", "optimizer": "sgd", "momentum": 0.7, "gradient_clip": 1.0},
    {"update": "tick", "optimizer": "rmsprop", "preconditioner_epsilon": 0.5},
    {
        "update": "tick",
        "optimizer": "rmsprop",
        "preconditioner_epsilon": 0.5,
        "square_decay": 0.6,
        "momentum": 0.5,
        "gradient_clip": 2.0,
        "weight_decay": 0.2,
        "layer_rates": (1.0, 0.5, 0.25),
        "learn_couplings": True,
    },
    {"update": "frozen"},
]


def _both(neuron: NeuronSpec, learning: LearningSpec) -> tuple[Learner, HandLearner, list[float]]:
    """Play the same segments to both; return them, and how far their logits were apart."""
    network = small_network(inputs=6, hidden=(7, 5), neuron=neuron, readout_decay=0.8)
    learner = Learner(network, learning, kernel="reference", dtype=torch.float64)
    slot = learner.open(seed=4, rate=RATE)
    matrices = learner.bank.feedback_layout.views(learner.bank.feedback[slot])
    by_hand = HandLearner(
        network,
        learning,
        learner.weights(slot),
        RATE,
        {name: matrix.numpy().copy() for name, matrix in matrices.items()},
    )
    apart = []
    for segment in range(N_SEGMENTS):
        x = random_counts(N_TICKS, 6, seed=segment)
        classes = random_targets(N_TICKS, 3, seed=segment)
        numbers = np.random.default_rng(segment).normal(size=(N_TICKS, 3))
        numbers[classes < 0] = np.nan
        is_followed = learning.loss == "mean_squared"
        learner.begin_segment(slot, Strand.LIVE)
        result = learner.advance(
            np.array([slot]),
            np.array([0]),
            np.array([True]),
            EventBlock.from_dense([x], np.float64),
            numbers if is_followed else classes,
        )
        by_hand.begin()
        for tick in range(N_TICKS):
            target = numbers[tick] if is_followed else int(classes[tick])
            logits, loss = by_hand.tick(x[tick], None if classes[tick] < 0 else target)
            apart.append(float(np.abs(result.logits[tick] - logits).max()))
            apart.append(abs(float(result.loss[tick]) - loss))
        assert learner.apply_update(slot)
        by_hand.update()
    return learner, by_hand, apart


@pytest.mark.parametrize("reset", ["paper", "code"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind["kind"]))
@pytest.mark.parametrize("options", LEARNING, ids=lambda o: "-".join(map(str, o.values())))
def test_learning_equals_the_hand_network(
    kind: dict[str, Any], reset: str, options: dict[str, Any]
) -> None:
    neuron = NeuronSpec(**kind, reset=reset)  # type: ignore[arg-type]  # a row of the table
    learning = LearningSpec(**options)

    learner, by_hand, apart = _both(neuron, learning)

    assert max(apart) < 1e-9
    start = Learner(learner.network, learning, kernel="reference", dtype=torch.float64)
    first = start.weights(start.open(seed=4, rate=RATE))
    for name, weight in learner.bank.parameter_views(0).items():
        np.testing.assert_allclose(weight.numpy(), by_hand.p[name], rtol=0, atol=1e-9, err_msg=name)
    moved = [name for name, weight in by_hand.p.items() if not np.array_equal(weight, first[name])]
    assert bool(moved) == (learning.update != "frozen")
    # a silent network would agree with a wrong rule
    assert by_hand.spike_count > 0.03 * N_SEGMENTS * N_TICKS * 12


@pytest.mark.parametrize("surrogate", ["triangular", "rectangular", "fast_sigmoid", "arctan"])
def test_every_surrogate_learns_as_the_hand_network(surrogate: str) -> None:
    neuron = NeuronSpec.from_dict({"surrogate": surrogate, "surrogate_width": 0.6})

    learner, by_hand, apart = _both(neuron, LearningSpec())

    assert max(apart) < 1e-9
    for name, weight in learner.bank.parameter_views(0).items():
        np.testing.assert_allclose(weight.numpy(), by_hand.p[name], rtol=0, atol=1e-9, err_msg=name)
