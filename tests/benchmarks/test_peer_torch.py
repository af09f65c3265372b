"""The peer in plain torch is this model: it learns what the eager network learns."""

import numpy as np
import torch

from benchmarks.eager_network import EagerNetwork
from benchmarks.peer_torch import TorchSessions
from tclif_core import Learner, LearningSpec, NetworkSpec

SPEC = NetworkSpec(inputs=12, hidden=(8, 6), classes=3, input_gain=5.0, hidden_gain=6.0)
TICKS = 20
RATE = 0.01


def test_sessions_side_by_side_learn_what_each_learns_alone() -> None:
    learner = Learner(SPEC, LearningSpec(), kernel="reference")
    alone = [
        EagerNetwork(SPEC, learner.weights(learner.open(seed=seed, rate=RATE)), rate=RATE)
        for seed in (1, 2)
    ]
    together = TorchSessions(SPEC, 2, rate=RATE, compiles=False)
    together.weights = [
        torch.stack(layers).clone()
        for layers in zip(*(each.weights() for each in alone), strict=True)
    ]
    generator = np.random.default_rng(3)
    x = torch.from_numpy((generator.random((TICKS, 2, 12)) < 0.3).astype(np.float32))
    targets = torch.eye(3)[[0, 2]]
    n_spikes = 0.0

    together.learn(x, targets)
    for number, (network, target) in enumerate(zip(alone, (0, 2), strict=True)):
        network.begin_segment()
        for tick in range(TICKS):
            network.advance(x[tick : tick + 1, number], target, "segment")
            n_spikes += float(sum(spikes.sum() for spikes in network.spikes()))
        network.apply_update()

    # silent networks would agree on anything
    assert n_spikes > 2 * TICKS
    for layer, weights in enumerate(together.weights):
        expected = torch.stack([network.weights()[layer] for network in alone])
        # a twentieth of Adam's step, which is as long for a gradient of rounding errors as for any
        torch.testing.assert_close(weights, expected, rtol=0, atol=RATE / 20)
