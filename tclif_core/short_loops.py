"""Short loops over numbers, compiled: every call of a service pays for them."""

import numpy as np
from numpy.typing import NDArray

from tclif_core.compilation import brief


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
def has_beyond(numbers: NDArray[np.floating], largest: float) -> bool:
    """Tell whether a number is larger than that in magnitude, or a NaN."""
    n_good = 0
    for i in range(len(numbers)):
        # a NaN compares false
        n_good += abs(numbers[i]) <= largest
    return n_good < len(numbers)


@brief
def clear(numbers: NDArray[np.floating]) -> None:
    """Set all of a row to zero."""
    for i in range(len(numbers)):
        numbers[i] = 0.0
