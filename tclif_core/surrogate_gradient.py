"""Pseudo-derivatives: what stands in for the derivative of a spike, which is zero or infinite.

    psi = max(0, w - |US - th|) / w^2        (1)

Source: the triangular form of Deng et al. 2022 (temporal efficient training); its area is 1 for any
half-width w.
"""

import torch


def triangular(distance: torch.Tensor, width: float) -> torch.Tensor:
    """Return the pseudo-derivative of a spike with respect to the somatic potential.

    Args:
        distance: Soma minus threshold, any shape.
        width: Half-width of the triangle, positive.

    Returns:
        Values in ``[0, 1 / width]``, shaped like ``distance``; zero from ``width`` on.
    """
    return torch.clamp(width - distance.abs(), min=0.0) / width**2
