# ruff: noqa: PLR0917 - compiled functions take positions; groups would hide shapes
"""Compiled loops that learn from a tick: errors on their way down, into a block that waits.

Equations are those of `eprop` and `reference_learning`. The outer products of hidden layers wait
(`compiled_settling`); with per-tick updates a line that is about to be read is brought up to date
first, so that every signal uses the weights it would have used without blocks. The readout is small
and moves at once.

Shapes: M input lines, N neurons, C classes.
"""

import math

import numpy as np

from tclif_core.compilation import compiled, inlined
from tclif_core.kernels.compiled_filtering import add_filtered
from tclif_core.kernels.compiled_lanes import LANES, load, multiply_add, spread, total
from tclif_core.kernels.compiled_layers import N_SCALARS, ONE, TINY, ZERO, dot, fill, list_spikes
from tclif_core.kernels.compiled_moving import NEAR, bring_up_to_date, move_line
from tclif_core.kernels.compiled_settling import FOUR
from tclif_core.kernels.compiled_updates import length
from tclif_core.kernels.cpu_plan import (
    BLOCK,
    ELIGIBILITY_AT,
    FEEDBACK_AT,
    FIRST_TRACE_AT,
    LINES_AT,
    LINES_BEFORE,
    N_LINES,
    N_NEURONS,
    NEURONS_BEFORE,
    SCALARS_AT,
    STATE_AT,
    Floats,
    Integers,
    Plan,
    SlotRows,
    Workspace,
)
from tclif_core.optimizers import LARGEST_GRADIENT


@inlined
def _place(n_before: int, width: int, n_waiting: int) -> int:
    """Return where a layer's numbers of a tick begin in the block of traces, or of errors.

    Args:
        n_before: How many numbers a tick has of the layers below.
        width: How many it has of this layer.
        n_waiting: How many ticks wait before it.
    """
    return BLOCK * n_before + n_waiting * width


@inlined
def _dot_four(signal: Floats, lines: Integers, matrix: Floats, source: Floats) -> None:
    """Do for four lines at once what `_signal_through` does for one."""
    n = len(source)
    l0, l1, l2, l3 = lines[0], lines[1], lines[2], lines[3]
    at0, at1, at2, at3 = l0 * n, l1 * n, l2 * n, l3 * n
    tile0, tile1 = spread(ZERO, LANES), spread(ZERO, LANES)
    tile2, tile3 = spread(ZERO, LANES), spread(ZERO, LANES)
    j = 0
    while j + LANES <= n:
        tile = load(source, j, LANES)
        tile0 = multiply_add(load(matrix, at0 + j, LANES), tile, tile0)
        tile1 = multiply_add(load(matrix, at1 + j, LANES), tile, tile1)
        tile2 = multiply_add(load(matrix, at2 + j, LANES), tile, tile2)
        tile3 = multiply_add(load(matrix, at3 + j, LANES), tile, tile3)
        j += LANES
    rest = source[j:]
    signal[l0] = total(tile0) + dot(matrix[at0 + j : at0 + n], rest)
    signal[l1] = total(tile1) + dot(matrix[at1 + j : at1 + n], rest)
    signal[l2] = total(tile2) + dot(matrix[at2 + j : at2 + n], rest)
    signal[l3] = total(tile3) + dot(matrix[at3 + j : at3 + n], rest)


@compiled
def _signal_through(signal: Floats, lines: Integers, matrix: Floats, source: Floats) -> None:
    """Write what reaches some neurons through their lines of a matrix.

    Args:
        signal: Written at those neurons ``[N]``.
        lines: Which neurons.
        matrix: One line after the other, as wide as the source.
        source: What the lines lead to.
    """
    n, n_in_fours = len(source), len(lines) - len(lines) % FOUR
    for i in range(0, n_in_fours, FOUR):
        _dot_four(signal, lines[i : i + FOUR], matrix, source)
    for line in lines[n_in_fours:]:
        signal[line] = dot(matrix[line * n : (line + 1) * n], source)


@inlined
def _signal_from_above(
    plan: Plan,
    layer: int,
    rows: SlotRows,
    work: Workspace,
    signal: Floats,
    lines: Integers,
    n_waiting: int,
) -> None:
    """Write what reaches some neurons from the layer above by the weights of this tick."""
    above = plan.layers[layer + 1]
    n_above = above[N_NEURONS]
    at = _place(above[NEURONS_BEFORE], n_above, n_waiting)
    errors_above, source = work.errors[at : at + n_above], work.vectors[3, :n_above]
    for j in range(n_above):
        source[j] = errors_above[j] * work.dynamics[layer + 1, 3]
    matrix = rows.parameters[above[LINES_AT] : above[LINES_AT] + len(signal) * n_above]
    for begin in range(0, len(lines), NEAR):
        some = lines[begin : begin + NEAR]
        if plan.is_per_tick and n_waiting > 0:
            # near its threshold a neuron is so for many ticks
            last = n_waiting - 1
            bring_up_to_date(plan, layer + 1, rows, work, some, last, n_waiting)
        _signal_through(signal, some, matrix, source)


