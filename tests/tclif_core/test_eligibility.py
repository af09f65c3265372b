from itertools import pairwise

import torch

from tclif_core import NeuronSpec
from tclif_core.eligibility import Eligibility, advance, scalar_drive
from tclif_core.two_compartment import (
    SCALARS,
    Dynamics,
    NeuronState,
    neuron_constants,
)
from tclif_core.two_compartment import advance as advance_neurons

DYNAMICS = Dynamics(*(torch.tensor(v, dtype=torch.float64) for v in (0.7, 0.8, -0.4, 0.6)))


def test_a_pair_of_two_ticks_by_hand() -> None:
    dynamics = Dynamics(*(torch.tensor(v) for v in (0.5, 0.25, -0.5, 0.5)))
    pair = Eligibility(torch.zeros(1), torch.zeros(1))

    first = advance(pair, dynamics, dendrite_drive=torch.tensor([2.0]))
    second = advance(first, dynamics, dendrite_drive=torch.tensor([1.0]))

    # tick 0: eD = 2;                     eS = 0.5 * 2 = 1
    # tick 1: eD = 0.5*2 - 0.5*1 + 1 = 1.5;  eS = 0.25*1 + 0.5*1.5 = 1
    assert (first.dendrite.item(), first.soma.item()) == (2.0, 1.0)
    assert (second.dendrite.item(), second.soma.item()) == (1.5, 1.0)


def test_a_drive_of_the_soma_reaches_the_dendrite_one_tick_later() -> None:
    dynamics = Dynamics(*(torch.tensor(v) for v in (0.5, 0.25, -0.5, 0.5)))
    pair = Eligibility(torch.zeros(1), torch.zeros(1))

    first = advance(pair, dynamics, soma_drive=torch.tensor([2.0]))
    second = advance(first, dynamics)

    # tick 0: eD = 0, eS = 2;  tick 1: eD = -0.5*2 = -1, eS = 0.25*2 + 0.5*(-1) = 0
    assert (first.dendrite.item(), first.soma.item()) == (0.0, 2.0)
    assert (second.dendrite.item(), second.soma.item()) == (-1.0, 0.0)


def test_trace_of_a_weight_is_the_somas_derivative() -> None:
    # a weight enters as w * x; without spikes the soma is smooth in w, so a difference quotient
    # is exact up to rounding (the soma is linear in w)
    x = torch.rand(30, 1, dtype=torch.float64)

    def soma_of(weight: float) -> float:
        state, _ = _silent(lambda tick: weight * x[tick])
        return float(state.v_soma)

    pair = Eligibility(torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    for tick in range(30):
        pair = advance(pair, DYNAMICS, dendrite_drive=x[tick])

    assert abs(float(pair.soma) - (soma_of(1.5) - soma_of(0.5))) < 1e-12


def test_traces_of_the_four_numbers_are_the_somas_derivatives() -> None:
    x = torch.rand(30, 1, dtype=torch.float64)
    step = 1e-6
    for index, name in enumerate(SCALARS):
        somas = []
        for sign in (1.0, -1.0):
            moved = list(DYNAMICS)
            moved[index] = moved[index] + sign * step
            somas.append(float(_silent(lambda tick: x[tick], Dynamics(*moved))[0].v_soma))
        quotient = (somas[0] - somas[1]) / (2 * step)

        _, states = _silent(lambda tick: x[tick])
        zero = torch.zeros(1, dtype=torch.float64)
        pair = Eligibility(zero, zero)
        for before, after in pairwise(states):
            dendrite_drive, soma_drive = scalar_drive(name, before, after)
            pair = advance(pair, DYNAMICS, dendrite_drive=dendrite_drive, soma_drive=soma_drive)

        # central differences of a polynomial in the number: error of order step squared
        assert abs(float(pair.soma) - quotient) < 1e-6 * max(1.0, abs(quotient)), name


def _silent(current, dynamics: Dynamics = DYNAMICS):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Play 30 ticks of a neuron that never spikes; return its last state and all states."""
    constants = neuron_constants(NeuronSpec(threshold=1e6))
    zero = torch.zeros(1, dtype=torch.float64)
    states = [NeuronState(zero, zero, zero)]
    for tick in range(30):
        states.append(advance_neurons(states[-1], current(tick), dynamics, constants)[0])
    return states[-1], states
