# ruff: noqa: PLR0917 - compiled functions take positions; groups would hide shapes
"""Compiled loops that bring the readout's error down to the neurons of every layer.

Equations are those of `eprop`. Where the pseudo-derivative is zero nothing arrives, and nothing is
computed. With per-tick updates a line of the layer above that is about to be read is brought up to
date first.

Shapes: N neurons, C classes.
"""

from tclif_core.compilation import compiled, inlined
from tclif_core.kernels.compiled_lanes import LANES, load, multiply_add, spread, total
from tclif_core.kernels.compiled_layers import list_spikes
from tclif_core.kernels.compiled_moving import NEAR, bring_up_to_date
from tclif_core.kernels.compiled_settling import FOUR
from tclif_core.kernels.compiled_vectors import TINY, ZERO, dot, fill
from tclif_core.kernels.cpu_plan import (
    BLOCK,
    FEEDBACK_AT,
    LINES_AT,
    N_NEURONS,
    NEURONS_BEFORE,
    STATE_AT,
    Floats,
    Integers,
    Plan,
    SlotRows,
    Workspace,
)


@inlined
def place_in_block(n_before: int, width: int, n_waiting: int) -> int:
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
    at = place_in_block(above[NEURONS_BEFORE], n_above, n_waiting)
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
def find_errors(
    plan: Plan, layer: int, rows: SlotRows, state: Floats, work: Workspace, n_waiting: int
) -> None:
    """Write a layer's neuron errors into the block's next place; the layer above has its own."""
    top, n_classes = len(plan.layers) - 1, len(work.error)
    n_neurons = plan.layers[layer, N_NEURONS]
    at = place_in_block(plan.layers[layer, NEURONS_BEFORE], n_neurons, n_waiting)
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
