"""The eager peer of the kernel benchmark computes what it claims to: else its speed means nothing."""

import numpy as np
import pytest
import torch

from benchmarks.eager_network import EagerNetwork
from tclif_core import EventBlock, Learner, LearningSpec, NetworkSpec, Strand

N_TICKS, TARGET, RATE = 40, 2, 1e-3
NETWORK = NetworkSpec(inputs=30, hidden=(24, 17), classes=5, input_gain=6.0, hidden_gain=8.0)
SEGMENT = LearningSpec(learn_decay_minima=False)
TICK = LearningSpec(update="tick", optimizer="sgd", learn_decay_minima=False)


def _pair(learning: LearningSpec) -> tuple[Learner, EagerNetwork]:
    learner = Learner(NETWORK, learning, kernel="reference")
    slot = learner.open(seed=3, rate=RATE)
    learner.begin_segment(slot, Strand.LIVE)
    return learner, EagerNetwork(NETWORK, learner.weights(slot), rate=RATE)


def _input(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).poisson(0.2, (N_TICKS, NETWORK.inputs)).astype(np.float64)


def _advance(learner: Learner, x: np.ndarray, *, learns: bool = True) -> np.ndarray:
    result = learner.advance(
        np.array([0]),
        np.array([Strand.LIVE], np.int64),
        np.array([learns]),
        EventBlock.from_dense([x]),
        np.full(len(x), TARGET),
    )
    return result.logits


def _matrices(fields: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    blocks = [["layer0.w", "layer0.r", "layer0.b"], ["layer1.w", "layer1.r", "layer1.b"]]
    blocks.append(["readout.w", "readout.b"])
    return [torch.cat([torch.atleast_2d(fields[n]) for n in names]) for names in blocks]


def _weights(learner: Learner) -> list[torch.Tensor]:
    named = learner.weights(learner.open(seed=0, rate=0.0).__class__(0))
    return _matrices({name: torch.from_numpy(value) for name, value in named.items()})
