# ruff: noqa: PLR0917 - compiled functions take positions; groups would hide shapes
"""One update of a slot on the CPU, compiled: check, clip, step, decay, keep in bounds.

Equations are those of `segment_update` and `optimizers`; moments so small that they would become
denormal are set to zero. A gradient is looked through first, so that nothing moves for one that is
not finite, and cleared while the parameters take their step.

Shapes: P parameters of a slot, or of a piece of its row.
"""

import math

import numpy as np
from numpy.typing import NDArray

from tclif_core.compilation import compiled, entrance
from tclif_core.kernels.compiled_vectors import ONE, ZERO, fill, length
from tclif_core.kernels.compiled_workbench import Workbench
from tclif_core.kernels.cpu_plan import Floats, Integers, SlotRows
from tclif_core.kernels.cpu_update_plan import ADAM, SGD, UpdateRules
from tclif_core.optimizers import LARGEST_GRADIENT
from tclif_core.short_loops import LARGEST_NUMBER, has_beyond
from tclif_core.slot_bank import N_PENDING, N_UPDATES

# below it, a moment's decay would soon make it a denormal, which costs a hundred times as much
TINY_MOMENT, _TINY_SQUARE = np.float32(1e-25), np.float32(1e-36)
_LARGEST_GRADIENT = np.float32(LARGEST_GRADIENT)


@compiled
def _scale(numbers: Floats, factor: np.float32) -> None:
    for i in range(len(numbers)):
        numbers[i] *= factor


@compiled
def _follow_squares(squares: Floats, gradient: Floats, keep: np.float32) -> None:
    """Let running squares take up a gradient."""
    take = ONE - keep
    for i in range(len(squares)):
        square = keep * squares[i] + take * (gradient[i] * gradient[i])
        squares[i] = square if square >= _TINY_SQUARE else ZERO


@compiled
def _step_sgd(parameters: Floats, gradient: Floats, rate: np.float32) -> None:
    """Take a step along a gradient, which is cleared."""
    for i in range(len(gradient)):
        parameters[i] -= rate * gradient[i]
        gradient[i] = ZERO


@compiled
def _step_velocity(
    parameters: Floats, gradient: Floats, velocity: Floats, rate: np.float32, momentum: np.float32
) -> None:
    """Let a velocity take up a gradient, which is cleared, and take a step along it."""
    for i in range(len(gradient)):
        moved = momentum * velocity[i] + gradient[i]
        moved = moved if abs(moved) >= TINY_MOMENT else ZERO
        parameters[i] -= rate * moved
        velocity[i], gradient[i] = moved, ZERO


@compiled
def _step_rmsprop(
    parameters: Floats,
    gradient: Floats,
    second_moment: Floats,
    rate: np.float32,
    keep: np.float32,
    epsilon: np.float32,
    square_scale: np.float32,
) -> None:
    """Take a step of RMSprop, or of Adam, that keeps no first moment.

    Args:
        parameters: Written in place.
        gradient: Cleared.
        second_moment: Running mean of squares, written in place.
        rate: Learning rate.
        keep: c, or Adam's b2.
        epsilon: eps.
        square_scale: 1, or Adam's ``1 / (1 - b2^n)``.
    """
    take = ONE - keep
    for i in range(len(gradient)):
        g = gradient[i]
        square = keep * second_moment[i] + take * (g * g)
        square = square if square >= _TINY_SQUARE else ZERO
        parameters[i] -= rate * g / (np.sqrt(square * square_scale) + epsilon)
        second_moment[i], gradient[i] = square, ZERO


@compiled
def _step_adam(
    parameters: Floats,
    gradient: Floats,
    first_moment: Floats,
    second_moment: Floats,
    rate: np.float32,
    keep_first: np.float32,
    take_first: np.float32,
    keep_second: np.float32,
    epsilon: np.float32,
    square_scale: np.float32,
) -> None:
    """Take a step of Adam, or of RMSprop with a velocity; all is read and written once.

    Args:
        parameters: Written in place.
        gradient: Cleared.
        first_moment: Running mean or velocity, written in place.
        second_moment: Running mean of squares, written in place.
        rate: Learning rate, times Adam's ``1 / (1 - b1^n)``.
        keep_first: b1, or the momentum.
        take_first: ``1 - b1``, or 1.
        keep_second: b2, or c.
        epsilon: eps.
        square_scale: ``1 / (1 - b2^n)``, or 1.
    """
    take_second = ONE - keep_second
    for i in range(len(gradient)):
        g = gradient[i]
        mean = keep_first * first_moment[i] + take_first * g
        mean = mean if abs(mean) >= TINY_MOMENT else ZERO
        square = keep_second * second_moment[i] + take_second * (g * g)
        square = square if square >= _TINY_SQUARE else ZERO
        parameters[i] -= rate * mean / (np.sqrt(square * square_scale) + epsilon)
        first_moment[i], second_moment[i] = mean, square
        gradient[i] = ZERO


@compiled
def _step(rules: UpdateRules, piece: SlotRows, rate: np.float32, n_updates: int) -> None:
    """Take the optimiser's step with a piece of a slot's rows; its gradient is cleared.

    Args:
        rules: The bank's.
        piece: Of parameters, gradient and moments; a moment that is not kept is empty.
        rate: Learning rate.
        n_updates: This step's number, from 1.
    """
    parameters, gradient, first = piece.parameters, piece.gradients, piece.first_moment
    if rules.optimizer == SGD:
        if rules.keeps_first:
            _step_velocity(parameters, gradient, first, rate, rules.momentum)
        else:
            _step_sgd(parameters, gradient, rate)
        return
    second, epsilon = piece.second_moment, rules.epsilon
    keep_first, take_first, keep_second = rules.momentum, ONE, rules.square_decay
    square_scale = ONE
    if rules.optimizer == ADAM:
        keep_first = np.float32(rules.first_moment_decay)
        take_first, keep_second = ONE - keep_first, np.float32(rules.second_moment_decay)
        square_scale = np.float32(1.0 / (1.0 - rules.second_moment_decay**n_updates))
        rate *= np.float32(1.0 / (1.0 - rules.first_moment_decay**n_updates))
    if rules.keeps_first:
        _step_adam(
            parameters,
            gradient,
            first,
            second,
            rate,
            keep_first,
            take_first,
            keep_second,
            epsilon,
            square_scale,
        )
    else:
        _step_rmsprop(parameters, gradient, second, rate, keep_second, epsilon, square_scale)


