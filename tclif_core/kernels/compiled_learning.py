# ruff: noqa: PLR0917 - compiled functions take positions; groups would hide shapes
"""Compiled loops that learn from a tick: its traces and errors go into a block that waits.

Equations are those of `eprop` and `reference_learning`. The outer products of hidden layers wait
(`compiled_settling`); the readout is small and moves at once. Errors are those of
`compiled_signals`.

Shapes: M input lines, N neurons, C classes.
"""

import math

import numpy as np

from tclif_core.compilation import compiled, inlined
from tclif_core.kernels.compiled_filtering import add_filtered
from tclif_core.kernels.compiled_layers import N_SCALARS, list_spikes
from tclif_core.kernels.compiled_moving import move_line
from tclif_core.kernels.compiled_signals import find_errors, place_in_block
from tclif_core.kernels.compiled_vectors import ONE, TINY, ZERO, dot, fill, length
from tclif_core.kernels.cpu_plan import (
    ELIGIBILITY_AT,
    FIRST_TRACE_AT,
    LINES_BEFORE,
    N_LINES,
    N_NEURONS,
    NEURONS_BEFORE,
    SCALARS_AT,
    Floats,
    Integers,
    Plan,
    SlotRows,
    Workspace,
)
from tclif_core.optimizers import LARGEST_GRADIENT


@inlined
def _add_to_scalars(
    plan: Plan, sizes: Integers, gradients: Floats, state: Floats, work: Workspace, n_waiting: int
) -> None:
    """Add this tick's estimates to the gradients of a layer's four numbers."""
    n_neurons = sizes[N_NEURONS]
    at = place_in_block(sizes[NEURONS_BEFORE], n_neurons, n_waiting)
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
        at = place_in_block(sizes[LINES_BEFORE], sizes[N_LINES], n_waiting)
        work.traces[at : at + sizes[N_LINES]] = ZERO
        at = place_in_block(sizes[NEURONS_BEFORE], sizes[N_NEURONS], n_waiting)
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
        at = place_in_block(sizes[NEURONS_BEFORE], sizes[N_NEURONS], n_waiting)
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
            at = place_in_block(sizes[NEURONS_BEFORE], sizes[N_NEURONS], n_waiting)
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
        find_errors(plan, layer, rows, state, work, n_waiting)
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
