"""What the programs of the CUDA backend work on: sizes and places, known when they are compiled.

Each kind of network and learning has programs of its own. Places in rows are those of `row_layout`;
scratch belongs to a program, not to a session.
"""

from typing import Any, NamedTuple, TypeAlias

import triton.language as tl

from tclif_core.row_layout import learnt_scalars, n_inputs_below, n_lines
from tclif_core.slot_bank import FIRST_SPIKES, SlotBank
from tclif_core.two_compartment import SCALARS, neuron_constants

Number: TypeAlias = Any
"""A number of the plan, known when programs are compiled."""

BLOCK = 16
"""Ticks whose outer products wait together."""

NUMBERS_A_TILE = 1024
"""How much of a matrix a program holds in registers at a time."""

LINES_AT_ONCE = 1024
"""How many input lines' traces a program moves at a time."""

EVENTS_AT_ONCE = 32
"""How many events of a tick a program takes up at a time."""

MOST_NEURONS = 1024
"""The widest layer, or most classes, that a tile holds a line of."""

MOST_LAYERS = 4
"""The most hidden layers: each is compiled apart, and sixteen took four minutes."""

MOST_LINES = 2**16
"""The most input lines of a layer: their traces wait in scratch."""


class MatrixPlan(NamedTuple):
    """The input lines ``[M, width]`` of a hidden layer, or of the readout.

    Attributes:
        n_lines: M.
        width: Neurons, or classes.
        block: The width, rounded up to a power of two.
        tile: Lines that are in registers at a time.
        at: Where the lines begin in a row of parameters.
        rate: What multiplies the session's rate.
        traces_at: Where the traces of waiting ticks lie in scratch, ``[BLOCK, M]``.
        errors_at: The same of the errors, ``[BLOCK, width]``.
    """

    n_lines: Number
    width: Number
    block: Number
    tile: Number
    at: Number
    rate: Number
    traces_at: Number
    errors_at: Number


class LayerPlan(NamedTuple):
    """Where a hidden layer's numbers lie.

    Attributes:
        matrix: Of its input lines.
        n_below: How many of them come from below.
        scalars_at: Its four numbers in a row of parameters.
        feedback_at: Its feedback weights ``[C, N]``; 0 without.
        neurons_at: Dendrite, soma, spikes, pseudo-derivative ``[4, N]`` in a row of state.
        eligibility_at: The pairs of its lines ``[2, M]`` there.
        first_trace_at: The pairs of its learnt numbers ``[2 n, N]`` there; 0 without.
        spiking_at: Numbers of the neurons that spiked last, then how many, in scratch ``[N + 1]``.
        counter_at: The count of its spikes in a row of counters.
    """

    matrix: MatrixPlan
    n_below: Number
    scalars_at: Number
    feedback_at: Number
    neurons_at: Number
    eligibility_at: Number
    first_trace_at: Number
    spiking_at: Number
    counter_at: Number


class Plan(NamedTuple):
    """All that never changes for a bank; what is not explained is named as in `two_compartment`.

    Attributes:
        layers: The hidden layers, from the input upward.
        readout: The readout's lines, its bias line last.
        traces: Which pair of traces belongs to each of a layer's four numbers, -1 where it is not
            learnt ``[4]``.
        learns: Whether anything is ever learnt.
        momentum: Of per-tick steps, 0 where they keep no velocity.
        is_preconditioned: Whether squares of segment gradients scale per-tick steps.
        has_moments: Whether either of the two is so.
        gradient_clip: Longest estimate of a tick; infinite without one and with segment updates.
        accumulated_from: The first parameter that has a gradient.
        n_floats: Scratch of a program.
        n_integers: Likewise.
    """

    layers: tuple[LayerPlan, ...]
    readout: MatrixPlan
    traces: tuple[Number, ...]
    logits_at: Number
    readout_trace_at: Number
    learns: Number
    is_recurrent: Number
    is_mean_squared: Number
    is_broadcast: Number
    filters_readout_trace: Number
    is_per_tick: Number
    has_moments: Number
    is_preconditioned: Number
    momentum: Number
    preconditioner_epsilon: Number
    gradient_clip: Number
    readout_decay: Number
    threshold: Number
    dendritic_reset: Number
    soma_reset: Number
    early_dendritic_reset: Number
    early_soma_reset: Number
    surrogate: Number
    surrogate_width: Number
    dendrite_amplitude: Number
    soma_amplitude: Number
    profile_shape: Number
    profile_scale_ticks: Number
    n_inputs: Number
    accumulated_from: Number
    n_parameters: Number
    n_gradients: Number
    n_first: Number
    n_second: Number
    n_feedback: Number
    n_state: Number
    n_sums: Number
    n_counters: Number
    n_floats: Number
    n_integers: Number


