"""Operations counted by hand, equation by equation."""

import pytest

from tclif_core import (
    Activity,
    LearningSpec,
    NetworkSpec,
    NeuronSpec,
    Operations,
    inference_operations,
    learning_operations,
)

# 5 inputs, layers of 4 and 3 recurrent neurons, 2 classes
SMALL = NetworkSpec(inputs=5, hidden=(4, 3), classes=2)
FEEDFORWARD = NetworkSpec(inputs=5, hidden=(4, 3), classes=2, recurrent=False)
SILENCE = (0, 0)


def learnt(network: NetworkSpec, learning: LearningSpec, **counts: int) -> tuple[int, int]:
    activity = Activity(n_ticks=1, spikes=SILENCE, **counts)
    products, sums = learning_operations(network, learning, activity)
    return products, sums


def test_energies_are_those_of_32_bit_numbers_at_45_nm() -> None:
    # 3 multiplications with additions at 3.7 + 0.9 pJ, and 10 additions at 0.9 pJ
    assert Operations(3, 10).joules == pytest.approx(22.8e-12)


def test_a_silent_tick_takes_neurons_and_readout() -> None:
    operations = inference_operations(SMALL, Activity(n_ticks=10, spikes=SILENCE))

    # a neuron: four products of (2) and (3); the current and its bias are added
    # a class: leak and division; bias, the sum of the softmax, the mean of p
    assert operations == (10 * (7 * 4 + 2 * 2), 10 * (7 * 2 + 2 * 3))


def test_an_input_is_multiplied_into_the_first_layer() -> None:
    operations = inference_operations(SMALL, Activity(n_inputs=6, spikes=SILENCE))

    assert operations == (6 * 4, 0)


def test_a_spike_is_added_above_and_in_its_own_layer_and_resets_both_compartments() -> None:
    operations = inference_operations(SMALL, Activity(spikes=(100, 10)))

    # the first layer's reach 3 above and 4 of its own, the second's 2 classes and 3 of its own
    assert operations == (0, 100 * (3 + 4 + 2) + 10 * (2 + 3 + 2))


def test_without_recurrence_a_spike_goes_up_only() -> None:
    operations = inference_operations(FEEDFORWARD, Activity(spikes=(100, 10)))

    assert operations == (0, 100 * (3 + 2) + 10 * (2 + 2))


def test_a_neuron_of_one_compartment_takes_less() -> None:
    network = NetworkSpec(inputs=5, hidden=(4, 3), classes=2, neuron=NeuronSpec(kind="lif"))

    operations = inference_operations(network, Activity(n_ticks=1, spikes=(1, 0)))

    # a leak; a reset of the soma only
    assert operations == (7 + 4, 7 * 2 + 6 + (3 + 4 + 1))


def test_eligibility_is_one_pair_a_line_and_one_for_each_learnt_number_of_a_neuron() -> None:
    # lines: 5 + 4 + 1 and 4 + 3 + 1; two decay minima for each of 7 neurons; psi of each
    pairs = 10 + 8 + 2 * 7

    assert learnt(SMALL, LearningSpec(), n_eligible=3) == (3 * (4 * pairs + 7), 3 * (pairs + 14))


def test_a_labelled_tick_takes_signals_and_outer_products() -> None:
    # (15) 3 x 2, (16) 3 for the errors and 4 x 3, (18) 7, (19) 10 x 4 + 8 x 3, (21) 2 x 7
    products = 6 + 3 + 12 + 7 + 64 + 14
    # (11) 2; (20) 3 x 2 and 2 biases
    assert learnt(SMALL, LearningSpec(), n_labelled=1) == (products, 2 + 6 + 2)


def test_broadcast_feedback_goes_to_every_layer() -> None:
    chain = learnt(SMALL, LearningSpec(), n_labelled=1)
    broadcast = learnt(SMALL, LearningSpec(feedback="broadcast"), n_labelled=1)

    # (17) 2 x 7 in place of (15) and (16), 6 + 3 + 12
    assert broadcast[0] - chain[0] == 14 - 21


def test_filtered_traces_cost_a_number_for_each_synapse() -> None:
    learning = LearningSpec(filter_readout_trace=True, filter_hidden_traces=True)
    plain, filtered = (
        learnt(SMALL, spec, n_eligible=1, n_labelled=1) for spec in (LearningSpec(), learning)
    )

    # (19a): leak and product for 10 x 4 + 8 x 3 synapses and 2 x 7 numbers; (20a): 3 + 1 lines,
    # and 3 x 2 additions of (20) become products
    assert filtered == (plain[0] + 2 * (64 + 14) + 4 + 6, plain[1] - 6)


@pytest.mark.parametrize(
    ("learning", "products", "sums"),
    [
        (LearningSpec(optimizer="sgd"), 1, 0),
        (LearningSpec(optimizer="sgd", momentum=0.9), 2, 0),
        (LearningSpec(optimizer="rmsprop"), 6, 1),
        (LearningSpec(optimizer="adam"), 10, 1),
        (LearningSpec(optimizer="adam", gradient_clip=1.0, weight_decay=0.1), 13, 1),
    ],
)
def test_an_update_steps_every_parameter(learning: LearningSpec, products: int, sums: int) -> None:
    # 10 x 4 + 8 x 3 + (3 + 1) x 2 and four numbers a layer
    n_parameters = 64 + 8 + 8

    assert learnt(SMALL, learning, n_updates=5) == (
        5 * n_parameters * products,
        5 * n_parameters * sums,
    )


def test_with_per_tick_steps_an_update_moves_the_decay_minima_only() -> None:
    learning = LearningSpec(update="tick", optimizer="sgd")

    # two of each layer's numbers are learnt
    assert learnt(SMALL, learning, n_updates=5) == (5 * 4, 0)


def test_preconditioned_steps_are_taken_at_every_labelled_tick() -> None:
    plain = learnt(SMALL, LearningSpec(update="tick", optimizer="sgd"), n_labelled=1)
    scaled = learnt(SMALL, LearningSpec(update="tick", optimizer="rmsprop"), n_labelled=1)

    # root, division and step of 80 parameters; G and eps are added
    assert scaled == (plain[0] + 3 * 80, plain[1] + 2 * 80)
