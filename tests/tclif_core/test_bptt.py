"""Networks under autograd: equal to the learner's forward, to an oracle backward, and trainable."""

import math
from typing import get_args

import numpy as np
import pytest
import torch

from tclif_core import DecayProfile, Learner, LearningSpec, NetworkSpec, NeuronSpec, Strand
from tclif_core.bptt import UnrolledNetwork, objective
from tclif_core.hyperparameters import Loss, NeuronKind, Reset, SurrogateName
from tests.oracles import bptt as oracle
from tests.tclif_core.streams import advance_one, random_counts, random_targets, small_network

KINDS = get_args(NeuronKind)
ALL_LEARN = LearningSpec(optimizer="sgd", learn_couplings=True)
N_TICKS = 50


def _network(
    kind: NeuronKind,
    reset: Reset = "paper",
    surrogate: SurrogateName = "triangular",
    *,
    readout_decay: float = 0.9,
) -> NetworkSpec:
    profile = DecayProfile(scale_ticks=6.0) if kind in ("adaptive_tclif", "lif") else None
    neuron = NeuronSpec(
        kind=kind,
        reset=reset,
        surrogate=surrogate,
        surrogate_width=0.8,
        soma_to_dendrite=-0.4,
        dendrite_to_soma=0.6,
        decay_profile=profile,
    )
    return small_network(readout_decay=readout_decay, neuron=neuron)


def _weights_off_the_start(network: NetworkSpec) -> dict[str, np.ndarray]:
    """Weights that no specification starts with: biases and each layer's four numbers differ."""
    weights = UnrolledNetwork(network, ALL_LEARN, seed=3, dtype=torch.float64).weights()
    generator = np.random.default_rng(3)
    for name, value in weights.items():
        if name.endswith(".b"):
            weights[name] = generator.uniform(-0.2, 0.2, value.shape)
        elif value.ndim == 0 and 0.0 < abs(value) < 1.0:
            weights[name] = np.array(value * generator.uniform(0.9, 1.0))
    return weights


