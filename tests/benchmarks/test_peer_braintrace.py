"""The peer written with braintrace is this model, where braintrace is installed."""

import numpy as np
import pytest
import torch

from benchmarks.eager_network import EagerNetwork
from tclif_core import NetworkSpec

SPEC = NetworkSpec(inputs=12, hidden=(8, 6), classes=3, input_gain=9.0, hidden_gain=6.0)
TICKS = 30

pytest.importorskip("braintrace", reason="the peers are no part of this project's environment")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("in_turn", [False, True])
def test_its_layers_spike_like_those_in_torch_and_it_learns(*, in_turn: bool) -> None:
    from benchmarks.peer_braintrace import BraintraceSessions  # noqa: PLC0415 - may be absent

    x = (np.random.default_rng(3).random((TICKS, 2, 12)) < 0.3).astype(np.float32)
    peer = BraintraceSessions(SPEC, x, rate=0.01, leaky=False, in_turn=in_turn)
    before = peer.weights()
    activity = peer.activity()

    named = {"readout.w": before[2][:-1], "readout.b": before[2][-1]}
    for layer, n_below in enumerate((12, 8)):
        below, own, bias = np.split(before[layer], [n_below, n_below + SPEC.hidden[layer]])
        parts = {f"layer{layer}.w": below, f"layer{layer}.r": own, f"layer{layer}.b": bias[0]}
        named |= parts
    ours = EagerNetwork(SPEC, named, rate=0.01)
    ours.begin_segment()
    totals = np.zeros(2)
    for tick in torch.from_numpy(x[:, 0]):
        ours.advance(tick[None], 1, "off")
        totals += [float(spikes.mean()) for spikes in ours.spikes()]

    assert min(activity) > 0.02
    np.testing.assert_allclose(activity, totals / TICKS, atol=1e-6)
    peer.learn(1)
    # the first step of Adam is as long as the rate, wherever there is a gradient
    for old, new in zip(before, peer.weights(), strict=True):
        assert np.abs(new - old).max() == pytest.approx(0.01, rel=0.01)
