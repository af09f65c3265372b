"""What turns a gradient into a step, on flat rows, in place.

    SGD      w -= rate g                                                            (1)
    RMSprop  v = c v + (1 - c) g^2;   w -= rate g / (sqrt(v) + eps)                 (2)
    Adam     m = b1 m + (1 - b1) g;   v = b2 v + (1 - b2) g^2;                      (3)
             w -= rate (m / (1 - b1^n)) / (sqrt(v / (1 - b2^n)) + eps)

n counts the steps from 1. With b1 = 0 Adam's m is the gradient and is not kept. Sources: Hinton
2012 (RMSprop), Kingma and Ba 2015 (Adam).
"""

import torch

from tclif_core.hyperparameters import LearningSpec

LARGEST_GRADIENT = 1e18
"""Above it a gradient's square is no float32 any more: it counts as not finite."""


def is_usable(gradient: torch.Tensor) -> bool:
    """Tell whether every number of a gradient is finite and its square is too."""
    # a NaN compares false, so it is caught by asking for the good ones
    return bool((gradient.abs() <= LARGEST_GRADIENT).all())


def step(
    learning: LearningSpec,
    parameters: torch.Tensor,
    gradient: torch.Tensor,
    first_moment: torch.Tensor,
    second_moment: torch.Tensor,
    *,
    rate: float,
    n_updates: int,
) -> None:
    """Take one step of the optimiser of a specification.

    Args:
        learning: Which optimiser, and its constants.
        parameters: ``[n]``, written in place.
        gradient: ``[n]``, left untouched.
        first_moment: ``[n]`` where the optimiser keeps one, written in place.
        second_moment: ``[n]`` where the optimiser keeps one, written in place.
        rate: Learning rate.
        n_updates: This step's number, from 1.
    """
    if learning.optimizer == "sgd":
        parameters.sub_(rate * gradient)
        return
    if learning.optimizer == "rmsprop":
        keep = learning.square_decay
        second_moment.mul_(keep).add_((1.0 - keep) * gradient**2)
        parameters.sub_(rate * gradient / (second_moment.sqrt() + learning.epsilon))
        return
    keep_first, keep_second = learning.first_moment_decay, learning.second_moment_decay
    if learning.keeps_first_moment:
        first_moment.mul_(keep_first).add_((1.0 - keep_first) * gradient)
        mean = first_moment / (1.0 - keep_first**n_updates)
    else:
        mean = gradient
    second_moment.mul_(keep_second).add_((1.0 - keep_second) * gradient**2)
    mean_square = second_moment / (1.0 - keep_second**n_updates)
    parameters.sub_(rate * mean / (mean_square.sqrt() + learning.epsilon))