@pytest.mark.parametrize("reset", get_args(Reset))
@pytest.mark.parametrize("kind", KINDS)
def test_logits_and_rates_equal_those_of_the_learner(kind: NeuronKind, reset: Reset) -> None:
    network = _network(kind, reset)
    unrolled = UnrolledNetwork(network, ALL_LEARN, seed=3, dtype=torch.float64)
    unrolled.load_weights(_weights_off_the_start(network))
    x = random_counts(N_TICKS, network.inputs)
    learner = Learner(network, ALL_LEARN, kernel="reference", dtype=torch.float64)
    slot = learner.open(seed=0, rate=0.0)
    learner.load_weights(slot, _weights_off_the_start(network))
    learner.begin_segment(slot, Strand.LIVE)

    expected = advance_one(learner, slot, x, [-1] * N_TICKS).logits
    logits, rates = unrolled(torch.from_numpy(x)[:, None])

    counts, _ = learner.spike_counts(slot)
    assert min(counts / N_TICKS / np.array(network.hidden)) > 0.03, "a silent network shows nothing"
    np.testing.assert_allclose(logits[:, 0].detach().numpy(), expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(
        rates.detach().numpy(), counts / N_TICKS / np.array(network.hidden), rtol=1e-12
    )


@pytest.mark.parametrize("seed", [0, 5])
def test_a_new_network_has_the_weights_of_a_session_of_that_seed(seed: int) -> None:
    network = small_network()
    learner = Learner(network, ALL_LEARN, kernel="reference")

    weights = UnrolledNetwork(network, ALL_LEARN, seed=seed).weights()

    expected = learner.weights(learner.open(seed=seed, rate=0.0))
    assert weights.keys() == expected.keys()
    for name, value in expected.items():
        assert weights[name].dtype == value.dtype
        np.testing.assert_array_equal(weights[name], value, strict=True)


def _check_against_oracle(
    network: NetworkSpec, loss: Loss, *, is_detached: bool
) -> dict[str, torch.Tensor]:
    """Compare two sequences in one batch with the mean of two calls of the oracle."""
    unrolled = UnrolledNetwork(
        network, ALL_LEARN, seed=3, dtype=torch.float64, is_detached=is_detached
    )
    weights = _weights_off_the_start(network)
    unrolled.load_weights(weights)
    inputs = [torch.from_numpy(random_counts(N_TICKS, network.inputs, seed)) for seed in (0, 1)]
    targets = [_targets(network, loss, seed) for seed in (0, 1)]

    answer = unrolled(torch.stack(inputs, dim=1))
    objective(answer.logits, torch.stack(targets, dim=1), loss).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped

    parameters = {name: torch.from_numpy(value) for name, value in weights.items()}
    truths = [
        oracle.truth(
            network, parameters, x, t if t.ndim == 2 else t.tolist(), is_detached=is_detached
        )
        for x, t in zip(inputs, targets, strict=True)
    ]
    assert min(rate for truth in truths for rate in truth.rates) > 0.03
    gradients = {}
    for name, parameter in unrolled.named_parameters():
        full_name = name.replace("_", ".", 1)
        expected = (truths[0].gradients[full_name] + truths[1].gradients[full_name]) / 2
        if parameter.requires_grad:
            assert parameter.grad is not None
            gradients[full_name] = parameter.grad
            torch.testing.assert_close(
                parameter.grad, expected, rtol=1e-10, atol=1e-10, msg=full_name
            )
    return gradients


def _targets(network: NetworkSpec, loss: Loss, seed: int) -> torch.Tensor:
    classes = torch.from_numpy(random_targets(N_TICKS, network.classes, seed))
    if loss == "cross_entropy":
        return classes
    values = np.random.default_rng(seed).normal(size=(N_TICKS, network.classes))
    values[classes.numpy() < 0] = np.nan
    return torch.from_numpy(values)


@pytest.mark.parametrize("is_detached", [False, True])
@pytest.mark.parametrize("reset", get_args(Reset))
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_every_kind_and_reset_equal_the_oracle(
    kind: NeuronKind,
    reset: Reset,
    is_detached: bool,  # noqa: FBT001 - a row of the table
) -> None:
    gradients = _check_against_oracle(
        _network(kind, reset), "cross_entropy", is_detached=is_detached
    )

    n_learnt = {"lif": 1, "tclif": 2}.get(kind, 4)
    assert len(gradients) == 2 * (3 + n_learnt) + 2
    assert all(float(gradient.abs().max()) > 1e-6 for gradient in gradients.values())


@pytest.mark.parametrize("loss", get_args(Loss))
@pytest.mark.parametrize("surrogate", get_args(SurrogateName))
def test_gradients_of_every_surrogate_and_loss_equal_the_oracle(
    surrogate: SurrogateName, loss: Loss
) -> None:
    gradients = _check_against_oracle(
        _network("adaptive_tclif", "paper", surrogate), loss, is_detached=False
    )

    assert float(gradients["layer0.w"].abs().max()) > 1e-3


@pytest.mark.parametrize("is_detached", [False, True])
def test_a_neuron_of_two_ticks_by_hand(
    is_detached: bool,  # noqa: FBT001 - a row of the table
) -> None:
    network = NetworkSpec(
        inputs=1,
        hidden=(1,),
        classes=2,
        readout_decay=0.0,
        neuron=NeuronSpec(kind="lif", soma_decay_minimum=0.5),
    )
    unrolled = UnrolledNetwork(
        network, LearningSpec(), seed=0, dtype=torch.float64, is_detached=is_detached
    )
    start = unrolled.weights()
    changed = {"w": [[1.25]], "r": [[0.5]], "b": [0.0]}
    start |= {f"layer0.{name}": np.array(value) for name, value in changed.items()}
    start |= {"readout.w": np.array([[math.log(3.0), 0.0]]), "readout.b": np.zeros(2)}
    unrolled.load_weights(start)

    logits, rates = unrolled(torch.ones(2, 1, 1, dtype=torch.float64))
    loss = objective(logits, torch.tensor([[-1], [1]]), "cross_entropy")
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped

    # U0 = 1.25: a spike, psi0 = 1 - 0.25 = 0.75
    # U1 = 0.5 * 1.25 + 1.25 + 0.5 - 1 = 1.375: a spike, psi1 = 1 - 0.375 = 0.625
    # y1 = (ln 3, 0), p1 = (3/4, 1/4), target 1: E = ln 4, dE/dz1 = 3/4 ln 3
    # dU1/dw = 0.5 * 1 + 1, and through z0: (0.5 - 1) * 0.75, unless that is taken as given
    # dU1/dr = z0 = 1; dU1/da = U0 = 1.25
    d = 0.75 * math.log(3.0) * 0.625
    by_w = 1.5 if is_detached else 1.5 - 0.5 * 0.75
    expected = {"layer0_w": d * by_w, "layer0_r": d, "layer0_soma_decay_minimum": d * 1.25}
    assert float(loss.detach()) == pytest.approx(math.log(4.0), rel=1e-12)
    assert rates.tolist() == [1.0]
    for name, value in expected.items():
        gradient = unrolled.get_parameter(name).grad
        assert gradient is not None
        assert float(gradient) == pytest.approx(value, rel=1e-12), name


@pytest.mark.parametrize(
    ("kind", "learning", "learnt"),
    [
        ("adaptive_tclif", LearningSpec(), ["dendrite_decay_minimum", "soma_decay_minimum"]),
        ("tclif", LearningSpec(), ["soma_to_dendrite", "dendrite_to_soma"]),
        ("lif", LearningSpec(), ["soma_decay_minimum"]),
        ("two_compartment", LearningSpec(learn_decay_minima=False), []),
    ],
)
def test_only_what_is_learnt_takes_a_gradient(
    kind: NeuronKind, learning: LearningSpec, learnt: list[str]
) -> None:
    unrolled = UnrolledNetwork(_network(kind), learning, seed=0)

    taking = {name for name, p in unrolled.named_parameters() if p.requires_grad}

    matrices = {f"layer{n}_{name}" for n in (0, 1) for name in ("w", "r", "b")}
    scalars = {f"layer{n}_{name}" for n in (0, 1) for name in learnt}
    assert taking == matrices | scalars | {"readout_w", "readout_b"}


@pytest.mark.parametrize("kind", KINDS)
def test_weights_come_back_as_they_were_loaded(kind: NeuronKind) -> None:
    network = _network(kind)
    weights = _weights_off_the_start(network)
    unrolled = UnrolledNetwork(network, ALL_LEARN, seed=9, dtype=torch.float64)

    unrolled.load_weights(weights)

    back = unrolled.weights()
    assert list(back) == list(weights)
    for name, value in weights.items():
        # a coupling of tclif goes through its logit and back
        np.testing.assert_allclose(back[name], value, rtol=1e-14, atol=0, err_msg=name)
        assert back[name].shape == value.shape


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("layer0.w", np.zeros((2, 2)), r"layer0.w must be \[9, 7\], got \[2, 2\]"),
        ("layer1.b", np.full(5, np.inf), "layer1.b holds a number that is not finite"),
        ("layer0.soma_decay_minimum", np.array(1.5), r"must lie in \[0, 0.85\], got 1.5"),
        ("other", np.zeros(1), "unknown other"),
    ],
)
def test_unfit_weights_are_refused_and_change_nothing(
    name: str, value: np.ndarray, message: str
) -> None:
    unrolled = UnrolledNetwork(small_network(), ALL_LEARN, seed=0)
    before = unrolled.weights()
    fit = UnrolledNetwork(small_network(), ALL_LEARN, seed=1).weights()

    with pytest.raises(ValueError, match=message):
        unrolled.load_weights(fit | {name: value})

    for same, now in unrolled.weights().items():
        np.testing.assert_array_equal(now, before[same])


