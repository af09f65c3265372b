"""Two-compartment leaky integrate-and-fire neurons, one tick at a time.

A dendrite remembers for long, a soma for short; only the soma spikes, and a spike empties both:

    UD[t] = aD[t] UD[t-1] + bD US[t-1] + I[t] - g z[t-1]        (1)
    US[t] = aS[t] US[t-1] + bS UD[t] - th z[t-1]                (2)
    z[t]  = 1 if US[t] >= th else 0                             (3)

Source: Yin et al. 2024, eqs. 29-31; the time-varying decays aD[t], aS[t] are in `decay_profile`.
A leaky integrate-and-fire neuron (their eqs. 1-3) is the same with aD = 0, bD = 0, g = 0, bS = 1:
the dendrite then passes the current on, and only the soma remembers.

Shapes: any leading dimensions, then N neurons of one layer.
"""

from typing import NamedTuple

import torch

from tclif_core.hyperparameters import NeuronSpec

SCALARS = (
    "dendrite_decay_minimum",
    "soma_decay_minimum",
    "soma_to_dendrite",
    "dendrite_to_soma",
)
"""The four numbers of a layer that may be learnt, in the order in which rows store them."""


class NeuronConstants(NamedTuple):
    """Numbers of a neuron kind that never change; those of `SCALARS` start at ``scalars``."""

    threshold: float
    dendritic_reset: float
    surrogate_width: float
    dendrite_amplitude: float
    """How far the dendrite's decay rises above its minimum."""
    soma_amplitude: float
    scalars: tuple[float, float, float, float]


class NeuronState(NamedTuple):
    """What a neuron remembers between ticks; every field is ``[..., N]``."""

    v_dendrite: torch.Tensor
    v_soma: torch.Tensor
    spikes: torch.Tensor


class Dynamics(NamedTuple):
    """The coefficients of one layer at one tick, each a scalar tensor."""

    dendrite_decay: torch.Tensor
    soma_decay: torch.Tensor
    soma_to_dendrite: torch.Tensor
    dendrite_to_soma: torch.Tensor


def neuron_constants(spec: NeuronSpec) -> NeuronConstants:
    """Return the constants of a neuron kind; a ``lif`` is a dendrite that passes current on."""
    amplitude = spec.profile.amplitude
    if spec.kind == "lif":
        scalars = (0.0, spec.soma_decay_minimum, 0.0, 1.0)
        return NeuronConstants(spec.threshold, 0.0, spec.surrogate_width, 0.0, amplitude, scalars)
    scalars = (
        spec.dendrite_decay_minimum,
        spec.soma_decay_minimum,
        spec.soma_to_dendrite,
        spec.dendrite_to_soma,
    )
    return NeuronConstants(
        spec.threshold, spec.dendritic_reset, spec.surrogate_width, amplitude, amplitude, scalars
    )


def advance(
    state: NeuronState, current: torch.Tensor, dynamics: Dynamics, constants: NeuronConstants
) -> tuple[NeuronState, torch.Tensor]:
    """Advance every neuron of a layer by one tick.

    Args:
        state: Where each neuron stood after the previous tick. It is left untouched.
        current: Weighted synaptic input ``[..., N]``, in threshold units.
        dynamics: Decays and couplings of this tick.
        constants: Threshold and resets.

    Returns:
        The next state, and the distance of each soma to its threshold ``[..., N]``; the
        pseudo-derivative needs that distance and should not recompute it.

    Raises:
        ValueError: ``current`` does not have the shape of the state.
    """
    if current.shape != state.v_soma.shape:
        raise ValueError(
            f"current is {tuple(current.shape)}, the state {tuple(state.v_soma.shape)}"
        )
    v_dendrite = (
        dynamics.dendrite_decay * state.v_dendrite
        + dynamics.soma_to_dendrite * state.v_soma
        + current
        - constants.dendritic_reset * state.spikes
    )
    # eq. (2) reads the dendrite of this tick, not of the last one: the order of the two statements
    # is part of the model
    v_soma = (
        dynamics.soma_decay * state.v_soma
        + dynamics.dendrite_to_soma * v_dendrite
        - constants.threshold * state.spikes
    )
    distance = v_soma - constants.threshold
    return NeuronState(v_dendrite, v_soma, (distance >= 0).to(v_soma.dtype)), distance