@compiled
def _enter_sigmoid(rules: UpdateRules, parameters: Floats, gradient: Floats) -> None:
    """Turn gradients by couplings into those by logits, and couplings into zeros.

    The row then receives the step alone: the logit itself would lose digits in single precision.
    """
    for n in range(len(rules.couplings)):
        at = rules.couplings[n]
        magnitude = rules.coupling_signs[n] * np.float64(parameters[at])
        slope = rules.coupling_signs[n] * magnitude * (1.0 - magnitude)
        gradient[at - rules.accumulated_from] *= np.float32(slope)
        rules.couplings_before[n], parameters[at] = parameters[at], ZERO


@compiled
def _leave_sigmoid(rules: UpdateRules, parameters: Floats) -> None:
    """Move the couplings by the steps of their logits, which lie in their places."""
    for n in range(len(rules.couplings)):
        at = rules.couplings[n]
        step, before = np.float64(parameters[at]), rules.couplings_before[n]
        # no step, no change: there and back through the sigmoid a double may lose its last bit
        parameters[at] = before
        if step != 0.0:
            magnitude = rules.coupling_signs[n] * np.float64(before)
            logit = math.log(magnitude / (1.0 - magnitude)) + step
            parameters[at] = np.float32(rules.coupling_signs[n] / (1.0 + math.exp(-logit)))


@compiled
def _step_all(rules: UpdateRules, rows: SlotRows, rate: float, n_updates: int) -> None:
    """Step all pieces that step, and clear the whole gradient."""
    gradient, start = rows.gradients, rules.accumulated_from
    if rules.is_preconditioned:
        end = rules.tail_from
        _follow_squares(rows.second_moment[:end], gradient[:end], rules.square_decay)
        fill(gradient[:end], ZERO)
    stop = rules.steps_from
    for n in range(len(rules.spans)):
        begin, stop = rules.spans[n, 0], rules.spans[n, 1]
        if rules.span_rates[n] > 0.0:
            piece = SlotRows(
                rows.parameters[begin:stop],
                gradient[begin - start : stop - start],
                rows.first_moment[begin:stop],
                rows.second_moment[begin:stop],
                rows.feedback,
            )
            _step(rules, piece, np.float32(rate * rules.span_rates[n]), n_updates)
        else:
            fill(gradient[begin - start : stop - start], ZERO)
    fill(gradient[stop - start :], ZERO)


@compiled
def _decay(rules: UpdateRules, parameters: Floats, rate: float) -> None:
    for n in range(len(rules.decaying)):
        lost = rate * rules.decay_rates[n]
        weights = parameters[rules.decaying[n, 0] : rules.decaying[n, 1]]
        _scale(weights, np.float32(max(1.0 - lost, 0.0)))


@compiled
def _keep_in_bounds(rules: UpdateRules, parameters: Floats) -> None:
    for i in range(len(rules.lowest)):
        at = rules.tail_from + i
        # a NaN stays one
        if parameters[at] < rules.lowest[i]:
            parameters[at] = rules.lowest[i]
        elif parameters[at] > rules.highest[i]:
            parameters[at] = rules.highest[i]


@compiled
def _update_row(rules: UpdateRules, rows: SlotRows, updates: Integers, rate: float) -> bool:
    """Do what `segment_update.apply_update` does for the rows of one slot."""
    parameters, gradient = rows.parameters, rows.gradients
    updates[N_PENDING] = 0
    is_usable = not has_beyond(gradient, _LARGEST_GRADIENT)
    if is_usable and rules.is_per_tick:
        is_usable = not has_beyond(parameters, LARGEST_NUMBER)
    if not is_usable:
        fill(gradient, ZERO)
        return False
    updates[N_UPDATES] += 1
    _enter_sigmoid(rules, parameters, gradient)
    if rules.gradient_clip < math.inf:
        stepping = gradient[rules.steps_from - rules.accumulated_from :]
        whole = length(stepping)
        if whole > rules.gradient_clip:
            _scale(stepping, np.float32(rules.gradient_clip / whole))
    _step_all(rules, rows, rate, updates[N_UPDATES])
    _leave_sigmoid(rules, parameters)
    _decay(rules, parameters, rate)
    _keep_in_bounds(rules, parameters)
    return True


@entrance
def update_rows(bench: Workbench, slots: Integers, usable: NDArray[np.bool_]) -> None:
    """Update some slots, see `kernels.Kernel.apply_updates`.

    Args:
        bench: The bank's; its rows are written in place.
        slots: Distinct ``[S]``.
        usable: Written: whether gradient and weights were finite ``[S]``.
    """
    rules, rows = bench.rules, bench.rows
    for n in range(len(slots)):
        slot = slots[n]
        usable[n] = _update_row(
            rules,
            SlotRows(
                rows.parameters[slot],
                rows.gradients[slot],
                rows.first_moment[slot],
                rows.second_moment[slot],
                rows.feedback[slot],
            ),
            rows.updates[slot],
            rows.rates[slot],
        )
