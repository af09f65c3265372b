"""e-prop against hand numbers and, where theory says they are equal, against autograd.

Exact: one hidden layer and readout decay 0; the top layer of more. Approximate elsewhere: there the
estimate must point the gradient's way, no more is claimed.
"""

import numpy as np
import pytest
import torch

from tclif_core import (
    DecayProfile,
    Learner,
    LearningSpec,
    NetworkSpec,
    NeuronSpec,
    Strand,
    eprop,
)
from tests.oracles import bptt
from tests.tclif_core.streams import SEGMENT_SGD, advance_one, random_counts, small_network


def test_signals_and_estimates_by_hand() -> None:
    error = torch.tensor([1.0, -2.0])
    w_out = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 3.0]])

    signal = eprop.top_learning_signal(error, w_out)
    d = eprop.neuron_error(signal, torch.tensor([1.0, 0.5, 0.0]))

    # by neuron: 1*1 + 0*(-2), then 0.5*1 + 0.5*(-2), then 3*(-2)
    assert signal.tolist() == [1.0, -0.5, -6.0]
    assert d.tolist() == [1.0, -0.25, 0.0]
    assert eprop.gradient_estimate(torch.tensor([2.0, 0.0]), d).tolist() == [
        [2.0, -0.5, 0.0],
        [0.0, 0.0, 0.0],
    ]
    assert float(eprop.scalar_gradient_estimate(torch.tensor([1.0, 4.0, 9.0]), d)) == 0.0


def test_the_chain_passes_the_upper_layers_coupling() -> None:
    signal = eprop.chained_learning_signal(
        torch.tensor([1.0, -1.0]), torch.tensor([[2.0, 1.0], [0.0, 4.0]]), torch.tensor(0.5)
    )

    # the coupling times 2*1 - 1*1, and times 0*1 - 4*1
    assert signal.tolist() == [0.5, -2.0]


def test_broadcast_goes_through_the_fixed_matrix() -> None:
    signal = eprop.broadcast_learning_signal(
        torch.tensor([1.0, -2.0]), torch.tensor([[1.0, 2.0, 3.0], [0.0, 1.0, 1.0]])
    )

    assert signal.tolist() == [1.0, 0.0, 1.0]


def _targets(n_ticks: int, classes: int, first: int, last: int) -> list[int]:
    """Targets in ``[first, last)`` only, so that a rule for whole sequences would not pass."""
    generator = np.random.default_rng(5)
    drawn = generator.integers(0, classes, n_ticks).tolist()
    return [target if first <= tick < last else -1 for tick, target in enumerate(drawn)]


def _estimates(
    network: NetworkSpec,
    kernel: str,
    dtype: torch.dtype,
    targets: list[int],
    learning: LearningSpec = SEGMENT_SGD,
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], list[float]]:
    """Return e-prop's sums and autograd's gradients, by name, and the spike rates."""
    learner = Learner(network, learning, kernel=kernel, dtype=dtype)
    slot = learner.open(seed=2, rate=0.0)
    learner.begin_segment(slot, Strand.LIVE)
    x = random_counts(len(targets), network.inputs, seed=6)
    advance_one(learner, slot, x, targets)
    parameters = {n: v.double() for n, v in learner.bank.parameter_views(slot).items()}
    truth, rates = bptt.gradients(network, parameters, torch.from_numpy(x), targets)
    return learner.bank.gradient_views(slot), truth, rates


EXACT = small_network(
    inputs=12,
    hidden=(17,),
    classes=4,
    readout_decay=0.0,
    neuron=NeuronSpec(decay_profile=DecayProfile(scale_ticks=6.0)),
)


