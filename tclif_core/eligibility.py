"""Eligibility vectors: what a parameter has done, so far, to the two compartments of a neuron.

    eD[t] = aD[t] eD[t-1] + bD eS[t-1] + xD[t]        (1)
    eS[t] = aS[t] eS[t-1] + bS eD[t]   + xS[t]        (2)

(xD, xS) is how the parameter enters the neuron's equations at this tick:

    parameter                          xD            xS          one pair for each
    weight of an input line            x_i[t]        -           input line i
    dendrite_decay_minimum             UD[t-1]       -           neuron
    soma_decay_minimum                 -             US[t-1]     neuron
    soma_to_dendrite                   US[t-1]       -           neuron
    dendrite_to_soma                   -             UD[t]       neuron

Source: Yin et al. 2024, eqs. 16-19 and 27-28, for weights; the other rows are the same derivation
for the four numbers of a layer. As in Bellec et al. 2020, a neuron's own spikes (reset and
recurrence) are taken as given: no derivative runs through z[t-1]. The coefficients belong to the
layer and the drive to the input line, so the pair of a line serves all synapses that leave it:
memory grows with the lines, not with the synapses.

Shapes: any leading dimensions, then M input lines (channels or neurons below, the layer's own
neurons, the bias line of constant 1) or N neurons.
"""

from typing import NamedTuple

import torch

from tclif_core.two_compartment import Dynamics, NeuronState


class Eligibility(NamedTuple):
    """The pair of eqs. (1) and (2), each ``[..., M]`` or ``[..., N]``."""

    dendrite: torch.Tensor
    soma: torch.Tensor


def advance(
    eligibility: Eligibility,
    dynamics: Dynamics,
    *,
    dendrite_drive: torch.Tensor | float = 0.0,
    soma_drive: torch.Tensor | float = 0.0,
) -> Eligibility:
    """Move eligibility vectors by one tick; the given pair is left untouched.

    Args:
        eligibility: The pair after the previous tick.
        dynamics: Decays and couplings of this tick, those that the neurons used.
        dendrite_drive: xD of eq. (1), shaped like the pair.
        soma_drive: xS of eq. (2), shaped like the pair.
    """
    dendrite = (
        dynamics.dendrite_decay * eligibility.dendrite
        + dynamics.soma_to_dendrite * eligibility.soma
        + dendrite_drive
    )
    soma = (
        dynamics.soma_decay * eligibility.soma + dynamics.dendrite_to_soma * dendrite + soma_drive
    )
    return Eligibility(dendrite, soma)


def scalar_drive(
    name: str, before: NeuronState, after: NeuronState
) -> tuple[torch.Tensor | float, torch.Tensor | float]:
    """Return (xD, xS) of one of a layer's four numbers, see the table above.

    Args:
        name: One of `two_compartment.SCALARS`.
        before: The neurons after the previous tick.
        after: The neurons after this tick.
    """
    drives: dict[str, tuple[torch.Tensor | float, torch.Tensor | float]] = {
        "dendrite_decay_minimum": (before.v_dendrite, 0.0),
        "soma_decay_minimum": (0.0, before.v_soma),
        "soma_to_dendrite": (before.v_soma, 0.0),
        "dendrite_to_soma": (0.0, after.v_dendrite),
    }
    return drives[name]
