"""What the loops of the CPU backend work on: sizes and places, the bank's rows, scratch."""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tclif_core.hyperparameters import SurrogateName
from tclif_core.row_layout import learnt_scalars, n_inputs_below, n_lines
from tclif_core.slot_bank import SlotBank
from tclif_core.two_compartment import SCALARS, neuron_constants

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

BLOCK = 16
"""Ticks whose outer products wait together."""

(
    N_NEURONS,
    N_LINES,
    N_BELOW,
    LINES_AT,
    SCALARS_AT,
    FEEDBACK_AT,
    STATE_AT,
    ELIGIBILITY_AT,
    FIRST_TRACE_AT,
    LINES_BEFORE,
    NEURONS_BEFORE,
    FILTERED_AT,
    N_COLUMNS,
) = range(13)
"""Columns of `Plan.layers`: sizes, places in the rows, and how many lines and neurons the layers
below have together."""


TRIANGULAR, RECTANGULAR, FAST_SIGMOID, ARCTAN = range(4)
SURROGATE_CODES: dict[SurrogateName, int] = {
    "triangular": TRIANGULAR,
    "rectangular": RECTANGULAR,
    "fast_sigmoid": FAST_SIGMOID,
    "arctan": ARCTAN,
}
"""What a surrogate is called in compiled code."""


class Plan(NamedTuple):
    """What never changes for a bank.

    Attributes:
        layers: Sizes and places ``[layers, N_COLUMNS]``.
        traces: Which pair of traces belongs to each of a layer's four numbers, -1 where it is not
            learnt ``[4]``.
        layer_rates: What multiplies the rate, for each layer and then the readout
            ``[layers + 1]``.
        momentum: Of per-tick steps, 0 where they keep no velocity.
        is_preconditioned: Whether squares of segment gradients scale per-tick steps.
        has_moments: Whether either of the two is so.
        gradient_clip: Longest estimate of a tick; infinite without one and with segment updates.
    """

    layers: Integers
    traces: Integers
    layer_rates: Doubles
    readout_at: int
    logits_at: int
    readout_trace_at: int
    accumulated_from: int
    is_recurrent: bool
    is_mean_squared: bool
    is_broadcast: bool
    filters_readout_trace: bool
    filters_hidden_traces: bool
    is_per_tick: bool
    has_moments: bool
    is_preconditioned: bool
    momentum: np.float32
    preconditioner_epsilon: np.float32
    gradient_clip: float
    readout_decay: np.float32
    threshold: np.float32
    dendritic_reset: np.float32
    soma_reset: np.float32
    early_dendritic_reset: np.float32
    early_soma_reset: np.float32
    surrogate: int
    surrogate_width: np.float32
    dendrite_amplitude: float
    soma_amplitude: float
    profile_shape: float
    profile_scale_ticks: float


class Rows(NamedTuple):
    """The bank's rows, see `slot_bank.SlotBank`."""

    parameters: Floats
    gradients: Floats
    first_moment: Floats
    second_moment: Floats
    feedback: Floats
    state: Floats
    sums: Doubles
    counters: Integers
    updates: Integers
    rates: Doubles


class SlotRows(NamedTuple):
    """What learning reads and writes of one slot."""

    parameters: Floats
    gradients: Floats
    first_moment: Floats
    second_moment: Floats
    feedback: Floats


class Workspace(NamedTuple):
    """Scratch; nothing in it outlives a call.

    Attributes:
        vectors: Current, potentials before the tick, neuron error on its way down; while the
            readout moves the traces of its lines ``[4, N max + 1 or C]``.
        probabilities: ``[C]``.
        error: Of the readout ``[C]``.
        dynamics: Decays and couplings of the tick ``[layers, 4]``.
        lines: Active lines of a layer or the readout, or lines to settle ``[M max]``.
        line_values: What comes in on the active lines ``[M max]``.
        spiking: Numbers of the neurons that spiked last ``[layers, N max]``.
        n_spiking: How many they are ``[layers]``.
        traces: eS of a layer's lines at the waiting ticks, times its scale,
            ``[BLOCK, M]`` for each layer.
        errors: d of a layer's neurons at the waiting ticks, ``[BLOCK, N]`` for each layer.
        signals: Learning signals of a layer's neurons, ``[N]`` for each layer.
        alike: Lines that lack the same waiting ticks ``[4]``.
        settled: How many of the waiting ticks each line already has, ``[M]`` for each layer.
        rates: For each layer and then the readout ``[layers + 1]``.
        scales: What multiplies an outer product that only adds up, likewise: minus the rate into
            weights, 1 into gradients and where velocities or squares take part.
        steps: How far each parameter moves for its estimate ``[P]`` where squares take part, else
            for a line at a time.
        has_steps: 1 if a line's steps are known, else 0, for lines of all layers and the readout.
    """

    vectors: Floats
    probabilities: Floats
    error: Floats
    dynamics: Floats
    lines: Integers
    line_values: Floats
    spiking: Integers
    n_spiking: Integers
    traces: Floats
    errors: Floats
    signals: Floats
    alike: Integers
    settled: Integers
    rates: Floats
    scales: Floats
    steps: Floats
    has_steps: Integers


