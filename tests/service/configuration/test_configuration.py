"""What an ``open`` asks for, and which later ``open`` asks for the same."""

import pytest

from service.configuration.configuration import SessionConfiguration, describe
from service.errors import (
    CloseCode,
    ConfigMismatch,
    OpenRefused,
    ProtocolViolation,
    UnknownModel,
)
from service.settings import SessionSettings
from service.storage.model_store import ModelVersion, StoredModel
from tclif_core import DecayProfile, LearningSpec, Model
from tests.service.open_requests import CLASSES, open_request
from tests.service.small_models import small_model

SETTINGS = SessionSettings(max_advance_ticks=100)
SEED = 11


def resolve(**fields: object) -> SessionConfiguration:
    return SessionConfiguration.resolve(open_request(**fields), SETTINGS)


def network(**hyperparameters: object) -> dict[str, object]:
    return {"hidden": [4], "classes": 2, "hyperparameters": hyperparameters}


# --- a new session


def test_the_defaults_are_those_of_the_protocol() -> None:
    configuration = resolve(network={"classes": 10})

    request = configuration.request
    assert (configuration.tick_us, request.late_us, request.carry_state) == (4000, 0, False)
    assert configuration.network.hidden == (128, 128)
    assert configuration.network.recurrent is True
    assert configuration.network.neuron.kind == "adaptive_tclif"
    assert configuration.class_names == tuple("0123456789")
    assert (request.learning.mode, request.learning.rate) == ("delayed", 0.001)
    assert (configuration.learning.update, configuration.learning.optimizer) == ("segment", "adam")
    assert (request.report.every_ticks, request.report.probabilities) == (25, False)


def test_sensor_and_classes_give_the_network_its_ends() -> None:
    configuration = resolve(
        sensor={"kind": "dvs", "width": 5, "height": 3, "pool": 2}, network={"classes": CLASSES}
    )

    # 3 x 2 pooled pixels, two polarities
    assert configuration.network.inputs == 12
    assert configuration.network.classes == 3
    assert configuration.class_names == ("zero", "one", "two")
    assert configuration.sensor.n_addresses == 30


def test_hyperparameters_reach_neuron_profile_and_network() -> None:
    configuration = resolve(
        network=network(threshold=1.6, decay_shape=3, readout_decay=0.9, surrogate_width=2)
    )

    neuron = configuration.network.neuron
    assert (neuron.threshold, neuron.surrogate_width) == (1.6, 2.0)
    assert neuron.decay_profile == DecayProfile(shape=3.0)
    assert configuration.network.readout_decay == 0.9


@pytest.mark.parametrize("kind", ["learnable_tclif", "tclif", "two_compartment", "lif"])
def test_kinds_with_constant_decays_keep_them_constant(kind: str) -> None:
    configuration = resolve(network={"classes": 2, "neuron": kind})

    assert configuration.network.neuron.profile.amplitude == 0


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"segmentation": {"by": "window", "length_us": 3999}},
            "segmentation.length_us 3999 came; expected a tick, 4000 us, or more",
        ),
        (
            {"segmentation": {"by": "none"}, "learning": {"mode": "ahead"}},
            "a segment without end can't learn ahead",
        ),
        # 99 ticks of 4000 us at most: an end completes one tick more, and 100 are allowed
        ({"late_us": 396_001}, "late_us 396001 came; expected at most 99 ticks"),
        ({"network": network(gamma=1)}, "gamma"),
        ({"network": network(threshold="high")}, "threshold"),
        ({"network": network(threshold=True)}, "threshold"),
        ({"network": network(soma_decay_minimum=0.99)}, "soma_decay_minimum"),
        ({"network": network(decay_amplitude=2)}, "amplitude"),
        ({"network": {"classes": 1}}, "classes"),
        # the couplings of this kind are plus and minus a sigmoid
        (
            {"network": network(soma_to_dendrite=0.5) | {"neuron": "tclif"}},
            r"soma_to_dendrite must be .* \[-0.999999, -1e-06\], got 0.5",
        ),
        (
            {"network": network(decay_amplitude=0.1) | {"neuron": "learnable_tclif"}},
            "decay_profile must have amplitude 0",
        ),
        ({"network": network(surrogate="step")}, "surrogate must be one of triangular, rectang"),
        ({"network": network(reset="soft")}, "reset must be one of paper, code, got 'soft'"),
        (
            {"learning": {"update": "tick", "optimizer": "adam"}},
            "learning: update 'tick' needs optimizer 'sgd' or 'rmsprop', got 'adam'",
        ),
        ({"learning": {"momentum": 0.5}}, "momentum is for 'sgd' and 'rmsprop'"),
        # two hidden layers and the readout
        ({"learning": {"layer_rates": [1, 1]}}, "layer_rates must hold 3 numbers"),
    ],
)
def test_what_is_not_served_is_refused_with_what_came(
    fields: dict[str, object], sentence: str
) -> None:
    with pytest.raises(OpenRefused, match=sentence) as refusal:
        resolve(**fields)

    assert (refusal.value.code, refusal.value.close_code) == ("bad_message", CloseCode.BAD_REQUEST)