def test_numbers_that_an_optimiser_pushed_out_come_back_in_bounds() -> None:
    unrolled = UnrolledNetwork(_network("adaptive_tclif"), ALL_LEARN, seed=0)
    with torch.no_grad():
        for name, parameter in unrolled.named_parameters():
            if parameter.ndim == 0:
                parameter.fill_(5.0 if name.startswith("layer0") else -5.0)

    unrolled.keep_in_bounds()

    weights = unrolled.weights()
    # decay minima end at 1 - amplitude = 0.85; couplings lie in [-1, 0] and [0, 1]
    names = ("dendrite_decay_minimum", "soma_decay_minimum", "soma_to_dendrite", "dendrite_to_soma")
    upper, lower = [0.85, 0.85, 0.0, 1.0], [0.0, 0.0, -1.0, 0.0]
    assert [float(weights[f"layer0.{name}"]) for name in names] == pytest.approx(upper)
    assert [float(weights[f"layer1.{name}"]) for name in names] == lower


def test_couplings_of_tclif_stay_inside_the_sigmoid_and_load_into_a_learner() -> None:
    network = _network("tclif")
    unrolled = UnrolledNetwork(network, LearningSpec(), seed=0)
    with torch.no_grad():
        for name, parameter in unrolled.named_parameters():
            if parameter.ndim == 0 and parameter.requires_grad:
                parameter.fill_(100.0 if name.startswith("layer0") else -100.0)

    unrolled.keep_in_bounds()

    weights = unrolled.weights()
    assert float(weights["layer0.soma_to_dendrite"]) == pytest.approx(-(1 - 1e-6), abs=1e-7)
    assert float(weights["layer1.dendrite_to_soma"]) == pytest.approx(1e-6, rel=1e-3)
    learner = Learner(network, LearningSpec(), kernel="reference")
    slot = learner.open(seed=0, rate=0.0)
    learner.load_weights(slot, weights)
    assert learner.weights(slot)["layer0.soma_to_dendrite"] == weights["layer0.soma_to_dendrite"]


