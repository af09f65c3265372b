"""The fast backend against the reference, tick by tick from equal state.

Spikes are discontinuous: before each tick both backends get the state of the reference, so that a
spike which rounding decides stays one spike; such spikes are counted, and none may occur here.
"""

from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import ArrayLike

from tclif_core import (
    EventBlock,
    Learner,
    LearningSpec,
    NetworkSpec,
    NeuronSpec,
    SlotIndex,
    Strand,
)
from tclif_core.hyperparameters import NeuronKind, Reset, SurrogateName
from tests.oracles.tolerances import FILTERED_TRACES, THRESHOLD_MARGIN, TOLERANCES, Tolerance
from tests.tclif_core.streams import (
    SEGMENT_RULES,
    SEGMENT_SGD,
    TICK_RULES,
    TICK_SGD,
    advance_one,
    random_counts,
    random_targets,
    small_network,
    targets_of,
)

CPU = TOLERANCES["cpu float32"] | FILTERED_TRACES
BROADCAST = LearningSpec(optimizer="sgd", feedback="broadcast")
LIF = NeuronSpec(kind="lif", soma_decay_minimum=0.9)
RULES = list(TICK_RULES.values()) + list(SEGMENT_RULES.values())
NEURONS = [
    *(
        NeuronSpec.from_dict({"kind": kind, "reset": reset})
        for kind in get_args(NeuronKind)
        for reset in get_args(Reset)
    ),
    *(NeuronSpec.from_dict({"surrogate": name}) for name in get_args(SurrogateName)[1:]),
    NeuronSpec(surrogate="rectangular", surrogate_width=0.3),
]


def _assert_close(actual: ArrayLike, expected: ArrayLike, tolerance: Tolerance, name: str) -> None:
    difference = np.abs(np.asarray(actual, np.float64) - np.asarray(expected, np.float64))
    # both are float32 here, each as far from the truth as the table allows
    assert float(difference.max(initial=0.0)) <= 2 * tolerance.allowed(expected), name


def _pair(network: NetworkSpec, learning: LearningSpec) -> tuple[Learner, Learner, SlotIndex]:
    learners = [Learner(network, learning, kernel=name) for name in ("reference", "cpu")]
    slots = [learner.open(seed=4, rate=1e-3) for learner in learners]
    for learner, slot in zip(learners, slots, strict=True):
        learner.begin_segment(slot, Strand.LIVE)
        if learning.is_preconditioned:
            # as segments would leave it, so that the steps are of one size with those of others
            squares = learner.bank.second_moment[slot].numpy()
            squares[:] = np.random.default_rng(5).uniform(0.2, 4.0, squares.shape)
    return learners[0], learners[1], slots[0]


def _take_state(learner: Learner, truth: Learner, slot: SlotIndex) -> None:
    ours = learner.bank.state_views(slot, Strand.LIVE)
    for name, view in truth.bank.state_views(slot, Strand.LIVE).items():
        is_neuron = name.endswith((".dendrite", ".soma", ".spikes")) and name.count(".") == 1
        if is_neuron or name == "logits":
            ours[name].copy_(view)


def _assert_states_agree(learner: Learner, truth: Learner, slot: SlotIndex) -> int:
    """Compare every field and trace; return how many neurons spiked."""
    ours = learner.bank.state_views(slot, Strand.LIVE)
    n_spikes = 0
    for name, expected in truth.bank.state_views(slot, Strand.LIVE).items():
        if name.endswith(".spikes"):
            n_spikes += int(expected.sum())
            differing = ours[name] != expected
            soma = truth.bank.state_views(slot, Strand.LIVE)[name.replace("spikes", "soma")]
            near = (soma - truth.network.neuron.threshold).abs() < THRESHOLD_MARGIN
            assert not (differing & ~near).any(), name
            assert not differing.any(), "a spike that rounding decides: choose another seed"
        quantity = name.rsplit(".", maxsplit=1)[-1] if name.count(".") == 1 else "eligibility"
        _assert_close(ours[name], expected, CPU[quantity], name)
    return n_spikes


@pytest.mark.parametrize("learning", [SEGMENT_SGD, TICK_SGD, BROADCAST])
@pytest.mark.parametrize("n_ticks", [1, 2, 200])
@pytest.mark.parametrize(
    "network",
    [
        small_network(inputs=5, hidden=(1,), classes=2),
        small_network(inputs=70, hidden=(33, 1), classes=2),
        small_network(inputs=33, hidden=(127, 33, 5), classes=11),
        small_network(inputs=20, hidden=(33, 17), recurrent=False, neuron=LIF),
    ],
    ids=["1", "33-1", "127-33-5", "lif-33-17"],
)
def test_all_numbers_agree_tick_by_tick(
    network: NetworkSpec, n_ticks: int, learning: LearningSpec
) -> None:
    _assert_agreement(network, learning, n_ticks)


@pytest.mark.parametrize("learning", RULES)
@pytest.mark.parametrize("n_ticks", [1, 2, 200])
@pytest.mark.parametrize(
    "network",
    [
        small_network(inputs=33, hidden=(17, 5), classes=11),
        # the readout has more lines than any layer
        small_network(inputs=7, hidden=(3, 33), classes=2, recurrent=False),
        # wide tiles, a narrow one and a rest; more classes than a narrow tile has lanes
        small_network(inputs=20, hidden=(147, 84), classes=19),
    ],
    ids=["17-5", "3-33", "147-84"],
)
def test_all_numbers_agree_with_every_option_of_learning(
    network: NetworkSpec, n_ticks: int, learning: LearningSpec
) -> None:
    _assert_agreement(network, learning, n_ticks)


