import pytest
import torch

from tclif_core import DecayProfile, NeuronSpec
from tclif_core.decay_profile import decay_at
from tclif_core.two_compartment import (
    SCALARS,
    Dynamics,
    NeuronState,
    advance,
    neuron_constants,
    reset_early,
)
from tests.oracles.tclif_by_hand import HandNeuron, trajectory


def _play(spec: NeuronSpec, currents: list[float]) -> list[tuple[float, float, float]]:
    constants = neuron_constants(spec)
    zero = torch.zeros(1, dtype=torch.float64)
    state = NeuronState(zero, zero, zero)
    path = []
    minima, couplings = constants.scalars[:2], constants.scalars[2:]
    amplitudes = (constants.dendrite_amplitude, constants.soma_amplitude)
    for tick, current in enumerate(currents):
        decays = [
            decay_at(tick, minimum, amplitude, spec.profile)
            for minimum, amplitude in zip(minima, amplitudes, strict=True)
        ]
        dynamics = Dynamics(*(torch.tensor(v, dtype=torch.float64) for v in (*decays, *couplings)))
        state = reset_early(state, constants)
        state, _ = advance(state, torch.tensor([current], dtype=torch.float64), dynamics, constants)
        path.append((float(state.v_dendrite), float(state.v_soma), float(state.spikes)))
    return path


def test_a_trajectory_of_three_ticks_by_hand() -> None:
    spec = NeuronSpec(
        kind="two_compartment",
        threshold=1.0,
        dendritic_reset=0.5,
        dendrite_decay_minimum=0.5,
        soma_decay_minimum=0.25,
        soma_to_dendrite=-0.5,
        dendrite_to_soma=0.5,
    )

    path = _play(spec, [2.0, 1.0, 0.0])

    # tick 0: UD = 2;                                US = 0.5 * 2 = 1             spikes
    # tick 1: UD = 0.5*2 - 0.5*1 + 1 - 0.5 = 1;      US = 0.25 + 0.5 - 1 = -0.25
    # tick 2: UD = 0.5*1 - 0.5*(-0.25) = 0.625;      US = -0.0625 + 0.3125 = 0.25
    assert path == [(2.0, 1.0, 1.0), (1.0, -0.25, 0.0), (0.625, 0.25, 0.0)]


def test_a_trajectory_with_the_reset_of_published_code_by_hand() -> None:
    spec = NeuronSpec(
        kind="two_compartment",
        threshold=1.0,
        dendritic_reset=0.5,
        dendrite_decay_minimum=0.5,
        soma_decay_minimum=0.25,
        soma_to_dendrite=-0.5,
        dendrite_to_soma=0.5,
        reset="code",
    )

    path = _play(spec, [2.0, 1.0, 0.0])

    # tick 0: UD = 2;  US = 0.5 * 2 = 1  spikes, and loses: UD' = 2 - 0.5 = 1.5, US' = 1 - 1 = 0
    # tick 1: UD = 0.5*1.5 - 0.5*0 + 1 = 1.75;      US = 0.25*0 + 0.5*1.75 = 0.875
    # tick 2: UD = 0.5*1.75 - 0.5*0.875 = 0.4375;   US = 0.21875 + 0.21875 = 0.4375
    assert path == [(2.0, 1.0, 1.0), (1.75, 0.875, 0.0), (0.4375, 0.4375, 0.0)]


def test_tclif_does_not_decay_and_its_resets_differ_by_the_coupling() -> None:
    paths = [
        _play(NeuronSpec.from_dict({"kind": "tclif", "reset": reset}), [2.0, 1.0])
        for reset in ("paper", "code")
    ]

    # g = 0.5, th = 1, bD = -0.5, bS = 0.5; tick 0: UD = 2, US = 1, spikes
    # paper: UD = 2 - 0.5*1 + 1 - 0.5 = 2;    US = 1 + 0.5*2 - 1 = 1
    # code:  UD = (2 - 0.5) - 0.5*0 + 1 = 2.5, which is -bD th = 0.5 more;  US = 0 + 0.5*2.5 = 1.25
    assert paths[0][1] == (2.0, 1.0, 1.0)
    assert paths[1][1] == (2.5, 1.25, 1.0)


def test_soma_follows_the_dendrite_of_the_same_tick() -> None:
    spec = NeuronSpec(kind="two_compartment", threshold=10.0, dendrite_to_soma=0.5)

    ((_, soma, _),) = _play(spec, [3.0])

    # were it the dendrite of the tick before, the soma would still be at rest
    assert soma == 1.5


def test_time_varying_neuron_equals_scalar_loops() -> None:
    spec = NeuronSpec(
        threshold=1.0,
        dendrite_decay_minimum=0.7,
        soma_decay_minimum=0.8,
        decay_profile=DecayProfile(shape=2.0, scale_ticks=6.0, amplitude=0.15),
    )
    by_hand = HandNeuron(0.7, 0.8, -0.5, 0.5, 0.5, 1.0, amplitude=0.15, k=2.0, s=6.0)
    generator = torch.Generator().manual_seed(3)
    currents = torch.randn(200, generator=generator, dtype=torch.float64).tolist()

    path = _play(spec, currents)

    expected = trajectory(by_hand, currents)
    assert sum(spike for _, _, spike in expected) > 5
    for computed, wanted in zip(path, expected, strict=True):
        assert computed == pytest.approx(wanted, abs=1e-12)


