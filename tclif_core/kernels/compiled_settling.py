# ruff: noqa: PLR0917 - compiled functions take positions; groups would hide shapes
"""Compiled loops that empty a block of waiting outer products into a layer's lines.

The outer products eS[t] d[t] of some ticks wait in a block and are taken line by line, so that a
line of the matrix is loaded once for many ticks and stays in registers meanwhile. Each number still
takes its ticks one after the other, in order and by the same operations: the block changes when,
not what. Lines here only add up, gradients of a segment or weights of plain SGD, by one fused
multiply-add a tick; those with velocities or squares are in `compiled_moving`.

Shapes: M input lines, N neurons.
"""

from tclif_core.compilation import compiled, inlined
from tclif_core.kernels.compiled_lanes import LANES, WIDE, WIDEST, load, multiply_add, spread, store
from tclif_core.kernels.compiled_vectors import ZERO, fetch_ahead, fill
from tclif_core.kernels.cpu_plan import (
    BLOCK,
    LINES_AT,
    LINES_BEFORE,
    N_LINES,
    N_NEURONS,
    NEURONS_BEFORE,
    Floats,
    Integers,
    Workspace,
)

FOUR = 4
"""Lines that are taken together, so that what they share is loaded once."""

AHEAD = 3 * FOUR
"""How many lines before its turn a line is asked for: about half a microsecond."""


@inlined
def _add_rest(
    row: Floats,
    at: int,
    begin: int,
    n_neurons: int,
    traces: Floats,
    n_lines: int,
    errors: Floats,
    first: int,
    n_waiting: int,
) -> None:
    """Do number by number what `add_to_line` does by tiles."""
    for k in range(first, n_waiting):
        for last in range(begin, n_neurons):
            error = errors[k * n_neurons + last]
            row[at + last] = multiply_add(traces[k * n_lines], error, row[at + last])


@inlined
def add_to_line(
    row: Floats,
    at: int,
    begin: int,
    n_neurons: int,
    traces: Floats,
    n_lines: int,
    errors: Floats,
    first: int,
    n_waiting: int,
) -> None:
    """Add the waiting ticks from ``first`` on to a line's numbers from ``begin`` on.

    Args:
        row: Of parameters or gradients, written in place.
        at: Where the line lies in it.
        begin: Which of its numbers come first.
        n_neurons: How many it has.
        traces: Those of the line at the waiting ticks, one in ``n_lines``, from its first on.
        n_lines: M.
        errors: d at the waiting ticks, one tick after the other.
        first: The first tick that the line does not have yet.
        n_waiting: How many it shall have.
    """
    j = begin
    while j + WIDEST <= n_neurons:
        widest = load(row, at + j, WIDEST)
        for k in range(first, n_waiting):
            error = load(errors, k * n_neurons + j, WIDEST)
            widest = multiply_add(spread(traces[k * n_lines], WIDEST), error, widest)
        store(row, at + j, widest)
        j += WIDEST
    while j + WIDE <= n_neurons:
        wide = load(row, at + j, WIDE)
        for k in range(first, n_waiting):
            some = load(errors, k * n_neurons + j, WIDE)
            wide = multiply_add(spread(traces[k * n_lines], WIDE), some, wide)
        store(row, at + j, wide)
        j += WIDE
    while j + LANES <= n_neurons:
        narrow = load(row, at + j, LANES)
        for k in range(first, n_waiting):
            few = load(errors, k * n_neurons + j, LANES)
            narrow = multiply_add(spread(traces[k * n_lines], LANES), few, narrow)
        store(row, at + j, narrow)
        j += LANES
    _add_rest(row, at, j, n_neurons, traces, n_lines, errors, first, n_waiting)


@inlined
def _add_to_four(
    row: Floats,
    matrix_at: int,
    n_neurons: int,
    traces: Floats,
    n_lines: int,
    lines: Integers,
    errors: Floats,
    first: int,
    n_waiting: int,
) -> None:
    """Do for four lines at once what `add_to_line` does for one: errors are loaded once for all.

    Args:
        row: Of parameters or gradients, written in place.
        matrix_at: Where the layer's matrix lies in it.
        n_neurons: N.
        traces: eS at the waiting ticks, one tick after the other.
        n_lines: M.
        lines: Which lines ``[4]``.
        errors: d at the waiting ticks, one tick after the other.
        first: The first tick that they do not have yet.
        n_waiting: How many they shall have.
    """
    l0, l1, l2, l3 = lines[0], lines[1], lines[2], lines[3]
    at0, at1 = matrix_at + l0 * n_neurons, matrix_at + l1 * n_neurons
    at2, at3 = matrix_at + l2 * n_neurons, matrix_at + l3 * n_neurons
    j = 0
    while j + WIDE <= n_neurons:
        wide0, wide1 = load(row, at0 + j, WIDE), load(row, at1 + j, WIDE)
        wide2, wide3 = load(row, at2 + j, WIDE), load(row, at3 + j, WIDE)
        for k in range(first, n_waiting):
            error = load(errors, k * n_neurons + j, WIDE)
            tick = k * n_lines
            wide0 = multiply_add(spread(traces[tick + l0], WIDE), error, wide0)
            wide1 = multiply_add(spread(traces[tick + l1], WIDE), error, wide1)
            wide2 = multiply_add(spread(traces[tick + l2], WIDE), error, wide2)
            wide3 = multiply_add(spread(traces[tick + l3], WIDE), error, wide3)
        store(row, at0 + j, wide0)
        store(row, at1 + j, wide1)
        store(row, at2 + j, wide2)
        store(row, at3 + j, wide3)
        j += WIDE
    if j < n_neurons:
        for line in lines:
            at = matrix_at + line * n_neurons
            add_to_line(row, at, j, n_neurons, traces[line:], n_lines, errors, first, n_waiting)


