"""Updates by the CUDA backend, on a GPU or in Triton's interpreter, against the reference."""

from typing import Any

import numpy as np
import pytest
import torch

from tclif_core import Learner, LearningSpec, NeuronSpec
from tclif_core.slot_bank import N_PENDING
from tests.tclif_core.streams import (
    SEGMENT_SGD,
    TICK_SGD,
    assert_same_bits,
    slot_tensors,
    small_network,
)

pytest.importorskip("triton", reason="Triton is not made for this system")
pytestmark = [pytest.mark.gpu] if torch.cuda.is_available() else []

OPTIMIZERS: list[dict[str, Any]] = [
    {"optimizer": "adam"},
    {"optimizer": "adam", "first_moment_decay": 0.0},
    {"optimizer": "rmsprop", "momentum": 0.9},
    {"optimizer": "sgd", "momentum": 0.9},
    {"optimizer": "sgd"},
    {"optimizer": "rmsprop", "momentum": 0.9, "update": "tick"},
    {"optimizer": "sgd", "update": "tick"},
]
EVERYTHING = {"gradient_clip": 1.0, "weight_decay": 0.5, "layer_rates": (0.5, 0.0, 2.0)}


def _learner(kernel: str, kind: str, options: dict[str, Any]) -> tuple[Learner, list[int]]:
    learning = LearningSpec.from_dict({"learn_couplings": True} | options)
    # more weights than a program takes up at a time
    network = small_network(hidden=(33, 7), neuron=NeuronSpec.from_dict({"kind": kind}))
    learner = Learner(network, learning, kernel=kernel, capacity=3)
    return learner, [learner.open(seed=seed, rate=0.01 * (seed + 1)) for seed in range(3)]


def _gather(learner: Learner, slots: list[int], seed: int) -> None:
    """Leave gradients as labelled ticks would."""
    for slot in slots:
        drawn = np.random.default_rng(seed + slot).normal(size=learner.bank.gradients[slot].shape)
        learner.bank.gradients[slot] = torch.from_numpy(drawn).float()
        learner.bank.updates[slot, N_PENDING] = 1


@pytest.mark.parametrize("kind", ["adaptive_tclif", "tclif"])
@pytest.mark.parametrize("options", [{}, EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_three_updates_of_two_sessions_at_once_agree_with_the_reference(
    optimizer: dict[str, Any], options: dict[str, Any], kind: str
) -> None:
    ours, slots = _learner("cuda", kind, optimizer | options)
    truth, _ = _learner("reference", kind, optimizer | options)
    untouched = slot_tensors(ours, slots[1])

    for seed in range(3):
        for learner in (ours, truth):
            _gather(learner, [slots[2], slots[0]], seed)
            assert learner.apply_updates(np.array([slots[2], slots[0]])).all()

    assert_same_bits(slot_tensors(ours, slots[1]), untouched)
    for slot in (slots[0], slots[2]):
        actual, expected = slot_tensors(ours, slot), slot_tensors(truth, slot)
        assert torch.equal(actual["updates"], expected["updates"])
        for name in ("parameters", "first_moment", "second_moment", "gradients"):
            # three float32 steps
            gap = (actual[name] - expected[name]).abs()
            assert float(gap.max() if gap.numel() else 0.0) <= 1e-6, name


# interpreted programs warn as NumPy does
@pytest.mark.filterwarnings("ignore:(invalid value|overflow) encountered:RuntimeWarning")
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e19])
def test_a_gradient_that_is_not_finite_is_dropped_whole_and_its_neighbour_steps(
    bad: float,
) -> None:
    learner, slots = _learner("cuda", "adaptive_tclif", {})
    _gather(learner, slots, 0)
    learner.bank.gradients[slots[0], -1] = bad
    before = [slot_tensors(learner, slot) for slot in slots]

    usable = learner.apply_updates(np.array(slots[:2]))

    after = [slot_tensors(learner, slot) for slot in slots]
    assert usable.tolist() == [False, True]
    assert not after[0]["gradients"].any()
    for name in ("parameters", "first_moment", "second_moment"):
        assert_same_bits({name: before[0][name]}, {name: after[0][name]})
        assert not torch.equal(before[1][name], after[1][name])
    # the third has not been asked
    assert_same_bits(before[2], after[2])


def test_a_weight_that_is_not_finite_is_told_with_per_tick_updates() -> None:
    learner = Learner(small_network(), TICK_SGD, kernel="cuda")
    slot = learner.open(seed=0, rate=0.01)
    learner.bank.updates[slot, N_PENDING] = 1
    learner.bank.parameter_views(slot)["layer0.r"][0, 0] = np.inf

    assert not learner.apply_update(slot)


def test_without_a_labelled_tick_nothing_moves() -> None:
    learner = Learner(small_network(), SEGMENT_SGD, kernel="cuda")
    slot = learner.open(seed=0, rate=0.01)
    before = slot_tensors(learner, slot)

    assert learner.apply_updates(np.array([slot])).all()

    assert_same_bits(before, slot_tensors(learner, slot))


def test_warming_up_changes_no_session() -> None:
    learner, slots = _learner("cuda", "adaptive_tclif", {})
    _gather(learner, slots, 0)
    before = slot_tensors(learner, slots[0])

    learner.warm_up()

    assert_same_bits(before, slot_tensors(learner, slots[0]))
