import json
from collections.abc import Callable
from typing import Any

import pytest

from tclif_core import DecayProfile, LearningSpec, NetworkSpec, NeuronSpec

SIZES: dict[str, Any] = {"inputs": 3, "hidden": (4,), "classes": 2}


@pytest.mark.parametrize(
    ("build", "name", "value", "interval"),
    [
        (DecayProfile, "shape", 0.9, "[1, 1000]"),
        (DecayProfile, "scale_ticks", 0.0, "[0.001, 1e+09]"),
        (DecayProfile, "amplitude", 1.5, "[0, 1]"),
        (NeuronSpec, "threshold", 0.0, "[1e-06, 1e+06]"),
        (NeuronSpec, "threshold", float("nan"), "[1e-06, 1e+06]"),
        (NeuronSpec, "dendritic_reset", -0.1, "[0, 1e+06]"),
        (NeuronSpec, "dendrite_decay_minimum", 0.86, "[0, 0.85]"),
        (NeuronSpec, "soma_decay_minimum", -0.01, "[0, 0.85]"),
        (NeuronSpec, "soma_to_dendrite", -11.0, "[-10, 10]"),
        (NeuronSpec, "dendrite_to_soma", float("inf"), "[-10, 10]"),
        (NeuronSpec, "surrogate_width", "wide", "[1e-06, 1e+06]"),
        (NetworkSpec, "inputs", 0, "[1, 16777216]"),
        (NetworkSpec, "inputs", 2.0, "[1, 16777216]"),
        (NetworkSpec, "hidden", (4, 0), "[1, 65536]"),
        (NetworkSpec, "hidden", (), "1 to 16 layer sizes"),
        (NetworkSpec, "hidden", [4], "1 to 16 layer sizes"),
        (NetworkSpec, "classes", 1, "[2, 65536]"),
        (NetworkSpec, "classes", True, "[2, 65536]"),
        (NetworkSpec, "recurrent", 1, "true or false"),
        (NetworkSpec, "neuron", "lif", "a NeuronSpec"),
        (NetworkSpec, "readout_decay", 1.01, "[0, 1]"),
        (NetworkSpec, "input_gain", -1.0, "[0, 1000]"),
        (NetworkSpec, "hidden_gain", -1.0, "[0, 1000]"),
        (NetworkSpec, "recurrent_gain", -1.0, "[0, 1000]"),
        (NetworkSpec, "readout_gain", -1.0, "[0, 1000]"),
        (LearningSpec, "update", "never", "segment, tick, frozen"),
        (LearningSpec, "optimizer", "lion", "adam, rmsprop, sgd"),
        (LearningSpec, "feedback", "none", "chain, broadcast"),
        (LearningSpec, "learn_decay_minima", 0, "true or false"),
        (LearningSpec, "learn_couplings", 2, "true or false"),
        (LearningSpec, "loss", "hinge", "cross_entropy, mean_squared"),
        (LearningSpec, "filter_readout_trace", None, "true or false"),
        (LearningSpec, "filter_hidden_traces", 1, "true or false"),
        (LearningSpec, "layer_rates", 1.0, "a tuple of numbers"),
        (LearningSpec, "layer_rates", (1.0, -1.0), "[0, 1000]"),
        (LearningSpec, "momentum", 1.0, "[0, 0.999999]"),
        (LearningSpec, "preconditioner_epsilon", 0.0, "[1e-12, 1000]"),
        (LearningSpec, "gradient_clip", 0.0, "[1e-12, 1e+18]"),
        (LearningSpec, "weight_decay", -1.0, "[0, 1000]"),
        (LearningSpec, "first_moment_decay", 1.0, "[0, 0.999999]"),
        (LearningSpec, "second_moment_decay", -0.1, "[0, 1]"),
        (LearningSpec, "square_decay", 1.0, "[0, 1]"),
        (LearningSpec, "epsilon", 0.0, "[1e-12, 1]"),
    ],
)
def test_a_value_outside_its_interval_is_refused_with_both(
    build: Callable[..., Any], name: str, value: object, interval: str
) -> None:
    sizes = SIZES if build is NetworkSpec else {}

    with pytest.raises(ValueError, match=name) as refusal:
        build(**(sizes | {name: value}))

    assert interval in str(refusal.value)
    assert repr(value) in str(refusal.value) or "0" in str(refusal.value)


@pytest.mark.parametrize("kind", ["two_compartment", "lif"])
def test_kinds_with_constant_decays_have_no_profile_unless_given(kind: str) -> None:
    constant = NeuronSpec.from_dict({"kind": kind, "soma_decay_minimum": 1.0})
    varying = NeuronSpec.from_dict({"kind": kind, "decay_profile": {"amplitude": 0.1}})

    assert constant.profile.amplitude == 0.0
    assert varying.profile.amplitude == 0.1


