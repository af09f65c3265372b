# ruff: noqa: PLR0917 - compiled functions take positions; groups would hide shapes
"""Compiled loops that move lines of weights where velocities or squared gradients take part.

    G += g;   V = m V + g;   w -= rate P V,   P = 1 / (sqrt(v) + eps) or 1

g is the outer product eS[t] d[t] of a tick. Ticks wait as in `compiled_settling`, and a line stays
in registers while it takes them in order. A velocity moves at every labelled tick, whether its line
was active or not: a line that waits owes those moves too.

Shapes: M input lines, N neurons.
"""

import numpy as np

from tclif_core.compilation import inlined
from tclif_core.kernels.compiled_lanes import (
    WIDE,
    load,
    multiply,
    multiply_add,
    spread,
    store,
    without_tiny,
)
from tclif_core.kernels.compiled_settling import FOUR, add_to_line, add_up_layer, add_up_lines
from tclif_core.kernels.compiled_updates import TINY_MOMENT
from tclif_core.kernels.compiled_vectors import ZERO, fill
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

NEAR = 32
"""Lines that are brought up to date and read at once: they fit the first level of the cache.

A multiple of four: lines are added up by fours, and where a call begins must not change which.
"""


@inlined
def _move_with_velocity(
    weights: Floats,
    velocity: Floats,
    steps: Floats,
    traces: Floats,
    n_lines: int,
    errors: Floats,
    first: int,
    n_waiting: int,
    momentum: np.float32,
) -> None:
    """Move a line by its ticks from ``first`` on; arguments as those of `move_line`."""
    n, j = len(weights), 0
    keep, least = spread(momentum, WIDE), spread(TINY_MOMENT, WIDE)
    while j + WIDE <= n:
        weight, moved, step = load(weights, j, WIDE), load(velocity, j, WIDE), load(steps, j, WIDE)
        for k in range(first, n_waiting):
            estimate = multiply(spread(traces[k * n_lines], WIDE), load(errors, k * n + j, WIDE))
            # left alone it would end as a denormal
            moved = without_tiny(multiply_add(keep, moved, estimate), least)
            weight = multiply_add(step, moved, weight)
        store(weights, j, weight)
        store(velocity, j, moved)
        j += WIDE
    for k in range(first, n_waiting):
        trace = traces[k * n_lines]
        for last in range(j, n):
            speed = multiply_add(momentum, velocity[last], trace * errors[k * n + last])
            speed = ZERO if abs(speed) < TINY_MOMENT else speed
            velocity[last] = speed
            weights[last] = multiply_add(steps[last], speed, weights[last])


@inlined
def _move_at_once(
    weights: Floats,
    steps: Floats,
    traces: Floats,
    n_lines: int,
    errors: Floats,
    first: int,
    n_waiting: int,
) -> None:
    """Move a line by its ticks from ``first`` on; arguments as those of `move_line`."""
    n, j = len(weights), 0
    while j + WIDE <= n:
        weight, step = load(weights, j, WIDE), load(steps, j, WIDE)
        for k in range(first, n_waiting):
            estimate = multiply(spread(traces[k * n_lines], WIDE), load(errors, k * n + j, WIDE))
            weight = multiply_add(step, estimate, weight)
        store(weights, j, weight)
        j += WIDE
    for k in range(first, n_waiting):
        trace = traces[k * n_lines]
        for last in range(j, n):
            estimate_there = trace * errors[k * n + last]
            weights[last] = multiply_add(steps[last], estimate_there, weights[last])


@inlined
def _find_steps(
    plan: Plan, steps: Floats, squares: Floats, has_steps: Integers, rate: np.float32
) -> None:
    """Write how far each number of a line moves for its estimate, if that is not known yet.

    Squares stand still while ticks go by, and their roots are dear: each line's are taken once a
    visit.
    """
    if not has_steps[0]:
        has_steps[0] = 1
        for j in range(len(squares)):
            steps[j] = -rate / (np.sqrt(squares[j]) + plan.preconditioner_epsilon)


