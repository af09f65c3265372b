# ruff: noqa: PLR0917 - compiled functions take positions; groups would hide shapes
"""The optimisers of the CPU backend, compiled.

Equations are those of `optimizers`; second moments so small that they would become denormal are
set to zero.
"""

import math

import numpy as np
from numpy.typing import NDArray

from tclif_core.compilation import brief, compiled, reordered

Floats = NDArray[np.float32]

# below it, a moment's decay would soon make it a denormal, which costs a hundred times as much
TINY_MOMENT, _TINY_SQUARE = np.float32(1e-25), np.float32(1e-36)
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


@brief
def is_below(numbers: Floats, largest: np.float32) -> bool:
    """Tell whether no number is a NaN or larger than ``largest`` in magnitude."""
    n_bad = _ZERO
    for i in range(len(numbers)):
        # a NaN compares false
        n_bad += _ZERO if abs(numbers[i]) <= largest else _ONE
    return bool(n_bad == _ZERO)


@reordered
def length(numbers: Floats) -> float:
    """Return the Euclidean length of a row, summed in double precision."""
    total = 0.0
    for i in range(len(numbers)):
        wide = np.float64(numbers[i])
        total += wide * wide
    return math.sqrt(total)


@compiled
def step_sgd(parameters: Floats, direction: Floats, rate: np.float32) -> None:
    """Take a step along a gradient or a velocity."""
    for i in range(len(direction)):
        parameters[i] -= rate * direction[i]


@compiled
def step_velocity(velocity: Floats, gradient: Floats, momentum: np.float32) -> None:
    """Let a velocity take up a gradient."""
    for i in range(len(gradient)):
        moved = momentum * velocity[i] + gradient[i]
        velocity[i] = moved if abs(moved) >= TINY_MOMENT else _ZERO


@compiled
def step_rmsprop(
    parameters: Floats,
    gradient: Floats,
    direction: Floats,
    second_moment: Floats,
    rate: np.float32,
    keep: np.float32,
    epsilon: np.float32,
    square_scale: np.float32,
) -> None:
    """Take a step of RMSprop, or of Adam without momentum.

    Args:
        parameters: Written in place.
        gradient: Its squares are taken up.
        direction: The gradient itself, or a velocity.
        second_moment: Running mean of squares, written in place.
        rate: Learning rate.
        keep: c, or Adam's b2.
        epsilon: eps.
        square_scale: 1, or Adam's ``1 / (1 - b2^n)``.
    """
    take = _ONE - keep
    for i in range(len(gradient)):
        g = gradient[i]
        square = keep * second_moment[i] + take * (g * g)
        square = square if square >= _TINY_SQUARE else _ZERO
        parameters[i] -= rate * direction[i] / (np.sqrt(square * square_scale) + epsilon)
        second_moment[i] = square


@compiled
def step_adam(
    parameters: Floats,
    gradient: Floats,
    first_moment: Floats,
    second_moment: Floats,
    rate: np.float32,
    keep_first: np.float32,
    keep_second: np.float32,
    epsilon: np.float32,
    mean_scale: np.float32,
    square_scale: np.float32,
) -> None:
    """Take a step of Adam.

    Args:
        parameters: Written in place.
        gradient: Left untouched.
        first_moment: Running mean, written in place.
        second_moment: Running mean of squares, written in place.
        rate: Learning rate.
        keep_first: b1.
        keep_second: b2.
        epsilon: eps.
        mean_scale: ``1 / (1 - b1^n)``.
        square_scale: ``1 / (1 - b2^n)``.
    """
    take_first, take_second = _ONE - keep_first, _ONE - keep_second
    step = rate * mean_scale
    for i in range(len(gradient)):
        g = gradient[i]
        mean = keep_first * first_moment[i] + take_first * g
        mean = mean if abs(mean) >= TINY_MOMENT else _ZERO
        square = keep_second * second_moment[i] + take_second * (g * g)
        square = square if square >= _TINY_SQUARE else _ZERO
        parameters[i] -= step * mean / (np.sqrt(square * square_scale) + epsilon)
        first_moment[i], second_moment[i] = mean, square
