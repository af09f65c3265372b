# ruff: noqa: PLR0917 - compiled functions take positions; groups would hide shapes
"""The optimisers of the CUDA backend: one launch takes a step for many sessions.

Equations are those of `segment_update` and `optimizers`. A program owns a session: it looks through
the gradient first, whether it is usable and how long it is, and then walks through the session's
rows once. Moments so small that they would become denormal are set to zero.

Shapes: P parameters, of which the last numbers of the row, the tail, are those of the layers and
the padding.
"""

from typing import NamedTuple

import torch
import triton.language as tl

from tclif_core.kernels.cuda_compilation import part, program
from tclif_core.kernels.cuda_update_plan import ParameterRules, UpdatePlan
from tclif_core.kernels.cuda_values import Block, Pointer, Rows, Scalar
from tclif_core.optimizers import LARGEST_GRADIENT
from tclif_core.slot_bank import N_PENDING, N_UPDATES

_CHUNK: tl.constexpr = tl.constexpr(1024)
_LARGEST: tl.constexpr = tl.constexpr(LARGEST_GRADIENT)
_LARGEST_NUMBER: tl.constexpr = tl.constexpr(float(torch.finfo(torch.float32).max))
_TINY_MOMENT: tl.constexpr = tl.constexpr(1e-25)
_TINY_SQUARE: tl.constexpr = tl.constexpr(1e-36)
_N_UPDATES: tl.constexpr = tl.constexpr(N_UPDATES)
_N_PENDING: tl.constexpr = tl.constexpr(N_PENDING)


class _Numbers(NamedTuple):
    """Some numbers of a session's rows."""

    b_weights: Block
    b_first: Block
    b_second: Block


class _Moment(NamedTuple):
    """What a session's step has for all parameters: scale of the gradient, rate, corrections."""

    scale: Scalar
    rate: Scalar
    first_share: Scalar
    second_share: Scalar


@part
def _is_usable(p_numbers: Pointer, n_numbers: Scalar, largest: Scalar) -> Scalar:
    """Tell whether no number is a NaN or above a magnitude."""
    b_bad = tl.zeros((_CHUNK,), tl.int32)
    for start in range(0, n_numbers, _CHUNK):
        o_numbers = start + tl.arange(0, _CHUNK)
        b_numbers = tl.load(p_numbers + o_numbers, mask=o_numbers < n_numbers, other=0.0)
        # a NaN compares false
        b_bad += tl.where(tl.abs(b_numbers) <= largest, 0, 1)
    return tl.sum(b_bad, axis=0) == 0


@part
def _square(p_numbers: Pointer, n_numbers: Scalar) -> Scalar:
    """Return the sum of squares of a vector, in double precision."""
    b_total = tl.zeros((_CHUNK,), tl.float64)
    for start in range(0, n_numbers, _CHUNK):
        o_numbers = start + tl.arange(0, _CHUNK)
        b_numbers = tl.load(p_numbers + o_numbers, mask=o_numbers < n_numbers, other=0.0)
        b_total += b_numbers.to(tl.float64) * b_numbers.to(tl.float64)
    return tl.sum(b_total, axis=0)


@part
def _find_moment(rate: Scalar, n_updates: Scalar, square: Scalar, plan: UpdatePlan) -> _Moment:
    """Find what a step has for all parameters, from the square of the gradient's length."""
    length = tl.sqrt(square)
    scale = tl.where(length > plan.gradient_clip, (1.0 / length) * plan.gradient_clip, 1.0)
    steps = n_updates.to(tl.float64)
    first_power = tl.exp(steps * plan.log_keep_first)
    second_power = tl.exp(steps * plan.log_keep_second)
    return _Moment(
        scale.to(tl.float32),
        rate,
        (1.0 - first_power).to(tl.float32),
        (1.0 - second_power).to(tl.float32),
    )


@part
def _follow(b_second: Block, b_gradient: Block, keep: Scalar) -> Block:
    """Return the running mean of squares after a gradient."""
    b_moved = b_second * keep + (b_gradient * b_gradient) * (1.0 - keep)
    return tl.where(b_moved < _TINY_SQUARE, 0.0, b_moved)


