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


Counts = NDArray[np.int64] | NDArray[np.float64]


def accuracy_interval(right: Counts, scored: Counts, *, seed: int = 0) -> Interval:
    """Return the accuracy of one method.

    Args:
        right: Right answers to each recording ``[n]``, n of 1 or more; means of several runs too.
        scored: Scored answers to each recording ``[n]``.
        seed: Decides the resampling.
    """
    return _interval(right, scored, seed)


def difference_interval(right: Counts, other: Counts, scored: Counts, *, seed: int = 0) -> Interval:
    """Return the accuracy of one method minus that of another on the same recordings.

    Args:
        right: Right answers to each recording ``[n]``.
        other: Right answers of the other method, in the same order ``[n]``.
        scored: Scored answers to each recording ``[n]``.
        seed: Decides the resampling.

    Raises:
        ValueError: The methods have different numbers of recordings.
    """
    if right.shape != other.shape:
        raise ValueError(f"{right.shape} and {other.shape} recordings can't be paired")
    return _interval(right - other, scored, seed)


def _interval(values: Counts, scored: Counts, seed: int) -> Interval:
    generator = np.random.default_rng(seed)
    n = len(values)
    means = np.empty(N_RESAMPLES)
    for k in range(N_RESAMPLES):
        drawn = generator.integers(0, n, n)
        means[k] = values[drawn].sum() / scored[drawn].sum()
    low, high = np.percentile(means, (2.5, 97.5))
    return Interval(float(values.sum() / scored.sum()), float(low), float(high))