@pytest.mark.parametrize(
    "learning",
    [
        {"momentum": 1},
        {"momentum": -0.1, "optimizer": "sgd"},
        {"momentum": "much"},
        {"first_moment_decay": 1.0},
        {"weight_decay": -1},
        {"weight_decay": True},
        {"gradient_clip": 0},
        {"learn_decay_minima": 1},
        {"learn_couplings": "yes"},
        {"layer_rates": [1, -1]},
        {"layer_rates": [1] * 10},
        {"layer_rates": 1},
        {"filter_readout_trace": 0},
        # not served: labels are classes, memory, and mode 'off' says it
        {"loss": "mean_squared"},
        {"filter_hidden_traces": True},
        {"update": "frozen"},
    ],
)
def test_learning_out_of_form_is_no_open(learning: dict[str, object]) -> None:
    with pytest.raises(ProtocolViolation, match=f"learning.{next(iter(learning))}") as refusal:
        open_request(learning=learning)

    assert refusal.value.code == "bad_message"


@pytest.mark.parametrize(
    "options",
    [
        {"update": "segment", "optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.5},
        {"update": "tick", "optimizer": "rmsprop", "momentum": 0.25, "gradient_clip": 2.5},
        {"first_moment_decay": 0.0, "learn_decay_minima": False, "filter_readout_trace": True},
        {"layer_rates": (1.0, 0.0, 2.0), "learn_couplings": True},
    ],
)
def test_options_of_learning_reach_the_learner(options: dict[str, object]) -> None:
    learning = resolve(learning=options | {"mode": "ahead", "rate": 0.5}).learning

    assert learning == LearningSpec(**options)  # type: ignore[arg-type]  # a row of the table


def test_surrogate_and_reset_reach_the_neuron() -> None:
    neuron = resolve(network=network(surrogate="arctan", reset="code")).network.neuron

    assert (neuron.surrogate, neuron.reset) == ("arctan", "code")


def test_the_longest_grace_that_a_message_may_settle_is_served() -> None:
    assert resolve(late_us=396_000).request.late_us == 396_000


def test_a_grace_that_could_keep_too_many_counts_waiting_is_refused() -> None:
    # 3 late ticks and the open one, 5 inputs each: 20 counts
    fits = SessionSettings(waiting_inputs=20)
    tight = SessionSettings(waiting_inputs=19)
    request = open_request(late_us=12_000, tick_us=4000)

    assert SessionConfiguration.resolve(request, fits).request.late_us == 12_000
    with pytest.raises(OpenRefused, match=r"5 inputs came; expected .* at most 19"):
        SessionConfiguration.resolve(request, tight)


def test_updates_at_every_tick_are_plain_sgd_where_no_optimizer_is_asked_for() -> None:
    assert resolve(learning={"update": "tick"}).learning.optimizer == "sgd"
    assert resolve(learning={"update": "segment"}).learning.optimizer == "adam"


def test_a_default_that_is_spelled_out_later_is_the_same() -> None:
    created = resolve(learning={"update": "tick"})

    created.check_same(
        open_request(learning={"update": "tick", "optimizer": "sgd"}, tick_us=4000), seed=SEED
    )


def test_a_number_of_classes_is_the_same_as_their_default_names() -> None:
    created = resolve(network={"hidden": [4], "classes": 3})

    created.check_same(open_request(network={"hidden": [4], "classes": ["0", "1", "2"]}), seed=SEED)
    with pytest.raises(ConfigMismatch, match="classes"):
        created.check_same(
            open_request(network={"hidden": [4], "classes": ["0", "1", "3"]}), seed=SEED
        )


def test_a_stored_model_is_unknown() -> None:
    with pytest.raises(UnknownModel, match="digits-700") as refusal:
        resolve(network=None, model="digits-700")

    assert (refusal.value.code, refusal.value.close_code) == (
        "unknown_model",
        CloseCode.BAD_REQUEST,
    )


# --- a stored model


def resolve_stored(model: Model | None = None, **fields: object) -> SessionConfiguration:
    """Resolve an ``open`` that begins from a stored model, with other fields if given."""
    stored = StoredModel(ModelVersion("", "digits", 3), model or small_model())
    request = open_request(**{"network": None, "model": "digits"} | fields)
    return SessionConfiguration.resolve(request, SessionSettings(), stored)


def test_a_model_brings_its_network_its_classes_and_its_tick() -> None:
    configuration = resolve_stored(learning={"optimizer": "sgd"})

    assert configuration.network == small_model().network
    assert configuration.class_names == ("zero", "one", "two")
    assert configuration.tick_us == 5000
    assert configuration.model == ModelVersion("", "digits", 3)
    # how it learns is the session's affair
    assert configuration.learning.optimizer == "sgd"


def test_another_tick_than_the_models_may_be_asked_for() -> None:
    assert resolve_stored(tick_us=2000).tick_us == 2000


@pytest.mark.parametrize("addresses", [4, 6])
def test_a_sensor_that_does_not_fit_the_model_is_refused(addresses: int) -> None:
    with pytest.raises(OpenRefused, match=rf"sensor: {addresses} inputs came; model .* has 5"):
        resolve_stored(sensor={"kind": "raw", "addresses": addresses})


@pytest.mark.parametrize("tick_us", [99, 1_000_001])
def test_a_model_with_a_tick_that_no_session_has_needs_another(tick_us: int) -> None:
    model = small_model(tick_us=tick_us)

    with pytest.raises(OpenRefused, match=f"the model's {tick_us} came; expected an open with"):
        resolve_stored(model)

    assert resolve_stored(model, tick_us=1000).tick_us == 1000


def test_a_learning_option_that_does_not_fit_the_models_layers_is_refused() -> None:
    with pytest.raises(OpenRefused, match="learning: layer_rates"):
        resolve_stored(learning={"layer_rates": [1.0]})


def test_a_session_from_a_model_resumes_by_the_models_name_and_no_other_way() -> None:
    created = resolve_stored()

    created.check_same(open_request(network=None, model="digits"), seed=SEED)
    created.check_same(open_request(network=None, model="digits", tick_us=5000), seed=SEED)
    created.check_same(
        open_request(network=None, model="digits", learning={"layer_rates": [1, 1, 1]}), seed=SEED
    )
    for fields in ({"network": None, "model": "other"}, {}):
        with pytest.raises(ConfigMismatch, match="model"):
            created.check_same(open_request(**fields), seed=SEED)


# --- an existing session


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"tick_us": 4000},
        {"seed": SEED},
        {"epoch": 3},
        {"report": {"every_ticks": 1, "probabilities": True}},
        {"learning": {"mode": "off", "rate": 0.5}},
        {"learning": {"layer_rates": [1, 1, 1], "momentum": 0, "gradient_clip": None}},
        {"learning": {"learn_couplings": False, "first_moment_decay": 0.9}},
        {"segmentation": {"by": "client"}},
        {"network": {"hidden": [4, 3], "classes": CLASSES, "recurrent": True}},
    ],
)
def test_a_later_open_may_differ_in_what_is_free_and_may_spell_out_defaults(
    fields: dict[str, object],
) -> None:
    resolve().check_same(open_request(**fields), seed=SEED)


