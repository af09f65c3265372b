# ruff: noqa: PLR0917 - compiled functions take positions; groups would hide shapes
"""Compiled walk through a batch: rows one after the other, nothing in Python between ticks.

A call ends with an empty block of waiting outer products (see `compiled_settling`), so that no bit
depends on how a row's ticks are cut into calls.

Shapes: as in `batch`; the bank's rows are flat, see `row_layout`.
"""

import numpy as np
from numpy.typing import NDArray

from tclif_core.compilation import entrance, inlined
from tclif_core.kernels.compiled_filtering import filter_traces
from tclif_core.kernels.compiled_layers import (
    N_SCALARS,
    advance_eligibility,
    advance_neurons,
    advance_scalar_traces,
    find_dynamics,
    gather,
    list_active,
    list_spikes,
    reset_early,
    take_surrogate,
)
from tclif_core.kernels.compiled_learning import learn as learn_tick
from tclif_core.kernels.compiled_moving import NEAR, bring_up_to_date, settle_all
from tclif_core.kernels.compiled_readout import advance_readout, filter_spikes, find_loss
from tclif_core.kernels.compiled_vectors import ONE, ZERO, fetch_ahead, fill
from tclif_core.kernels.compiled_workbench import Workbench
from tclif_core.kernels.cpu_plan import (
    BLOCK,
    ELIGIBILITY_AT,
    FIRST_TRACE_AT,
    LINES_AT,
    LINES_BEFORE,
    N_LINES,
    N_NEURONS,
    STATE_AT,
    Doubles,
    Floats,
    Integers,
    Plan,
    SlotRows,
    Workspace,
)
from tclif_core.slot_bank import (
    FIRST_SPIKES,
    LABELLED_TICKS,
    N_PENDING,
    TICK,
    TICKS_SINCE_OPEN,
)