@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("n_ticks", [1, 2, 200])
def test_all_numbers_agree_with_every_neuron(neuron: NeuronSpec, n_ticks: int) -> None:
    network = small_network(inputs=33, hidden=(17, 5), neuron=neuron)
    _assert_agreement(network, LearningSpec(optimizer="sgd"), n_ticks)


def _assert_agreement(network: NetworkSpec, learning: LearningSpec, n_ticks: int) -> None:
    truth, learner, slot = _pair(network, learning)
    x = random_counts(n_ticks, network.inputs, seed=3, rate=0.15)
    targets = random_targets(n_ticks, network.classes)
    n_spikes = 0
    for tick in range(n_ticks):
        _take_state(learner, truth, slot)
        expected = advance_one(truth, slot, x[tick : tick + 1], targets[tick : tick + 1])
        actual = advance_one(learner, slot, x[tick : tick + 1], targets[tick : tick + 1])

        n_spikes += _assert_states_agree(learner, truth, slot)
        _assert_close(actual.logits, expected.logits, CPU["logits"], "logits")
        _assert_close(actual.loss, expected.loss, CPU["logits"], "loss")
        _assert_close(
            actual.mean_probabilities, expected.mean_probabilities, CPU["probabilities"], "mean"
        )

    assert n_ticks < 200 or n_spikes > 0.02 * n_ticks * sum(network.hidden)
    for name, gradient in truth.bank.gradient_views(slot).items():
        _assert_close(
            learner.bank.gradient_views(slot)[name], gradient, CPU["gradient"], f"{name}.gradient"
        )
    weights = learner.weights(slot)
    for name, expected_weights in truth.weights(slot).items():
        _assert_close(weights[name], expected_weights, CPU["after"], name)
    velocity, expected_velocity = (one.bank.first_moment[slot] for one in (learner, truth))
    _assert_close(velocity, expected_velocity, CPU["gradient"], "velocity")


@pytest.mark.parametrize("learning", [TICK_SGD, *RULES])
def test_several_sessions_in_one_call_agree(learning: LearningSpec) -> None:
    results, states, weights = [], [], []
    for name in ("reference", "cpu"):
        learner = Learner(small_network(hidden=(17, 5)), learning, kernel=name, capacity=7)
        slots = np.array([learner.open(seed=seed, rate=1e-3) for seed in range(7)])
        for slot in slots:
            learner.begin_segment(slot, Strand.LIVE)
        block = EventBlock.from_dense([random_counts(3, 9, seed) for seed in range(7)])
        result = learner.advance(
            slots,
            np.zeros(7, np.int64),
            np.ones(7, np.bool_),
            block,
            targets_of(learner, random_targets(21, 3)),
        )
        results.append(result.logits)
        states.append(learner.bank.state)
        weights.append(learner.bank.parameters)

    _assert_close(results[1], results[0], CPU["logits"], "logits")
    _assert_close(states[1], states[0], CPU["eligibility"], "state")
    _assert_close(weights[1], weights[0], CPU["after"], "weights")


@pytest.mark.parametrize("kind", ["adaptive_tclif", "tclif"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"gradient_clip": 1.0},
        {"weight_decay": 0.5},
        {"layer_rates": (0.5, 0.0, 2.0)},
        {"gradient_clip": 1.0, "weight_decay": 0.5, "layer_rates": (0.5, 0.0, 2.0)},
    ],
    ids=["plain", "clip", "decay", "rates", "all"],
)
@pytest.mark.parametrize(
    "optimizer",
    [
        {"optimizer": "adam"},
        {"optimizer": "adam", "first_moment_decay": 0.0},
        {"optimizer": "rmsprop"},
        {"optimizer": "rmsprop", "momentum": 0.9},
        {"optimizer": "sgd"},
        {"optimizer": "sgd", "momentum": 0.9},
        {"optimizer": "rmsprop", "momentum": 0.9, "update": "tick"},
        {"optimizer": "sgd", "update": "tick"},
    ],
)
def test_updates_from_equal_gradients_agree(
    optimizer: dict[str, Any], options: dict[str, Any], kind: str
) -> None:
    learning = LearningSpec.from_dict(optimizer | options | {"learn_couplings": True})
    neuron = NeuronSpec.from_dict({"kind": kind})
    truth, learner, slot = _pair(small_network(hidden=(33, 7), neuron=neuron), learning)
    for n_updates in range(5):
        gradient = np.random.default_rng(n_updates).normal(size=truth.bank.gradients[slot].shape)
        for one in (truth, learner):
            # an update needs a labelled tick to follow from
            advance_one(one, slot, random_counts(1, 9), [1])
            one.bank.gradients[slot].numpy()[:] = gradient
            one.apply_update(slot)

    for name in ("parameters", "first_moment", "second_moment", "gradients"):
        actual, expected = getattr(learner.bank, name)[slot], getattr(truth.bank, name)[slot]
        _assert_close(actual, expected, Tolerance(0.0, 1e-6, "five float32 steps"), name)


def test_learning_over_segments_ends_at_the_same_weights() -> None:
    truth, learner, slot = _pair(small_network(hidden=(33, 7)), LearningSpec())
    for seed in range(3):
        for one in (truth, learner):
            one.begin_segment(slot, Strand.LIVE)
            advance_one(one, slot, random_counts(40, 9, seed), [seed] * 40)
            assert one.apply_update(slot)

    # Adam divides by the root of the square: where a gradient is next to nothing its sign is
    # rounding, so the bound is on the mean over all weights
    moved = learner.bank.parameters[slot] - truth.bank.parameters[slot]
    assert float(moved.abs().mean()) < 1e-6
