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

from typing import NamedTuple

import numpy as np
import torch

from tclif_core.optimizers import Arithmetic, OptimizerRows
from tclif_core.row_layout import learnt_scalars, scalars_offset
from tclif_core.slot_bank import N_PENDING, N_UPDATES, SlotBank
from tclif_core.two_compartment import SCALARS


def apply_update(bank: SlotBank, slot: int, arithmetic: Arithmetic) -> bool:
    """Take an optimiser step from a slot's accumulated gradient, and clear the gradient.

    Args:
        bank: Written in place.
        slot: An open slot.
        arithmetic: The backend's.

    Returns:
        False if the gradient, or with per-tick updates a weight, is not finite: then no parameter
        and no optimiser state has changed.
    """
    gradient, parameters = bank.gradients[slot], bank.parameters[slot]
    usable = arithmetic.is_usable(gradient)
    if usable and bank.learning.update == "tick":
        usable = arithmetic.is_finite(parameters)
    if usable:
        bank.numbers("updates")[slot, N_UPDATES] += 1
        _step(bank, slot, arithmetic)
        _decay_weights(bank, slot)
        tail = bank.numbers("parameters")[slot, scalars_offset(bank.parameter_layout) :]
        low, high = bank.scalar_bounds.numpy()
        np.clip(tail, low, high, out=tail)
    bank.clear("gradients", slot)
    bank.numbers("updates")[slot, N_PENDING] = 0
    return usable


def _step(bank: SlotBank, slot: int, arithmetic: Arithmetic) -> None:
    learning, accumulated_from = bank.learning, bank.accumulated_from
    first_scalar = scalars_offset(bank.parameter_layout)
    starts_at = 0 if learning.update == "segment" else first_scalar
    gradient = bank.gradients[slot]
    couplings = _logits_of_couplings(bank, slot)
    if learning.gradient_clip is not None:
        stepping = gradient[starts_at - accumulated_from :]
        length = arithmetic.length(stepping)
        if length > learning.gradient_clip:
            stepping.mul_(learning.gradient_clip / length)
    if learning.is_preconditioned:
        keep, squares = learning.square_decay, bank.second_moment[slot, :first_scalar]
        squares.mul_(keep).add_((1.0 - keep) * gradient[:first_scalar] ** 2)
    rate = float(bank.numbers("rates")[slot])
    n_updates = int(bank.numbers("updates")[slot, N_UPDATES])
    for start, stop, layer_rate in bank.rate_spans:
        begin = max(start, starts_at)
        if begin < stop and layer_rate > 0.0:
            rows = OptimizerRows(
                bank.parameters[slot, begin:stop],
                gradient[begin - accumulated_from : stop - accumulated_from],
                bank.first_moment[slot, begin:stop],
                bank.second_moment[slot, begin:stop],
            )
            arithmetic.step(learning, rows, rate=rate * layer_rate, n_updates=n_updates)
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


def _logits_of_couplings(bank: SlotBank, slot: int) -> list[_Coupling]:
    """Turn gradients by couplings into those by logits, and couplings into zeros.

    The row then receives the step alone: the logit itself would lose digits in single precision.
    """
    if bank.network.neuron.kind != "tclif":
        return []
    parameters, gradients = bank.parameter_views(slot), bank.gradient_views(slot)
    couplings = []
    for layer in range(len(bank.network.hidden)):
        for name in learnt_scalars(bank.network, bank.learning):
            value = parameters[f"layer{layer}.{name}"]
            sign = -1.0 if name == SCALARS[2] else 1.0
            magnitude = sign * value.double()
            gradients[f"layer{layer}.{name}"].mul_(sign * magnitude * (1.0 - magnitude))
            couplings.append(_Coupling(value, value.clone(), torch.logit(magnitude), sign))
            value.zero_()
    return couplings


def _decay_weights(bank: SlotBank, slot: int) -> None:
    learning = bank.learning
    if learning.weight_decay == 0.0:
        return
    rates = learning.rates_of_layers(bank.network)
    views = bank.parameter_views(slot)
    for layer in range(len(rates)):
        room = "readout" if layer == len(rates) - 1 else f"layer{layer}"
        lost = float(bank.rates[slot]) * rates[layer] * learning.weight_decay
        for name in (f"{room}.w", f"{room}.r"):
            if name in views:
                views[name].mul_(max(1.0 - lost, 0.0))
