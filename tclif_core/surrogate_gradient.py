"""Pseudo-derivatives: what stands in for the derivative of a spike, which is zero or infinite.

    triangular    psi = max(0, w - |d|) / w^2            (1)
    rectangular   psi = 1 / (2 w) where |d| <= w         (2)
    fast_sigmoid  psi = 1 / (1 + |d| / w)^2              (3)
    arctan        psi = 1 / (w (1 + (pi d / w)^2))       (4)

with d = US - th and half-width w. Sources: (1) Deng et al. 2022 (temporal efficient training);
(2) Wu et al. 2018 (spatio-temporal backpropagation), with a = 2 w; (3) Zenke and Ganguli 2018
(SuperSpike), with beta = 1 / w; (4) Fang et al. 2021 (learnable membrane time constants), the
derivative of arctan(pi alpha d / 2) / pi with alpha = 2 / w. The areas of (1), (2) and (4) are 1
for any w, as that of a spike's derivative; (3) is as published, its peak 1 and its area 2 w.
"""

import math
from collections.abc import Callable

import torch

from tclif_core.hyperparameters import SurrogateName


def triangular(distance: torch.Tensor, width: float) -> torch.Tensor:
    """Return eq. (1), shaped like ``distance``, in ``[0, 1 / width]``; zero from ``width`` on.

    Args:
        distance: Soma minus threshold, any shape.
        width: Half-width of the triangle, positive.
    """
    return torch.clamp(width - distance.abs(), min=0.0) / width**2


def rectangular(distance: torch.Tensor, width: float) -> torch.Tensor:
    """Return eq. (2), shaped like ``distance``: ``1 / (2 width)`` near the threshold, else zero.

    Args:
        distance: Soma minus threshold, any shape.
        width: Half-width of the rectangle, positive.
    """
    return (distance.abs() <= width).to(distance.dtype) / (2.0 * width)


def fast_sigmoid(distance: torch.Tensor, width: float) -> torch.Tensor:
    """Return eq. (3), shaped like ``distance``, in ``(0, 1]``; it is nowhere zero.

    Args:
        distance: Soma minus threshold, any shape.
        width: Where it has fallen to a quarter, positive.
    """
    return 1.0 / (1.0 + distance.abs() / width) ** 2


def arctan(distance: torch.Tensor, width: float) -> torch.Tensor:
    """Return eq. (4), shaped like ``distance``, in ``(0, 1 / width]``; it is nowhere zero.

    Args:
        distance: Soma minus threshold, any shape.
        width: Half-width of a triangle of the same height and area, positive.
    """
    return 1.0 / (width * (1.0 + (math.pi * distance / width) ** 2))


SURROGATES: dict[SurrogateName, Callable[[torch.Tensor, float], torch.Tensor]] = {
    "triangular": triangular,
    "rectangular": rectangular,
    "fast_sigmoid": fast_sigmoid,
    "arctan": arctan,
}
"""The pseudo-derivatives by name."""
