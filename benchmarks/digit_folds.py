"""The Free Spoken Digit Dataset's spikes with the number of each take, in five folds.

A fold holds the takes whose number leaves the same remainder by five: ten takes of every digit and
speaker, so that folds are alike and no recording is judged by a network that has learnt it.
"""

import gzip
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.linear_control import count_features
from clients.datasets import open_source
from clients.optional_packages import import_optional
from clients.training.recordings import count_by_tick
from tclif_core.training.examples import Example

SPEECH = Path(__file__).parents[2] / "shared" / "data" / "fsdd_spikes"
PARTS = ("train.h5.gz", "test.h5.gz")

N_FOLDS, N_CHANNELS, N_CLASSES = 5, 700, 10
POOLED = 5
"""Neighbouring channels that make one input of the network."""
N_INPUTS = N_CHANNELS // POOLED
TICK_US = 5000

_GROUPS, _BINS = 70, 8


@dataclass(frozen=True, slots=True)
class Digits:
    """Every recording of the set.

    Attributes:
        examples: As spikes by tick, on pooled channels.
        features: log(1 + events) by channel group and relative time, for the linear control
            ``[n, 560]``.
        labels: ``[n]``.
        folds: In which fold each is judged ``[n]``.
    """

    examples: tuple[Example, ...]
    features: NDArray[np.float64]
    labels: NDArray[np.int64]
    folds: NDArray[np.int64]


def load_digits(folder: Path = SPEECH) -> Digits:
    """Read both parts of the set.

    Raises:
        FileNotFoundError: A part is not there.
        UnreadableSource: A part is damaged.
    """
    examples, features, takes = [], [], []
    for part in PARTS:
        source = open_source(str(folder / part))
        for recording in source.recordings():
            pooled = replace(recording, addresses=recording.addresses // np.uint32(POOLED))
            block = count_by_tick(pooled, N_INPUTS, TICK_US)
            group = str(recording.speaker)
            examples.append(Example.of_class(block, recording.label, group=group))
            features.append(count_features(recording, N_CHANNELS, _GROUPS, _BINS))
        takes.append(read_takes(folder / part))
    labels = np.array([example.label for example in examples], np.int64)
    return Digits(tuple(examples), np.array(features), labels, np.concatenate(takes) % N_FOLDS)


def read_takes(path: Path) -> NDArray[np.int64]:
    """Return the number of the take of every recording of a part ``[n]``, in its order."""
    h5py = import_optional("h5py", "to read the takes of spike files")
    with gzip.open(path) as unpacked, h5py.File(unpacked) as file:
        return np.asarray(file["extra/take"][()]).astype(np.int64)
