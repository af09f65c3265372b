import math

import psutil
import pytest
import torch

from tclif_core import Learner, LearningSpec, NetworkSpec, NeuronSpec, SlotIndex, Strand
from tclif_core.initial_weights import feedback_weights, initial_parameters
from tclif_core.slot_bank import ROOM_SLOTS, SlotBank, row_shapes, slot_bytes
from tests.tclif_core.streams import SEGMENT_SGD, TICK_SGD, small_network

ADAM = LearningSpec(feedback="broadcast")
WITHOUT_MOMENTUM = LearningSpec(first_moment_decay=0.0)


def _tensors(bank: SlotBank) -> dict[str, torch.Tensor]:
    return {name: getattr(bank, name) for name in row_shapes(bank.network, bank.learning)}


@pytest.mark.parametrize(
    "learning",
    [
        ADAM,
        WITHOUT_MOMENTUM,
        SEGMENT_SGD,
        TICK_SGD,
        LearningSpec(optimizer="rmsprop"),
        LearningSpec(optimizer="sgd", momentum=0.5, filter_readout_trace=True),
        LearningSpec(update="tick", optimizer="rmsprop", momentum=0.5, learn_couplings=True),
        LearningSpec(filter_hidden_traces=True, layer_rates=(1.0, 0.5, 2.0)),
        LearningSpec(update="frozen", feedback="broadcast"),
    ],
)
def test_a_slot_takes_exactly_the_bytes_that_are_promised(learning: LearningSpec) -> None:
    network = small_network()
    bank = SlotBank(network, learning, capacity=3)

    tensors = [v for v in vars(bank).values() if isinstance(v, torch.Tensor)]
    slots = [tensor for tensor in tensors if tensor is not bank.scalar_bounds]
    assert sum(tensor.nbytes for tensor in slots) == 3 * slot_bytes(network, learning)


def test_bytes_of_a_tiny_network_by_hand() -> None:
    network = NetworkSpec(inputs=2, hidden=(3,), classes=2, recurrent=False)
    learning = LearningSpec(optimizer="sgd", learn_decay_minima=False)

    # parameters 2*3 + 3 + 3*2 + 2 + 4 scalars = 21, padded to 32; gradients as many
    # state 4*3 + 2*(2 + 1) lines + 2 logits = 20, padded to 32, twice
    # sums 2*(2 + 1) doubles, counters 2*(3 + 1), updates 2, rate, seed, first classes: 8 each
    assert slot_bytes(network, learning) == 4 * (32 + 32 + 2 * 32) + 8 * (6 + 8 + 2 + 1 + 1 + 1)


def test_per_tick_updates_need_no_gradient_for_each_weight() -> None:
    shapes = row_shapes(small_network(), TICK_SGD)

    # two layers of four numbers, and less than a cache line of padding
    assert 8 <= shapes["gradients"][0][0] < 8 + 16
    assert shapes["first_moment"][0] == shapes["second_moment"][0] == (0,)


def test_preconditioned_ticks_are_no_lighter_than_segment_updates() -> None:
    preconditioned = row_shapes(small_network(), LearningSpec(update="tick", optimizer="rmsprop"))

    assert preconditioned == row_shapes(small_network(), LearningSpec(optimizer="rmsprop"))


def test_a_velocity_takes_a_number_for_each_weight() -> None:
    shapes = row_shapes(small_network(), LearningSpec(optimizer="sgd", momentum=0.5))

    assert shapes["first_moment"] == shapes["parameters"]
    assert shapes["second_moment"][0] == (0,)


def test_couplings_of_tclif_end_where_a_sigmoid_does() -> None:
    network = small_network(hidden=(3,), neuron=NeuronSpec(kind="tclif"))

    bounds = SlotBank(network, LearningSpec(), dtype=torch.float64).scalar_bounds

    # its decays are no parameters and stay free; the couplings come to 1e-6 of 0 and 1
    assert bounds[:, 0].tolist() == [-math.inf, math.inf]
    assert bounds[:, 2].tolist() == [-(1 - 1e-6), -1e-6]
    assert bounds[:, 3].tolist() == [1e-6, 1 - 1e-6]


