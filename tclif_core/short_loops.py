"""Short loops over numbers, compiled: every call of a service pays for them."""

import numpy as np
from numpy.typing import NDArray

from tclif_core.compilation import brief

LARGEST_NUMBER = np.float32(np.finfo(np.float32).max)
"""No float32 but an infinity lies above it in magnitude."""


@brief
def is_ascent(offsets: NDArray[np.int64], total: int) -> bool:
    """Tell whether offsets never fall on their way from 0 to a total."""
    n = len(offsets)
    if n == 0 or offsets[0] != 0 or offsets[n - 1] != total:
        return False
    n_bad = 0
    for i in range(n - 1):
        n_bad += offsets[i + 1] < offsets[i]
    return n_bad == 0


@brief
def has_more_than(offsets: NDArray[np.int64], n_most: int) -> bool:
    """Tell whether two neighbours among offsets lie more than so far apart."""
    n_bad = 0
    for i in range(len(offsets) - 1):
        n_bad += offsets[i + 1] - offsets[i] > n_most
    return n_bad > 0


@brief
def has_outside(numbers: NDArray[np.signedinteger], low: int, stop: int) -> bool:
    """Tell whether an integer lies outside ``[low, stop)``."""
    n_bad = 0
    for i in range(len(numbers)):
        n_bad += numbers[i] < low or numbers[i] >= stop
    return n_bad > 0


@brief
def has_beyond(numbers: NDArray[np.floating], largest: np.float32) -> bool:
    """Tell whether a number is larger than that in magnitude, or a NaN."""
    # counted in the numbers' own width, which takes two thirds of the time
    n_bad = np.float32(0.0)
    for i in range(len(numbers)):
        # a NaN compares false
        n_bad += np.float32(0.0) if abs(numbers[i]) <= largest else np.float32(1.0)
    return bool(n_bad > 0.0)


@brief
def clear(numbers: NDArray[np.floating]) -> None:
    """Set all of a row to zero."""
    for i in range(len(numbers)):
        numbers[i] = 0.0
