# ruff: noqa: PLR0917 - compiled functions take positions; groups would hide shapes
"""Compiled loops that learn: errors on their way down, and outer products that wait in blocks.

Equations are those of `eprop`. The outer products eS[t] d[t] of some ticks wait in a block and are
added line by line, so that a line of the matrix is loaded once for many ticks. Each number still
takes its ticks one after the other, in order, each by one fused multiply-add: the block changes
when, not what. With per-tick updates a line that is about to be read is brought up to date first
(`settle_layer`), so that every signal uses the weights it would have used without blocks.

Shapes: M input lines, N neurons, C classes.
"""

import numpy as np

from tclif_core.kernels.compilation import compiled, inlined, reordered
from tclif_core.kernels.compiled_layers import N_SCALARS, TINY, ZERO, list_spikes
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
    Workspace,
)


@reordered
def _dot(one: Floats, other: Floats) -> np.float32:
    total = ZERO
    for j in range(len(one)):
        total += one[j] * other[j]
    return total


@inlined
def _settle_line(
    matrix: Floats,
    line: int,
    traces: Floats,
    errors: Floats,
    first: int,
    n_waiting: int,
    scale: np.float32,
) -> None:
    """Add the waiting ticks from ``first`` on to one line; see `_settle`."""
    n_neurons = matrix.shape[1]
    k = first
    for _ in range((n_waiting - first) // 4):
        e0, e1 = scale * traces[k, line], scale * traces[k + 1, line]
        e2, e3 = scale * traces[k + 2, line], scale * traces[k + 3, line]
        if e0 != ZERO or e1 != ZERO or e2 != ZERO or e3 != ZERO:
            for j in range(n_neurons):
                # from left to right, so that each number takes its ticks in order
                matrix[line, j] = (
                    matrix[line, j]
                    + e0 * errors[k, j]
                    + e1 * errors[k + 1, j]
                    + e2 * errors[k + 2, j]
                    + e3 * errors[k + 3, j]
                )
        k += 4
    for last in range(k, n_waiting):
        e0 = scale * traces[last, line]
        if e0 != ZERO:
            for j in range(n_neurons):
                matrix[line, j] += e0 * errors[last, j]


@inlined
def _settle_pair(
    matrix: Floats,
    one: int,
    other: int,
    traces: Floats,
    errors: Floats,
    first: int,
    n_waiting: int,
    scale: np.float32,
) -> None:
    """Do for two lines what `_settle_line` does for one: the errors are loaded once for both."""
    n_neurons = matrix.shape[1]
    k = first
    for _ in range((n_waiting - first) // 4):
        e0, e1 = scale * traces[k, one], scale * traces[k + 1, one]
        e2, e3 = scale * traces[k + 2, one], scale * traces[k + 3, one]
        f0, f1 = scale * traces[k, other], scale * traces[k + 1, other]
        f2, f3 = scale * traces[k + 2, other], scale * traces[k + 3, other]
        for j in range(n_neurons):
            d0, d1, d2, d3 = errors[k, j], errors[k + 1, j], errors[k + 2, j], errors[k + 3, j]
            matrix[one, j] = matrix[one, j] + e0 * d0 + e1 * d1 + e2 * d2 + e3 * d3
            matrix[other, j] = matrix[other, j] + f0 * d0 + f1 * d1 + f2 * d2 + f3 * d3
        k += 4
    for last in range(k, n_waiting):
        e0, f0 = scale * traces[last, one], scale * traces[last, other]
        for j in range(n_neurons):
            d0 = errors[last, j]
            matrix[one, j] += e0 * d0
            matrix[other, j] += f0 * d0


@compiled
def _settle(
    matrix: Floats,
    lines: Integers,
    traces: Floats,
    errors: Floats,
    settled: Integers,
    n_waiting: int,
    scale: np.float32,
) -> None:
    """Add ``scale * eS d`` of the waiting ticks to some lines of a layer's matrix.

    Args:
        matrix: ``[M, N]``, written in place.
        lines: Which of its lines.
        traces: eS at the waiting ticks ``[BLOCK, M]``.
        errors: d at the waiting ticks ``[BLOCK, N]``.
        settled: How many waiting ticks each line has already ``[M]``, written in place.
        n_waiting: How many it shall have.
        scale: 1 into gradients, minus the rate into weights.
    """
    for i in range(0, len(lines) - 1, 2):
        one, other = lines[i], lines[i + 1]
        first = settled[one]
        settled[one] = n_waiting
        # a line that is listed twice has its ticks by now, and takes the second way
        if first == settled[other]:
            settled[other] = n_waiting
            _settle_pair(matrix, one, other, traces, errors, first, n_waiting, scale)
        else:
            _settle_line(matrix, one, traces, errors, first, n_waiting, scale)
            first = settled[other]
            settled[other] = n_waiting
            _settle_line(matrix, other, traces, errors, first, n_waiting, scale)
    if len(lines) % 2:
        line = lines[len(lines) - 1]
        first = settled[line]
        settled[line] = n_waiting
        _settle_line(matrix, line, traces, errors, first, n_waiting, scale)


@compiled
def _signal_through(
    signal: Floats, pseudo_derivative: Floats, matrix: Floats, source: Floats
) -> None:
    """Write what reaches each neuron ``[N]`` through its line of a matrix ``[N, above]``."""
    for j in range(len(signal)):
        # where the pseudo-derivative is zero a signal reaches nothing
        signal[j] = _dot(matrix[j], source) if pseudo_derivative[j] > ZERO else ZERO


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
        errors[j] = d if abs(d) >= TINY else ZERO


@compiled
def _move_readout(
    target: Floats, biases: Floats, spiking: Integers, error: Floats, scale: np.float32
) -> None:
    """Add the readout's term of this tick to its gradients, or to its weights ``[N, C]``."""
    for i in range(len(spiking)):
        line = target[spiking[i]]
        for c in range(len(error)):
            line[c] += scale * error[c]
    for c in range(len(error)):
        biases[c] += scale * error[c]


@compiled
def lines_of(plan: Plan, layer: int, row: Floats) -> Floats:
    """Return a layer's lines ``[M, N]`` in a row of parameters or gradients."""
    n_lines, n_neurons = plan.layers[layer, N_LINES], plan.layers[layer, N_NEURONS]
    at = plan.layers[layer, LINES_AT]
    return row[at : at + n_lines * n_neurons].reshape((n_lines, n_neurons))


@compiled
def settle_layer(
    plan: Plan,
    layer: int,
    row: Floats,
    work: Workspace,
    lines: Integers,
    n_waiting: int,
    scale: np.float32,
) -> None:
    """Bring some lines of a layer up to date, in a row of parameters or gradients."""
    n_lines, n_neurons = plan.layers[layer, N_LINES], plan.layers[layer, N_NEURONS]
    first = plan.layers[layer, LINES_BEFORE]
    traces = work.traces[BLOCK * first : BLOCK * (first + n_lines)].reshape((BLOCK, n_lines))
    settled = work.settled[first : first + n_lines]
    first = plan.layers[layer, NEURONS_BEFORE]
    errors = work.errors[BLOCK * first : BLOCK * (first + n_neurons)].reshape((BLOCK, n_neurons))
    _settle(lines_of(plan, layer, row), lines, traces, errors, settled, n_waiting, scale)


@compiled
def settle_all(
    plan: Plan,
    parameters: Floats,
    gradients: Floats,
    work: Workspace,
    n_waiting: int,
    scale: np.float32,
) -> None:
    """Empty the block into the gradients, or into the weights with per-tick updates."""
    if n_waiting == 0:
        return
    row = parameters if plan.is_per_tick else gradients
    for layer in range(len(plan.layers)):
        lines = work.all_lines[: plan.layers[layer, N_LINES]]
        settle_layer(plan, layer, row, work, lines, n_waiting, scale)
    work.settled[:] = 0


@compiled
def _find_errors(
    plan: Plan,
    layer: int,
    parameters: Floats,
    feedback: Floats,
    state: Floats,
    work: Workspace,
    n_waiting: int,
    scale: np.float32,
) -> None:
    """Write a layer's neuron errors into the block's next place; the layer above has its own."""
    top, n_classes = len(plan.layers) - 1, len(work.error)
    n_neurons = plan.layers[layer, N_NEURONS]
    at = BLOCK * plan.layers[layer, NEURONS_BEFORE] + n_waiting * n_neurons
    errors = work.errors[at : at + n_neurons]
    at = plan.layers[layer, STATE_AT] + 3 * n_neurons
    pseudo_derivative = state[at : at + n_neurons]
    if plan.is_broadcast:
        at = plan.layers[layer, FEEDBACK_AT]
        weights = feedback[at : at + n_classes * n_neurons].reshape((n_classes, n_neurons))
        _signal_broadcast(errors, weights, work.error)
    elif layer == top:
        at = plan.readout_at
        weights = parameters[at : at + n_neurons * n_classes].reshape((n_neurons, n_classes))
        _signal_through(errors, pseudo_derivative, weights, work.error)
    else:
        n_above = plan.layers[layer + 1, N_NEURONS]
        at = BLOCK * plan.layers[layer + 1, NEURONS_BEFORE] + n_waiting * n_above
        source = work.vectors[3, :n_above]
        source[:] = work.errors[at : at + n_above] * work.dynamics[layer + 1, 3]
        if plan.is_per_tick and n_waiting > 0:
            n_near = list_spikes(pseudo_derivative, work.lines)
            lines = work.lines[:n_near]
            settle_layer(plan, layer + 1, parameters, work, lines, n_waiting, scale)
        _signal_through(errors, pseudo_derivative, lines_of(plan, layer + 1, parameters), source)
    _finish_errors(errors, pseudo_derivative)


@compiled
def learn(
    plan: Plan,
    parameters: Floats,
    gradients: Floats,
    feedback: Floats,
    state: Floats,
    work: Workspace,
    n_waiting: int,
    scale: np.float32,
) -> None:
    """Put this tick's traces and errors into the block; move or accumulate all the rest."""
    top, n_classes = len(plan.layers) - 1, len(work.error)
    for layer in range(top, -1, -1):
        _find_errors(plan, layer, parameters, feedback, state, work, n_waiting, scale)
    for layer in range(top + 1):
        n_lines, n_neurons = plan.layers[layer, N_LINES], plan.layers[layer, N_NEURONS]
        place = BLOCK * plan.layers[layer, LINES_BEFORE] + n_waiting * n_lines
        at = plan.layers[layer, ELIGIBILITY_AT] + n_lines
        work.traces[place : place + n_lines] = state[at : at + n_lines]
        at = BLOCK * plan.layers[layer, NEURONS_BEFORE] + n_waiting * n_neurons
        errors = work.errors[at : at + n_neurons]
        for scalar in range(N_SCALARS):
            if plan.traces[scalar] >= 0:
                at = plan.layers[layer, FIRST_TRACE_AT]
                at += n_neurons * (2 * plan.traces[scalar] + 1)
                place = plan.layers[layer, SCALARS_AT] + scalar - plan.accumulated_from
                gradients[place] += _dot(state[at : at + n_neurons], errors)
    row = parameters if plan.is_per_tick else gradients
    n_top = plan.layers[top, N_NEURONS]
    at, end = plan.readout_at, plan.readout_at + n_top * n_classes
    weights, biases = row[at:end].reshape((n_top, n_classes)), row[end : end + n_classes]
    spiking = work.spiking[top, : work.n_spiking[top]]
    _move_readout(weights, biases, spiking, work.error, scale)
