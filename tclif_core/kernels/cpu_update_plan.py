"""What updates by the CPU backend work on, handed to compiled code with the bank's rows."""

import math
from typing import NamedTuple

import numpy as np

from tclif_core.hyperparameters import OptimizerName
from tclif_core.kernels.cpu_plan import Doubles, Floats, Integers
from tclif_core.row_layout import scalars_offset
from tclif_core.segment_update import coupling_signs, decaying_spans
from tclif_core.slot_bank import SlotBank

SGD, RMSPROP, ADAM = range(3)
OPTIMIZER_CODES: dict[OptimizerName, int] = {"sgd": SGD, "rmsprop": RMSPROP, "adam": ADAM}
"""What an optimiser is called in compiled code."""


class UpdateRules(NamedTuple):
    """What never changes for a bank's updates; what is not explained is in `LearningSpec`.

    Attributes:
        optimizer: Place in `OPTIMIZER_CODES`.
        keeps_first: Whether there is a velocity, or Adam's running mean.
        gradient_clip: Infinite without one.
        accumulated_from: The first parameter that has a gradient.
        steps_from: The first parameter that steps.
        tail_from: Where the layers' four numbers begin.
        spans: Begin and end of the pieces that step, in order ``[n, 2]``.
        span_rates: What multiplies the rate of each.
        decaying: Begin and end of the pieces of weights that decay ``[m, 2]``.
        decay_rates: What multiplies the rate for what each loses.
        couplings: Places of those that step through the sigmoid ``[q]``.
        coupling_signs: Theirs.
        couplings_before: Scratch for their values ``[q]``.
        lowest: Of the numbers from ``tail_from`` on.
        highest: Likewise.
    """

    optimizer: int
    is_per_tick: bool
    is_preconditioned: bool
    keeps_first: bool
    momentum: np.float32
    first_moment_decay: float
    second_moment_decay: float
    square_decay: np.float32
    epsilon: np.float32
    gradient_clip: float
    accumulated_from: int
    steps_from: int
    tail_from: int
    spans: Integers
    span_rates: Doubles
    decaying: Integers
    decay_rates: Doubles
    couplings: Integers
    coupling_signs: Doubles
    couplings_before: Floats
    lowest: Floats
    highest: Floats


def make_rules(bank: SlotBank) -> UpdateRules:
    """Lay out the updates of a bank."""
    learning, layout = bank.learning, bank.parameter_layout
    tail_from = scalars_offset(layout)
    steps_from = 0 if learning.update == "segment" else tail_from
    spans = [(max(start, steps_from), stop, rate) for start, stop, rate in bank.rate_spans]
    spans = [span for span in spans if span[0] < span[1]]
    decaying = decaying_spans(bank.network, learning, layout)
    signs = coupling_signs(bank.network, learning)
    clip = learning.gradient_clip
    lowest, highest = bank.scalar_bounds.float().numpy()
    return UpdateRules(
        optimizer=OPTIMIZER_CODES[learning.optimizer],
        is_per_tick=learning.update == "tick",
        is_preconditioned=learning.is_preconditioned,
        keeps_first=learning.keeps_first_moment,
        momentum=np.float32(learning.momentum),
        first_moment_decay=float(learning.first_moment_decay),
        second_moment_decay=float(learning.second_moment_decay),
        square_decay=np.float32(learning.square_decay),
        epsilon=np.float32(learning.epsilon),
        gradient_clip=float(math.inf if clip is None else clip),
        accumulated_from=bank.accumulated_from,
        steps_from=steps_from,
        tail_from=tail_from,
        spans=_places(spans),
        span_rates=np.array([rate for _, _, rate in spans], np.float64),
        decaying=_places(decaying),
        decay_rates=np.array([rate for _, _, rate in decaying], np.float64),
        couplings=np.array([layout.fields[name].offset for name in signs], np.int64),
        coupling_signs=np.array([*signs.values()], np.float64),
        couplings_before=np.zeros(len(signs), np.float32),
        lowest=lowest.copy(),
        highest=highest.copy(),
    )


def _places(spans: list[tuple[int, int, float]]) -> Integers:
    return np.array([span[:2] for span in spans], np.int64).reshape(-1, 2)