@pytest.mark.parametrize("shape", [(5, 9), (5, 2, 8), (0, 2, 9)])
def test_input_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    unrolled = UnrolledNetwork(small_network(), ALL_LEARN, seed=0)

    with pytest.raises(ValueError, match=r"x must be \[ticks, sequences, 9\]"):
        unrolled(torch.zeros(shape))


def test_padding_without_target_does_not_change_a_gradient() -> None:
    network = small_network()
    x = torch.from_numpy(random_counts(30, network.inputs))[:, None]
    y = torch.from_numpy(random_targets(30, network.classes))[:, None]
    noise = torch.from_numpy(random_counts(12, network.inputs, seed=1))[:, None]
    plain, padded = (UnrolledNetwork(network, ALL_LEARN, seed=3, dtype=x.dtype) for _ in range(2))

    objective(plain(x).logits, y, "cross_entropy").backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    longer = torch.cat([y, torch.full((12, 1), -1)])
    objective(padded(torch.cat([x, noise])).logits, longer, "cross_entropy").backward()  # type: ignore[no-untyped-call]  # as above

    for one, other in zip(plain.parameters(), padded.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-12, atol=1e-12)


LOGITS = torch.tensor([[[0.0, 0.0], [9.0, 9.0]], [[math.log(3.0), 0.0], [0.0, math.log(7.0)]]])