@inlined
def _list_reached(plan: Plan, pseudo_derivative: Floats, lines: Integers) -> int:
    """List the neurons whose learning signal matters; return how many they are."""
    if plan.filters_hidden_traces:
        for j in range(len(pseudo_derivative)):
            lines[j] = j
        return len(pseudo_derivative)
    # where the pseudo-derivative is zero a signal reaches nothing but what is filtered
    n: int = list_spikes(pseudo_derivative, lines)
    return n


@compiled
def _signal_broadcast(signal: Floats, weights: Floats, error: Floats) -> None:
    """Write the readout's error seen through feedback weights ``[C, N]``."""
    fill(signal, ZERO)
    for c in range(len(error)):
        line = weights[c]
        for j in range(len(signal)):
            signal[j] += error[c] * line[j]


@compiled
def _finish_errors(errors: Floats, pseudo_derivative: Floats) -> None:
    """Turn a layer's learning signal into its neuron errors, in place."""
    for j in range(len(errors)):
        d = errors[j] * pseudo_derivative[j]
        errors[j] = ZERO if abs(d) < TINY else d


@inlined
def _find_errors(
    plan: Plan, layer: int, rows: SlotRows, state: Floats, work: Workspace, n_waiting: int
) -> None:
    """Write a layer's neuron errors into the block's next place; the layer above has its own."""
    top, n_classes = len(plan.layers) - 1, len(work.error)
    n_neurons = plan.layers[layer, N_NEURONS]
    at = _place(plan.layers[layer, NEURONS_BEFORE], n_neurons, n_waiting)
    errors = work.errors[at : at + n_neurons]
    at = plan.layers[layer, STATE_AT] + 3 * n_neurons
    pseudo_derivative = state[at : at + n_neurons]
    if plan.is_broadcast:
        at = plan.layers[layer, FEEDBACK_AT]
        weights = rows.feedback[at : at + n_classes * n_neurons].reshape((n_classes, n_neurons))
        _signal_broadcast(errors, weights, work.error)
    else:
        lines = work.lines[: _list_reached(plan, pseudo_derivative, work.lines)]
        fill(errors, ZERO)
        if layer == top:
            matrix = rows.parameters[plan.readout_at : plan.readout_at + n_neurons * n_classes]
            _signal_through(errors, lines, matrix, work.error)
        else:
            _signal_from_above(plan, layer, rows, work, errors, lines, n_waiting)
    if plan.filters_hidden_traces:
        at = plan.layers[layer, NEURONS_BEFORE]
        for j in range(n_neurons):
            work.signals[at + j] = errors[j]
    _finish_errors(errors, pseudo_derivative)


@inlined
def _add_to_scalars(
    plan: Plan, sizes: Integers, gradients: Floats, state: Floats, work: Workspace, n_waiting: int
) -> None:
    """Add this tick's estimates to the gradients of a layer's four numbers."""
    n_neurons = sizes[N_NEURONS]
    at = _place(sizes[NEURONS_BEFORE], n_neurons, n_waiting)
    errors = work.errors[at : at + n_neurons]
    for scalar in range(N_SCALARS):
        if plan.traces[scalar] >= 0:
            at = sizes[FIRST_TRACE_AT] + n_neurons * (2 * plan.traces[scalar] + 1)
            place = sizes[SCALARS_AT] + scalar - plan.accumulated_from
            gradients[place] += dot(state[at : at + n_neurons], errors)


@compiled
def _list_spiking(spiking: Integers, n_neurons: int, lines: Integers, values: Floats) -> int:
    """List the readout's lines that have a trace: of neurons that spiked, then the bias line."""
    n = len(spiking)
    for i in range(n):
        lines[i] = spiking[i]
        values[i] = ONE
    lines[n], values[n] = n_neurons, ONE
    return n + 1


@compiled
def _list_remembered(trace: Floats, lines: Integers, values: Floats) -> int:
    """List the readout's lines that have a filtered trace, the bias line's last."""
    n: int = list_spikes(trace, lines)
    for i in range(n):
        values[i] = trace[lines[i]]
    return n


@compiled
def _shrink(errors: Floats, factor: np.float32) -> None:
    for j in range(len(errors)):
        d = factor * errors[j]
        errors[j] = ZERO if abs(d) < TINY else d


@inlined
def _drop(plan: Plan, work: Workspace, n_waiting: int) -> None:
    """Put zeros in the place of a tick's traces and errors."""
    fill(work.error, ZERO)
    for layer in range(len(plan.layers)):
        sizes = plan.layers[layer]
        at = _place(sizes[LINES_BEFORE], sizes[N_LINES], n_waiting)
        work.traces[at : at + sizes[N_LINES]] = ZERO
        at = _place(sizes[NEURONS_BEFORE], sizes[N_NEURONS], n_waiting)
        work.errors[at : at + sizes[N_NEURONS]] = ZERO


