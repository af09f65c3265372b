"""One update from a gradient that is written by hand, over a network of one neuron."""

import math

import pytest
import torch

from tclif_core import LearningSpec, NetworkSpec, NeuronSpec, SlotIndex
from tclif_core.segment_update import apply_update
from tclif_core.slot_bank import N_PENDING, N_UPDATES, SlotBank, row_shapes
from tests.tclif_core.streams import assert_same_bits

SLOT = SlotIndex(0)


def _bank(
    learning: LearningSpec,
    gradient: dict[str, float],
    *,
    kind: str = "two_compartment",
    rate: float = 0.5,
    dtype: torch.dtype = torch.float64,
    couplings: tuple[float, float] = (-0.5, 0.5),
) -> SlotBank:
    """Return a bank with one open slot, every weight 1 and the given gradients."""
    neuron = NeuronSpec.from_dict(
        {"kind": kind, "soma_to_dendrite": couplings[0], "dendrite_to_soma": couplings[1]}
    )
    network = NetworkSpec(inputs=1, hidden=(1,), classes=2, recurrent=True, neuron=neuron)
    bank = SlotBank(network, learning, dtype=dtype)
    slot = bank.open(seed=0, rate=rate)
    for name, view in bank.parameter_views(slot).items():
        if name.rpartition(".")[2] in "wrb":
            view.fill_(1.0)
    for name, value in gradient.items():
        bank.gradient_views(slot)[name].fill_(value)
    bank.updates[slot, N_PENDING] = 1
    return bank


def _update(bank: SlotBank) -> dict[str, float]:
    """Update, and return the first number of each parameter."""
    assert apply_update(bank, 0)
    return {name: float(view.flatten()[0]) for name, view in bank.parameter_views(0).items()}


def _rows(bank: SlotBank) -> dict[str, torch.Tensor]:
    return {
        name: getattr(bank, name)[0].clone() for name in row_shapes(bank.network, bank.learning)
    }


def test_an_update_counts_and_clears_the_gradient() -> None:
    bank = _bank(LearningSpec(optimizer="sgd"), {"layer0.w": 0.5})

    after = _update(bank)

    assert after["layer0.w"] == 1.0 - 0.5 * 0.5
    assert not bank.gradients.any()
    assert bank.updates[0].tolist() == [1, 0]


@pytest.mark.parametrize(("clip", "step"), [(10.0, 3.0), (5.0, 3.0), (2.5, 1.5)])
def test_a_long_gradient_is_shortened_and_a_short_one_is_not(clip: float, step: float) -> None:
    learning = LearningSpec(optimizer="sgd", gradient_clip=clip)
    # its length is 5
    bank = _bank(learning, {"layer0.w": 3.0, "layer0.b": 4.0}, rate=1.0)

    after = _update(bank)

    assert after["layer0.w"] == pytest.approx(1.0 - step)
    assert after["layer0.b"] == pytest.approx(1.0 - step * 4 / 3)


def test_weights_decay_and_biases_and_frozen_layers_do_not() -> None:
    learning = LearningSpec(optimizer="sgd", weight_decay=0.4, layer_rates=(0.5, 0.0))
    bank = _bank(learning, {"layer0.w": 1.0, "readout.w": 1.0, "readout.b": 1.0})

    after = _update(bank)

    # step 0.5 * 0.5 * 1, then 1 - 0.5 * 0.5 * 0.4 = 0.9 of what is left
    assert after["layer0.w"] == pytest.approx(0.75 * 0.9)
    assert after["layer0.r"] == pytest.approx(0.9)
    assert (after["layer0.b"], after["readout.w"], after["readout.b"]) == (1.0, 1.0, 1.0)


def test_a_decay_of_more_than_all_ends_at_zero() -> None:
    bank = _bank(LearningSpec(optimizer="sgd", weight_decay=10.0), {})

    assert _update(bank)["layer0.w"] == 0.0


def test_layer_rates_multiply_the_rate() -> None:
    learning = LearningSpec(optimizer="sgd", layer_rates=(2.0, 0.5))
    gradient = {"layer0.w": 0.25, "readout.b": 0.25, "layer0.soma_decay_minimum": 0.25}

    after = _update(_bank(learning, gradient))

    # a layer's four numbers belong to the layer; 0.8 is where the decay starts
    assert after["layer0.w"] == 1.0 - 0.5 * 2.0 * 0.25
    assert after["readout.b"] == 1.0 - 0.5 * 0.5 * 0.25
    assert after["layer0.soma_decay_minimum"] == pytest.approx(0.8 - 0.25)


def test_momentum_goes_on_over_updates() -> None:
    bank = _bank(LearningSpec(optimizer="sgd", momentum=0.5), {"layer0.w": 1.0}, rate=0.25)
    _update(bank)
    bank.gradient_views(0)["layer0.w"].fill_(1.0)

    # V = 1, then 1.5: 1 - 0.25 - 0.375
    assert _update(bank)["layer0.w"] == 0.375