def test_adam_without_momentum_takes_a_number_less_for_each_weight() -> None:
    with_momentum = row_shapes(small_network(), LearningSpec())
    without = row_shapes(small_network(), WITHOUT_MOMENTUM)

    assert with_momentum["first_moment"] == with_momentum["second_moment"]
    assert without["first_moment"][0] == (0,)


def test_an_opened_slot_has_the_seeds_weights_and_nothing_else() -> None:
    network = small_network()
    bank = SlotBank(network, ADAM)

    slot = bank.open(seed=5, rate=0.25)

    expected = torch.from_numpy(initial_parameters(network, 5)).float()
    assert torch.equal(bank.parameters[slot], expected)
    assert torch.equal(
        bank.feedback[slot], torch.from_numpy(feedback_weights(network, ADAM, 5)).float()
    )
    assert (float(bank.rates[slot]), int(bank.seeds[slot])) == (0.25, 5)
    for name in ("gradients", "first_moment", "second_moment", "state", "sums", "counters"):
        assert not getattr(bank, name)[slot].any()


def test_slots_are_given_out_from_the_lowest() -> None:
    bank = SlotBank(small_network(), SEGMENT_SGD, capacity=3)

    assert [bank.open(seed=0, rate=0.0) for _ in range(3)] == [0, 1, 2]


def test_growing_keeps_every_bit_of_the_open_slots() -> None:
    bank = SlotBank(small_network(), ADAM, capacity=2)
    for slot in (bank.open(seed=1, rate=0.1), bank.open(seed=2, rate=0.2)):
        for tensor in _tensors(bank).values():
            tensor[slot] += slot + 1
    before = {name: tensor.clone() for name, tensor in _tensors(bank).items()}

    third = bank.open(seed=3, rate=0.3)

    # a network of some hundred bytes: as many slots as a bank that grows has at least
    assert (third, bank.capacity, bank.n_open) == (2, ROOM_SLOTS, 3)
    for name, tensor in _tensors(bank).items():
        assert torch.equal(tensor[:2], before[name])


def test_slots_that_nobody_used_take_no_memory() -> None:
    # 600,824 bytes a session, of which 256 slots are reserved: 147 MiB
    learner = Learner(NetworkSpec(inputs=700, hidden=(128, 128), classes=20), TICK_SGD)
    n_bytes = Learner.session_bytes(learner.network, TICK_SGD)
    learner.open(seed=0, rate=0.1)
    resident = psutil.Process().memory_info().rss

    learner.open(seed=1, rate=0.1)

    assert learner.bank.capacity == ROOM_SLOTS
    assert learner.memory_bytes == 2 * n_bytes
    assert psutil.Process().memory_info().rss - resident < 20 * n_bytes


def test_a_closed_slot_is_cleared_and_given_out_again() -> None:
    bank = SlotBank(small_network(), ADAM, capacity=2)
    first, second = bank.open(seed=1, rate=0.1), bank.open(seed=2, rate=0.1)
    for tensor in _tensors(bank).values():
        tensor[first] += 1

    bank.close(first)

    assert all(not tensor[first].any() for tensor in _tensors(bank).values())
    assert bank.parameters[second].any()
    assert bank.n_open == 1
    assert bank.open(seed=9, rate=0.0) == first


def test_a_slot_that_is_not_open_is_refused() -> None:
    bank = SlotBank(small_network(), SEGMENT_SGD)
    slot = bank.open(seed=0, rate=0.0)
    bank.close(slot)

    with pytest.raises(ValueError, match="slot 0 is not open"):
        bank.close(slot)
    with pytest.raises(ValueError, match="slot 0 is not open"):
        bank.set_rate(slot, 0.1)
    with pytest.raises(ValueError, match="slot 0 is not open"):
        bank.begin_segment(slot, Strand.LIVE, carry_state=False)


@pytest.mark.parametrize(
    ("seed", "rate", "text"),
    [
        (-1, 0.1, r"seed must lie in \[0, 9223372036854775807\], got -1"),
        (2**63, 0.1, r"seed must lie in"),
        (0, -0.1, r"rate must lie in \[0, 100\], got -0.1"),
        (0, math.nan, r"rate must lie in \[0, 100\], got nan"),
    ],
)
def test_a_bad_seed_or_rate_opens_nothing(seed: int, rate: float, text: str) -> None:
    bank = SlotBank(small_network(), SEGMENT_SGD)

    with pytest.raises(ValueError, match=text):
        bank.open(seed=seed, rate=rate)

    assert bank.n_open == 0


