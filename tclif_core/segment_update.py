"""One update of a slot from its accumulated gradient: check, clip, step, decay, keep in bounds.

    g <- g min(1, clip / |g|)                                              clipping      (1)
    w <- w - rate weight_decay w       after the step, weights only        decay         (2)
    c1 = logit(-bD), c2 = logit(bS);   dE/dc1 = -s(1 - s) dE/dbD,
    dE/dc2 = s(1 - s) dE/dbS           with s = -bD and s = bS             couplings     (3)

Sources: Loshchilov and Hutter 2019 for (2), apart from the optimiser's own scaling; Zhang et al.
2024, eqs. 10-12, for (3), which holds for ``tclif``: its couplings are stored as such and take
their step through the sigmoid. With per-tick updates only a layer's four numbers step here; the
weights have moved already, and their squared gradients are refreshed where they scale them.
"""

from math import prod
from typing import NamedTuple

import torch

from tclif_core.hyperparameters import LearningSpec, NetworkSpec
from tclif_core.optimizers import OptimizerRows, is_usable, length, step
from tclif_core.row_layout import RowLayout, learnt_scalars, scalars_offset
from tclif_core.slot_bank import N_PENDING, N_UPDATES, SlotBank
from tclif_core.two_compartment import SCALARS


def apply_update(bank: SlotBank, slot: int) -> bool:
    """Take an optimiser step from a slot's accumulated gradient, and clear the gradient.

    Args:
        bank: Written in place; in main memory.
        slot: An open slot.

    Returns:
        False if the gradient, or with per-tick updates a weight, is not finite: then no parameter
        and no optimiser state has changed.
    """
    gradient, parameters = bank.gradients[slot], bank.parameters[slot]
    usable = is_usable(gradient)
    if usable and bank.learning.update == "tick":
        usable = bool(parameters.isfinite().all())
    if usable:
        bank.updates[slot, N_UPDATES] += 1
        _step(bank, slot)
        _decay_weights(bank, slot)
        tail = parameters[scalars_offset(bank.parameter_layout) :]
        torch.clamp(tail, *bank.scalar_bounds, out=tail)
    gradient.zero_()
    bank.updates[slot, N_PENDING] = 0
    return usable


def _step(bank: SlotBank, slot: int) -> None:
    learning, accumulated_from = bank.learning, bank.accumulated_from
    first_scalar = scalars_offset(bank.parameter_layout)
    starts_at = 0 if learning.update == "segment" else first_scalar
    gradient = bank.gradients[slot]
    couplings = _logits_of_couplings(bank, slot)
    if learning.gradient_clip is not None:
        stepping = gradient[starts_at - accumulated_from :]
        whole = length(stepping)
        if whole > learning.gradient_clip:
            stepping.mul_(learning.gradient_clip / whole)
    if learning.is_preconditioned:
        keep, squares = learning.square_decay, bank.second_moment[slot, :first_scalar]
        squares.mul_(keep).add_((1.0 - keep) * gradient[:first_scalar] ** 2)
    rate = float(bank.rates[slot])
    n_updates = int(bank.updates[slot, N_UPDATES])
    for start, stop, layer_rate in bank.rate_spans:
        begin = max(start, starts_at)
        if begin < stop and layer_rate > 0.0:
            rows = OptimizerRows(
                bank.parameters[slot, begin:stop],
                gradient[begin - accumulated_from : stop - accumulated_from],
                bank.first_moment[slot, begin:stop],
                bank.second_moment[slot, begin:stop],
            )
            step(learning, rows, rate=rate * layer_rate, n_updates=n_updates)
    for coupling in couplings:
        moved = coupling.sign * torch.sigmoid(coupling.logit + coupling.value.double())
        # no step, no change: there and back through the sigmoid a double may lose its last bit
        coupling.value.copy_(moved if float(coupling.value) else coupling.before)


class _Coupling(NamedTuple):
    """A coupling on its way through eq. (3); ``value`` is its place in the parameter row."""

    value: torch.Tensor
    before: torch.Tensor
    logit: torch.Tensor
    sign: float


def coupling_signs(network: NetworkSpec, learning: LearningSpec) -> dict[str, float]:
    """Return the couplings that step through the sigmoid, eq. (3), and the sign of each."""
    if network.neuron.kind != "tclif":
        return {}
    return {
        f"layer{layer}.{name}": -1.0 if name == SCALARS[2] else 1.0
        for layer in range(len(network.hidden))
        for name in learnt_scalars(network, learning)
    }


def decaying_spans(
    network: NetworkSpec, learning: LearningSpec, layout: RowLayout
) -> list[tuple[int, int, float]]:
    """Return ``(start, stop, loss)`` of the weights that decay, eq. (2); the rate multiplies it."""
    if learning.weight_decay == 0.0:
        return []
    rates = learning.rates_of_layers(network)
    spans = []
    for layer in range(len(rates)):
        room = "readout" if layer == len(rates) - 1 else f"layer{layer}"
        for name in (f"{room}.w", f"{room}.r"):
            if name in layout.fields:
                field = layout.fields[name]
                loss = rates[layer] * learning.weight_decay
                spans.append((field.offset, field.offset + prod(field.shape), loss))
    return spans


def _logits_of_couplings(bank: SlotBank, slot: int) -> list[_Coupling]:
    """Turn gradients by couplings into those by logits, and couplings into zeros.

    The row then receives the step alone: the logit itself would lose digits in single precision.
    """
    parameters, gradients = bank.parameter_views(slot), bank.gradient_views(slot)
    couplings = []
    for name, sign in coupling_signs(bank.network, bank.learning).items():
        value = parameters[name]
        magnitude = sign * value.double()
        gradients[name].mul_(sign * magnitude * (1.0 - magnitude))
        couplings.append(_Coupling(value, value.clone(), torch.logit(magnitude), sign))
        value.zero_()
    return couplings


def _decay_weights(bank: SlotBank, slot: int) -> None:
    rate = float(bank.rates[slot])
    for start, stop, loss in decaying_spans(bank.network, bank.learning, bank.parameter_layout):
        bank.parameters[slot, start:stop].mul_(max(1.0 - rate * loss, 0.0))
