# ruff: noqa: PLR0917 - compiled functions take positions; groups would hide shapes
"""Compiled walk through a batch: rows one after the other, nothing in Python between ticks.

A call ends with an empty block of waiting outer products (see `compiled_learning`), so that no bit
depends on how a row's ticks are cut into calls.

Shapes: as in `batch`; the bank's rows are flat, see `row_layout`.
"""

import numpy as np
from numpy.typing import NDArray

from tclif_core.kernels.compilation import compiled
from tclif_core.kernels.compiled_layers import (
    ONE,
    ZERO,
    advance_eligibility,
    advance_neurons,
    advance_readout,
    advance_scalar_traces,
    cross_entropy,
    find_dynamics,
    gather,
    list_active,
    list_spikes,
)
from tclif_core.kernels.compiled_learning import learn as learn_tick
from tclif_core.kernels.compiled_learning import lines_of, settle_all, settle_layer
from tclif_core.kernels.cpu_plan import (
    BLOCK,
    ELIGIBILITY_AT,
    FIRST_TRACE_AT,
    N_LINES,
    N_NEURONS,
    STATE_AT,
    Doubles,
    Floats,
    Integers,
    Plan,
    Rows,
    Workspace,
)
from tclif_core.slot_bank import (
    FIRST_SPIKES,
    LABELLED_TICKS,
    N_PENDING,
    TICK,
    TICKS_SINCE_OPEN,
)


@compiled
def _advance_layer(
    plan: Plan,
    layer: int,
    parameters: Floats,
    state: Floats,
    work: Workspace,
    channels: NDArray[np.int32],
    values: Floats,
    learns: bool,  # noqa: FBT001 - compiled code takes positions
    n_waiting: int,
    scale: np.float32,
) -> None:
    """Advance a layer by one tick, its traces too if the row learns."""
    sizes = plan.layers[layer]
    n_neurons, n_lines = sizes[N_NEURONS], sizes[N_LINES]
    n_active = list_active(
        layer,
        sizes,
        plan.is_recurrent,
        channels,
        values,
        work.spiking,
        work.n_spiking,
        work.lines,
        work.line_values,
    )
    lines, line_values = work.lines[:n_active], work.line_values[:n_active]
    if plan.is_per_tick and n_waiting > 0:
        settle_layer(plan, layer, parameters, work, lines, n_waiting, scale)
    current = work.vectors[0, :n_neurons]
    gather(current, lines_of(plan, layer, parameters), lines, line_values)
    dynamics = work.dynamics[layer]
    if learns:
        at = sizes[ELIGIBILITY_AT]
        pair = state[at : at + 2 * n_lines].reshape((2, n_lines))
        advance_eligibility(pair[0], pair[1], lines, line_values, dynamics)
    at = sizes[STATE_AT]
    neurons = state[at : at + 4 * n_neurons].reshape((4, n_neurons))
    dendrite_before, soma_before = work.vectors[1, :n_neurons], work.vectors[2, :n_neurons]
    dendrite_before[:] = neurons[0]
    soma_before[:] = neurons[1]
    advance_neurons(
        neurons[0],
        neurons[1],
        neurons[2],
        neurons[3],
        current,
        dynamics,
        plan.threshold,
        plan.dendritic_reset,
        plan.surrogate_width,
    )
    work.n_spiking[layer] = list_spikes(neurons[2], work.spiking[layer])
    if learns:
        at = sizes[FIRST_TRACE_AT]
        n_pairs = (plan.traces >= 0).sum()
        pairs = state[at : at + 2 * n_pairs * n_neurons].reshape((2 * n_pairs, n_neurons))
        advance_scalar_traces(
            pairs, plan.traces, dendrite_before, soma_before, neurons[0], dynamics
        )