def test_the_rate_can_change() -> None:
    bank = SlotBank(small_network(), SEGMENT_SGD)
    slot = bank.open(seed=0, rate=0.1)

    bank.set_rate(slot, 0.5)

    assert float(bank.rates[slot]) == 0.5


def test_capacity_must_be_positive() -> None:
    with pytest.raises(ValueError, match="capacity must be 1 or more, got 0"):
        SlotBank(small_network(), SEGMENT_SGD, capacity=0)


def _used_bank() -> tuple[SlotBank, SlotIndex]:
    bank = SlotBank(small_network(), SEGMENT_SGD)
    slot = bank.open(seed=0, rate=0.1)
    for tensor in (bank.state, bank.sums, bank.counters, bank.gradients):
        tensor[slot] += 1
    return bank, slot


def test_a_segments_begin_clears_the_strand_and_nothing_else() -> None:
    bank, slot = _used_bank()
    parameters = bank.parameters.clone()

    bank.begin_segment(slot, Strand.LIVE, carry_state=False)

    assert not bank.state[slot, Strand.LIVE].any()
    assert not bank.sums[slot, Strand.LIVE].any()
    # ticks and labelled ticks of the segment; ticks and spikes since open go on counting
    assert bank.counters[slot, Strand.LIVE].tolist() == [0, 0, 1, 1, 1]
    for tensor in (bank.state, bank.sums, bank.counters):
        assert tensor[slot, Strand.LESSON].all()
    assert bank.gradients[slot].all()
    assert torch.equal(bank.parameters, parameters)


def test_carried_state_loses_clock_and_logits_alone() -> None:
    bank, slot = _used_bank()

    bank.begin_segment(slot, Strand.LIVE, carry_state=True)

    views = bank.state_views(slot, Strand.LIVE)
    assert not views.pop("logits").any()
    assert all(view.all() for view in views.values())
    assert not bank.sums[slot, Strand.LIVE].any()
    assert bank.counters[slot, Strand.LIVE].tolist() == [0, 0, 1, 1, 1]


def test_views_share_the_banks_memory() -> None:
    bank, slot = _used_bank()

    bank.parameter_views(slot)["layer1.b"].fill_(7.0)
    bank.gradient_views(slot)["layer0.soma_decay_minimum"].fill_(3.0)

    offset = bank.parameter_layout.fields["layer1.b"].offset
    assert bank.parameters[slot, offset] == 7.0
    offset = bank.parameter_layout.fields["layer0.soma_decay_minimum"].offset
    assert bank.gradients[slot, offset] == 3.0


def test_gradient_views_of_per_tick_updates_are_the_scalars() -> None:
    bank = SlotBank(small_network(), TICK_SGD)
    slot = bank.open(seed=0, rate=0.1)

    views = bank.gradient_views(slot)

    assert len(views) == 2 * 4
    views["layer0.dendrite_decay_minimum"].fill_(2.0)
    assert float(bank.gradients[slot, 0]) == 2.0


def test_bounds_hold_for_learnt_scalars_alone() -> None:
    network = small_network(hidden=(3,))
    bounds = SlotBank(network, LearningSpec(learn_couplings=False)).scalar_bounds

    # four scalars, then padding: decay minima in [0, 1 - 0.15], the rest free
    assert bounds[0, :3].tolist() == [0.0, 0.0, -math.inf]
    assert bounds[1, :4].tolist() == pytest.approx([0.85, 0.85, math.inf, math.inf])


def test_bounds_of_couplings_hold_the_value_they_start_at() -> None:
    neuron = NeuronSpec(soma_to_dendrite=0.5, dendrite_to_soma=0.25)
    network = small_network(hidden=(3,), neuron=neuron)

    bounds = SlotBank(network, LearningSpec(learn_couplings=True)).scalar_bounds

    # [-1, 0] widened to 0.5, and [0, 1]
    assert bounds[:, 2].tolist() == [-1.0, 0.5]
    assert bounds[:, 3].tolist() == [0.0, 1.0]