@inlined
def _limit(
    plan: Plan,
    gradients: Floats,
    state: Floats,
    work: Workspace,
    n_waiting: int,
    readout_traces: Floats,
) -> None:
    """Drop the tick's gradient estimate if it is not finite, shorten it to the clip if longer.

    A tick that is dropped is told to the next update by gradients that are no numbers.
    """
    # the length of an outer product is the product of the lengths
    square = (length(readout_traces) * length(work.error)) ** 2
    for layer in range(len(plan.layers)):
        sizes = plan.layers[layer]
        at = sizes[ELIGIBILITY_AT] + sizes[N_LINES]
        traces = state[at : at + sizes[N_LINES]]
        at = _place(sizes[NEURONS_BEFORE], sizes[N_NEURONS], n_waiting)
        errors = work.errors[at : at + sizes[N_NEURONS]]
        square += (length(traces) * length(errors)) ** 2
    whole = math.sqrt(square)
    # a NaN compares false
    if not whole <= LARGEST_GRADIENT:
        fill(gradients, np.nan)
        fill(readout_traces, ZERO)
        _drop(plan, work, n_waiting)
    elif whole > plan.gradient_clip:
        factor = np.float32(plan.gradient_clip / whole)
        _shrink(work.error, factor)
        for layer in range(len(plan.layers)):
            sizes = plan.layers[layer]
            at = _place(sizes[NEURONS_BEFORE], sizes[N_NEURONS], n_waiting)
            errors = work.errors[at : at + sizes[N_NEURONS]]
            _shrink(errors, factor)


@compiled
def _add_to_readout(
    lines_in_row: Floats, lines: Integers, traces: Floats, error: Floats, scale: np.float32
) -> None:
    """Add the readout's term of this tick to its gradients, or to its weights.

    Args:
        lines_in_row: From the readout's begin on, written in place.
        lines: Those with a trace that is not zero ``[n]``; the bias line comes after all neurons.
        traces: Theirs ``[n]``.
        error: Of the tick ``[C]``.
        scale: 1 into gradients, minus the rate into weights.
    """
    n_classes = len(error)
    for i in range(len(lines)):
        at = lines[i] * n_classes
        line = lines_in_row[at : at + n_classes]
        trace = scale * traces[i]
        for c in range(n_classes):
            line[c] += trace * error[c]


@inlined
def _move_readout(
    plan: Plan, rows: SlotRows, work: Workspace, lines: Integers, traces: Floats
) -> None:
    """Move the readout's weights by this tick, where velocities or squares take part.

    Args:
        plan: The bank's.
        rows: The slot's, written in place.
        work: Its errors are read.
        lines: Those with a trace that is not zero ``[n]``; the bias line comes after all neurons.
        traces: Theirs ``[n]``.
    """
    n_layers, n_classes = len(plan.layers), len(work.error)
    n_lines, rate = plan.layers[n_layers - 1, N_NEURONS] + 1, work.rates[n_layers]
    all_traces = work.vectors[1, :n_lines]
    fill(all_traces, ZERO)
    for i in range(len(lines)):
        all_traces[lines[i]] = traces[i]
    n_moving = n_lines if plan.momentum > ZERO else len(lines)
    for i in range(n_moving):
        line = i if plan.momentum > ZERO else lines[i]
        at, place = plan.readout_at + line * n_classes, len(work.settled) + line
        trace = all_traces[line:]
        move_line(plan, rows, work, at, n_classes, place, trace, n_lines, work.error, 0, 1, rate)


@inlined
def learn(plan: Plan, rows: SlotRows, state: Floats, work: Workspace, n_waiting: int) -> None:
    """Put this tick's traces and errors into the block; move or accumulate all the rest."""
    n_layers = len(plan.layers)
    for layer in range(n_layers - 1, -1, -1):
        _find_errors(plan, layer, rows, state, work, n_waiting)
    if plan.filters_hidden_traces:
        add_filtered(plan, rows.gradients, state, work)
    else:
        for layer in range(n_layers):
            _add_to_scalars(plan, plan.layers[layer], rows.gradients, state, work, n_waiting)
    n_top = plan.layers[n_layers - 1, N_NEURONS]
    if plan.filters_readout_trace:
        trace = state[plan.readout_trace_at : plan.readout_trace_at + n_top + 1]
        n_lines = _list_remembered(trace, work.lines, work.line_values)
    else:
        spiking = work.spiking[n_layers - 1, : work.n_spiking[n_layers - 1]]
        n_lines = _list_spiking(spiking, n_top, work.lines, work.line_values)
    lines, traces = work.lines[:n_lines], work.line_values[:n_lines]
    if plan.is_per_tick:
        _limit(plan, rows.gradients, state, work, n_waiting, traces)
    if plan.has_moments:
        _move_readout(plan, rows, work, lines, traces)
    else:
        row = rows.parameters if plan.is_per_tick else rows.gradients
        _add_to_readout(row[plan.readout_at :], lines, traces, work.error, work.scales[n_layers])
