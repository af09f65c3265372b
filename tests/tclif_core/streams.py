"""Networks that spike, input for them, and short ways to advance them."""

import numpy as np
import torch
from numpy.typing import NDArray

from tclif_core import (
    AdvanceResult,
    EventBlock,
    Learner,
    LearningSpec,
    NetworkSpec,
    NeuronSpec,
    SlotIndex,
    Strand,
)

Dense = NDArray[np.float64]

SEGMENT_SGD = LearningSpec(optimizer="sgd", learn_couplings=True)
TICK_SGD = LearningSpec(update="tick", optimizer="sgd", learn_couplings=True)


def small_network(
    *,
    inputs: int = 9,
    hidden: tuple[int, ...] = (7, 5),
    classes: int = 3,
    recurrent: bool = True,
    readout_decay: float = 0.9,
    neuron: NeuronSpec | None = None,
) -> NetworkSpec:
    """Return a network small enough to be quick and driven hard enough to spike."""
    return NetworkSpec(
        inputs=inputs,
        hidden=hidden,
        classes=classes,
        recurrent=recurrent,
        readout_decay=readout_decay,
        neuron=neuron or NeuronSpec(),
        input_gain=6.0,
        hidden_gain=8.0,
    )


def random_counts(n_ticks: int, inputs: int, seed: int = 0, rate: float = 0.3) -> Dense:
    """Return event counts ``[T, inputs]``: mostly 0, some 1 and 2, never all zero."""
    return np.random.default_rng(seed).poisson(rate, (n_ticks, inputs)).astype(np.float64)


def random_targets(n_ticks: int, classes: int, seed: int = 0) -> NDArray[np.int64]:
    """Return targets ``[T]``, about a third of them -1."""
    generator = np.random.default_rng(seed + 1000)
    targets = generator.integers(0, classes, n_ticks)
    return np.where(generator.random(n_ticks) < 1 / 3, -1, targets)


def advance_one(
    learner: Learner,
    slot: SlotIndex,
    x: Dense,
    targets: NDArray[np.int64] | list[int],
    *,
    strand: Strand = Strand.LIVE,
    learns: bool = True,
) -> AdvanceResult:
    """Advance a single slot by all ticks of ``x`` in one call."""
    dtype = np.float64 if learner.bank.dtype == torch.float64 else np.float32
    return learner.advance(
        np.array([slot]),
        np.array([strand], np.int64),
        np.array([learns]),
        EventBlock.from_dense([x], dtype),
        np.asarray(targets, np.int64),
    )


def slot_tensors(learner: Learner, slot: int) -> dict[str, torch.Tensor]:
    """Return copies of everything that the bank holds for a slot."""
    bank = learner.bank
    rows = [
        "parameters",
        "gradients",
        "first_moment",
        "second_moment",
        "feedback",
        "state",
        "sums",
        "counters",
        "updates",
        "rates",
        "seeds",
    ]
    return {name: getattr(bank, name)[slot].clone() for name in rows}


def assert_same_bits(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Fail unless two sets of tensors are equal in every bit, NaNs included."""
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert tensor.numpy().tobytes() == other[name].numpy().tobytes(), name
