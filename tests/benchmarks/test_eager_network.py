"""The eager peer of the kernel benchmark computes the same: else its speed means nothing."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.eager_network import EagerNetwork
from tclif_core import EventBlock, Learner, LearningSpec, NetworkSpec, SlotIndex, Strand

N_TICKS, TARGET, RATE = 40, 2, 1e-3
NETWORK = NetworkSpec(inputs=30, hidden=(24, 17), classes=5, input_gain=6.0, hidden_gain=8.0)
SEGMENT = LearningSpec(learn_decay_minima=False)
TICK = LearningSpec(update="tick", optimizer="sgd", learn_decay_minima=False)


Dense = NDArray[np.float64]


def _pair(learning: LearningSpec) -> tuple[Learner, SlotIndex, EagerNetwork]:
    learner = Learner(NETWORK, learning, kernel="reference")
    slot = learner.open(seed=3, rate=RATE)
    learner.begin_segment(slot, Strand.LIVE)
    return learner, slot, EagerNetwork(NETWORK, learner.weights(slot), rate=RATE)


def _input(seed: int = 0) -> Dense:
    counts = np.random.default_rng(seed).poisson(0.2, (N_TICKS, NETWORK.inputs))
    return counts.astype(np.float64)


def _advance(learner: Learner, slot: SlotIndex, x: Dense, *, learns: bool) -> torch.Tensor:
    result = learner.advance(
        np.array([slot]),
        np.array([Strand.LIVE], np.int64),
        np.array([learns]),
        EventBlock.from_dense([x]),
        np.full(len(x), TARGET),
    )
    return torch.from_numpy(result.logits)


def _matrices(fields: Mapping[str, NDArray[np.floating] | torch.Tensor]) -> list[torch.Tensor]:
    """Put what the core names one by one together as the eager network holds it."""
    names = [["layer0.w", "layer0.r", "layer0.b"], ["layer1.w", "layer1.r", "layer1.b"]]
    names.append(["readout.w", "readout.b"])
    return [
        # biases are vectors there and the last line here
        torch.cat([torch.as_tensor(fields[n]).reshape(-1, fields[row[-1]].shape[0]) for n in row])
        for row in names
    ]


def _assert_close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    # 40 ticks of float32 sums taken in another order
    tolerance = 1e-5 + 1e-4 * float(expected.abs().max())
    torch.testing.assert_close(actual, expected, rtol=0.0, atol=tolerance)


@pytest.mark.parametrize("ticks_a_call", [40, 5, 1])
def test_logits_and_gradient_equal_those_of_the_reference(ticks_a_call: int) -> None:
    learner, slot, eager = _pair(SEGMENT)
    x = _input()

    expected = _advance(learner, slot, x, learns=True)
    calls = torch.from_numpy(x).float().reshape(-1, ticks_a_call, NETWORK.inputs)
    logits = torch.cat([eager.advance(call, TARGET, "segment") for call in calls])

    counts, _ = learner.spike_counts(slot)
    assert all(counts > 0.05 * N_TICKS * np.array(NETWORK.hidden)), "a silent network shows nothing"
    _assert_close(logits, expected)
    for actual, gradient in zip(
        eager.gradients(), _matrices(learner.bank.gradient_views(slot)), strict=True
    ):
        assert gradient.abs().max() > 0
        _assert_close(actual, gradient)


def test_weights_moved_at_every_tick_equal_those_of_the_reference() -> None:
    learner, slot, eager = _pair(TICK)
    x, before = _input(), _matrices(learner.weights(slot))

    expected = _advance(learner, slot, x, learns=True)
    logits = eager.advance(torch.from_numpy(x).float(), TARGET, "tick")

    _assert_close(logits, expected)
    after = _matrices(learner.weights(slot))
    for actual, start, end in zip(eager.weights(), before, after, strict=True):
        assert (end - start).abs().max() > 1e-4
        _assert_close(actual - start, end - start)


def test_inference_alone_leaves_weights_and_gradient() -> None:
    learner, slot, eager = _pair(SEGMENT)
    x, before = _input(), _matrices(learner.weights(slot))

    expected = _advance(learner, slot, x, learns=False)
    logits = eager.advance(torch.from_numpy(x).float(), TARGET, "off")

    _assert_close(logits, expected)
    for weights, gradient, start in zip(eager.weights(), eager.gradients(), before, strict=True):
        assert torch.equal(weights, start)
        assert not gradient.any()


def test_a_step_of_adam_ends_the_segment_and_the_next_starts_afresh() -> None:
    learner, slot, eager = _pair(SEGMENT)
    x = _input()
    _advance(learner, slot, x, learns=True)
    eager.advance(torch.from_numpy(x).float(), TARGET, "segment")

    assert learner.apply_update(slot)
    eager.apply_update()
    learner.begin_segment(slot, Strand.LIVE)
    eager.begin_segment()

    # Adam divides by the root of the square: where a gradient is next to nothing its sign is
    # rounding, so the bound is on the mean over all weights, each of which moved by RATE
    for actual, expected in zip(eager.weights(), _matrices(learner.weights(slot)), strict=True):
        assert float((actual - expected).abs().mean()) < 1e-2 * RATE
    assert not any(gradient.any() for gradient in eager.gradients())
    first = _advance(learner, slot, _input(1)[:1], learns=False)
    torch.testing.assert_close(
        eager.advance(torch.from_numpy(_input(1)[:1]).float(), TARGET, "off"),
        first,
        rtol=0.0,
        atol=10 * RATE,
    )


def test_a_feed_forward_specification_is_refused() -> None:
    learner = Learner(replace(NETWORK, recurrent=False), SEGMENT, kernel="reference")
    slot = learner.open(seed=3, rate=RATE)

    with pytest.raises(ValueError, match="recurrent, got a feed-forward"):
        EagerNetwork(learner.network, learner.weights(slot), rate=RATE)