@inlined
def _advance_layer(
    plan: Plan,
    layer: int,
    rows: SlotRows,
    state: Floats,
    work: Workspace,
    channels: NDArray[np.int32],
    values: Floats,
    learns: bool,  # noqa: FBT001 - compiled code takes positions
    n_waiting: int,
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
    current = work.vectors[0, :n_neurons]
    fill(current, ZERO)
    at = sizes[LINES_AT]
    matrix = rows.parameters[at : at + n_lines * n_neurons]
    if plan.is_per_tick and n_waiting > 0:
        for begin in range(0, n_active, NEAR):
            some = lines[begin : begin + NEAR]
            # a channel seldom has events in two ticks of a block
            bring_up_to_date(plan, layer, rows, work, some, 0, n_waiting)
            gather(current, matrix, some, line_values[begin : begin + NEAR])
    else:
        gather(current, matrix, lines, line_values)
    dynamics = work.dynamics[layer]
    if learns:
        at = sizes[ELIGIBILITY_AT]
        dendrite, soma = state[at : at + n_lines], state[at + n_lines : at + 2 * n_lines]
        at = BLOCK * sizes[LINES_BEFORE] + n_waiting * n_lines
        waiting = work.traces[at : at + n_lines]
        scale = work.scales[layer]
        advance_eligibility(dendrite, soma, lines, line_values, dynamics, waiting, scale)
    at = sizes[STATE_AT]
    neurons = state[at : at + 4 * n_neurons].reshape((4, n_neurons))
    dendrite_before, soma_before = work.vectors[1, :n_neurons], work.vectors[2, :n_neurons]
    reset_early(plan, neurons, dendrite_before, soma_before)
    advance_neurons(plan, neurons, dendrite_before, soma_before, current, dynamics)
    take_surrogate(plan.surrogate, plan.surrogate_width, neurons[3])
    work.n_spiking[layer] = list_spikes(neurons[2], work.spiking[layer])
    if learns:
        at = sizes[FIRST_TRACE_AT]
        n_pairs = 0
        for scalar in range(N_SCALARS):
            n_pairs += plan.traces[scalar] >= 0
        pairs = state[at : at + 2 * n_pairs * n_neurons].reshape((2 * n_pairs, n_neurons))
        advance_scalar_traces(
            pairs, plan.traces, dendrite_before, soma_before, neurons[0], dynamics
        )


@inlined
def _begin_row(plan: Plan, state: Floats, work: Workspace, rate: float) -> None:
    """Make scratch that ticks hand on hold what it does before a row's first tick."""
    fill(work.settled, 0)
    fill(work.has_steps, 0)
    for layer in range(len(plan.layers)):
        at = plan.layers[layer, STATE_AT] + 2 * plan.layers[layer, N_NEURONS]
        spikes = state[at : at + plan.layers[layer, N_NEURONS]]
        work.n_spiking[layer] = list_spikes(spikes, work.spiking[layer])
    only_adds_up = plan.is_per_tick and not plan.has_moments
    for n in range(len(work.rates)):
        work.rates[n] = rate * plan.layer_rates[n]
        work.scales[n] = -work.rates[n] if only_adds_up else ONE


@inlined
def _report(
    y: Floats, sums: Doubles, n_ticks: int, logits: Floats, mean_probabilities: Floats
) -> None:
    """Write what a tick answers ``[C]``."""
    for c in range(len(y)):
        logits[c] = y[c]
        mean_probabilities[c] = sums[c] / np.float64(n_ticks)


@inlined
def _advance_row(
    plan: Plan,
    rows: SlotRows,
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
    labels: Integers,
    target_values: Floats,
    next_parameters: Floats,
    logits: Floats,
    mean_probabilities: Floats,
    loss: Floats,
) -> None:
    """Advance one slot's strand by its ticks ``[first_tick, last_tick)``."""
    n_layers, n_classes = len(plan.layers), len(work.error)
    n_top = plan.layers[n_layers - 1, N_NEURONS]
    at, end = plan.readout_at, plan.readout_at + n_top * n_classes
    w_out = rows.parameters[at:end].reshape((n_top, n_classes))
    b_out = rows.parameters[end : end + n_classes]
    at = plan.layers[n_layers - 1, STATE_AT] + 2 * n_top
    top_spikes = state[at : at + n_top]
    y = state[plan.logits_at : plan.logits_at + n_classes]
    _begin_row(plan, state, work, rate)
    n_waiting, n_parts = 0, (last_tick - first_tick) * n_layers
    part = len(next_parameters) // max(n_parts, 1)
    for tick in range(first_tick, last_tick):
        begin, end = tick_events[tick], tick_events[tick + 1]
        tick_channels, tick_values = channels[begin:end], values[begin:end]
        find_dynamics(plan, counters[TICK], rows.parameters, work.dynamics)
        for layer in range(n_layers):
            # the next session's weights come from main memory while this one's are at work
            at = ((tick - first_tick) * n_layers + layer) * part
            fetch_ahead(next_parameters[at : at + part])
            _advance_layer(
                plan, layer, rows, state, work, tick_channels, tick_values, learns, n_waiting
            )
            counters[FIRST_SPIKES + layer] += work.n_spiking[layer]
        spiking = work.spiking[n_layers - 1, : work.n_spiking[n_layers - 1]]
        log_total = advance_readout(
            y, w_out, b_out, spiking, plan.readout_decay, work.probabilities, sums
        )
        if learns and plan.filters_readout_trace:
            at = plan.readout_trace_at
            filter_spikes(state[at : at + n_top + 1], top_spikes, plan.readout_decay)
        if learns and plan.filters_hidden_traces:
            filter_traces(plan, state, work)
        counters[TICK] += 1
        counters[TICKS_SINCE_OPEN] += 1
        _report(y, sums, counters[TICK], logits[tick], mean_probabilities[tick])
        loss[tick] = ZERO
        label = labels[tick]
        if label < 0:
            continue
        loss[tick] = find_loss(
            plan.is_mean_squared,
            y,
            work.probabilities,
            log_total,
            label,
            target_values,
            tick,
            work.error,
        )
        sums[n_classes] += loss[tick]
        counters[LABELLED_TICKS] += 1
        if learns:
            learn_tick(plan, rows, state, work, n_waiting)
            updates[N_PENDING] += 1
            # filtered traces are in the gradients already
            n_waiting += not plan.filters_hidden_traces
            if n_waiting == BLOCK:
                settle_all(plan, rows, work, n_waiting)
                n_waiting = 0
    settle_all(plan, rows, work, n_waiting)


@entrance
def advance_rows(
    bench: Workbench,
    slots: Integers,
    strands: Integers,
    learn: NDArray[np.bool_],
    row_ticks: Integers,
    tick_events: Integers,
    channels: NDArray[np.int32],
    values: Floats,
    labels: Integers,
    target_values: Floats,
    logits: Floats,
    mean_probabilities: Floats,
    loss: Floats,
) -> None:
    """Advance the rows of a batch one after the other, see `batch.Batch` and `batch.AdvanceResult`.

    Args:
        bench: The bank's; its rows are written in place.
        slots: Of each row, like the next two ``[S]``.
        strands: Likewise.
        learn: Likewise.
        row_ticks: Of the block, like the next three.
        tick_events: Likewise.
        channels: Likewise.
        values: Likewise.
        labels: Which ticks have a target ``[B]``: its class, 0 for numbers, -1 without one.
        target_values: What the logits should be ``[B, C]``; ``[0, C]`` where targets are classes.
        logits: Written, like the next two, at every tick.
        mean_probabilities: Likewise.
        loss: Likewise.
    """
    plan, rows, work = bench.plan, bench.rows, bench.work
    for row in range(len(slots)):
        slot, strand = slots[row], strands[row]
        next_parameters = rows.parameters[slots[min(row + 1, len(slots) - 1)]]
        _advance_row(
            plan,
            SlotRows(
                rows.parameters[slot],
                rows.gradients[slot],
                rows.first_moment[slot],
                rows.second_moment[slot],
                rows.feedback[slot],
            ),
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
            labels,
            target_values,
            next_parameters[: len(next_parameters) * (row + 1 < len(slots))],
            logits,
            mean_probabilities,
            loss,
        )