def test_adaptive_neurons_have_the_standard_profile() -> None:
    assert NeuronSpec().profile == DecayProfile(shape=2.0, scale_ticks=20.0, amplitude=0.15)


def test_a_lif_has_no_dendrite_to_check() -> None:
    assert NeuronSpec(kind="lif", dendrite_decay_minimum=7.0).dendrite_decay_minimum == 7.0


def test_per_tick_updates_know_no_adam() -> None:
    with pytest.raises(ValueError, match="update 'tick' needs optimizer 'sgd' or 'rmsprop'"):
        LearningSpec(update="tick")


def test_a_profile_of_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match="decay_profile must be a DecayProfile"):
        NeuronSpec.from_dict({"decay_profile": 0.1})


def test_equal_specifications_are_one_key() -> None:
    networks = {
        NetworkSpec(**SIZES, neuron=NeuronSpec(threshold=1.5)),
        NetworkSpec(**SIZES, neuron=NeuronSpec(threshold=1.5)),
    }

    assert len(networks) == 1


def test_a_network_survives_json() -> None:
    network = NetworkSpec(
        inputs=3,
        hidden=(4, 5),
        classes=2,
        recurrent=False,
        neuron=NeuronSpec(threshold=1.5, decay_profile=DecayProfile(shape=3.0)),
        readout_decay=0.5,
    )

    restored = NetworkSpec.from_dict(json.loads(json.dumps(network.to_dict())))

    assert restored == network


def test_learning_survives_json() -> None:
    learning = LearningSpec(update="tick", optimizer="sgd", feedback="broadcast")

    assert LearningSpec.from_dict(json.loads(json.dumps(learning.to_dict()))) == learning


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"inputs": 3, "hidden": [4], "classes": 2, "depth": 7}, r"has no \['depth'\]"),
        ({"inputs": 3, "hidden": [4]}, "classes"),
        (SIZES | {"neuron": {"kind": "lif", "color": 1}}, r"NeuronSpec has no \['color'\]"),
        (["inputs"], "must be an object"),
    ],
)
def test_a_dictionary_that_does_not_fit_is_refused(values: Any, text: str) -> None:  # noqa: ANN401 - anything may come
    with pytest.raises(ValueError, match=text):
        NetworkSpec.from_dict(values)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"kind": "gru"}, "neuron.kind must be one of adaptive_tclif"),
        ({"surrogate": "step"}, "neuron.surrogate must be one of triangular"),
        ({"reset": "hard"}, "neuron.reset must be one of paper, code"),
        ({"kind": "learnable_tclif", "decay_profile": {"amplitude": 0.1}}, "must have amplitude 0"),
        ({"kind": "tclif", "decay_profile": {"amplitude": 0.1}}, "must have amplitude 0"),
        # a sigmoid reaches neither 0 nor 1
        ({"kind": "tclif", "soma_to_dendrite": 0.0}, "neuron.soma_to_dendrite"),
        ({"kind": "tclif", "dendrite_to_soma": 1.0}, "neuron.dendrite_to_soma"),
    ],
)
def test_a_neuron_that_its_kind_does_not_allow_is_refused(
    values: dict[str, object], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        NeuronSpec.from_dict(values)


def test_a_tclif_has_no_decay_to_check() -> None:
    assert NeuronSpec(kind="tclif", soma_decay_minimum=7.0).soma_decay_minimum == 7.0


def test_adam_has_a_first_moment_instead_of_momentum() -> None:
    with pytest.raises(ValueError, match="'adam' has first_moment_decay"):
        LearningSpec(momentum=0.5)


@pytest.mark.parametrize(
    ("values", "first", "second"),
    [
        ({}, True, True),
        ({"first_moment_decay": 0.0}, False, True),
        ({"optimizer": "rmsprop"}, False, True),
        ({"optimizer": "rmsprop", "momentum": 0.5}, True, True),
        ({"optimizer": "sgd"}, False, False),
        ({"optimizer": "sgd", "momentum": 0.5}, True, False),
        ({"update": "frozen"}, False, False),
    ],
)
def test_what_an_optimiser_remembers(
    values: dict[str, object],
    first: bool,  # noqa: FBT001 - a row of the table
    second: bool,  # noqa: FBT001 - likewise
) -> None:
    learning = LearningSpec.from_dict(values)

    assert (learning.keeps_first_moment, learning.keeps_second_moment) == (first, second)


def test_layer_rates_are_for_each_hidden_layer_and_the_readout() -> None:
    network = NetworkSpec(**SIZES)

    assert LearningSpec().rates_of_layers(network) == (1.0, 1.0)
    assert LearningSpec(layer_rates=(0.5, 2.0)).rates_of_layers(network) == (0.5, 2.0)
    with pytest.raises(ValueError, match=r"layer_rates must hold 2 numbers, .*, got 3"):
        LearningSpec(layer_rates=(1.0, 1.0, 1.0)).rates_of_layers(network)
