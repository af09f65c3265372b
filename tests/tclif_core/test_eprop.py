"""e-prop against hand numbers and, where theory says they are equal, against autograd.

z[t-1] taken as given in reset and recurrence, the sums over ticks of the reference kernel are

    exact          one hidden layer, readout decay 0: every parameter, every kind of neuron
                   one hidden layer, any readout decay, both filtered traces: likewise
                   the top layer and the readout of a deeper network, with both filtered traces
                   the readout's weights in any network, with its filtered trace
    approximate    lower layers; any layer where the readout remembers and traces are not filtered;
                   any network beside the gradient that runs through reset and recurrence too;
                   the readout's biases where it remembers: their trace is never filtered

Where they are approximate they must point the gradient's way on a fixed network, no more is
claimed. Broadcast feedback claims nothing for hidden layers before weights have aligned with it.
"""

from dataclasses import replace
from typing import NamedTuple, get_args

import numpy as np
import pytest
import torch

from tclif_core import (
    DecayProfile,
    EventBlock,
    Learner,
    LearningSpec,
    NetworkSpec,
    NeuronSpec,
    eprop,
)
from tclif_core.batch import Targets
from tclif_core.hyperparameters import Feedback, Loss, NeuronKind, Reset, SurrogateName
from tclif_core.two_compartment import SCALARS
from tests.oracles import bptt
from tests.tclif_core.streams import SEGMENT_SGD, advance_one, random_counts, small_network

N_TICKS = 50
RATE = 1e-3
FILTERED = replace(SEGMENT_SGD, filter_readout_trace=True, filter_hidden_traces=True)


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


def test_a_filtered_trace_by_hand() -> None:
    filtered = eprop.filtered_trace(torch.tensor([4.0, 0.0]), torch.tensor([1.0, 2.0]), 0.5)

    # 0.5 * 4 + 1, 0 + 2
    assert filtered.tolist() == [3.0, 2.0]


def _network(
    kind: NeuronKind = "adaptive_tclif",
    reset: Reset = "paper",
    surrogate: SurrogateName = "triangular",
    *,
    hidden: tuple[int, ...] = (17,),
    recurrent: bool = True,
    readout_decay: float = 0.0,
) -> NetworkSpec:
    profile = DecayProfile(scale_ticks=6.0) if kind in ("adaptive_tclif", "lif") else None
    neuron = NeuronSpec(
        kind=kind,
        reset=reset,
        surrogate=surrogate,
        surrogate_width=0.8,
        decay_profile=profile,
    )
    return small_network(
        inputs=12,
        hidden=hidden,
        classes=4,
        recurrent=recurrent,
        readout_decay=readout_decay,
        neuron=neuron,
    )


class _Comparison(NamedTuple):
    """e-prop's sums beside autograd's gradients, by the names of the parameters."""

    estimates: dict[str, torch.Tensor]
    truth: dict[str, torch.Tensor]
    rates: list[float]

    def assert_equal(self, prefixes: tuple[str, ...] = ("",)) -> None:
        # a silent network would pass with a wrong rule
        assert min(self.rates) > 0.03, self.rates
        assert self.estimates.keys() == self.truth.keys()
        compared = [name for name in self.truth if name.startswith(prefixes)]
        for name in compared:
            torch.testing.assert_close(
                self.estimates[name], self.truth[name], rtol=1e-10, atol=1e-10, msg=name
            )
        assert any(float(self.truth[name].abs().max()) > 1e-3 for name in compared)

    def cosine(self, name: str) -> float:
        pair = self.estimates[name].flatten(), self.truth[name].flatten()
        return float(torch.cosine_similarity(*pair, dim=0))


def _targets(first: int = 20, last: int = 30, loss: Loss = "cross_entropy") -> Targets:
    """Targets in ``[first, last)`` only, so that a rule for whole sequences would not pass."""
    generator = np.random.default_rng(5)
    is_outside = ~np.isin(np.arange(N_TICKS), np.arange(first, last))
    classes = generator.integers(0, 4, N_TICKS)
    if loss == "cross_entropy":
        classes[is_outside] = -1
        return classes
    values = generator.normal(size=(N_TICKS, 4))
    values[is_outside] = np.nan
    return values


def _compare(
    network: NetworkSpec,
    learning: LearningSpec,
    targets: Targets,
    *,
    is_detached: bool = True,
) -> _Comparison:
    learner = Learner(network, learning, kernel="reference", dtype=torch.float64)
    slot = learner.open(seed=2, rate=RATE)
    before = {name: torch.from_numpy(value) for name, value in learner.weights(slot).items()}
    x = random_counts(N_TICKS, network.inputs, seed=6)
    block = EventBlock.from_dense([x], np.float64)
    learner.advance(np.array([slot]), np.zeros(1, np.int64), np.array([True]), block, targets)
    estimates = {name: g.clone() for name, g in learner.bank.gradient_views(slot).items()}
    if network.neuron.kind == "tclif":
        # what its couplings learn is a logit: the gradient by it is read off the step it takes
        assert learner.apply_update(slot)
        after = learner.bank.parameter_views(slot)
        for name in estimates:
            if name.endswith(("soma_to_dendrite", "dendrite_to_soma")):
                step = torch.logit(after[name].abs()) - torch.logit(before[name].abs())
                estimates[name] = -step / RATE
    answers = targets.tolist() if targets.ndim == 1 else torch.from_numpy(targets)
    truth = bptt.truth(network, before, torch.from_numpy(x), answers, is_detached=is_detached)
    return _Comparison(estimates, truth.gradients, truth.rates)


