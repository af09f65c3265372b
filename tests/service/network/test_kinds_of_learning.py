"""Sessions of every neuron kind and kind of update learn what the library learns, bit for bit."""

from typing import Any

import numpy as np
import pytest

from service.access.principals import SessionKey
from service.configuration.configuration import SessionConfiguration
from service.sessions.sessions import Session
from service.settings import SessionSettings
from tclif_core import EventBlock, Learner, Strand
from tests.service.client_messages import begin, end, events, label
from tests.service.hand_engine import HandEngine
from tests.service.open_requests import CLASSES, open_request

TICK_US, N_TICKS, N_INPUTS, N_SEGMENTS, SEED, RATE = 100, 12, 5, 3, 6, 0.05

KINDS = ["adaptive_tclif", "learnable_tclif", "tclif", "two_compartment", "lif"]
OPTIONS: list[dict[str, Any]] = [
    {"optimizer": "adam"},
    {"optimizer": "rmsprop", "momentum": 0.5, "gradient_clip": 0.5, "weight_decay": 0.1},
    {"update": "tick", "optimizer": "rmsprop", "learn_couplings": True},
    {"optimizer": "adam", "first_moment_decay": 0, "layer_rates": [1, 0.5, 2]},
    {"optimizer": "sgd", "filter_readout_trace": True},
]


def configured(
    kind: str, options: dict[str, Any], neuron: dict[str, str] | None = None
) -> SessionConfiguration:
    request = open_request(
        tick_us=TICK_US,
        network={
            "hidden": [6, 4],
            "classes": CLASSES,
            "neuron": kind,
            "hyperparameters": {"threshold": 0.4, **(neuron or {})},
        },
        learning={"rate": RATE, **options},
    )
    return SessionConfiguration.resolve(request, SessionSettings())


def spikes(segment: int) -> list[tuple[int, int]]:
    """Return (tick, address) pairs of a segment, no pair twice."""
    drawn = np.random.default_rng(segment).random((N_TICKS, N_INPUTS)) < 0.5
    return [(int(tick), int(address)) for tick, address in np.argwhere(drawn)]


def learnt_by_a_session(
    configuration: SessionConfiguration, kernel: str
) -> tuple[dict[str, np.ndarray], int]:
    engine, settings = HandEngine(kernel), SessionSettings()
    network = engine.open_network(configuration, SEED, settings)
    session = Session(
        SessionKey("local", "s"),
        epoch=5,
        seed=SEED,
        configuration=configuration,
        settings=settings,
        notify=engine.notify,
        network=network,
    )
    sequence = 1
    for segment in range(N_SEGMENTS):
        start = segment * N_TICKS * TICK_US
        frame = [(start + tick * TICK_US, address) for tick, address in spikes(segment)]
        for message in (
            begin(sequence, segment, start),
            events(sequence + 1, *frame, base_us=start),
            end(sequence + 2, segment, start + N_TICKS * TICK_US),
            label(sequence + 3, segment, segment % 3),
        ):
            session.accept(message, 0.0)
        sequence += 4
        engine.compute(session)
    n_spikes, _ = network.learner.spike_counts(network.slot)
    return network.learner.weights(network.slot), int(n_spikes.sum())


def learnt_by_the_library(
    configuration: SessionConfiguration, kernel: str
) -> dict[str, np.ndarray]:
    learner = Learner(configuration.network, configuration.learning, kernel=kernel)
    slot = learner.open(seed=SEED, rate=RATE)
    for segment in range(N_SEGMENTS):
        dense = np.zeros((N_TICKS, N_INPUTS), np.float32)
        for tick, address in spikes(segment):
            dense[tick, address] = 1
        learner.begin_segment(slot, Strand.LESSON)
        learner.advance(
            np.array([slot]),
            np.array([int(Strand.LESSON)]),
            np.array([True]),
            EventBlock.from_dense([dense]),
            np.full(N_TICKS, segment % 3),
        )
        assert learner.apply_update(slot)
    return learner.weights(slot)


@pytest.mark.parametrize(
    ("kernel", "neuron"),
    [
        ("cpu", {}),
        ("reference", {}),
        ("cpu", {"surrogate": "arctan", "reset": "code"}),
    ],
    ids=["cpu", "reference", "cpu-arctan-code"],
)
@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))
@pytest.mark.parametrize("kind", KINDS)
def test_a_session_learns_what_the_library_learns(
    kind: str, options: dict[str, Any], kernel: str, neuron: dict[str, str]
) -> None:
    configuration = configured(kind, options, neuron)
    start = Learner(configuration.network, configuration.learning, kernel="reference")
    first = start.weights(start.open(seed=SEED, rate=RATE))

    weights, n_spikes = learnt_by_a_session(configuration, kernel)
    expected = learnt_by_the_library(configuration, kernel)

    assert {name: weight.tobytes() for name, weight in weights.items()} == {
        name: weight.tobytes() for name, weight in expected.items()
    }
    assert n_spikes > 10
    for name in ("layer0.w", "layer1.w", "readout.w"):
        assert not np.array_equal(weights[name], first[name]), name


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))
@pytest.mark.parametrize("kind", KINDS)
def test_a_session_takes_the_bytes_that_the_service_counts(
    kind: str, options: dict[str, Any]
) -> None:
    configuration = configured(kind, options)
    learner = Learner(configuration.network, configuration.learning, kernel="reference")

    rows = learner.export(learner.open(seed=SEED, rate=RATE))

    counted = Learner.session_bytes(configuration.network, configuration.learning)
    assert sum(row.nbytes for row in rows.values()) == counted
