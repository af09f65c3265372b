"""More classes for a session that has learnt some: what was there stays, bit for bit.

New columns of the readout, and all that belongs to them, are zero: a new class has the logit 0
until it is learnt, as if it had always been there. Broadcast feedback, which nobody learns, has new
rows from the session's seed.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from tclif_core.hyperparameters import LearningSpec, NetworkSpec
from tclif_core.initial_weights import feedback_weights, initial_parameters
from tclif_core.row_layout import (
    RowLayout,
    accumulated_from,
    feedback_layout,
    parameter_layout,
    state_layout,
)


def grow_state(
    network: NetworkSpec, learning: LearningSpec, state: NDArray[np.floating], n_classes: int
) -> NDArray[np.floating]:
    """Return a strand's state ``[Q]``, as `Learner.copy_state` gives it, with more classes.

    Args:
        network: What the session's network is.
        learning: How it learns.
        state: Left untouched.
        n_classes: More than the network has.

    Raises:
        ValueError: It has as many or more.
    """
    larger = state_layout(_with_classes(network, n_classes), learning)
    return _grow(state_layout(network, learning), larger, torch.from_numpy(state)).numpy()


def first_parameters(network: NetworkSpec, seed: int, first_classes: int) -> torch.Tensor:
    """Return the parameter row ``[P]`` that a session began from; later classes are zero."""
    first = replace(network, classes=first_classes)
    row = torch.from_numpy(initial_parameters(first, seed))
    return _grow(parameter_layout(first), parameter_layout(network), row)


def grow_rows(
    network: NetworkSpec,
    learning: LearningSpec,
    rows: Mapping[str, torch.Tensor | NDArray[np.generic]],
    n_classes: int,
) -> dict[str, torch.Tensor]:
    """Return all that a session is, as of a network with more classes.

    `Learner.replace` makes it a session of a learner of that network.

    Args:
        network: What the session's network is.
        learning: How it learns.
        rows: As `Learner.export` returned them, or writable arrays; left untouched.
        n_classes: More than the network has.

    Raises:
        ValueError: It has as many or more.
    """
    larger = _with_classes(network, n_classes)
    before, after = parameter_layout(network), parameter_layout(larger)
    was = {name: torch.as_tensor(row) for name, row in rows.items()}
    grown = {name: row.clone() for name, row in was.items()}
    for name in ("parameters", "first_moment", "second_moment"):
        if len(was[name]):
            grown[name] = _grow(before, after, was[name])
    grown["gradients"] = _grow(
        _from(before, accumulated_from(before, learning)),
        _from(after, accumulated_from(after, learning)),
        was["gradients"],
    )
    fresh = torch.from_numpy(feedback_weights(larger, learning, int(was["seeds"])))
    grown["feedback"] = _grow(
        feedback_layout(network, learning),
        feedback_layout(larger, learning),
        was["feedback"],
        fresh.to(was["feedback"].dtype),
    )
    standing, wider = state_layout(network, learning), state_layout(larger, learning)
    grown["state"] = torch.stack([_grow(standing, wider, row) for row in was["state"]])
    sums = torch.zeros((len(was["sums"]), n_classes + 1), dtype=was["sums"].dtype)
    sums[:, : network.classes], sums[:, -1] = was["sums"][:, :-1], was["sums"][:, -1]
    grown["sums"] = sums
    return grown


def _with_classes(network: NetworkSpec, n_classes: int) -> NetworkSpec:
    """Return the network with more classes.

    Raises:
        ValueError: It has as many or more.
    """
    if n_classes <= network.classes:
        raise ValueError(
            f"a number of classes above {network.classes} is expected, got {n_classes}"
        )
    return replace(network, classes=n_classes)


def _grow(
    before: RowLayout, after: RowLayout, row: torch.Tensor, fresh: torch.Tensor | None = None
) -> torch.Tensor:
    """Put each field of a row where it belongs in a larger one, which is zero or ``fresh``."""
    grown = torch.zeros(after.width, dtype=row.dtype) if fresh is None else fresh.clone()
    larger = after.views(grown)
    for name, field in before.views(row).items():
        larger[name][tuple(slice(size) for size in field.shape)] = field
    return grown


def _from(layout: RowLayout, start: int) -> RowLayout:
    """Return the layout of what is left of a row without its first numbers."""
    fields = {
        name: field._replace(offset=field.offset - start)
        for name, field in layout.fields.items()
        if field.offset >= start
    }
    return RowLayout(fields, layout.width - start)