@compiled
def _add_up(
    row: Floats,
    matrix_at: int,
    n_neurons: int,
    traces: Floats,
    errors: Floats,
    settled: Integers,
    lines: Integers,
    alike: Integers,
    common: int,
    n_waiting: int,
) -> None:
    n_lines, n_alike = len(settled), 0
    for line in lines:
        first = settled[line]
        settled[line] = n_waiting
        if first == common:
            alike[n_alike] = line
            n_alike += 1
            if n_alike == FOUR:
                _add_to_four(
                    row, matrix_at, n_neurons, traces, n_lines, alike, errors, common, n_waiting
                )
                n_alike = 0
        elif first < n_waiting:
            at = matrix_at + line * n_neurons
            add_to_line(row, at, 0, n_neurons, traces[line:], n_lines, errors, first, n_waiting)
    for line in alike[:n_alike]:
        at = matrix_at + line * n_neurons
        add_to_line(row, at, 0, n_neurons, traces[line:], n_lines, errors, common, n_waiting)


@inlined
def _add_magnitudes(sums: Floats, traces: Floats, n_waiting: int) -> None:
    """Write the sum of each line's magnitudes over the waiting ticks ``[M]``."""
    fill(sums, ZERO)
    for k in range(n_waiting):
        for line in range(len(sums)):
            sums[line] += abs(traces[k * len(sums) + line])


@compiled
def _add_up_all(
    row: Floats,
    matrix_at: int,
    n_neurons: int,
    traces: Floats,
    errors: Floats,
    settled: Integers,
    lines: Integers,
    moves: Floats,
    n_ahead: int,
    n_waiting: int,
) -> None:
    n_lines = len(settled)
    _add_magnitudes(moves[:n_lines], traces, n_waiting)
    n_whole = 0
    for line in range(n_lines):
        # a line whose traces are all zero has nothing to add; a NaN compares equal to nothing
        if moves[line] != ZERO:
            first = settled[line]
            if first == 0:
                lines[n_whole] = line
                n_whole += 1
            elif first < n_waiting:
                at = matrix_at + line * n_neurons
                add_to_line(row, at, 0, n_neurons, traces[line:], n_lines, errors, first, n_waiting)
    n_in_fours = n_whole - n_whole % FOUR
    for i in range(0, n_in_fours, FOUR):
        for line in lines[i + AHEAD : min(i + AHEAD + n_ahead, n_in_fours)]:
            at = matrix_at + line * n_neurons
            fetch_ahead(row[at : at + n_neurons])
        _add_to_four(
            row, matrix_at, n_neurons, traces, n_lines, lines[i : i + FOUR], errors, 0, n_waiting
        )
    for i in range(n_in_fours, n_whole):
        at = matrix_at + lines[i] * n_neurons
        add_to_line(row, at, 0, n_neurons, traces[lines[i] :], n_lines, errors, 0, n_waiting)


@inlined
def add_up_lines(
    sizes: Integers, row: Floats, work: Workspace, lines: Integers, common: int, n_waiting: int
) -> None:
    """Bring some lines of a layer up to date where they only add up.

    Args:
        sizes: Of the layer, from the plan.
        row: Of parameters or gradients, written in place.
        work: The bank's scratch.
        lines: Which lines.
        common: The first tick that most of them lack, below ``n_waiting``: lines that have it in
            common are taken by fours.
        n_waiting: How many ticks wait.
    """
    n_lines, n_neurons = sizes[N_LINES], sizes[N_NEURONS]
    place = sizes[LINES_BEFORE]
    settled = work.settled[place : place + n_lines]
    traces = work.traces[BLOCK * place : BLOCK * (place + n_lines)]
    place = sizes[NEURONS_BEFORE]
    errors = work.errors[BLOCK * place : BLOCK * (place + n_neurons)]
    at = sizes[LINES_AT]
    _add_up(row, at, n_neurons, traces, errors, settled, lines, work.alike, common, n_waiting)


@inlined
def add_up_layer(
    sizes: Integers, row: Floats, work: Workspace, n_ahead: int, n_waiting: int
) -> None:
    """Do for all lines of a layer what `add_up_lines` does for some.

    Args:
        sizes: Of the layer, from the plan.
        row: Of parameters or gradients, written in place.
        work: The bank's scratch.
        n_ahead: `FOUR` where lines lie in main memory, as gradients of many sessions do: they are
            asked for before their turn, so that arithmetic goes on while they come. Else 0.
        n_waiting: How many ticks wait.
    """
    n_lines, n_neurons = sizes[N_LINES], sizes[N_NEURONS]
    place = sizes[LINES_BEFORE]
    settled = work.settled[place : place + n_lines]
    traces = work.traces[BLOCK * place : BLOCK * (place + n_lines)]
    place = sizes[NEURONS_BEFORE]
    errors = work.errors[BLOCK * place : BLOCK * (place + n_neurons)]
    at = sizes[LINES_AT]
    _add_up_all(
        row,
        at,
        n_neurons,
        traces,
        errors,
        settled,
        work.lines,
        work.line_values,
        n_ahead,
        n_waiting,
    )
