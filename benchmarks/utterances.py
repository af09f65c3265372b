"""Labelled sequences of event counts, tick by tick: of recordings, or drawn at random."""

from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clients.datasets import open_source
from clients.recordings import Recording


class Utterance(NamedTuple):
    """One sequence and its class."""

    counts: NDArray[np.float64]
    """Events of each tick and channel ``[T, channels]``."""
    label: int


def count_events(recording: Recording, channels: int, tick_us: int) -> NDArray[np.float64]:
    """Return the events of a recording by tick and channel ``[T, channels]``.

    Args:
        recording: What to count.
        channels: Of its sensor.
        tick_us: Length of a tick; the last one may reach beyond the recording.
    """
    n_ticks = -(-recording.duration_us // tick_us)
    counts = np.zeros((n_ticks, channels))
    np.add.at(counts, (recording.times_us // tick_us, recording.addresses.astype(np.int64)), 1.0)
    return counts


def read_utterances(path: Path, n: int, *, tick_us: int, seed: int) -> list[Utterance]:
    """Return recordings of a file in the layout of SHD, in an order that the seed decides.

    Args:
        path: The file.
        n: How many at most.
        tick_us: Length of a tick.
        seed: Of the order.

    Raises:
        FileNotFoundError: There is no such file.
        UnreadableSource: The file is damaged, or not what it looks like.
    """
    source = open_source(str(path))
    return [
        Utterance(count_events(each, source.sensor.channels, tick_us), each.label)
        for each in islice(source.recordings(seed), n)
    ]


def random_utterances(
    n: int, *, channels: int, classes: int, n_ticks: int, seed: int
) -> list[Utterance]:
    """Return Poisson counts whose rate by channel and tick is the class's own, changing in time.

    Args:
        n: How many.
        channels: Of each.
        classes: How many there are, evenly drawn.
        n_ticks: Of each.
        seed: Of rates, labels and counts.
    """
    generator = np.random.default_rng(seed)
    # a few channels speak much, most hardly, and which ones changes four times
    rates = generator.gamma(0.3, 0.25, (classes, 4, channels)).repeat(-(-n_ticks // 4), axis=1)
    labels = generator.integers(0, classes, n).tolist()
    return [
        Utterance(generator.poisson(rates[label, :n_ticks]).astype(np.float64), label)
        for label in labels
    ]
