"""What a linear readout of event counts reaches on N-MNIST, measured in the network's two ways.

Features are log(1 + events) of every input over the whole recording, pooled as for the network.

    in live order   softmax regression that predicts each recording, then learns it, by Adam as the
                    network does, and hears the same recordings in the same order again and again;
                    of the features as they are, or standardised by those that it has met so far
    held out        multinomial logistic regression, trained to the end on four folds and judged on
                    the fifth, as `linear_control`

Both get the setting, of a few, that does best on what they are judged by, which the network does
not: the controls are rather too good than too bad.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from benchmarks.linear_control import (
    PENALTIES,
    Features,
    Labels,
    count_correct,
    count_features,
)
from clients.recordings import Source

RATES = (0.0001, 0.0003, 0.001, 0.003, 0.01)
WINDOW = 200
"""Recordings over which a windowed accuracy is taken, as the service does."""

# Kingma and Ba 2015, the values that they recommend
_FIRST_MOMENT_DECAY, _SECOND_MOMENT_DECAY, _EPSILON = 0.9, 0.999, 1e-8


class Counts(NamedTuple):
    """A source's recordings as features ``[n, inputs]`` and labels ``[n]``."""

    features: Features
    labels: Labels
    n_classes: int


def count_events(source: Source) -> Counts:
    """Load every recording once and count its events by input."""
    channels = source.sensor.channels
    heard = list(source)
    return Counts(
        np.array([count_features(one, channels, channels, 1) for one in heard]),
        np.array([one.label for one in heard]),
        len(source.classes),
    )


def fold_of(n: int, n_folds: int) -> npt.NDArray[np.int64]:
    """Give each recording the number of the fold in which it is judged ``[n]``."""
    return np.random.default_rng(0).permutation(n) % n_folds


def held_out(counts: Counts, n_folds: int) -> int:
    """Return how many recordings are judged rightly by who has learnt the other folds."""
    fold = fold_of(len(counts.labels), n_folds)

    def correct(penalty: float) -> int:
        parts = [(fold != k, fold == k) for k in range(n_folds)]
        return sum(
            count_correct(
                (counts.features[rest], counts.labels[rest]),
                (counts.features[held], counts.labels[held]),
                counts.n_classes,
                penalty,
            )
            for rest, held in parts
        )

    return max(correct(penalty) for penalty in PENALTIES)


def standardised(features: Features) -> Features:
    """Take from each recording's features the mean of those met so far, by their spread.

    Args:
        features: In the order of the stream ``[n, f]``; a recording has met itself.
    """
    n_met = np.arange(1, len(features) + 1)[:, np.newaxis]
    mean = np.cumsum(features, axis=0) / n_met
    variance = np.cumsum(features**2, axis=0) / n_met - mean**2
    # the addend is that of `linear_control`: inputs that hardly ever have an event stay small
    return np.asarray((features - mean) / (np.sqrt(np.maximum(0, variance)) + 0.1))


def in_live_order(
    counts: Counts,
    orders: Iterable[Sequence[int]],
    rate: float,
    *,
    is_standardised: bool,
) -> npt.NDArray[np.bool_]:
    """Predict each recording, then learn it.

    Args:
        counts: The recordings.
        orders: For each pass the numbers of its recordings.
        rate: Adam's.
        is_standardised: Whether features are `standardised`.

    Returns:
        Whether each prediction was right, in the order of the stream.
    """
    stream = [number for order in orders for number in order]
    features = counts.features[stream]
    if is_standardised:
        features = standardised(features)
    features = np.hstack([features, np.ones((len(stream), 1))])
    weights = np.zeros((features.shape[1], counts.n_classes))
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    right = []
    for step, (heard, label) in enumerate(
        zip(features, counts.labels[stream], strict=True), start=1
    ):
        error = softmax(heard @ weights)
        right.append(bool(np.argmax(error) == label))
        error[label] -= 1
        slope = np.outer(heard, error)
        first += (1 - _FIRST_MOMENT_DECAY) * (slope - first)
        second += (1 - _SECOND_MOMENT_DECAY) * (slope**2 - second)
        size = np.sqrt(second / (1 - _SECOND_MOMENT_DECAY**step)) + _EPSILON
        weights -= rate * first / (1 - _FIRST_MOMENT_DECAY**step) / size
    return np.array(right)


def windowed(right: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return the accuracy over the last `WINDOW` predictions at each of them ``[n]``."""
    sums = np.concatenate([[0], np.cumsum(right)])
    ends = np.arange(1, len(sums))
    begins = np.maximum(0, ends - WINDOW)
    shares: npt.NDArray[np.float64] = (sums[ends] - sums[begins]) / (ends - begins)
    return shares
