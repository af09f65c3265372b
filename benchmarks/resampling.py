"""Intervals for accuracies and for differences of two, by resampling recordings.

A recording that one method gets right is often one that the other gets right too, so a difference
is resampled in pairs: the same recordings for both. Source: Efron and Tibshirani 1993, the
percentile interval.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

N_RESAMPLES = 10_000


class Interval(NamedTuple):
    """A mean and where 95 of 100 resampled means lie."""

    mean: float
    low: float
    high: float


def accuracy_interval(correct: NDArray[np.bool_], *, seed: int = 0) -> Interval:
    """Return the accuracy of one method.

    Args:
        correct: Whether each recording was predicted rightly ``[n]``, n of 1 or more.
        seed: Decides the resampling.
    """
    return _interval(correct.astype(np.float64), seed)


def difference_interval(
    correct: NDArray[np.bool_], other: NDArray[np.bool_], *, seed: int = 0
) -> Interval:
    """Return the accuracy of one method minus that of another on the same recordings.

    Args:
        correct: Whether each recording was predicted rightly ``[n]``.
        other: Likewise by the other method, in the same order ``[n]``.
        seed: Decides the resampling.

    Raises:
        ValueError: The methods have different numbers of recordings.
    """
    if correct.shape != other.shape:
        raise ValueError(f"{correct.shape} and {other.shape} recordings can't be paired")
    return _interval(correct.astype(np.float64) - other.astype(np.float64), seed)


def _interval(values: NDArray[np.float64], seed: int) -> Interval:
    generator = np.random.default_rng(seed)
    n = len(values)
    means = [values[generator.integers(0, n, n)].mean() for _ in range(N_RESAMPLES)]
    low, high = np.percentile(means, (2.5, 97.5))
    return Interval(float(values.mean()), float(low), float(high))
