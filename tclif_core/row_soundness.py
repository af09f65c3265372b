"""Whether a slot's rows could have come about: asked of what a file may hold.

Only what would make a session unsound is refused. Neuron state may hold anything: its session then
predicts what is not finite, which whoever serves it has to notice anyhow.
"""

from collections.abc import Mapping

import torch

from tclif_core.hyperparameters import NetworkSpec
from tclif_core.row_layout import RowLayout
from tclif_core.scalar_intervals import check_scalars

_HIGHEST_RATE = 100.0

_HIGHEST_COUNT = 2**53
_NEVER_NEGATIVE = ("second_moment", "counters", "updates", "rates", "seeds")
_FINITE = ("parameters", "gradients", "first_moment", "second_moment", "feedback", "rates")


def check_rows(network: NetworkSpec, layout: RowLayout, rows: Mapping[str, torch.Tensor]) -> None:
    """Refuse rows with a number that no session can have; no bit is changed.

    Args:
        network: What the session's network is.
        layout: Of the parameter row.
        rows: By the names of the bank's attributes, shapes and types checked already.

    Raises:
        ValueError: A weight, gradient or moment is not finite, one of a layer's four numbers lies
            outside its interval, or something is counted below zero or beyond all measure.
    """
    for name in _FINITE:
        n_bad = int((~rows[name].isfinite()).sum())
        if n_bad:
            raise ValueError(f"{name} holds {n_bad} numbers that are not finite")
    for name in _NEVER_NEGATIVE:
        if bool((rows[name] < 0).any()):
            raise ValueError(f"{name} holds a number below 0")
    for name in ("counters", "updates"):
        if bool((rows[name] > _HIGHEST_COUNT).any()):
            raise ValueError(f"{name} holds a number above {_HIGHEST_COUNT}")
    first_classes = int(rows["first_classes"])
    if not 1 <= first_classes <= network.classes:
        raise ValueError(f"first_classes must lie in [1, {network.classes}], got {first_classes}")
    check_rate(float(rows["rates"]))
    check_scalars(network, layout, rows["parameters"])


def check_rate(rate: float) -> None:
    """Refuse a learning rate outside its interval.

    Raises:
        ValueError: It lies outside [0, 100].
    """
    if not 0.0 <= rate <= _HIGHEST_RATE:
        raise ValueError(f"rate must lie in [0, {_HIGHEST_RATE:g}], got {rate!r}")