@pytest.mark.parametrize(
    ("targets", "form", "expected"),
    [
        # two ticks, two sequences. First sequence: ln 2 + ln(4/3); second: no target + ln(8/7)
        ([[1, -1], [0, 1]], "each_tick", (math.log(8 / 3) + math.log(8 / 7)) / 2),
        # only the last target of each counts
        ([[1, -1], [0, 1]], "summed_logits", (math.log(4 / 3) + math.log(8 / 7)) / 2),
        # the first sequence ends one tick early, the second is without target
        ([[1, -1], [-1, -1]], "summed_logits", math.log(2.0) / 2),
        ([[-1, -1], [-1, -1]], "each_tick", 0.0),
    ],
)
def test_cross_entropy_is_summed_over_ticks_and_averaged_over_sequences(
    targets: list[list[int]], form: str, expected: float
) -> None:
    loss = objective(LOGITS, torch.tensor(targets), "cross_entropy", form)  # type: ignore[arg-type]  # a row of the table

    assert float(loss) == pytest.approx(expected, abs=1e-6)


def test_summed_logits_of_a_readout_that_forgets_nothing_sum_its_currents() -> None:
    x = torch.from_numpy(random_counts(20, 9))[:, None]
    forgetful, lasting = (
        UnrolledNetwork(
            _network("tclif", readout_decay=kappa), ALL_LEARN, seed=3, dtype=torch.float64
        )
        for kappa in (0.0, 1.0)
    )
    targets = torch.full((20, 1), 2)

    loss = objective(lasting(x).logits, targets, "cross_entropy", "summed_logits")

    total = forgetful(x).logits.sum(dim=0)[0]
    expected = -torch.log_softmax(total, dim=0)[2]
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)


def test_mean_squared_counts_known_ticks_and_passes_no_nan_back() -> None:
    logits = torch.tensor([[[1.0, 2.0]], [[3.0, 5.0]]], requires_grad=True)
    targets = torch.tensor([[[0.0, 0.0]], [[math.nan, math.nan]]])

    loss = objective(logits, targets, "mean_squared")
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped

    # (1 + 4) / 2 of the first tick; its slope is 2 y / 2
    assert float(loss.detach()) == 2.5
    assert logits.grad is not None
    assert logits.grad.tolist() == [[[1.0, 2.0]], [[0.0, 0.0]]]


@pytest.mark.parametrize(
    ("targets", "loss", "form", "message"),
    [
        (torch.zeros(2, 3, dtype=torch.int64), "cross_entropy", "each_tick", r"int64 \[2, 2\]"),
        (torch.zeros(2, 2), "cross_entropy", "each_tick", "got torch.float32"),
        (torch.full((2, 2), 2), "cross_entropy", "each_tick", r"lie in \[-1, 1\], got 2"),
        (torch.zeros(2, 2), "mean_squared", "each_tick", r"must be \[2, 2, 2\]"),
        (torch.zeros(2, 2, 2), "mean_squared", "summed_logits", "'each_tick' only"),
    ],
)
def test_unfit_targets_are_refused(
    targets: torch.Tensor, loss: Loss, form: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        objective(LOGITS, targets, loss, form)  # type: ignore[arg-type]  # a row of the table


def test_training_tells_two_patterns_apart_and_moves_what_may_move() -> None:
    network = small_network(inputs=8, hidden=(12, 10), classes=2)
    unrolled = UnrolledNetwork(network, LearningSpec(), seed=1)
    # class 0 drives the lower channels, class 1 the upper ones
    x = torch.zeros(20, 2, 8)
    x[:, 0, :4] = x[:, 1, 4:] = torch.from_numpy(random_counts(20, 4)).float()
    targets = torch.arange(2).expand(20, 2).contiguous()
    before = unrolled.weights()
    optimizer = torch.optim.Adam(unrolled.parameters(), lr=0.01)
    losses = []

    for _ in range(40):
        optimizer.zero_grad()
        loss = objective(unrolled(x).logits, targets, "cross_entropy")
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
        unrolled.keep_in_bounds()
        losses.append(float(loss.detach()))

    assert losses[-1] < 0.3 * losses[0]
    after = unrolled.weights()
    moved = {name for name in after if not np.array_equal(before[name], after[name])}
    assert moved == {name for name in after if "soma_to" not in name and "to_soma" not in name}