@pytest.mark.parametrize("window", [(0, 50), (20, 30), (49, 50)])
@pytest.mark.parametrize("recurrent", [True, False])
def test_sums_equal_autograd_with_one_layer_and_no_readout_memory(
    window: tuple[int, int],
    recurrent: bool,  # noqa: FBT001 - a row of the table
) -> None:
    network = small_network(
        inputs=12, hidden=(17,), classes=4, readout_decay=0.0, recurrent=recurrent
    )
    estimates, truth, rates = _estimates(
        network, "reference", torch.float64, _targets(50, 4, *window)
    )

    # a silent network would pass with a wrong rule
    assert 0.05 < rates[0] < 0.5
    assert estimates.keys() == truth.keys()
    for name, expected in truth.items():
        assert torch.allclose(estimates[name], expected, rtol=0, atol=1e-12), name
    assert abs(float(truth["layer0.soma_to_dendrite"])) > 1e-3


def test_sums_of_the_fast_backend_equal_autograd_in_float32() -> None:
    estimates, truth, rates = _estimates(EXACT, "cpu", torch.float32, _targets(50, 4, 10, 45))

    assert 0.05 < rates[0] < 0.5
    for name, expected in truth.items():
        scale = max(1.0, float(expected.abs().max()))
        assert float((estimates[name].double() - expected).abs().max()) < 1e-4 * scale, name


def test_the_top_layer_of_two_is_exact_and_the_lower_one_points_the_same_way() -> None:
    network = small_network(inputs=12, hidden=(17, 11), classes=4, readout_decay=0.0)
    estimates, truth, rates = _estimates(
        network, "reference", torch.float64, _targets(60, 4, 5, 60)
    )

    assert min(rates) > 0.02
    for name, expected in truth.items():
        if not name.startswith("layer0"):
            assert torch.allclose(estimates[name], expected, rtol=0, atol=1e-12), name
    lower = torch.cosine_similarity(
        estimates["layer0.w"].flatten(), truth["layer0.w"].flatten(), dim=0
    )
    assert 0.3 < float(lower) < 0.999999


def test_with_readout_memory_the_estimate_points_the_gradients_way() -> None:
    network = small_network(inputs=12, hidden=(17,), classes=4, readout_decay=0.9)
    # one target throughout, as a label for a segment is
    estimates, truth, _ = _estimates(network, "reference", torch.float64, [2] * 50)

    for name in ("layer0.w", "readout.w"):
        similarity = torch.cosine_similarity(
            estimates[name].flatten(), truth[name].flatten(), dim=0
        )
        assert 0.3 < float(similarity) < 0.999999, name


def test_a_filtered_trace_by_hand() -> None:
    filtered = eprop.filtered_trace(torch.tensor([4.0, 0.0]), torch.tensor([1.0, 2.0]), 0.5)

    # 0.5 * 4 + 1, 0 + 2
    assert filtered.tolist() == [3.0, 2.0]


def test_with_readout_memory_filtered_traces_are_the_gradient_but_for_one_bias() -> None:
    network = small_network(inputs=12, hidden=(17,), classes=4, readout_decay=0.9)
    filtered = LearningSpec(
        optimizer="sgd",
        learn_couplings=True,
        filter_readout_trace=True,
        filter_hidden_traces=True,
    )
    estimates, truth, rates = _estimates(
        network, "reference", torch.float64, _targets(50, 4, 20, 45), filtered
    )

    assert 0.05 < rates[0] < 0.5
    # the readout's bias has no filtered trace: its estimate leaves the memory of logits out
    assert not torch.allclose(estimates["readout.b"], truth.pop("readout.b"), rtol=0, atol=1e-3)
    for name, expected in truth.items():
        assert torch.allclose(estimates[name], expected, rtol=0, atol=1e-12), name


def test_the_readouts_filtered_trace_alone_makes_the_readout_exact() -> None:
    network = small_network(inputs=12, hidden=(17,), classes=4, readout_decay=0.9)
    learning = LearningSpec(optimizer="sgd", learn_couplings=True, filter_readout_trace=True)
    estimates, truth, _ = _estimates(
        network, "reference", torch.float64, _targets(50, 4, 20, 45), learning
    )

    assert torch.allclose(estimates["readout.w"], truth["readout.w"], rtol=0, atol=1e-12)
    assert not torch.allclose(estimates["layer0.w"], truth["layer0.w"], rtol=0, atol=1e-3)
