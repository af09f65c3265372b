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

from tclif_core.kernels.compilation import compiled
from tclif_core.kernels.compiled_filtering import add_filtered
from tclif_core.kernels.compiled_layers import N_SCALARS, ONE, TINY, ZERO, dot, list_spikes
from tclif_core.kernels.compiled_settling import add_up_layer, lines_of, move_layer, move_line
from tclif_core.kernels.compiled_updates import length
from tclif_core.kernels.cpu_plan import (
    BLOCK,
    ELIGIBILITY_AT,
    FEEDBACK_AT,
    FIRST_TRACE_AT,
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


@compiled
def _signal_through(
    signal: Floats,
    pseudo_derivative: Floats,
    matrix: Floats,
    source: Floats,
    everywhere: bool,  # noqa: FBT001 - compiled code takes positions
) -> None:
    """Write what reaches each neuron ``[N]`` through its line of a matrix ``[N, above]``."""
    for j in range(len(signal)):
        # where the pseudo-derivative is zero a signal reaches nothing but what is filtered
        reaches = everywhere or pseudo_derivative[j] > ZERO
        signal[j] = dot(matrix[j], source) if reaches else ZERO


@compiled
def _signal_broadcast(signal: Floats, weights: Floats, error: Floats) -> None:
    """Write the readout's error seen through feedback weights ``[C, N]``."""
    signal[:] = ZERO
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


@compiled
def _waiting(block: Floats, n_before: int, width: int, place: int) -> Floats:
    """Return a layer's numbers ``[width]`` in a place of the block of traces, or of errors.

    Args:
        block: Of all layers.
        n_before: How many numbers a place holds of the layers below.
        width: How many it holds of this layer.
        place: From 0 to `BLOCK` - 1.
    """
    at = BLOCK * n_before + place * width
    return block[at : at + width]


@compiled
def _find_errors(
    plan: Plan, layer: int, rows: SlotRows, state: Floats, work: Workspace, n_waiting: int
) -> None:
    """Write a layer's neuron errors into the block's next place; the layer above has its own."""
    top, n_classes = len(plan.layers) - 1, len(work.error)
    n_neurons = plan.layers[layer, N_NEURONS]
    errors = _waiting(work.errors, plan.layers[layer, NEURONS_BEFORE], n_neurons, n_waiting)
    at = plan.layers[layer, STATE_AT] + 3 * n_neurons
    pseudo_derivative = state[at : at + n_neurons]
    if plan.is_broadcast:
        at = plan.layers[layer, FEEDBACK_AT]
        weights = rows.feedback[at : at + n_classes * n_neurons].reshape((n_classes, n_neurons))
        _signal_broadcast(errors, weights, work.error)
    elif layer == top:
        at = plan.readout_at
        weights = rows.parameters[at : at + n_neurons * n_classes].reshape((n_neurons, n_classes))
        _signal_through(errors, pseudo_derivative, weights, work.error, plan.filters_hidden_traces)
    else:
        n_above, n_before = (
            plan.layers[layer + 1, N_NEURONS],
            plan.layers[layer + 1, NEURONS_BEFORE],
        )
        errors_above = _waiting(work.errors, n_before, n_above, n_waiting)
        source = work.vectors[3, :n_above]
        source[:] = errors_above * work.dynamics[layer + 1, 3]
        if plan.is_per_tick and n_waiting > 0:
            n_near = list_spikes(pseudo_derivative, work.lines)
            lines = work.lines[:n_near]
            if plan.has_moments:
                move_layer(plan, layer + 1, rows, work, lines, n_waiting)
            else:
                add_up_layer(
                    plan.layers[layer + 1],
                    rows.parameters,
                    work.traces,
                    work.errors,
                    work.settled,
                    lines,
                    n_waiting,
                    work.scales[layer + 1],
                )
        matrix = lines_of(plan, layer + 1, rows.parameters)
        _signal_through(errors, pseudo_derivative, matrix, source, plan.filters_hidden_traces)
    if plan.filters_hidden_traces:
        at = plan.layers[layer, NEURONS_BEFORE]
        work.signals[at : at + n_neurons] = errors
    _finish_errors(errors, pseudo_derivative)


@compiled
def _add_to_scalars(gradients: Floats, traces: Integers, pairs: Floats, errors: Floats) -> None:
    """Add this tick's estimates to the gradients of a layer's four numbers.

    Args:
        gradients: From those of the layer on, written in place.
        traces: See `cpu_plan.Plan`.
        pairs: The traces of the numbers that are learnt, from the first on.
        errors: Of the layer ``[N]``.
    """
    n_neurons = len(errors)
    for scalar in range(N_SCALARS):
        if traces[scalar] >= 0:
            at = n_neurons * (2 * traces[scalar] + 1)
            gradients[scalar] += dot(pairs[at : at + n_neurons], errors)


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


@compiled
def _drop(plan: Plan, work: Workspace, n_waiting: int) -> None:
    """Put zeros in the place of a tick's traces and errors."""
    work.error[:] = ZERO
    for layer in range(len(plan.layers)):
        sizes = plan.layers[layer]
        _waiting(work.traces, sizes[LINES_BEFORE], sizes[N_LINES], n_waiting)[:] = ZERO
        _waiting(work.errors, sizes[NEURONS_BEFORE], sizes[N_NEURONS], n_waiting)[:] = ZERO


@compiled
def _limit(
    plan: Plan, gradients: Floats, work: Workspace, n_waiting: int, readout_traces: Floats
) -> None:
    """Drop the tick's gradient estimate if it is not finite, shorten it to the clip if longer.

    A tick that is dropped is told to the next update by gradients that are no numbers.
    """
    # the length of an outer product is the product of the lengths
    square = (length(readout_traces) * length(work.error)) ** 2
    for layer in range(len(plan.layers)):
        sizes = plan.layers[layer]
        traces = _waiting(work.traces, sizes[LINES_BEFORE], sizes[N_LINES], n_waiting)
        errors = _waiting(work.errors, sizes[NEURONS_BEFORE], sizes[N_NEURONS], n_waiting)
        square += (length(traces) * length(errors)) ** 2
    whole = math.sqrt(square)
    # a NaN compares false
    if not whole <= LARGEST_GRADIENT:
        gradients[:] = np.nan
        readout_traces[:] = ZERO
        _drop(plan, work, n_waiting)
    elif whole > plan.gradient_clip:
        factor = np.float32(plan.gradient_clip / whole)
        _shrink(work.error, factor)
        for layer in range(len(plan.layers)):
            sizes = plan.layers[layer]
            errors = _waiting(work.errors, sizes[NEURONS_BEFORE], sizes[N_NEURONS], n_waiting)
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


@compiled
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
    n_lines, rate = plan.layers[n_layers - 1, N_NEURONS] + 1, -work.scales[n_layers]
    all_traces, errors = work.vectors[1, :n_lines], work.error.reshape((1, n_classes))
    all_traces[:] = ZERO
    for i in range(len(lines)):
        all_traces[lines[i]] = traces[i]
    traces = all_traces.reshape((1, n_lines))
    for line in work.all_lines[:n_lines] if plan.momentum > ZERO else lines:
        place = plan.readout_at + line * n_classes
        move_line(plan, rows, work.vectors[0], place, line, traces, errors, 0, 1, rate)


@compiled
def _find_estimates(
    sizes: Integers, plan: Plan, gradients: Floats, state: Floats, work: Workspace, n_waiting: int
) -> None:
    """Put a layer's traces into the block; add to the gradients of its four numbers."""
    n_lines, n_neurons = sizes[N_LINES], sizes[N_NEURONS]
    at = sizes[ELIGIBILITY_AT] + n_lines
    traces = _waiting(work.traces, sizes[LINES_BEFORE], n_lines, n_waiting)
    traces[:] = state[at : at + n_lines]
    errors = _waiting(work.errors, sizes[NEURONS_BEFORE], n_neurons, n_waiting)
    at = sizes[FIRST_TRACE_AT]
    pairs = state[at : at + 2 * N_SCALARS * n_neurons]
    scalars = gradients[sizes[SCALARS_AT] - plan.accumulated_from :]
    _add_to_scalars(scalars, plan.traces, pairs, errors)


@compiled
def learn(plan: Plan, rows: SlotRows, state: Floats, work: Workspace, n_waiting: int) -> None:
    """Put this tick's traces and errors into the block; move or accumulate all the rest."""
    n_layers = len(plan.layers)
    for layer in range(n_layers - 1, -1, -1):
        _find_errors(plan, layer, rows, state, work, n_waiting)
    if plan.filters_hidden_traces:
        add_filtered(plan, rows.gradients, state, work)
    else:
        for layer in range(n_layers):
            _find_estimates(plan.layers[layer], plan, rows.gradients, state, work, n_waiting)
    n_top = plan.layers[n_layers - 1, N_NEURONS]
    if plan.filters_readout_trace:
        trace = state[plan.readout_trace_at : plan.readout_trace_at + n_top + 1]
        n_lines = _list_remembered(trace, work.lines, work.line_values)
    else:
        spiking = work.spiking[n_layers - 1, : work.n_spiking[n_layers - 1]]
        n_lines = _list_spiking(spiking, n_top, work.lines, work.line_values)
    lines, traces = work.lines[:n_lines], work.line_values[:n_lines]
    if plan.is_per_tick:
        _limit(plan, rows.gradients, work, n_waiting, traces)
    if plan.has_moments:
        _move_readout(plan, rows, work, lines, traces)
    else:
        row = rows.parameters if plan.is_per_tick else rows.gradients
        _add_to_readout(row[plan.readout_at :], lines, traces, work.error, work.scales[n_layers])