@compiled
def _advance_row(
    plan: Plan,
    parameters: Floats,
    gradients: Floats,
    feedback: Floats,
    state: Floats,
    sums: Doubles,
    counters: Integers,
    updates: Integers,
    work: Workspace,
    rate: float,
    learns: bool,  # noqa: FBT001 - compiled code takes positions
    first_tick: int,
    last_tick: int,
    tick_events: Integers,
    channels: NDArray[np.int32],
    values: Floats,
    targets: Integers,
    logits: Floats,
    mean_probabilities: Floats,
    loss: Floats,
) -> None:
    """Advance one slot's strand by its ticks ``[first_tick, last_tick)``."""
    scale = np.float32(-rate) if plan.is_per_tick else ONE
    n_layers, n_classes = len(plan.layers), len(work.error)
    n_top = plan.layers[n_layers - 1, N_NEURONS]
    at, end = plan.readout_at, plan.readout_at + n_top * n_classes
    w_out, b_out = parameters[at:end].reshape((n_top, n_classes)), parameters[end : end + n_classes]
    y = state[plan.logits_at : plan.logits_at + n_classes]
    work.settled[:] = 0
    for layer in range(n_layers):
        at = plan.layers[layer, STATE_AT] + 2 * plan.layers[layer, N_NEURONS]
        spikes = state[at : at + plan.layers[layer, N_NEURONS]]
        work.n_spiking[layer] = list_spikes(spikes, work.spiking[layer])
    n_waiting = 0
    for tick in range(first_tick, last_tick):
        begin, end = tick_events[tick], tick_events[tick + 1]
        find_dynamics(plan, counters[TICK], parameters, work.dynamics)
        for layer in range(n_layers):
            _advance_layer(
                plan,
                layer,
                parameters,
                state,
                work,
                channels[begin:end],
                values[begin:end],
                learns,
                n_waiting,
                scale,
            )
            counters[FIRST_SPIKES + layer] += work.n_spiking[layer]
        spiking = work.spiking[n_layers - 1, : work.n_spiking[n_layers - 1]]
        advance_readout(y, w_out, b_out, spiking, plan.readout_decay, work.probabilities, sums)
        counters[TICK] += 1
        counters[TICKS_SINCE_OPEN] += 1
        n_ticks = np.float64(counters[TICK])
        for c in range(n_classes):
            logits[tick, c] = y[c]
            mean_probabilities[tick, c] = sums[c] / n_ticks
        loss[tick] = ZERO
        target = targets[tick]
        if target < 0:
            continue
        loss[tick] = cross_entropy(y, target)
        sums[n_classes] += loss[tick]
        counters[LABELLED_TICKS] += 1
        if learns:
            work.error[:] = work.probabilities
            work.error[target] -= ONE
            learn_tick(plan, parameters, gradients, feedback, state, work, n_waiting, scale)
            updates[N_PENDING] += 1
            n_waiting += 1
            if n_waiting == BLOCK:
                settle_all(plan, parameters, gradients, work, n_waiting, scale)
                n_waiting = 0
    settle_all(plan, parameters, gradients, work, n_waiting, scale)


@compiled
def advance_rows(
    plan: Plan,
    rows: Rows,
    work: Workspace,
    slots: Integers,
    strands: Integers,
    learn: NDArray[np.bool_],
    row_ticks: Integers,
    tick_events: Integers,
    channels: NDArray[np.int32],
    values: Floats,
    targets: Integers,
    logits: Floats,
    mean_probabilities: Floats,
    loss: Floats,
) -> None:
    """Advance the rows of a batch one after the other, see `batch.Batch` and `batch.AdvanceResult`.

    Args:
        plan: The bank's.
        rows: The bank's, written in place.
        work: The bank's scratch.
        slots: Of each row, like the next two ``[S]``.
        strands: Likewise.
        learn: Likewise.
        row_ticks: Of the block, like the next three.
        tick_events: Likewise.
        channels: Likewise.
        values: Likewise.
        targets: Of each tick ``[B]``.
        logits: Written, like the next two, at every tick.
        mean_probabilities: Likewise.
        loss: Likewise.
    """
    for row in range(len(slots)):
        slot, strand = slots[row], strands[row]
        _advance_row(
            plan,
            rows.parameters[slot],
            rows.gradients[slot],
            rows.feedback[slot],
            rows.state[slot, strand],
            rows.sums[slot, strand],
            rows.counters[slot, strand],
            rows.updates[slot],
            work,
            rows.rates[slot],
            learn[row],
            row_ticks[row],
            row_ticks[row + 1],
            tick_events,
            channels,
            values,
            targets,
            logits,
            mean_probabilities,
            loss,
        )
