# ruff: noqa: PLR0917 - compiled functions take positions; groups would hide shapes
"""Compiled loops that empty a block of waiting outer products into a layer's lines.

The outer products eS[t] d[t] of some ticks wait in a block and are taken line by line, so that a
line of the matrix is loaded once for many ticks. Each number still takes its ticks one after the
other, in order and by the same operations: the block changes when, not what. There are two ways.
Where a line only adds up (gradients of a segment; weights of plain SGD) each tick is one fused
multiply-add, four ticks at a time. Where velocities or squared gradients take part (`move_line`)

    G += g;   V = m V + g;   w -= rate P V,   P = 1 / (sqrt(v) + eps) or 1

one tick follows the other, and a velocity moves at every labelled tick, whether its line was active
or not: a line that waits owes those moves too.

Shapes: M input lines, N neurons.
"""

import numpy as np

from tclif_core.kernels.compilation import compiled, inlined
from tclif_core.kernels.compiled_layers import ZERO
from tclif_core.kernels.compiled_updates import TINY_MOMENT
from tclif_core.kernels.cpu_plan import (
    BLOCK,
    LINES_AT,
    LINES_BEFORE,
    N_LINES,
    N_NEURONS,
    NEURONS_BEFORE,
    Floats,
    Integers,
    Plan,
    SlotRows,
    Workspace,
)


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
    """Add the waiting ticks from ``first`` on to one line; see `_add_up`."""
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
def _add_up(
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


@inlined
def _move_with_velocity(
    weights: Floats,
    velocity: Floats,
    steps: Floats,
    trace: np.float32,
    error: Floats,
    momentum: np.float32,
) -> None:
    for j in range(len(error)):
        moved = momentum * velocity[j] + trace * error[j]
        # left alone it would end as a denormal
        moved = moved if abs(moved) >= TINY_MOMENT else ZERO
        velocity[j] = moved
        weights[j] -= steps[j] * moved


@inlined
def _move_and_add_up(
    weights: Floats, gradient: Floats, steps: Floats, trace: np.float32, error: Floats
) -> None:
    for j in range(len(error)):
        estimate = trace * error[j]
        gradient[j] += estimate
        weights[j] -= steps[j] * estimate


@compiled
def move_line(
    plan: Plan,
    rows: SlotRows,
    steps: Floats,
    at: int,
    line: int,
    traces: Floats,
    errors: Floats,
    first: int,
    n_waiting: int,
    rate: np.float32,
) -> None:
    """Move a line of weights by its waiting ticks, where velocities or squares take part.

    Args:
        plan: The bank's.
        rows: The slot's, written in place.
        steps: Scratch, as long as a line or longer.
        at: Where the line lies in the rows.
        line: Which of its matrix it is.
        traces: eS at the waiting ticks, a line of the matrix in each column.
        errors: d at the waiting ticks, as wide as the line.
        first: The first tick that the line does not have yet.
        n_waiting: How many it shall have.
        rate: Of its layer.
    """
    n = errors.shape[1]
    weights, gradient = rows.parameters[at : at + n], rows.gradients[at : at + n]
    velocity, squares = rows.first_moment[at : at + n], rows.second_moment[at : at + n]
    if plan.is_preconditioned:
        for j in range(n):
            steps[j] = rate / (np.sqrt(squares[j]) + plan.preconditioner_epsilon)
    else:
        steps[:n] = rate
    for k in range(first, n_waiting):
        trace, error = traces[k, line], errors[k]
        if plan.momentum > ZERO:
            _move_with_velocity(weights, velocity, steps, trace, error, plan.momentum)
            if plan.is_preconditioned and trace != ZERO:
                for j in range(n):
                    gradient[j] += trace * error[j]
        elif trace != ZERO:
            _move_and_add_up(weights, gradient, steps, trace, error)


@compiled
def lines_of(plan: Plan, layer: int, row: Floats) -> Floats:
    """Return a layer's lines ``[M, N]`` in a row of parameters or gradients."""
    n_lines, n_neurons = plan.layers[layer, N_LINES], plan.layers[layer, N_NEURONS]
    at = plan.layers[layer, LINES_AT]
    return row[at : at + n_lines * n_neurons].reshape((n_lines, n_neurons))


@compiled
def add_up_layer(
    sizes: Integers,
    row: Floats,
    all_traces: Floats,
    all_errors: Floats,
    all_settled: Integers,
    lines: Integers,
    n_waiting: int,
    scale: np.float32,
) -> None:
    """Bring some lines of a layer up to date where they only add up.

    It is called often, and each array that goes into a call has a cost.

    Args:
        sizes: Of the layer, from the plan.
        row: Of parameters or gradients, written in place.
        all_traces: The workspace's, like the next two.
        all_errors: Likewise.
        all_settled: Likewise.
        lines: Which lines.
        n_waiting: How many ticks wait.
        scale: 1 into gradients, minus the rate into weights.
    """
    n_lines, n_neurons, at = sizes[N_LINES], sizes[N_NEURONS], sizes[LINES_AT]
    matrix = row[at : at + n_lines * n_neurons].reshape((n_lines, n_neurons))
    place = sizes[LINES_BEFORE]
    traces = all_traces[BLOCK * place : BLOCK * (place + n_lines)].reshape((BLOCK, n_lines))
    settled = all_settled[place : place + n_lines]
    place = sizes[NEURONS_BEFORE]
    errors = all_errors[BLOCK * place : BLOCK * (place + n_neurons)].reshape((BLOCK, n_neurons))
    _add_up(matrix, lines, traces, errors, settled, n_waiting, scale)


@compiled
def move_layer(
    plan: Plan, layer: int, rows: SlotRows, work: Workspace, lines: Integers, n_waiting: int
) -> None:
    """Bring some lines of a layer up to date where velocities or squares take part."""
    n_lines, n_neurons = plan.layers[layer, N_LINES], plan.layers[layer, N_NEURONS]
    place = plan.layers[layer, LINES_BEFORE]
    traces = work.traces[BLOCK * place : BLOCK * (place + n_lines)].reshape((BLOCK, n_lines))
    settled = work.settled[place : place + n_lines]
    place = plan.layers[layer, NEURONS_BEFORE]
    errors = work.errors[BLOCK * place : BLOCK * (place + n_neurons)].reshape((BLOCK, n_neurons))
    rate, steps = -work.scales[layer], work.vectors[0]
    for line in lines:
        at = plan.layers[layer, LINES_AT] + line * n_neurons
        first = settled[line]
        settled[line] = n_waiting
        move_line(plan, rows, steps, at, line, traces, errors, first, n_waiting, rate)


@compiled
def settle_all(plan: Plan, rows: SlotRows, work: Workspace, n_waiting: int) -> None:
    """Empty the block into weights with per-tick updates, else into gradients."""
    if n_waiting == 0:
        return
    row = rows.parameters if plan.is_per_tick else rows.gradients
    for layer in range(len(plan.layers)):
        lines = work.all_lines[: plan.layers[layer, N_LINES]]
        if plan.has_moments:
            move_layer(plan, layer, rows, work, lines, n_waiting)
        else:
            add_up_layer(
                plan.layers[layer],
                row,
                work.traces,
                work.errors,
                work.settled,
                lines,
                n_waiting,
                work.scales[layer],
            )
    work.settled[:] = 0