@part
def _step(
    numbers: _Numbers, b_gradient: Block, b_layer_rates: Block, moment: _Moment, plan: UpdatePlan
) -> _Numbers:
    """Take a step of the optimiser for some parameters; those of rate 0 stay, moments too."""
    b_first, b_second = numbers.b_first, numbers.b_second
    b_direction = b_gradient
    if plan.optimizer == "adam":
        if plan.keeps_first:
            b_first = b_first * plan.keep_first + b_gradient * (1.0 - plan.keep_first)
            b_first = tl.where(tl.abs(b_first) < _TINY_MOMENT, 0.0, b_first)
            b_direction = b_first / moment.first_share
        b_second = _follow(b_second, b_gradient, plan.keep_second)
        b_direction /= tl.sqrt(b_second / moment.second_share) + plan.epsilon
    else:
        if plan.keeps_first:
            b_first = b_first * plan.momentum + b_gradient
            b_first = tl.where(tl.abs(b_first) < _TINY_MOMENT, 0.0, b_first)
            b_direction = b_first
        if plan.optimizer == "rmsprop":
            b_second = _follow(b_second, b_gradient, plan.square_decay)
            b_direction /= tl.sqrt(b_second) + plan.epsilon
    b_rates = (b_layer_rates.to(tl.float64) * moment.rate).to(tl.float32)
    is_moving = b_layer_rates > 0.0
    return _Numbers(
        tl.where(is_moving, numbers.b_weights - b_rates * b_direction, numbers.b_weights),
        tl.where(is_moving, b_first, numbers.b_first),
        tl.where(is_moving, b_second, numbers.b_second),
    )


@part
def _load_numbers(
    rows: Rows, slot: Scalar, o_parameters: Block, b_mask: Block, plan: UpdatePlan
) -> _Numbers:
    p_weights = rows.parameters + slot * plan.n_parameters + o_parameters
    b_weights = tl.load(p_weights, mask=b_mask, other=0.0)
    b_first, b_second = b_weights, b_weights
    if plan.keeps_first:
        p_first = rows.first_moment + slot * plan.n_first + o_parameters
        b_first = tl.load(p_first, mask=b_mask, other=0.0)
    if plan.optimizer != "sgd":
        p_second = rows.second_moment + slot * plan.n_second + o_parameters
        b_second = tl.load(p_second, mask=b_mask, other=0.0)
    return _Numbers(b_weights, b_first, b_second)


@part
def _store_numbers(
    numbers: _Numbers,
    rows: Rows,
    slot: Scalar,
    o_parameters: Block,
    b_mask: Block,
    plan: UpdatePlan,
) -> None:
    p_weights = rows.parameters + slot * plan.n_parameters + o_parameters
    tl.store(p_weights, numbers.b_weights, mask=b_mask)
    if plan.keeps_first:
        p_first = rows.first_moment + slot * plan.n_first + o_parameters
        tl.store(p_first, numbers.b_first, mask=b_mask)
    if plan.optimizer != "sgd":
        p_second = rows.second_moment + slot * plan.n_second + o_parameters
        tl.store(p_second, numbers.b_second, mask=b_mask)


@part
def _update_weights(
    rows: Rows, rules: ParameterRules, slot: Scalar, moment: _Moment, plan: UpdatePlan
) -> None:
    """Step all weights where they step here, refresh their squares, let them decay."""
    p_gradients = rows.gradients + slot * plan.n_gradients
    for start in range(0, plan.n_weights, _CHUNK):
        o_weights = start + tl.arange(0, _CHUNK)
        b_mask = o_weights < plan.n_weights
        b_layer_rates = tl.load(rules.rates + o_weights, mask=b_mask, other=0.0)
        numbers = _load_numbers(rows, slot, o_weights, b_mask, plan)
        if plan.steps_weights:
            b_gradient = tl.load(p_gradients + o_weights, mask=b_mask, other=0.0) * moment.scale
            numbers = _step(numbers, b_gradient, b_layer_rates, moment, plan)
        b_weights, b_second = numbers.b_weights, numbers.b_second
        if plan.is_preconditioned:
            b_gradient = tl.load(p_gradients + o_weights, mask=b_mask, other=0.0)
            b_second = _follow(b_second, b_gradient, plan.square_decay)
        if plan.weight_decay > 0.0:
            b_decays = tl.load(rules.decays + o_weights, mask=b_mask, other=0.0)
            b_lost = (b_layer_rates.to(tl.float64) * moment.rate) * plan.weight_decay
            b_kept = tl.maximum(-b_lost + 1.0, 0.0).to(tl.float32)
            b_weights = tl.where(b_decays > 0.0, b_weights * b_kept, b_weights)
        moved = _Numbers(b_weights, numbers.b_first, b_second)
        _store_numbers(moved, rows, slot, o_weights, b_mask, plan)


@part
def _find_tail_gradient(rows: Rows, rules: ParameterRules, slot: Scalar, plan: UpdatePlan) -> Block:
    """Return the tail's gradients, those by couplings turned into those by logits."""
    o_tail = tl.arange(0, plan.tail)
    b_mask = o_tail < plan.n_parameters - plan.n_weights
    p_gradients = rows.gradients + slot * plan.n_gradients
    p_gradients += plan.n_weights - plan.accumulated_from
    b_gradient = tl.load(p_gradients + o_tail, mask=b_mask, other=0.0)
    if plan.has_couplings:
        p_weights = rows.parameters + slot * plan.n_parameters + plan.n_weights
        b_weights = tl.load(p_weights + o_tail, mask=b_mask, other=0.0).to(tl.float64)
        b_signs = tl.load(rules.signs + o_tail, mask=b_mask, other=0.0).to(tl.float64)
        b_magnitude = b_signs * b_weights
        b_slope = (b_signs * b_magnitude * (1.0 - b_magnitude)).to(tl.float32)
        b_gradient = tl.where(b_signs != 0.0, b_gradient * b_slope, b_gradient)
    return b_gradient