def test_decays_are_kept_in_their_interval() -> None:
    bank = _bank(
        LearningSpec(optimizer="sgd"),
        {"layer0.soma_decay_minimum": -9.0, "layer0.dendrite_decay_minimum": 9.0},
    )

    after = _update(bank)

    assert after["layer0.soma_decay_minimum"] == 1.0
    assert after["layer0.dendrite_decay_minimum"] == 0.0


def test_per_tick_updates_move_the_four_numbers_and_refresh_the_squares() -> None:
    learning = LearningSpec(update="tick", optimizer="rmsprop", square_decay=0.75, epsilon=0.5)
    bank = _bank(learning, {"layer0.w": 4.0, "layer0.soma_decay_minimum": 0.2}, rate=0.1)

    after = _update(bank)

    # v = 0.25 * 16, and the weight has moved at its ticks already
    squares = bank.parameter_layout.views(bank.second_moment[0])
    assert float(squares["layer0.w"]) == 4.0
    assert after["layer0.w"] == 1.0
    # v = 0.25 * 0.04 = 0.01: 0.8 - 0.1 * 0.2 / (0.1 + 0.5)
    assert after["layer0.soma_decay_minimum"] == pytest.approx(0.8 - 0.02 / 0.6)


# --- couplings through the sigmoid


def test_couplings_of_tclif_take_their_step_through_the_sigmoid() -> None:
    gradient = {"layer0.soma_to_dendrite": 2.0, "layer0.dendrite_to_soma": 1.0}

    after = _update(_bank(LearningSpec(optimizer="sgd"), gradient, kind="tclif", rate=0.4))

    # c1 = c2 = 0, s (1 - s) = 1/4
    # dE/dc1 = -2/4, c1 = 0.2, bD = -1 / (1 + e^-0.2);  dE/dc2 = 1/4, c2 = -0.1
    assert after["layer0.soma_to_dendrite"] == pytest.approx(-1 / (1 + math.exp(-0.2)), abs=1e-15)
    assert after["layer0.dendrite_to_soma"] == pytest.approx(1 / (1 + math.exp(0.1)), abs=1e-15)


def test_couplings_of_other_kinds_step_by_themselves() -> None:
    learning = LearningSpec(optimizer="sgd", learn_couplings=True)
    gradient = {"layer0.soma_to_dendrite": 0.5, "layer0.dendrite_to_soma": 0.5}

    after = _update(_bank(learning, gradient))

    assert after["layer0.soma_to_dendrite"] == -0.75
    assert after["layer0.dendrite_to_soma"] == 0.25


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("magnitude", [1e-6, 0.1, 0.3, 0.7, 0.999, 1 - 2e-6])
def test_a_rate_of_zero_changes_no_bit_of_a_coupling(dtype: torch.dtype, magnitude: float) -> None:
    gradient = {"layer0.soma_to_dendrite": 2.0, "layer0.dendrite_to_soma": -3.0}
    bank = _bank(
        LearningSpec(),
        gradient,
        kind="tclif",
        rate=0.0,
        dtype=dtype,
        couplings=(-magnitude, magnitude),
    )
    before = bank.parameters[0].clone()

    _update(bank)

    assert torch.equal(bank.parameters[0], before)


@pytest.mark.parametrize("push", [1e9, -1e9])
def test_a_coupling_pushed_far_stays_inside_and_comes_back(push: float) -> None:
    bank = _bank(
        LearningSpec(optimizer="sgd"),
        {"layer0.soma_to_dendrite": push, "layer0.dendrite_to_soma": push},
        kind="tclif",
        rate=1.0,
        dtype=torch.float32,
    )

    after = _update(bank)

    for magnitude in (-after["layer0.soma_to_dendrite"], after["layer0.dendrite_to_soma"]):
        assert 0.0 < magnitude < 1.0
    # however near to 0 or 1, the next gradient still moves it
    bank.gradient_views(0)["layer0.dendrite_to_soma"].fill_(-push)
    assert _update(bank)["layer0.dendrite_to_soma"] != after["layer0.dendrite_to_soma"]


# --- what is not applied


@pytest.mark.parametrize("bad", [math.nan, math.inf, -2e18])
@pytest.mark.parametrize("kind", ["two_compartment", "tclif"])
@pytest.mark.parametrize(
    "learning",
    [
        LearningSpec(weight_decay=0.5),
        LearningSpec(optimizer="sgd", momentum=0.5, gradient_clip=1.0),
        LearningSpec(update="tick", optimizer="rmsprop", learn_couplings=True),
    ],
)
def test_a_gradient_that_is_not_finite_leaves_every_row_as_it_was(
    learning: LearningSpec, kind: str, bad: float
) -> None:
    bank = _bank(learning, {"layer0.dendrite_to_soma": 1.0}, kind=kind)
    _update(bank)
    bank.gradient_views(0)["layer0.dendrite_to_soma"].fill_(bad)
    bank.updates[0, N_PENDING] = 3
    before = _rows(bank)

    assert not apply_update(bank, 0)

    before["gradients"].zero_()
    before["updates"][N_PENDING] = 0
    assert int(before["updates"][N_UPDATES]) == 1
    assert_same_bits(_rows(bank), before)
