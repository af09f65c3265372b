import sys

import pytest
import torch

from tclif_core import Learner, LearningSpec
from tclif_core.kernels import KERNEL_NAMES, choose_kernel, has_device
from tclif_core.kernels.reference import ReferenceKernel
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
    with pytest.raises(ValueError, match="must be one of auto, cpu, cuda, reference, got 'gpu'"):
        Learner(small_network(), SEGMENT_SGD, kernel="gpu")


HERE = [name for name in KERNEL_NAMES if has_device(name)]
"""All of them, but where Triton is not made for the system."""


@pytest.mark.parametrize("name", HERE)
def test_every_named_kernel_can_be_chosen(name: str) -> None:
    bank = SlotBank(small_network(), SEGMENT_SGD)

    assert choose_kernel(name, bank)[0] == name


def test_auto_is_cuda_where_there_is_a_device_and_never_its_interpreter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tclif_core.kernels.has_device", lambda _: True)
    monkeypatch.setattr("tclif_core.kernels.import_module", _Found)
    chosen = []
    for is_there in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda is_there=is_there: is_there)
        chosen.append(choose_kernel("auto", SlotBank(small_network(), SEGMENT_SGD))[0])

    assert chosen == ["cpu", "cuda"]


class _Found:
    """A module of a backend that computes anything."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.CpuKernel = self.CudaKernel = ReferenceKernel

    def what_is_missing(self, _bank: SlotBank) -> None:
        """Say that nothing is."""


def test_a_kernel_without_its_package_has_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tclif_core.kernels.find_spec", lambda _: None)

    assert [has_device(name) for name in ("cpu", "reference", "cuda")] == [True, True, False]


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
    for name in HERE:
        learner = Learner(small_network(), learning, kernel=name)
        slot = learner.open(seed=0, rate=0.1)
        advance_one(learner, slot, random_counts(20, 9), random_targets(20, 3))
        assert learner.apply_update(slot)
        tensors.append(slot_tensors(learner, slot))

    for other in tensors[1:]:
        assert_same_bits(tensors[0], other)
    assert "does not compute filtered hidden traces with per-tick updates" in caplog.text


def test_warming_up_changes_no_session(kernel: str) -> None:
    learner = Learner(small_network(), SEGMENT_SGD, kernel=kernel)
    slot = learner.open(seed=0, rate=0.1)
    before = learner.weights(slot)

    learner.warm_up()
    learner.warm_up()

    assert all((before[name] == value).all() for name, value in learner.weights(slot).items())
    assert learner.n_sessions == 1
