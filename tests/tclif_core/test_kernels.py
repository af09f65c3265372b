import sys

import pytest
import torch

from tclif_core import Learner, LearningSpec
from tclif_core.kernels import KERNEL_NAMES, choose_kernel
from tclif_core.slot_bank import SlotBank
from tests.tclif_core.streams import (
    SEGMENT_SGD,
    advance_one,
    assert_same_bits,
    random_counts,
    random_targets,
    slot_tensors,
    small_network,
)


def test_an_unknown_kernel_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="kernel must be one of cpu, reference, got 'gpu'"):
        Learner(small_network(), SEGMENT_SGD, kernel="gpu")


@pytest.mark.parametrize("name", KERNEL_NAMES)
def test_every_named_kernel_can_be_chosen(name: str) -> None:
    bank = SlotBank(small_network(), SEGMENT_SGD)

    assert choose_kernel(name, bank)[0] == name


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.startswith("tclif_core.kernels.c")]:
        monkeypatch.delitem(sys.modules, name)
    # what Python does for a package that is not installed
    monkeypatch.setitem(sys.modules, "numba", None)

    with pytest.raises(ImportError, match="kernel 'cpu' needs the package 'numba': install it"):
        choose_kernel("cpu", SlotBank(small_network(), SEGMENT_SGD))


def test_what_the_fast_kernel_lacks_the_reference_does_and_the_log_says(
    caplog: pytest.LogCaptureFixture,
) -> None:
    learner = Learner(small_network(), SEGMENT_SGD, kernel="cpu", dtype=torch.float64)

    assert learner.kernel_name == "reference"
    assert "kernel 'cpu' does not compute numbers of type torch.float64" in caplog.text


def test_per_tick_updates_from_filtered_hidden_traces_are_those_of_the_reference(
    caplog: pytest.LogCaptureFixture,
) -> None:
    learning = LearningSpec(update="tick", optimizer="sgd", filter_hidden_traces=True)
    tensors = []
    for name in KERNEL_NAMES:
        learner = Learner(small_network(), learning, kernel=name)
        slot = learner.open(seed=0, rate=0.1)
        advance_one(learner, slot, random_counts(20, 9), random_targets(20, 3))
        assert learner.apply_update(slot)
        tensors.append(slot_tensors(learner, slot))

    assert_same_bits(*tensors)
    assert "does not compute filtered hidden traces with per-tick updates" in caplog.text


def test_warming_up_changes_no_session(kernel: str) -> None:
    learner = Learner(small_network(), SEGMENT_SGD, kernel=kernel)
    slot = learner.open(seed=0, rate=0.1)
    before = learner.weights(slot)

    learner.warm_up()
    learner.warm_up()

    assert all((before[name] == value).all() for name, value in learner.weights(slot).items())
    assert learner.n_sessions == 1
