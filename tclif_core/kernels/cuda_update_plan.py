"""What updates by the CUDA backend work on: numbers that are compiled in, rules on the device."""

import math
from typing import NamedTuple

import torch

from tclif_core.kernels.cuda_plan import Number, compiled_in
from tclif_core.row_layout import scalars_offset
from tclif_core.segment_update import coupling_signs
from tclif_core.slot_bank import SlotBank


class UpdatePlan(NamedTuple):
    """What never changes for a bank's updates.

    Attributes:
        optimizer: See `LearningSpec`, like what is not explained here.
        steps_weights: Whether weights step here, as with per-segment updates.
        has_couplings: Whether couplings step through the sigmoid.
        n_weights: Where the tail begins.
        tail: Its width, rounded up to a power of two.
        accumulated_from: The first parameter that has a gradient.
    """

    optimizer: Number
    steps_weights: Number
    is_per_tick: Number
    is_preconditioned: Number
    keeps_first: Number
    has_couplings: Number
    momentum: Number
    keep_first: Number
    keep_second: Number
    log_keep_first: Number
    log_keep_second: Number
    square_decay: Number
    epsilon: Number
    gradient_clip: Number
    weight_decay: Number
    n_weights: Number
    tail: Number
    accumulated_from: Number
    n_parameters: Number
    n_gradients: Number
    n_first: Number
    n_second: Number


class ParameterRules(NamedTuple):
    """What applies to each parameter, on the device.

    Attributes:
        rates: What multiplies the rate ``[P]``.
        decays: 1 where weights decay, else 0 ``[P]``.
        lowest: Of the tail.
        highest: Likewise.
        signs: Of the couplings that step through the sigmoid, 0 elsewhere; of the tail.
    """

    rates: torch.Tensor
    decays: torch.Tensor
    lowest: torch.Tensor
    highest: torch.Tensor
    signs: torch.Tensor


def make_update_plan(bank: SlotBank) -> UpdatePlan:
    """Lay out the program for a bank."""
    network, learning = bank.network, bank.learning
    n_weights = scalars_offset(bank.parameter_layout)
    clip = learning.gradient_clip
    plan: UpdatePlan = compiled_in(
        UpdatePlan(
            optimizer=learning.optimizer,
            steps_weights=learning.update == "segment",
            is_per_tick=learning.update == "tick",
            is_preconditioned=learning.is_preconditioned,
            keeps_first=learning.keeps_first_moment,
            has_couplings=network.neuron.kind == "tclif",
            momentum=learning.momentum,
            keep_first=learning.first_moment_decay,
            keep_second=learning.second_moment_decay,
            log_keep_first=_logarithm(learning.first_moment_decay),
            log_keep_second=_logarithm(learning.second_moment_decay),
            square_decay=learning.square_decay,
            epsilon=learning.epsilon,
            gradient_clip=float("inf") if clip is None else clip,
            weight_decay=learning.weight_decay,
            n_weights=n_weights,
            tail=1 << (bank.parameter_layout.width - n_weights - 1).bit_length(),
            accumulated_from=bank.accumulated_from,
            n_parameters=bank.parameters.shape[-1],
            n_gradients=bank.gradients.shape[-1],
            n_first=bank.first_moment.shape[-1],
            n_second=bank.second_moment.shape[-1],
        )
    )
    return plan


def _logarithm(share: float) -> float:
    return math.log(share) if share > 0.0 else -math.inf


def make_rules(bank: SlotBank) -> ParameterRules:
    """Say what applies to each parameter of a bank."""
    width, layout = bank.parameter_layout.width, bank.parameter_layout
    rates, decays = torch.zeros(width), torch.zeros(width)
    for start, stop, layer_rate in bank.rate_spans:
        rates[start:stop] = layer_rate
    decaying, signs = layout.views(decays), torch.zeros(width)
    for name, view in decaying.items():
        view.fill_(float(name.endswith((".w", ".r"))))
    for name, sign in coupling_signs(bank.network, bank.learning).items():
        signs[layout.fields[name].offset] = sign
    lowest, highest = bank.scalar_bounds
    tail = signs[scalars_offset(layout) :].contiguous()
    rules = rates, decays, lowest.contiguous(), highest.contiguous(), tail
    return ParameterRules(*(rule.to(bank.device) for rule in rules))
