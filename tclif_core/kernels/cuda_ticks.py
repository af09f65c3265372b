# ruff: noqa: PLR0917 - compiled functions take positions; groups would hide shapes
"""The program of the CUDA backend: some sessions, each by its ticks, in one launch.

A program takes one session at a time and walks through its ticks alone: nothing is added up by
several programs, so a session's numbers depend on nothing but its own slot and input. A call ends
with an empty block of waiting outer products (see `cuda_settling`), so that no bit depends on how a
row's ticks are cut into calls.

Shapes: as in `batch`; the bank's rows are flat, see `row_layout`.
"""

import triton.language as tl

from tclif_core.kernels.cuda_compilation import part, program
from tclif_core.kernels.cuda_input import (
    add_events,
    add_spikes,
    list_spikes,
    spread_events,
    sum_with_bias,
)
from tclif_core.kernels.cuda_layers import (
    advance_eligibility,
    advance_neurons,
    find_dynamics,
    find_profile,
)
from tclif_core.kernels.cuda_learning import learn, settle_all
from tclif_core.kernels.cuda_plan import BLOCK, LayerPlan, Plan
from tclif_core.kernels.cuda_readout import (
    add_to_mean,
    advance_readout,
    find_loss,
    leave_readout_traces,
)
from tclif_core.kernels.cuda_values import Answer, BatchRows, Events, Pointer, Rows, Scalar, Walk
from tclif_core.slot_bank import LABELLED_TICKS, N_PENDING, TICK, TICKS_SINCE_OPEN

_BLOCK: tl.constexpr = tl.constexpr(BLOCK)
_TICK: tl.constexpr = tl.constexpr(TICK)
_LABELLED_TICKS: tl.constexpr = tl.constexpr(LABELLED_TICKS)
_TICKS_SINCE_OPEN: tl.constexpr = tl.constexpr(TICKS_SINCE_OPEN)
_N_PENDING: tl.constexpr = tl.constexpr(N_PENDING)


@part
def _add_to(p_count: Pointer, number: Scalar) -> None:
    tl.store(p_count, tl.load(p_count) + number)


@part
def _advance_layer(
    walk: Walk,
    events: Events,
    profile: Scalar,
    n_waiting: Scalar,
    learns: Scalar,
    n: Scalar,
    plan: Plan,
) -> None:
    """Advance a hidden layer by a tick, its traces too if the row learns."""
    layer: tl.constexpr = plan.layers[n]
    matrix: tl.constexpr = layer.matrix
    dynamics = find_dynamics(walk, profile, layer, plan)
    b_total = tl.zeros((matrix.tile, matrix.block), tl.float32)
    if n == 0:
        p_below = walk.p_floats
        b_total = add_events(b_total, walk, events, n_waiting, matrix, plan)
    else:
        below: tl.constexpr = plan.layers[n - 1]
        p_below = walk.p_state + below.neurons_at + 2 * below.matrix.width
        b_total = add_spikes(b_total, walk, below, 0, n_waiting, matrix, plan)
    if plan.is_recurrent:
        # the list still holds the spikes of the tick before
        b_total = add_spikes(b_total, walk, layer, layer.n_below, n_waiting, matrix, plan)
    b_current = sum_with_bias(b_total, walk, n_waiting, matrix, plan)
    if learns:
        p_traces = walk.p_floats + matrix.traces_at + n_waiting * matrix.n_lines
        advance_eligibility(walk, p_below, p_traces, dynamics, layer, plan)
    b_spikes = advance_neurons(walk, b_current, dynamics, learns, layer, plan)
    _add_to(walk.p_counters + layer.counter_at, list_spikes(b_spikes, walk, layer))


@part
def _advance_tick(
    walk: Walk, events: Events, clock: Scalar, n_waiting: Scalar, learns: Scalar, plan: Plan
) -> Answer:
    """Advance all layers and the readout by a tick, all traces too if the row learns."""
    profile = find_profile(clock, plan)
    if learns:
        spread_events(walk, events, plan)
    for n in tl.static_range(len(plan.layers)):
        _advance_layer(walk, events, profile, n_waiting, learns, n, plan)
    answer = advance_readout(walk, n_waiting, plan)
    if learns:
        leave_readout_traces(walk, n_waiting, plan)
    return answer


@part
def _report(
    walk: Walk, answer: Answer, clock: Scalar, p_logits: Pointer, n_ticks: Scalar, plan: Plan
) -> None:
    """Write logits and mean probabilities of a tick."""
    n_classes: tl.constexpr = plan.readout.width
    o_classes = tl.arange(0, plan.readout.block)
    b_mean = add_to_mean(walk, answer, clock, plan)
    tl.store(p_logits + o_classes, answer.b_logits, mask=o_classes < n_classes)
    p_means = p_logits + n_ticks * n_classes
    tl.store(p_means + o_classes, b_mean, mask=o_classes < n_classes)


