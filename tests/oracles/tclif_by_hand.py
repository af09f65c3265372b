"""The two-compartment neuron in scalar Python floats: shares nothing with `tclif_core`."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class HandNeuron:
    """One neuron's constants, by the symbols of the equations.

    Attributes:
        a_dendrite: aD minimum.
        a_soma: aS minimum.
        b_dendrite: bD, soma to dendrite.
        b_soma: bS, dendrite to soma.
        g: Dendritic reset.
        th: Threshold.
        amplitude: A of the decay profile.
        k: Shape of the decay profile.
        s: Scale of the decay profile, in ticks.
    """

    a_dendrite: float
    a_soma: float
    b_dendrite: float
    b_soma: float
    g: float
    th: float
    amplitude: float = 0.0
    k: float = 2.0
    s: float = 20.0


def gamma_density(time: float, k: float, s: float) -> float:
    """Return the gamma density of shape k and scale s."""
    return math.pow(time, k - 1) * math.exp(-time / s) / (math.gamma(k) * math.pow(s, k))


def trajectory(neuron: HandNeuron, currents: list[float]) -> list[tuple[float, float, float]]:
    """Return (dendrite, soma, spike) after each tick, from rest, for given input currents."""
    dendrite = soma = spike = 0.0
    path = []
    peak = gamma_density((neuron.k - 1) * neuron.s, neuron.k, neuron.s)
    for tick, current in enumerate(currents):
        rise = neuron.amplitude * gamma_density(tick + 1.0, neuron.k, neuron.s) / peak
        new_dendrite = (neuron.a_dendrite + rise) * dendrite
        new_dendrite += neuron.b_dendrite * soma + current - neuron.g * spike
        new_soma = (neuron.a_soma + rise) * soma
        new_soma += neuron.b_soma * new_dendrite - neuron.th * spike
        dendrite, soma = new_dendrite, new_soma
        spike = 1.0 if soma >= neuron.th else 0.0
        path.append((dendrite, soma, spike))
    return path