def make_plan(bank: SlotBank) -> Plan:
    """Lay out the loops for a bank."""
    network, learning = bank.network, bank.learning
    constants, profile = neuron_constants(network.neuron), network.neuron.profile
    parameters, state = bank.parameter_layout.fields, bank.state_layout.fields
    learnt = learnt_scalars(network, learning)
    is_per_tick = learning.update == "tick"
    has_velocity = is_per_tick and learning.keeps_first_moment
    clip = learning.gradient_clip if is_per_tick else None
    layers = np.zeros((len(network.hidden), N_COLUMNS), np.int64)
    first_line = first_neuron = 0
    for layer, n_neurons in enumerate(network.hidden):
        name, row = f"layer{layer}", layers[layer]
        row[N_NEURONS] = n_neurons
        row[N_LINES] = n_lines(network, layer)
        row[N_BELOW] = n_inputs_below(network, layer)
        row[LINES_AT] = parameters[f"{name}.w"].offset
        row[SCALARS_AT] = parameters[f"{name}.{SCALARS[0]}"].offset
        if bank.feedback_layout.fields:
            row[FEEDBACK_AT] = bank.feedback_layout.fields[f"{name}.feedback"].offset
        row[STATE_AT] = state[f"{name}.dendrite"].offset
        row[ELIGIBILITY_AT] = state[f"{name}.eligibility.dendrite"].offset
        if f"{name}.filtered" in state:
            row[FILTERED_AT] = state[f"{name}.filtered"].offset
        if learnt:
            row[FIRST_TRACE_AT] = state[f"{name}.{learnt[0]}.dendrite"].offset
        row[LINES_BEFORE], row[NEURONS_BEFORE] = first_line, first_neuron
        first_line += n_lines(network, layer)
        first_neuron += n_neurons
    return Plan(
        layers=layers,
        traces=np.array([learnt.index(n) if n in learnt else -1 for n in SCALARS], np.int64),
        layer_rates=np.array(learning.rates_of_layers(network), np.float64),
        readout_at=parameters["readout.w"].offset,
        logits_at=state["logits"].offset,
        readout_trace_at=state["readout.trace"].offset if "readout.trace" in state else 0,
        accumulated_from=bank.accumulated_from,
        is_recurrent=network.recurrent,
        is_mean_squared=learning.loss == "mean_squared",
        is_broadcast=learning.feedback == "broadcast",
        filters_readout_trace="readout.trace" in state,
        filters_hidden_traces="layer0.filtered" in state,
        is_per_tick=is_per_tick,
        has_moments=has_velocity or learning.is_preconditioned,
        is_preconditioned=learning.is_preconditioned,
        momentum=np.float32(learning.momentum if has_velocity else 0.0),
        preconditioner_epsilon=np.float32(learning.preconditioner_epsilon),
        gradient_clip=float(math.inf if clip is None else clip),
        readout_decay=np.float32(network.readout_decay),
        threshold=np.float32(constants.threshold),
        dendritic_reset=np.float32(constants.dendritic_reset),
        soma_reset=np.float32(constants.soma_reset),
        early_dendritic_reset=np.float32(constants.early_dendritic_reset),
        early_soma_reset=np.float32(constants.early_soma_reset),
        surrogate=SURROGATE_CODES[network.neuron.surrogate],
        surrogate_width=np.float32(network.neuron.surrogate_width),
        dendrite_amplitude=float(constants.dendrite_amplitude),
        soma_amplitude=float(constants.soma_amplitude),
        profile_shape=float(profile.shape),
        profile_scale_ticks=float(profile.scale_ticks),
    )


def make_rows(bank: SlotBank) -> Rows:
    """Return the bank's rows, sharing its memory until it grows."""
    return Rows(*(getattr(bank, name).numpy() for name in Rows._fields))


def make_workspace(bank: SlotBank, plan: Plan) -> Workspace:
    """Make room for the loops of a bank; nothing in it needs a value."""
    widest, n_classes, n_layers = max(bank.network.hidden), bank.network.classes, len(plan.layers)
    n_lines_in_all = int(plan.layers[:, N_LINES].sum())
    n_readout_lines = bank.network.hidden[-1] + 1
    most_lines = max(int(plan.layers[:, N_LINES].max()), n_readout_lines)
    n_steps = bank.parameter_layout.width if plan.is_preconditioned else max(widest, n_classes)
    return Workspace(
        vectors=_floats(4, max(widest + 1, n_classes)),
        probabilities=_floats(n_classes),
        error=_floats(n_classes),
        dynamics=_floats(n_layers, len(SCALARS)),
        lines=np.empty(most_lines, np.int64),
        line_values=_floats(most_lines),
        spiking=np.empty((n_layers, widest), np.int64),
        n_spiking=np.empty(n_layers, np.int64),
        traces=_floats(BLOCK * n_lines_in_all),
        errors=_floats(BLOCK * sum(bank.network.hidden)),
        signals=_floats(sum(bank.network.hidden)),
        alike=np.empty(4, np.int64),
        settled=np.empty(n_lines_in_all, np.int64),
        rates=_floats(n_layers + 1),
        scales=_floats(n_layers + 1),
        steps=_floats(n_steps),
        has_steps=np.empty(n_lines_in_all + n_readout_lines, np.int64),
    )


def _floats(*shape: int) -> Floats:
    # torch begins what it allocates on cache lines: a register that lies across two costs twice
    array: Floats = torch.empty(shape).numpy()
    return array