@inlined
def move_line(
    plan: Plan,
    rows: SlotRows,
    work: Workspace,
    at: int,
    n: int,
    place: int,
    traces: Floats,
    n_lines: int,
    errors: Floats,
    first: int,
    n_waiting: int,
    rate: np.float32,
) -> None:
    """Move a line of weights by its waiting ticks, where velocities or squares take part.

    Args:
        plan: The bank's.
        rows: The slot's, written in place.
        work: The bank's scratch.
        at: Where the line lies in the rows.
        n: How many numbers it has.
        place: Its number among the lines of all layers and the readout.
        traces: Those of the line at the waiting ticks, one in ``n_lines``, from its first on.
        n_lines: How many traces a tick has.
        errors: d at the waiting ticks, one tick after the other.
        first: The first tick that the line does not have yet.
        n_waiting: How many it shall have.
        rate: Of its layer.
    """
    weights = rows.parameters[at : at + n]
    if plan.is_preconditioned:
        steps = work.steps[at : at + n]
        _find_steps(plan, steps, rows.second_moment[at : at + n], work.has_steps[place:], rate)
        add_to_line(rows.gradients, at, 0, n, traces, n_lines, errors, first, n_waiting)
    else:
        steps = work.steps[:n]
        fill(steps, -rate)
    if plan.momentum > ZERO:
        velocity = rows.first_moment[at : at + n]
        _move_with_velocity(
            weights, velocity, steps, traces, n_lines, errors, first, n_waiting, plan.momentum
        )
    else:
        _move_at_once(weights, steps, traces, n_lines, errors, first, n_waiting)


@inlined
def _move_lines(
    plan: Plan, layer: int, rows: SlotRows, work: Workspace, lines: Integers, n_waiting: int
) -> None:
    """Bring some lines of a layer up to date where velocities or squares take part."""
    sizes = plan.layers[layer]
    n_lines, n_neurons = sizes[N_LINES], sizes[N_NEURONS]
    place = sizes[LINES_BEFORE]
    settled = work.settled[place : place + n_lines]
    traces = work.traces[BLOCK * place : BLOCK * (place + n_lines)]
    place = sizes[NEURONS_BEFORE]
    errors = work.errors[BLOCK * place : BLOCK * (place + n_neurons)]
    rate = work.rates[layer]
    for line in lines:
        first = settled[line]
        settled[line] = n_waiting
        if first < n_waiting:
            move_line(
                plan,
                rows,
                work,
                sizes[LINES_AT] + line * n_neurons,
                n_neurons,
                sizes[LINES_BEFORE] + line,
                traces[line:],
                n_lines,
                errors,
                first,
                n_waiting,
                rate,
            )


@inlined
def _move_all(plan: Plan, layer: int, rows: SlotRows, work: Workspace, n_waiting: int) -> None:
    """Bring all lines of a layer up to date where velocities or squares take part."""
    lines = work.lines[: plan.layers[layer, N_LINES]]
    for line in range(len(lines)):
        lines[line] = line
    _move_lines(plan, layer, rows, work, lines, n_waiting)


@inlined
def bring_up_to_date(
    plan: Plan,
    layer: int,
    rows: SlotRows,
    work: Workspace,
    lines: Integers,
    common: int,
    n_waiting: int,
) -> None:
    """Give some lines of a layer, which are about to be read, the per-tick updates that wait.

    ``common`` is the first tick that most of them lack.
    """
    if plan.has_moments:
        _move_lines(plan, layer, rows, work, lines, n_waiting)
    else:
        add_up_lines(plan.layers[layer], rows.parameters, work, lines, common, n_waiting)


@inlined
def settle_all(plan: Plan, rows: SlotRows, work: Workspace, n_waiting: int) -> None:
    """Empty the block into weights with per-tick updates, else into gradients."""
    if n_waiting == 0:
        return
    row = rows.parameters if plan.is_per_tick else rows.gradients
    # weights are at hand already
    n_ahead = 0 if plan.is_per_tick else FOUR
    for layer in range(len(plan.layers)):
        if plan.has_moments:
            _move_all(plan, layer, rows, work, n_waiting)
        else:
            add_up_layer(plan.layers[layer], row, work, n_ahead, n_waiting)
    fill(work.settled, 0)