def test_a_tick_that_was_spelled_out_may_be_left_out_later() -> None:
    resolve(tick_us=1000).check_same(open_request(), seed=SEED)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"seed": SEED + 1}, "seed"),
        ({"tick_us": 5000}, "tick_us"),
        ({"late_us": 1}, "late_us"),
        ({"carry_state": True}, "carry_state"),
        ({"sensor": {"kind": "raw", "addresses": 6}}, "sensor.addresses"),
        ({"sensor": {"kind": "cochlea", "channels": 5}}, "sensor.kind"),
        ({"segmentation": {"by": "window"}}, "segmentation.by"),
        ({"network": {"hidden": [4, 4], "classes": CLASSES}}, "network.hidden"),
        ({"network": {"hidden": [4, 3], "classes": ["a", "b", "c"]}}, "network.classes"),
        ({"network": {"hidden": [4, 3], "classes": 3}}, "network.classes"),
        (
            {
                "network": {
                    "hidden": [4, 3],
                    "classes": CLASSES,
                    "hyperparameters": {"threshold": 1.6},
                }
            },
            "network.hyperparameters.threshold",
        ),
        ({"network": None, "model": "digits"}, "model"),
        ({"learning": {"update": "tick"}}, "learning.update"),
        ({"learning": {"optimizer": "sgd"}}, "learning.optimizer"),
        ({"learning": {"feedback": "broadcast"}}, "learning.feedback"),
        ({"learning": {"momentum": 0.5}}, "learning.momentum"),
        ({"learning": {"first_moment_decay": 0}}, "learning.first_moment_decay"),
        ({"learning": {"weight_decay": 0.5}}, "learning.weight_decay"),
        ({"learning": {"gradient_clip": 1}}, "learning.gradient_clip"),
        ({"learning": {"learn_decay_minima": False}}, "learning.learn_decay_minima"),
        ({"learning": {"learn_couplings": True}}, "learning.learn_couplings"),
        ({"learning": {"layer_rates": [1, 1, 2]}}, "learning.layer_rates"),
        ({"learning": {"filter_readout_trace": True}}, "learning.filter_readout_trace"),
    ],
)
def test_a_later_open_that_differs_is_told_the_field(fields: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigMismatch, match=f"^{field}: .* came") as refusal:
        resolve().check_same(open_request(**fields), seed=SEED)

    assert (refusal.value.code, refusal.value.close_code) == (
        "config_mismatch",
        CloseCode.BAD_REQUEST,
    )


def test_a_request_is_described_as_json_values() -> None:
    described = describe(resolve().request)

    assert described["tick_us"] == 4000
    assert described["sensor"] == {"kind": "raw", "addresses": 5}
    assert described["network"] == {
        "hidden": [4, 3],
        "recurrent": True,
        "classes": CLASSES,
        "neuron": "adaptive_tclif",
        "hyperparameters": {},
    }
