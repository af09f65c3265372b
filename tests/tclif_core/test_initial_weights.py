import math

import numpy as np

from tclif_core import LearningSpec, NetworkSpec, NeuronSpec
from tclif_core.initial_weights import feedback_weights, initial_parameters
from tclif_core.row_layout import feedback_layout, parameter_layout

NETWORK = NetworkSpec(
    inputs=100, hidden=(64, 50), classes=5, input_gain=3.0, hidden_gain=2.0, readout_gain=0.5
)
BROADCAST = LearningSpec(feedback="broadcast")


def _named(network: NetworkSpec, seed: int) -> dict[str, np.ndarray]:
    row = initial_parameters(network, seed)
    return {
        name: row[field.offset : field.offset + math.prod(field.shape)]
        for name, field in parameter_layout(network).fields.items()
    }


def test_weights_are_a_function_of_the_seed() -> None:
    assert np.array_equal(initial_parameters(NETWORK, 7), initial_parameters(NETWORK, 7))
    assert not np.array_equal(initial_parameters(NETWORK, 7), initial_parameters(NETWORK, 8))


def test_weights_spread_evenly_up_to_gain_over_root_of_fan_in() -> None:
    weights = _named(NETWORK, 1)

    # bounds: 3 / sqrt(100), 1 / sqrt(64), 2 / sqrt(64), 0.5 / sqrt(50)
    bounds = {
        "layer0.w": 0.3,
        "layer0.r": 0.125,
        "layer1.w": 0.25,
        "readout.w": 0.5 / math.sqrt(50),
    }
    for name, bound in bounds.items():
        assert np.abs(weights[name]).max() <= bound
        assert np.abs(weights[name]).max() > 0.95 * bound
        # an even spread over +-b has the standard deviation b / sqrt(3)
        assert abs(weights[name].std() / (bound / math.sqrt(3)) - 1) < 0.1


def test_biases_start_at_zero_and_scalars_where_specified() -> None:
    weights = _named(
        NetworkSpec(
            inputs=2, hidden=(3,), classes=2, neuron=NeuronSpec(dendrite_decay_minimum=0.6)
        ),
        1,
    )

    assert not weights["layer0.b"].any()
    assert not weights["readout.b"].any()
    assert weights["layer0.dendrite_decay_minimum"] == 0.6


def test_a_matrix_does_not_depend_on_the_sizes_of_others() -> None:
    wider = NetworkSpec(inputs=100, hidden=(64, 80), classes=9, input_gain=3.0)

    assert np.array_equal(_named(NETWORK, 3)["layer0.w"], _named(wider, 3)["layer0.w"])


def test_matrices_of_one_seed_differ_from_each_other() -> None:
    square = NetworkSpec(inputs=8, hidden=(8,), classes=2, input_gain=1.0, recurrent_gain=1.0)
    weights = _named(square, 1)

    assert not np.array_equal(weights["layer0.w"], weights["layer0.r"])


def test_feedback_is_empty_unless_broadcast() -> None:
    assert feedback_weights(NETWORK, LearningSpec(), 1).size == 0


def test_feedback_is_as_strong_as_a_readout_and_a_function_of_the_seed() -> None:
    row = feedback_weights(NETWORK, BROADCAST, 1)

    field = feedback_layout(NETWORK, BROADCAST).fields["layer0.feedback"]
    matrix = row[field.offset : field.offset + 5 * 64]
    assert np.array_equal(row, feedback_weights(NETWORK, BROADCAST, 1))
    # 0.5 / sqrt(64 neurons)
    assert 0.95 * 0.0625 < np.abs(matrix).max() <= 0.0625


def test_scalars_of_a_kind_start_where_the_kind_has_them() -> None:
    network = NetworkSpec(inputs=2, hidden=(3,), classes=2, neuron=NeuronSpec(kind="tclif"))

    weights = _named(network, 1)

    assert weights["layer0.dendrite_decay_minimum"] == 1.0
    assert weights["layer0.soma_to_dendrite"] == -0.5


def test_frozen_networks_draw_no_feedback() -> None:
    frozen = LearningSpec(feedback="broadcast", update="frozen")

    assert feedback_weights(NETWORK, frozen, 1).size == 0
