"""Where each of a layer's four numbers may lie: kept there by updates, asked of loaded weights."""

import math

import torch

from tclif_core.hyperparameters import COUPLING_MARGIN, LearningSpec, NetworkSpec
from tclif_core.row_layout import RowLayout, learnt_scalars, scalars_offset
from tclif_core.two_compartment import neuron_constants

SCALAR_SLACK = COUPLING_MARGIN / 2
"""How far outside its interval one of a layer's four numbers may lie where weights are loaded.

Intervals are in double precision, weights may be a rounding away: half a unit in the last place of
10 at most. It is less than what keeps a sigmoid from 0 and 1, which have no logit.
"""


def scalar_intervals(network: NetworkSpec) -> dict[str, tuple[float, float]]:
    """Return where each of a layer's four numbers may lie, by name.

    What makes a neuron the kind that it is, such as the dendrite of a ``lif`` that only passes
    current on, may have that one value alone.
    """
    kind, constants = network.neuron.kind, neuron_constants(network.neuron)
    intervals = {
        "dendrite_decay_minimum": (0.0, 1.0 - constants.dendrite_amplitude),
        "soma_decay_minimum": (0.0, 1.0 - constants.soma_amplitude),
        "soma_to_dendrite": (-1.0, 0.0),
        "dendrite_to_soma": (0.0, 1.0),
    }
    if kind == "tclif":
        near, far = COUPLING_MARGIN, 1.0 - COUPLING_MARGIN
        intervals |= {"soma_to_dendrite": (-far, -near), "dendrite_to_soma": (near, far)}
    starts = dict(zip(intervals, constants.scalars, strict=True))
    fixed: tuple[str, ...] = ()
    if kind == "lif":
        fixed = ("dendrite_decay_minimum", "soma_to_dendrite", "dendrite_to_soma")
    elif kind == "tclif":
        fixed = ("dendrite_decay_minimum", "soma_decay_minimum")
    intervals |= {name: (starts[name], starts[name]) for name in fixed}
    # a coupling may be specified outside the range of the sigmoid that it would have in TC-LIF
    return {
        name: (min(low, starts[name]), max(high, starts[name]))
        for name, (low, high) in intervals.items()
    }


def scalar_bounds(
    network: NetworkSpec, learning: LearningSpec, layout: RowLayout, dtype: torch.dtype
) -> torch.Tensor:
    """Return lowest and highest value of each of the row's last numbers, ``[2, tail]``.

    Those that are not learnt, and the padding, are not bounded.
    """
    tail = scalars_offset(layout)
    intervals = scalar_intervals(network)
    bounds = torch.tensor([[-math.inf], [math.inf]], dtype=dtype).repeat(1, layout.width - tail)
    for name in learnt_scalars(network, learning):
        for layer in range(len(network.hidden)):
            column = layout.fields[f"layer{layer}.{name}"].offset - tail
            bounds[0, column], bounds[1, column] = intervals[name]
    return bounds


def check_scalars(network: NetworkSpec, layout: RowLayout, row: torch.Tensor) -> None:
    """Refuse a parameter row whose layers have a number outside its interval.

    Args:
        network: Says which intervals.
        layout: Of the row.
        row: ``[P]``, left untouched.

    Raises:
        ValueError: A number lies further outside than a rounding.
    """
    views, intervals = layout.views(row), scalar_intervals(network)
    for layer in range(len(network.hidden)):
        for short_name, (low, high) in intervals.items():
            name = f"layer{layer}.{short_name}"
            value = float(views[name])
            if not low - SCALAR_SLACK <= value <= high + SCALAR_SLACK:
                raise ValueError(f"{name} must lie in [{low:g}, {high:g}], got {value:g}")
