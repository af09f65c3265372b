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
from tclif_core.batch import Targets

Dense = NDArray[np.float64]

SEGMENT_SGD = LearningSpec(optimizer="sgd", learn_couplings=True)
TICK_SGD = LearningSpec(update="tick", optimizer="sgd", learn_couplings=True)
TICK_RULES = {
    "momentum": LearningSpec(update="tick", optimizer="sgd", momentum=0.9),
    "clip": LearningSpec(update="tick", optimizer="sgd", gradient_clip=0.5),
    "layer rates": LearningSpec(update="tick", optimizer="sgd", layer_rates=(0.5, 0.0, 2.0)),
    "preconditioned": LearningSpec(update="tick", optimizer="rmsprop"),
    "preconditioned, all else": LearningSpec(
        update="tick",
        optimizer="rmsprop",
        momentum=0.9,
        gradient_clip=0.5,
        layer_rates=(1.0, 0.5, 2.0),
        filter_readout_trace=True,
        loss="mean_squared",
    ),
    "readout trace": LearningSpec(update="tick", optimizer="sgd", filter_readout_trace=True),
    "mean squared": LearningSpec(update="tick", optimizer="sgd", loss="mean_squared"),
    "momentum, broadcast": LearningSpec(
        update="tick", optimizer="sgd", momentum=0.5, feedback="broadcast"
    ),
}
"""Per-tick updates with every option, for two hidden layers."""
SEGMENT_RULES = {
    "readout trace": LearningSpec(optimizer="sgd", filter_readout_trace=True),
    "hidden traces": LearningSpec(optimizer="sgd", filter_hidden_traces=True, learn_couplings=True),
    "hidden traces, broadcast": LearningSpec(
        filter_hidden_traces=True, filter_readout_trace=True, feedback="broadcast"
    ),
    "mean squared": LearningSpec(optimizer="sgd", loss="mean_squared", momentum=0.9),
    "clip, decay, rates": LearningSpec(
        gradient_clip=0.5, weight_decay=0.1, layer_rates=(0.5, 0.0, 2.0)
    ),
}
"""Per-segment updates with the options that plain ones lack, likewise."""


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


def targets_of(learner: Learner, classes: NDArray[np.int64] | list[int]) -> Targets:
    """Return what a learner's loss wants for classes ``[B]``: the logits 1 and 0, or themselves."""
    known = np.asarray(classes, np.int64)
    if learner.learning.loss == "cross_entropy":
        return known
    values = np.eye(learner.network.classes)[known]
    values[known < 0] = np.nan
    return values


def advance_one(
    learner: Learner,
    slot: SlotIndex,
    x: Dense,
    classes: NDArray[np.int64] | list[int],
    *,
    strand: Strand = Strand.LIVE,
    learns: bool = True,
) -> AdvanceResult:
    """Advance a single slot by all ticks of ``x`` in one call; for targets see `targets_of`."""
    dtype = np.float64 if learner.bank.dtype == torch.float64 else np.float32
    return learner.advance(
        np.array([slot]),
        np.array([strand], np.int64),
        np.array([learns]),
        EventBlock.from_dense([x], dtype),
        targets_of(learner, classes),
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
        "first_classes",
    ]
    return {name: getattr(bank, name)[slot].to("cpu", copy=True) for name in rows}


def assert_same_bits(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Fail unless two sets of tensors are equal in every bit, NaNs included."""
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        ours, theirs = (one.cpu().numpy().tobytes() for one in (tensor, other[name]))
        assert ours == theirs, name
