"""Two-compartment leaky integrate-and-fire neurons, one tick at a time.

A dendrite remembers for long, a soma for short; only the soma spikes, and a spike empties both:

    UD[t] = aD[t] UD[t-1] + bD US[t-1] + I[t] - g z[t-1]        (1)
    US[t] = aS[t] US[t-1] + bS UD[t] - th z[t-1]                (2)
    z[t]  = 1 if US[t] >= th else 0                             (3)

Source: Yin et al. 2024, eqs. 29-31; the time-varying decays aD[t], aS[t] are in `decay_profile`.
TC-LIF (Zhang et al. 2024, eqs. 10-12, first circulated as LSTM-LIF) is the same with aD = aS = 1,
bD = -sigmoid(c1), bS = sigmoid(c2). A leaky integrate-and-fire neuron (Yin's eqs. 1-3) is the same
with aD = 0, bD = 0, g = 0, bS = 1: the dendrite passes the current on, only the soma remembers.

With reset ``code`` the potentials lose g and th before they decay and couple, as in the published
code of TC-LIF:

    UD' = UD[t-1] - g z[t-1],  US' = US[t-1] - th z[t-1]        (4)

take the place of UD[t-1] and US[t-1] in (1) and (2), and nothing more is taken there.

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
    """What a spike takes from the dendrite in eq. (1)."""
    soma_reset: float
    """What a spike takes from the soma in eq. (2)."""
    early_dendritic_reset: float
    """What a spike takes from the dendrite in eq. (4)."""
    early_soma_reset: float
    """What a spike takes from the soma in eq. (4)."""
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
    amplitude, dendrite_amplitude = spec.profile.amplitude, spec.profile.amplitude
    dendritic_reset = spec.dendritic_reset
    scalars = (
        spec.dendrite_decay_minimum,
        spec.soma_decay_minimum,
        spec.soma_to_dendrite,
        spec.dendrite_to_soma,
    )
    if spec.kind == "lif":
        dendritic_reset = dendrite_amplitude = 0.0
        scalars = (0.0, spec.soma_decay_minimum, 0.0, 1.0)
    elif spec.kind == "tclif":
        scalars = (1.0, 1.0, spec.soma_to_dendrite, spec.dendrite_to_soma)
    is_early = spec.reset == "code"
    return NeuronConstants(
        threshold=spec.threshold,
        dendritic_reset=0.0 if is_early else dendritic_reset,
        soma_reset=0.0 if is_early else spec.threshold,
        early_dendritic_reset=dendritic_reset if is_early else 0.0,
        early_soma_reset=spec.threshold if is_early else 0.0,
        dendrite_amplitude=dendrite_amplitude,
        soma_amplitude=amplitude,
        scalars=scalars,
    )


def reset_early(state: NeuronState, constants: NeuronConstants) -> NeuronState:
    """Return the state of eq. (4), which `advance` takes; with reset ``paper`` it is the same."""
    return NeuronState(
        state.v_dendrite - constants.early_dendritic_reset * state.spikes,
        state.v_soma - constants.early_soma_reset * state.spikes,
        state.spikes,
    )


def advance(
    state: NeuronState, current: torch.Tensor, dynamics: Dynamics, constants: NeuronConstants
) -> tuple[NeuronState, torch.Tensor]:
    """Advance every neuron of a layer by one tick.

    Args:
        state: Where each neuron stood after the previous tick and `reset_early`. It is left
            untouched.
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
        - constants.soma_reset * state.spikes
    )
    distance = v_soma - constants.threshold
    return NeuronState(v_dendrite, v_soma, (distance >= 0).to(v_soma.dtype)), distance
