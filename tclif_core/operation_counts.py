"""How much arithmetic a network's ticks take, and what energy that would cost on a chip.

The counts follow the equations of ``docs/equations.md`` ("What it costs"), not the code of a
backend, which may do more or less. An accumulation is an addition; a multiplication counts with
the addition after it as one multiply-accumulate, and so does one without, a division or a root.
Left out are comparisons, exponentials, and what a layer computes once for all of its neurons.

Energies: Horowitz, *Computing's energy problem*, ISSCC 2014, 32-bit floating point at 45 nm: an
addition 0.9 pJ, a multiplication 3.7 pJ. Moving numbers to and from memory costs more than that,
and is left out too.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from tclif_core.hyperparameters import LearningSpec, NetworkSpec
from tclif_core.row_layout import learnt_scalars, n_lines, parameter_count

ACCUMULATE_PJ: Final = 0.9
MULTIPLY_ACCUMULATE_PJ: Final = 4.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What was measured of a session's ticks.

    Attributes:
        n_ticks: Ticks computed, those of lessons included.
        n_inputs: Non-zero inputs in them.
        spikes: Spikes of each hidden layer in them.
        n_eligible: Ticks of them at which eligibility moved.
        n_labelled: Ticks of them that had a target.
        n_updates: Optimiser steps.
    """

    n_ticks: int = 0
    n_inputs: int = 0
    spikes: tuple[int, ...]
    n_eligible: int = 0
    n_labelled: int = 0
    n_updates: int = 0


class Operations(NamedTuple):
    """Numbers of operations."""

    multiply_accumulates: int
    accumulates: int

    def plus(self, other: "Operations", times: int = 1) -> "Operations":
        """Return these and some times the others."""
        return Operations(
            self.multiply_accumulates + times * other.multiply_accumulates,
            self.accumulates + times * other.accumulates,
        )

    @property
    def joules(self) -> float:
        """What they would cost in arithmetic at 45 nm."""
        multiply_accumulates = MULTIPLY_ACCUMULATE_PJ * self.multiply_accumulates
        return 1e-12 * (multiply_accumulates + ACCUMULATE_PJ * self.accumulates)


def inference_operations(network: NetworkSpec, activity: Activity) -> Operations:
    """Return what predicting took: neurons, readout, and the synapses of what came and spiked."""
    sizes, n_classes = network.hidden, network.classes
    is_single = network.neuron.kind == "lif"
    # (2), (3): decays and couplings; the current and, inside it, the bias
    neuron = Operations(1, 2) if is_single else Operations(4, 2)
    # (8), (9) and the mean of p: leak and division; bias, the softmax's sum, the mean's
    tick = Operations(2 * n_classes, 3 * n_classes).plus(neuron, sum(sizes))
    # (1): an input is a count, a spike is 1
    total = (
        Operations(0, 0)
        .plus(tick, activity.n_ticks)
        .plus(Operations(sizes[0], 0), activity.n_inputs)
    )
    for layer, n_spikes in enumerate(activity.spikes):
        above = sizes[layer + 1] if layer + 1 < len(sizes) else n_classes
        own = sizes[layer] if network.recurrent else 0
        n_resets = 1 if is_single else 2
        total = total.plus(Operations(0, above + own + n_resets), n_spikes)
    return total


def learning_operations(
    network: NetworkSpec, learning: LearningSpec, activity: Activity
) -> Operations:
    """Return what learning took: eligibility, gradients and updates."""
    return (
        Operations(0, 0)
        .plus(_eligible_tick(network, learning), activity.n_eligible)
        .plus(_labelled_tick(network, learning), activity.n_labelled)
        .plus(_update(network, learning), activity.n_updates)
    )


def _eligible_tick(network: NetworkSpec, learning: LearningSpec) -> Operations:
    """(13) and (14) for every line and each of the learnt numbers, (7), (19a), (20a)."""
    trace = Operations(1, 1) if network.neuron.kind == "lif" else Operations(4, 1)
    n_numbers = len(learnt_scalars(network, learning))
    total = Operations(0, 0)
    for layer, size in enumerate(network.hidden):
        lines = n_lines(network, layer)
        # (7): distance, then width less distance, then the scale
        total = total.plus(trace, lines + n_numbers * size).plus(Operations(1, 2), size)
        if learning.filter_hidden_traces:
            total = total.plus(Operations(2, 0), (lines + n_numbers) * size)
    if learning.filter_readout_trace:
        total = total.plus(Operations(1, 0), network.hidden[-1] + 1)
    return total


def _labelled_tick(network: NetworkSpec, learning: LearningSpec) -> Operations:
    """(11), (15) to (21), and (25) where weights move at ticks."""
    sizes, n_classes = network.hidden, network.classes
    n_numbers = len(learnt_scalars(network, learning))
    # (11); (20): a spike adds the error, a filtered trace multiplies it; the bias adds it
    total = Operations(0, 2 * n_classes)
    by_trace = learning.filter_readout_trace
    product = Operations(1, 0) if by_trace else Operations(0, 1)
    total = total.plus(product, sizes[-1] * n_classes)
    for layer, size in enumerate(sizes):
        is_top = layer + 1 == len(sizes)
        if is_top and learning.feedback == "chain":
            signal = size * n_classes
        elif learning.feedback == "chain":
            signal = sizes[layer + 1] * (size + 1)
        else:
            signal = size * n_classes
        # what (18), (19) and (21) multiply
        gradient = size + (n_lines(network, layer) + n_numbers) * size
        total = total.plus(Operations(signal + gradient, 0))
    if learning.is_preconditioned:
        step = Operations(3 + bool(learning.momentum), 2)
        total = total.plus(step, parameter_count(network))
    return total


def _update(network: NetworkSpec, learning: LearningSpec) -> Operations:
    """(22) to (24), (26), clipping and decay, for every parameter that moves at updates."""
    if learning.update == "tick" and not learning.is_preconditioned:
        n_parameters = len(learnt_scalars(network, learning)) * len(network.hidden)
    else:
        n_parameters = parameter_count(network)
    if learning.is_preconditioned:
        step = Operations(3, 0)
    elif learning.optimizer == "adam":
        # V: 2, v: 3, their corrections: 2, root, division, step
        step = Operations(10, 1)
    elif learning.optimizer == "rmsprop":
        step = Operations(6 + bool(learning.momentum), 1)
    else:
        step = Operations(1 + bool(learning.momentum), 0)
    extra = 2 * (learning.gradient_clip is not None) + bool(learning.weight_decay)
    return Operations(0, 0).plus(step, n_parameters).plus(Operations(extra, 0), n_parameters)