@part
def _update_tail(
    rows: Rows,
    rules: ParameterRules,
    slot: Scalar,
    b_gradient: Block,
    moment: _Moment,
    plan: UpdatePlan,
) -> None:
    """Step the layers' numbers, couplings through the sigmoid, and keep all in their bounds."""
    o_tail = tl.arange(0, plan.tail)
    b_mask = o_tail < plan.n_parameters - plan.n_weights
    b_layer_rates = tl.load(rules.rates + plan.n_weights + o_tail, mask=b_mask, other=0.0)
    before = _load_numbers(rows, slot, plan.n_weights + o_tail, b_mask, plan)
    b_before = before.b_weights
    b_signs = tl.load(rules.signs + o_tail, mask=b_mask, other=0.0)
    # the row receives the step alone: the logit itself would lose digits in single precision
    b_start = tl.where(b_signs != 0.0, 0.0, b_before)
    start = _Numbers(b_start, before.b_first, before.b_second)
    moved = _step(start, b_gradient * moment.scale, b_layer_rates, moment, plan)
    b_weights = moved.b_weights
    if plan.has_couplings:
        b_magnitude = tl.where(b_signs != 0.0, b_signs * b_before, 0.5).to(tl.float64)
        b_logit = tl.log(b_magnitude / (1.0 - b_magnitude)) + b_weights.to(tl.float64)
        b_coupling = b_signs * (1.0 / (1.0 + tl.exp(-b_logit))).to(tl.float32)
        # no step, no change: there and back through the sigmoid a double may lose its last bit
        b_coupling = tl.where(b_weights != 0.0, b_coupling, b_before)
        b_weights = tl.where(b_signs != 0.0, b_coupling, b_weights)
    b_weights = tl.maximum(b_weights, tl.load(rules.lowest + o_tail, mask=b_mask, other=0.0))
    b_weights = tl.minimum(b_weights, tl.load(rules.highest + o_tail, mask=b_mask, other=0.0))
    after = _Numbers(b_weights, moved.b_first, moved.b_second)
    tl.debug_barrier()
    _store_numbers(after, rows, slot, plan.n_weights + o_tail, b_mask, plan)


@program(varying=(), unaligned=("p_slots", "p_usable"))
def update_rows(
    rows: Rows, rules: ParameterRules, p_slots: Pointer, p_usable: Pointer, plan: UpdatePlan
) -> None:
    """Take an optimiser step from accumulated gradients, and clear them.

    Args:
        rows: The bank's, written in place.
        rules: The bank's.
        p_slots: Distinct slots, int64, one a program.
        p_usable: Whether gradient, and with per-tick updates weights, were finite, int32, written;
            where not, no parameter and no optimiser state has changed.
        plan: The bank's.
    """
    i_program = tl.program_id(0)
    slot = tl.load(p_slots + i_program)
    p_gradients = rows.gradients + slot * plan.n_gradients
    p_weights = rows.parameters + slot * plan.n_parameters
    p_counts = rows.updates + 2 * slot
    usable = _is_usable(p_gradients, plan.n_gradients, _LARGEST)
    if plan.is_per_tick:
        usable = usable & _is_usable(p_weights, plan.n_parameters, _LARGEST_NUMBER)
    n_updates = tl.load(p_counts + _N_UPDATES) + 1
    tl.debug_barrier()
    if usable:
        b_tail = _find_tail_gradient(rows, rules, slot, plan)
        square = tl.sum(b_tail.to(tl.float64) * b_tail.to(tl.float64), axis=0)
        if plan.steps_weights:
            square += _square(p_gradients, plan.n_weights)
        moment = _find_moment(tl.load(rows.rates + slot), n_updates, square, plan)
        _update_weights(rows, rules, slot, moment, plan)
        _update_tail(rows, rules, slot, b_tail, moment, plan)
        tl.store(p_counts + _N_UPDATES, n_updates)
    tl.debug_barrier()
    for start in range(0, plan.n_gradients, _CHUNK):
        o_gradients = start + tl.arange(0, _CHUNK)
        b_none = tl.zeros((_CHUNK,), tl.float32)
        tl.store(p_gradients + o_gradients, b_none, mask=o_gradients < plan.n_gradients)
    tl.store(p_counts + _N_PENDING, n_updates * 0)
    tl.store(p_usable + i_program, usable.to(tl.int32))