@pytest.mark.parametrize("loss", get_args(Loss))
@pytest.mark.parametrize("surrogate", get_args(SurrogateName))
@pytest.mark.parametrize("reset", get_args(Reset))
@pytest.mark.parametrize("kind", get_args(NeuronKind))
def test_sums_equal_autograd_with_one_layer_and_no_readout_memory(
    kind: NeuronKind, reset: Reset, surrogate: SurrogateName, loss: Loss
) -> None:
    network = _network(kind, reset, surrogate)
    learning = LearningSpec(optimizer="sgd", loss=loss, learn_couplings=True)

    comparison = _compare(network, learning, _targets(loss=loss))

    comparison.assert_equal()
    learnt = {"lif": ["soma_decay_minimum"], "tclif": ["soma_to_dendrite", "dendrite_to_soma"]}
    for name in learnt.get(kind, list(SCALARS)):
        assert abs(float(comparison.truth[f"layer0.{name}"])) > 1e-6, name


@pytest.mark.parametrize("window", [(0, 50), (20, 30), (49, 50)])
@pytest.mark.parametrize("recurrent", [True, False])
def test_sums_equal_autograd_whatever_ticks_are_labelled(
    window: tuple[int, int],
    recurrent: bool,  # noqa: FBT001 - a row of the table
) -> None:
    _compare(_network(recurrent=recurrent), SEGMENT_SGD, _targets(*window)).assert_equal()


@pytest.mark.parametrize("loss", get_args(Loss))
@pytest.mark.parametrize("reset", get_args(Reset))
@pytest.mark.parametrize("kind", get_args(NeuronKind))
def test_filtered_traces_make_one_layer_exact_with_readout_memory(
    kind: NeuronKind, reset: Reset, loss: Loss
) -> None:
    network = _network(kind, reset, readout_decay=0.9)

    comparison = _compare(network, replace(FILTERED, loss=loss), _targets(loss=loss))

    comparison.assert_equal(("layer0", "readout"))


@pytest.mark.parametrize("feedback", get_args(Feedback))
@pytest.mark.parametrize("hidden", [(17,), (17, 11), (9, 8, 7)])
def test_the_filtered_readout_trace_makes_the_readout_exact_at_any_depth(
    hidden: tuple[int, ...], feedback: Feedback
) -> None:
    network = _network(hidden=hidden, readout_decay=0.9)
    learning = replace(SEGMENT_SGD, filter_readout_trace=True, feedback=feedback)

    _compare(network, learning, _targets()).assert_equal(("readout",))


@pytest.mark.parametrize(
    ("learning", "readout_decay"), [(SEGMENT_SGD, 0.0), (FILTERED, 0.9)], ids=["memoryless", "all"]
)
def test_the_top_layer_of_two_is_exact_and_the_lower_one_points_the_gradients_way(
    learning: LearningSpec, readout_decay: float
) -> None:
    network = _network(hidden=(17, 11), readout_decay=readout_decay)

    comparison = _compare(network, learning, _targets(5, 50))

    # the chain leaves out what a lower spike left behind in the layer above
    comparison.assert_equal(("layer1", "readout"))
    for name in ("layer0.w", "layer0.r", "layer0.b"):
        assert 0.2 < comparison.cosine(name) < 0.999999, name


@pytest.mark.parametrize("hidden", [(17,), (17, 11)])
def test_without_filtered_traces_readout_memory_leaves_every_layer_a_descent_direction(
    hidden: tuple[int, ...],
) -> None:
    network = _network(hidden=hidden, readout_decay=0.9)

    # one target throughout, as a label for a segment is
    comparison = _compare(network, SEGMENT_SGD, np.full(N_TICKS, 2))

    assert min(comparison.rates) > 0.03
    for name in comparison.truth:
        if name.endswith((".w", ".r", ".b")):
            assert 0.2 < comparison.cosine(name) < 0.999999, name


@pytest.mark.parametrize("kind", get_args(NeuronKind))
def test_beside_the_gradient_through_reset_and_recurrence_it_is_a_descent_direction(
    kind: NeuronKind,
) -> None:
    comparison = _compare(_network(kind), SEGMENT_SGD, _targets(0, 50), is_detached=False)

    assert comparison.rates[0] > 0.03
    torch.testing.assert_close(
        comparison.estimates["readout.w"], comparison.truth["readout.w"], rtol=1e-10, atol=1e-10
    )
    for name in ("layer0.w", "layer0.r"):
        assert 0.2 < comparison.cosine(name) < 0.999999, name


def test_sums_of_the_fast_backend_equal_autograd_in_float32() -> None:
    network, targets = _network(), _targets(10, 45)
    learner = Learner(network, SEGMENT_SGD, kernel="cpu")
    slot = learner.open(seed=2, rate=0.0)
    parameters = {n: v.double() for n, v in learner.bank.parameter_views(slot).items()}
    x = random_counts(N_TICKS, network.inputs, seed=6)

    advance_one(learner, slot, x, targets.tolist())

    assert learner.kernel_name == "cpu"
    truth = bptt.truth(network, parameters, torch.from_numpy(x), targets.tolist())
    assert truth.rates[0] > 0.03
    for name, estimate in learner.bank.gradient_views(slot).items():
        expected = truth.gradients[name]
        scale = max(1.0, float(expected.abs().max()))
        assert float((estimate.double() - expected).abs().max()) < 1e-4 * scale, name