@part
def _list_spikes_before(walk: Walk, layer: LayerPlan) -> None:
    o_neurons = tl.arange(0, layer.matrix.block)
    p_spikes = walk.p_state + layer.neurons_at + 2 * layer.matrix.width
    b_spikes = tl.load(p_spikes + o_neurons, mask=o_neurons < layer.matrix.width, other=0.0)
    list_spikes(b_spikes, walk, layer)


@part
def _begin_walk(
    row: Scalar, rows: Rows, batch: BatchRows, p_floats: Pointer, p_integers: Pointer, plan: Plan
) -> Walk:
    """Find a row's session; list the neurons that spiked last."""
    slot = tl.load(batch.slots + row)
    strand = 2 * slot + tl.load(batch.strands + row)
    walk = Walk(
        rows.parameters + slot * plan.n_parameters,
        rows.gradients + slot * plan.n_gradients,
        rows.first_moment + slot * plan.n_first,
        rows.second_moment + slot * plan.n_second,
        rows.feedback + slot * plan.n_feedback,
        rows.state + strand * plan.n_state,
        rows.sums + strand * plan.n_sums,
        rows.counters + strand * plan.n_counters,
        rows.updates + 2 * slot,
        tl.load(rows.rates + slot),
        p_floats,
        p_integers,
    )
    for n in tl.static_range(len(plan.layers)):
        _list_spikes_before(walk, plan.layers[n])
    return walk


@part
def _advance_row(
    row: Scalar, walk: Walk, batch: BatchRows, p_result: Pointer, n_ticks: Scalar, plan: Plan
) -> None:
    """Advance a session's strand by its ticks."""
    n_classes: tl.constexpr = plan.readout.width
    learns = tl.load(batch.learn + row) != 0
    clock = tl.load(walk.p_counters + _TICK)
    first, last = tl.load(batch.row_ticks + row), tl.load(batch.row_ticks + row + 1)
    n_waiting, n_labelled, n_learnt = 0, 0, 0
    for tick in range(first, last):
        p_events = batch.tick_events + tick
        events = Events(
            batch.channels, batch.event_values, tl.load(p_events), tl.load(p_events + 1)
        )
        answer = _advance_tick(walk, events, clock, n_waiting, learns, plan)
        clock += 1
        _report(walk, answer, clock, p_result + tick * n_classes, n_ticks, plan)
        label = tl.load(batch.labels + tick)
        loss = 0.0
        if label >= 0:
            p_values = batch.target_values + tick * n_classes
            loss, b_error = find_loss(answer, label, p_values, plan)
            _add_to(walk.p_sums + n_classes, loss.to(tl.float64))
            n_labelled += 1
            if learns:
                learn(walk, b_error, n_waiting, plan)
                n_learnt += 1
                n_waiting += 1
                if n_waiting == _BLOCK:
                    settle_all(walk, n_waiting, plan)
                    n_waiting = 0
        tl.store(p_result + 2 * n_ticks * n_classes + tick, loss)
        tl.debug_barrier()
    if n_waiting > 0:
        settle_all(walk, n_waiting, plan)
    _add_to(walk.p_counters + _TICKS_SINCE_OPEN, last - first)
    _add_to(walk.p_counters + _LABELLED_TICKS, n_labelled)
    _add_to(walk.p_updates + _N_PENDING, n_learnt)
    tl.store(walk.p_counters + _TICK, clock)


@program(varying=("n_rows", "n_ticks"), unaligned=("batch", "p_result"))
def advance_rows(
    rows: Rows,
    batch: BatchRows,
    p_result: Pointer,
    p_floats: Pointer,
    p_integers: Pointer,
    plan: Plan,
    n_rows: Scalar,
    n_ticks: Scalar,
) -> None:
    """Advance the rows of a batch, see `batch.Batch` and `batch.AdvanceResult`.

    Args:
        rows: The bank's, written in place.
        batch: What comes in.
        p_result: Logits ``[B, C]``, mean probabilities ``[B, C]`` and losses ``[B]``, written.
        p_floats: Scratch ``[programs, n_floats]``.
        p_integers: Scratch ``[programs, n_integers]``.
        plan: The bank's.
        n_rows: S; program i takes rows i, i + programs, …
        n_ticks: B.
    """
    i_program = tl.program_id(0).to(tl.int64)
    for row in range(i_program, n_rows, tl.num_programs(0)):
        walk = _begin_walk(
            row,
            rows,
            batch,
            p_floats + i_program * plan.n_floats,
            p_integers + i_program * plan.n_integers,
            plan,
        )
        _advance_row(row, walk, batch, p_result, n_ticks, plan)
        tl.debug_barrier()
