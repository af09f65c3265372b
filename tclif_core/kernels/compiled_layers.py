# ruff: noqa: PLR0917 - compiled functions take positions; groups would hide shapes
"""Compiled loops that advance one layer by one tick.

Equations are those of `two_compartment`, `surrogate_gradient` and `eligibility`. Input is sparse: a
layer's current gathers the lines that are active, channels with events and neurons that spiked.
Traces and potentials below `TINY` become zero: numbers on their way to zero would end as denormals,
which cost a hundred times as much; and what is zero can be skipped.

Shapes: M input lines, N neurons.
"""

import math

import numpy as np
from numpy.typing import NDArray

from tclif_core.compilation import compiled
from tclif_core.kernels.compiled_lanes import LANES, WIDE, load, multiply_add, spread, store
from tclif_core.kernels.compiled_vectors import ONE, TINY, ZERO
from tclif_core.kernels.cpu_plan import (
    FAST_SIGMOID,
    N_BELOW,
    N_LINES,
    RECTANGULAR,
    SCALARS_AT,
    TRIANGULAR,
    Floats,
    Integers,
    Plan,
)

N_SCALARS = 4
"""How many numbers of a layer may be learnt."""


@compiled
def _gamma_profile(tick: int, shape: float, scale_ticks: float) -> float:
    # the double-precision formula of decay_profile.gamma_profile
    time = tick + 1.0
    if shape == 1.0:
        return math.exp(-time / scale_ticks)
    peak = (shape - 1.0) * scale_ticks
    return math.exp((shape - 1.0) * math.log(time / peak) - (time - peak) / scale_ticks)


@compiled
def find_dynamics(plan: Plan, tick: int, parameters: Floats, dynamics: Floats) -> None:
    """Write decays and couplings of a tick of the segment, for all layers ``[layers, 4]``."""
    profile = _gamma_profile(tick, plan.profile_shape, plan.profile_scale_ticks)
    for layer in range(len(dynamics)):
        at = plan.layers[layer, SCALARS_AT]
        dendrite_decay = np.float64(parameters[at]) + plan.dendrite_amplitude * profile
        soma_decay = np.float64(parameters[at + 1]) + plan.soma_amplitude * profile
        dynamics[layer, 0] = np.float32(dendrite_decay)
        dynamics[layer, 1] = np.float32(soma_decay)
        dynamics[layer, 2] = parameters[at + 2]
        dynamics[layer, 3] = parameters[at + 3]


@compiled
def list_active(
    layer: int,
    sizes: Integers,
    is_recurrent: bool,  # noqa: FBT001 - compiled code takes positions
    channels: NDArray[np.int32],
    values: Floats,
    spiking: Integers,
    n_spiking: Integers,
    lines: Integers,
    line_values: Floats,
) -> int:
    """List a layer's active input lines and what comes in on them; return how many they are."""
    n = 0
    if layer == 0:
        for e in range(len(channels)):
            lines[e] = channels[e]
            line_values[e] = values[e]
        n = len(channels)
    else:
        for i in range(n_spiking[layer - 1]):
            lines[i] = spiking[layer - 1, i]
            line_values[i] = ONE
        n = n_spiking[layer - 1]
    if is_recurrent:
        # these are still the spikes of the tick before
        for i in range(n_spiking[layer]):
            lines[n + i] = sizes[N_BELOW] + spiking[layer, i]
            line_values[n + i] = ONE
        n += n_spiking[layer]
    lines[n] = sizes[N_LINES] - 1
    line_values[n] = ONE
    return n + 1


@compiled
def gather(current: Floats, matrix: Floats, lines: Integers, values: Floats) -> None:
    """Add to a layer's synaptic input some active lines of its matrix, weighted.

    Args:
        current: Written in place ``[N]``.
        matrix: One line after the other ``[M N]``.
        lines: Which lines are active.
        values: What comes in on each.
    """
    n, j = len(current), 0
    while j + WIDE <= n:
        wide = load(current, j, WIDE)
        for i in range(len(lines)):
            wide = multiply_add(spread(values[i], WIDE), load(matrix, lines[i] * n + j, WIDE), wide)
        store(current, j, wide)
        j += WIDE
    while j + LANES <= n:
        narrow = load(current, j, LANES)
        for i in range(len(lines)):
            few = load(matrix, lines[i] * n + j, LANES)
            narrow = multiply_add(spread(values[i], LANES), few, narrow)
        store(current, j, narrow)
        j += LANES
    for i in range(len(lines)):
        for last in range(j, n):
            current[last] = multiply_add(values[i], matrix[lines[i] * n + last], current[last])


@compiled
def advance_eligibility(
    dendrite: Floats,
    soma: Floats,
    lines: Integers,
    values: Floats,
    dynamics: Floats,
    waiting: Floats,
    scale: np.float32,
) -> None:
    """Move the pair of every input line of a layer; the active ones take their input.

    Args:
        dendrite: Written in place ``[M]``.
        soma: Likewise.
        lines: Which lines are active.
        values: What comes in on each.
        dynamics: Decays and couplings of the tick ``[4]``.
        waiting: Written: the traces of the soma, scaled, to wait in the block if the tick is learnt
            from ``[M]``.
        scale: See `cpu_plan.Workspace`.
    """
    dendrite_decay, soma_decay = dynamics[0], dynamics[1]
    soma_to_dendrite, dendrite_to_soma = dynamics[2], dynamics[3]
    for i in range(len(dendrite)):
        dendrite[i] = dendrite_decay * dendrite[i] + soma_to_dendrite * soma[i]
    for i in range(len(lines)):
        dendrite[lines[i]] += values[i]
    for i in range(len(dendrite)):
        d = dendrite[i]
        s = soma_decay * soma[i] + dendrite_to_soma * d
        # a NaN stays one: the gradient must not hide it
        dendrite[i] = ZERO if abs(d) < TINY else d
        s = ZERO if abs(s) < TINY else s
        soma[i] = s
        waiting[i] = scale * s