def test_lif_is_one_compartment_whose_reset_takes_the_threshold() -> None:
    spec = NeuronSpec(kind="lif", threshold=1.0, soma_decay_minimum=0.5)

    path = _play(spec, [0.75, 0.75, 0.0])

    # U[t] = 0.5 U[t-1] + I[t] - z[t-1]: 0.75, 1.125 (spikes), 0.5625 - 1
    assert [soma for _, soma, _ in path] == [0.75, 1.125, -0.4375]
    assert [spike for _, _, spike in path] == [0.0, 1.0, 0.0]


def test_lif_with_the_reset_of_published_code_decays_what_is_left() -> None:
    spec = NeuronSpec(kind="lif", threshold=1.0, soma_decay_minimum=0.5, reset="code")

    path = _play(spec, [0.75, 0.75, 0.0])

    # 0.75, 0.375 + 0.75 = 1.125 (spikes), 0.5 * (1.125 - 1)
    assert [soma for _, soma, _ in path] == [0.75, 1.125, 0.0625]


@pytest.mark.parametrize(
    ("kind", "scalars", "amplitudes", "dendritic_reset"),
    [
        ("adaptive_tclif", (0.7, 0.75, -0.25, 0.5), (0.15, 0.15), 0.5),
        ("learnable_tclif", (0.7, 0.75, -0.25, 0.5), (0.0, 0.0), 0.5),
        # no decay at all
        ("tclif", (1.0, 1.0, -0.25, 0.5), (0.0, 0.0), 0.5),
        ("two_compartment", (0.7, 0.75, -0.25, 0.5), (0.0, 0.0), 0.5),
        # the dendrite passes the current on, only the soma remembers
        ("lif", (0.0, 0.75, 0.0, 1.0), (0.0, 0.0), 0.0),
    ],
)
def test_constants_of_every_kind(
    kind: str,
    scalars: tuple[float, ...],
    amplitudes: tuple[float, float],
    dendritic_reset: float,
) -> None:
    fields = {
        "threshold": 1.5,
        "dendrite_decay_minimum": 0.7,
        "soma_decay_minimum": 0.75,
        "soma_to_dendrite": -0.25,
    }

    paper = neuron_constants(NeuronSpec.from_dict({"kind": kind, **fields}))
    code = neuron_constants(NeuronSpec.from_dict({"kind": kind, **fields, "reset": "code"}))

    assert paper.scalars == code.scalars == scalars
    assert (paper.dendrite_amplitude, paper.soma_amplitude) == amplitudes
    # a reset happens once, at one of its two places
    assert (paper.dendritic_reset, paper.soma_reset) == (dendritic_reset, 1.5)
    assert (paper.early_dendritic_reset, paper.early_soma_reset) == (0.0, 0.0)
    assert (code.dendritic_reset, code.soma_reset) == (0.0, 0.0)
    assert (code.early_dendritic_reset, code.early_soma_reset) == (dendritic_reset, 1.5)


def test_lif_reads_no_field_of_the_dendrite() -> None:
    currents = [0.3, 0.9, 0.4, 0.8, 0.1]

    paths = [
        _play(NeuronSpec(kind="lif", dendritic_reset=reset, soma_to_dendrite=pull), currents)
        for reset, pull in [(0.5, -0.5), (3.0, -0.1)]
    ]

    assert paths[0] == paths[1]


def test_a_soma_exactly_at_its_threshold_spikes() -> None:
    spec = NeuronSpec(kind="lif", threshold=1.0)

    assert _play(spec, [1.0])[0][2] == 1.0


def test_advance_leaves_the_given_state_untouched() -> None:
    spec = NeuronSpec(kind="two_compartment")
    state = NeuronState(torch.ones(2, 3), torch.ones(2, 3), torch.ones(2, 3))
    dynamics = Dynamics(*(torch.tensor(v) for v in neuron_constants(spec).scalars))

    advance(state, torch.full((2, 3), 5.0), dynamics, neuron_constants(spec))

    assert all(torch.equal(field, torch.ones(2, 3)) for field in state)


def test_a_current_of_another_shape_is_refused() -> None:
    constants = neuron_constants(NeuronSpec())
    state = NeuronState(torch.ones(4), torch.ones(4), torch.ones(4))
    dynamics = Dynamics(*(torch.tensor(v) for v in constants.scalars))

    with pytest.raises(ValueError, match=r"current is \(3,\), the state \(4,\)"):
        advance(state, torch.ones(3), dynamics, constants)


def test_scalars_are_named_in_the_order_of_the_constants() -> None:
    spec = NeuronSpec(
        dendrite_decay_minimum=0.1,
        soma_decay_minimum=0.2,
        soma_to_dendrite=-0.3,
        dendrite_to_soma=0.4,
    )

    named = dict(zip(SCALARS, neuron_constants(spec).scalars, strict=True))

    assert named == {
        "dendrite_decay_minimum": 0.1,
        "soma_decay_minimum": 0.2,
        "soma_to_dendrite": -0.3,
        "dendrite_to_soma": 0.4,
    }
