"""What turns a gradient into a step, on flat rows, in place.

    SGD      V = m V + g;   w -= rate V                                             (1)
    RMSprop  v = c v + (1 - c) g^2;   V = m V + g;   w -= rate V / (sqrt(v) + eps)  (2)
    Adam     M = b1 M + (1 - b1) g;   v = b2 v + (1 - b2) g^2;                      (3)
             w -= rate (M / (1 - b1^n)) / (sqrt(v / (1 - b2^n)) + eps)

n counts the steps from 1. Without momentum (m = 0) V is the gradient and is not kept, as is Adam's
M with b1 = 0. Sources: Hinton 2012 (RMSprop), Kingma and Ba 2015 (Adam).
"""

from typing import NamedTuple

import torch

from tclif_core.hyperparameters import LearningSpec

LARGEST_GRADIENT = 1e18
"""Above it a gradient's square is no float32 any more: it counts as not finite."""


class OptimizerRows(NamedTuple):
    """The same piece of a slot's rows, each ``[n]``; a moment that is not kept is ``[0]``."""

    parameters: torch.Tensor
    gradient: torch.Tensor
    first_moment: torch.Tensor
    second_moment: torch.Tensor


def is_usable(gradient: torch.Tensor) -> bool:
    """Tell whether no number is a NaN or above `LARGEST_GRADIENT` in magnitude."""
    # a NaN compares false, so it is caught by asking for the good ones
    return bool((gradient.abs() <= LARGEST_GRADIENT).all())


def length(gradient: torch.Tensor) -> float:
    """Return the Euclidean length of a gradient, summed in double precision."""
    return float(torch.linalg.vector_norm(gradient, dtype=torch.float64))


def step(learning: LearningSpec, rows: OptimizerRows, *, rate: float, n_updates: int) -> None:
    """Take one step of the optimiser of a specification.

    Args:
        learning: Which optimiser, and its constants.
        rows: Written in place, the gradient left untouched.
        rate: Learning rate.
        n_updates: This step's number, from 1.
    """
    if learning.optimizer == "adam":
        direction = _adam_direction(learning, rows, n_updates)
    else:
        direction = rows.gradient
        if learning.keeps_first_moment:
            rows.first_moment.mul_(learning.momentum).add_(direction)
            direction = rows.first_moment
        if learning.optimizer == "rmsprop":
            keep = learning.square_decay
            rows.second_moment.mul_(keep).add_((1.0 - keep) * rows.gradient**2)
            direction = direction / (rows.second_moment.sqrt() + learning.epsilon)
    rows.parameters.sub_(rate * direction)


def _adam_direction(learning: LearningSpec, rows: OptimizerRows, n_updates: int) -> torch.Tensor:
    keep_first, keep_second = learning.first_moment_decay, learning.second_moment_decay
    mean = rows.gradient
    if learning.keeps_first_moment:
        rows.first_moment.mul_(keep_first).add_((1.0 - keep_first) * rows.gradient)
        mean = rows.first_moment / (1.0 - keep_first**n_updates)
    rows.second_moment.mul_(keep_second).add_((1.0 - keep_second) * rows.gradient**2)
    mean_square = rows.second_moment / (1.0 - keep_second**n_updates)
    return mean / (mean_square.sqrt() + learning.epsilon)