@compiled
def reset_early(plan: Plan, neurons: Floats, dendrite_before: Floats, soma_before: Floats) -> None:
    """Copy a layer's potentials ``[N]`` out of its neurons ``[4, N]``, less an early reset."""
    dendrite, soma, spikes = neurons[0], neurons[1], neurons[2]
    for j in range(len(soma_before)):
        dendrite_before[j] = dendrite[j] - plan.early_dendritic_reset * spikes[j]
        soma_before[j] = soma[j] - plan.early_soma_reset * spikes[j]


@compiled
def advance_neurons(
    plan: Plan,
    neurons: Floats,
    dendrite_before: Floats,
    soma_before: Floats,
    current: Floats,
    dynamics: Floats,
) -> None:
    """Move a layer's neurons; their distances to the threshold take the pseudo-derivatives' place.

    Args:
        plan: The bank's.
        neurons: Dendrite, soma, spikes and pseudo-derivative ``[4, N]``, written in place.
        dendrite_before: From `reset_early` ``[N]``.
        soma_before: Likewise.
        current: Weighted synaptic input ``[N]``.
        dynamics: Decays and couplings of the tick ``[4]``.
    """
    dendrite, soma, spikes, distances = neurons[0], neurons[1], neurons[2], neurons[3]
    dendrite_decay, soma_decay = dynamics[0], dynamics[1]
    soma_to_dendrite, dendrite_to_soma = dynamics[2], dynamics[3]
    for j in range(len(current)):
        d = dendrite_decay * dendrite_before[j] + soma_to_dendrite * soma_before[j] + current[j]
        d -= plan.dendritic_reset * spikes[j]
        s = soma_decay * soma_before[j] + dendrite_to_soma * d - plan.soma_reset * spikes[j]
        dendrite[j] = d if abs(d) >= TINY else ZERO
        soma[j] = s if abs(s) >= TINY else ZERO
        distance = s - plan.threshold
        spikes[j] = ONE if distance >= ZERO else ZERO
        distances[j] = distance


@compiled
def take_surrogate(surrogate: int, width: np.float32, distances: Floats) -> None:
    """Turn distances to the threshold ``[N]`` into pseudo-derivatives, in place.

    Args:
        surrogate: Place in `cpu_plan.SURROGATE_CODES`.
        width: w, positive.
        distances: Of the somas to the threshold.
    """
    if surrogate == TRIANGULAR:
        height = ONE / (width * width)
        for j in range(len(distances)):
            near = width - abs(distances[j])
            distances[j] = near * height if near > ZERO else ZERO
    elif surrogate == RECTANGULAR:
        height = ONE / (width + width)
        for j in range(len(distances)):
            distances[j] = height if abs(distances[j]) <= width else ZERO
    elif surrogate == FAST_SIGMOID:
        for j in range(len(distances)):
            far = ONE + abs(distances[j]) / width
            psi = ONE / (far * far)
            distances[j] = psi if psi >= TINY else ZERO
    else:
        steepness = np.float32(math.pi) / width
        for j in range(len(distances)):
            far = steepness * distances[j]
            psi = ONE / (width * (ONE + far * far))
            distances[j] = psi if psi >= TINY else ZERO


@compiled
def list_spikes(spikes: Floats, spiking: Integers) -> int:
    """List the neurons of a layer that spiked; return how many they are."""
    n_spiking = 0
    for j in range(len(spikes)):
        spiking[n_spiking] = j
        n_spiking += spikes[j] != ZERO
    return n_spiking


@compiled
def advance_scalar_traces(
    pairs: Floats,
    traces: Integers,
    dendrite_before: Floats,
    soma_before: Floats,
    dendrite: Floats,
    dynamics: Floats,
) -> None:
    """Move the pairs ``[2 n, N]`` of a layer's learnt numbers, after its neurons moved."""
    dendrite_decay, soma_decay = dynamics[0], dynamics[1]
    soma_to_dendrite, dendrite_to_soma = dynamics[2], dynamics[3]
    for scalar in range(N_SCALARS):
        if traces[scalar] < 0:
            continue
        trace_d, trace_s = pairs[2 * traces[scalar]], pairs[2 * traces[scalar] + 1]
        # each of the four enters one compartment only, see the table of `eligibility`
        drive = soma_before
        if scalar == 0:
            drive = dendrite_before
        elif scalar == 3:  # noqa: PLR2004 - the last of SCALARS
            drive = dendrite
        enters_dendrite = ONE if scalar in (0, 2) else ZERO
        enters_soma = ONE - enters_dendrite
        for j in range(len(drive)):
            d = dendrite_decay * trace_d[j] + soma_to_dendrite * trace_s[j]
            d += enters_dendrite * drive[j]
            s = soma_decay * trace_s[j] + dendrite_to_soma * d + enters_soma * drive[j]
            trace_d[j] = ZERO if abs(d) < TINY else d
            trace_s[j] = ZERO if abs(s) < TINY else s