class _Scratch:
    """Gives out places, one after the other."""

    def __init__(self, used: int = 0) -> None:
        self.used = used

    def place(self, size: int) -> int:
        """Return where so many numbers may lie; places begin on 16 bytes."""
        at = self.used
        self.used += -(-size // 4) * 4
        return at


def make_plan(bank: SlotBank) -> Plan:
    """Lay out the programs for a bank."""
    network, learning = bank.network, bank.learning
    neurons, profile = neuron_constants(network.neuron), network.neuron.profile
    learnt = learnt_scalars(network, learning)
    is_per_tick = learning.update == "tick"
    has_velocity = is_per_tick and learning.keeps_first_moment
    clip = learning.gradient_clip if is_per_tick else None
    # the tick's input comes first, one number a channel
    floats, integers = _Scratch(network.inputs), _Scratch()
    floats.place(-network.inputs % 4)
    layers = tuple(_layer(bank, layer, floats, integers) for layer in range(len(network.hidden)))
    top, state = network.hidden[-1], bank.state_layout.fields
    rates = learning.rates_of_layers(network)
    at = bank.parameter_layout.fields["readout.w"].offset
    readout = _matrix(top + 1, network.classes, at, rates[-1], floats)
    plan: Plan = compiled_in(
        Plan(
            layers=layers,
            readout=readout,
            traces=tuple(learnt.index(name) if name in learnt else -1 for name in SCALARS),
            logits_at=state["logits"].offset,
            readout_trace_at=state["readout.trace"].offset if "readout.trace" in state else 0,
            learns=learning.update != "frozen",
            is_recurrent=network.recurrent,
            is_mean_squared=learning.loss == "mean_squared",
            is_broadcast=learning.feedback == "broadcast",
            filters_readout_trace="readout.trace" in state,
            is_per_tick=is_per_tick,
            has_moments=has_velocity or learning.is_preconditioned,
            is_preconditioned=learning.is_preconditioned,
            momentum=learning.momentum if has_velocity else 0.0,
            preconditioner_epsilon=learning.preconditioner_epsilon,
            gradient_clip=float("inf") if clip is None else clip,
            readout_decay=network.readout_decay,
            threshold=neurons.threshold,
            dendritic_reset=neurons.dendritic_reset,
            soma_reset=neurons.soma_reset,
            early_dendritic_reset=neurons.early_dendritic_reset,
            early_soma_reset=neurons.early_soma_reset,
            surrogate=network.neuron.surrogate,
            surrogate_width=network.neuron.surrogate_width,
            dendrite_amplitude=float(neurons.dendrite_amplitude),
            soma_amplitude=float(neurons.soma_amplitude),
            profile_shape=float(profile.shape),
            profile_scale_ticks=float(profile.scale_ticks),
            n_inputs=network.inputs,
            accumulated_from=bank.accumulated_from,
            n_parameters=bank.parameters.shape[-1],
            n_gradients=bank.gradients.shape[-1],
            n_first=bank.first_moment.shape[-1],
            n_second=bank.second_moment.shape[-1],
            n_feedback=bank.feedback.shape[-1],
            n_state=bank.state.shape[-1],
            n_sums=bank.sums.shape[-1],
            n_counters=bank.counters.shape[-1],
            n_floats=floats.used,
            n_integers=integers.used,
        )
    )
    return plan


def _matrix(lines: int, width: int, at: int, rate: float, floats: _Scratch) -> MatrixPlan:
    block = 1 << (width - 1).bit_length()
    return MatrixPlan(
        n_lines=lines,
        width=width,
        block=block,
        tile=max(NUMBERS_A_TILE // max(block, 128), 1),
        at=at,
        rate=rate,
        traces_at=floats.place(BLOCK * lines),
        errors_at=floats.place(BLOCK * width),
    )


def _layer(bank: SlotBank, layer: int, floats: _Scratch, integers: _Scratch) -> LayerPlan:
    network, learning, name = bank.network, bank.learning, f"layer{layer}"
    parameters, state = bank.parameter_layout.fields, bank.state_layout.fields
    size, learnt = network.hidden[layer], learnt_scalars(network, learning)
    feedback = bank.feedback_layout.fields
    matrix = _matrix(
        n_lines(network, layer),
        size,
        parameters[f"{name}.w"].offset,
        learning.rates_of_layers(network)[layer],
        floats,
    )
    return LayerPlan(
        matrix=matrix,
        n_below=n_inputs_below(network, layer),
        scalars_at=parameters[f"{name}.{SCALARS[0]}"].offset,
        feedback_at=feedback[f"{name}.feedback"].offset if feedback else 0,
        neurons_at=state[f"{name}.dendrite"].offset,
        eligibility_at=state[f"{name}.eligibility.dendrite"].offset,
        first_trace_at=state[f"{name}.{learnt[0]}.dendrite"].offset if learnt else 0,
        spiking_at=integers.place(size + 1),
        counter_at=FIRST_SPIKES + layer,
    )


def compiled_in(value: Any) -> Any:  # noqa: ANN401 - plans hold plans and numbers
    """Make every number of a plan one that programs are compiled for."""
    if isinstance(value, tuple):
        numbers = [compiled_in(one) for one in value]
        return type(value)(*numbers) if hasattr(value, "_fields") else tuple(numbers)
    return tl.constexpr(value)
