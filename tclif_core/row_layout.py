"""Where each tensor of a session lies in its flat rows.

A session is a few rows of numbers: parameters, gradients, optimiser state, neuron state. One row is
one pass for an optimiser, one copy for a snapshot, and its length is known before anything is
allocated; a layout gives every tensor in it by name, without copying.

The parameter row holds, for each hidden layer, ``layerN.w`` ``[pre, N]``, ``layerN.r`` ``[N, N]``
(if recurrent) and ``layerN.b`` ``[N]`` one after the other, so that together they are one matrix
of input lines ``[M, N]``; then the readout; then four numbers a layer (`two_compartment.SCALARS`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import torch

from tclif_core.hyperparameters import LearningSpec, NetworkSpec
from tclif_core.two_compartment import SCALARS

# rows start on cache lines: 16 numbers of 4 bytes
_ROW_MULTIPLE = 16


class Field(NamedTuple):
    """One tensor inside a row."""

    offset: int
    shape: tuple[int, ...]

    def view(self, row: torch.Tensor) -> torch.Tensor:
        """Return this tensor of a row ``[width]``, sharing its memory."""
        return row[self.offset : self.offset + prod(self.shape)].view(self.shape)


@dataclass(frozen=True, slots=True)
class RowLayout:
    """The fields of a row by name, and its width in numbers, padding included."""

    fields: Mapping[str, Field]
    width: int

    @classmethod
    def stack(cls, shapes: Iterable[tuple[str, tuple[int, ...]]]) -> "RowLayout":
        """Lay fields one after the other and round the width up to whole cache lines."""
        fields: dict[str, Field] = {}
        offset = 0
        for name, shape in shapes:
            fields[name] = Field(offset, shape)
            offset += prod(shape)
        return cls(fields, -(-offset // _ROW_MULTIPLE) * _ROW_MULTIPLE)

    def views(self, row: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return every tensor of a row ``[width]`` by name, sharing its memory."""
        return {name: field.view(row) for name, field in self.fields.items()}


def n_inputs_below(network: NetworkSpec, layer: int) -> int:
    """Return how many channels or neurons feed a hidden layer from below."""
    return network.hidden[layer - 1] if layer else network.inputs


def n_lines(network: NetworkSpec, layer: int) -> int:
    """Return M: what comes from below, the layer's own neurons if recurrent, and the bias."""
    own = network.hidden[layer] if network.recurrent else 0
    return n_inputs_below(network, layer) + own + 1


def parameter_layout(network: NetworkSpec) -> RowLayout:
    """Return the layout of the parameter row."""
    shapes: list[tuple[str, tuple[int, ...]]] = []
    for layer, size in enumerate(network.hidden):
        shapes.append((f"layer{layer}.w", (n_inputs_below(network, layer), size)))
        if network.recurrent:
            shapes.append((f"layer{layer}.r", (size, size)))
        shapes.append((f"layer{layer}.b", (size,)))
    shapes.append(("readout.w", (network.hidden[-1], network.classes)))
    shapes.append(("readout.b", (network.classes,)))
    # the scalars end the row, so that a gradient row may hold them alone
    shapes += [(f"layer{n}.{name}", ()) for n in range(len(network.hidden)) for name in SCALARS]
    return RowLayout.stack(shapes)


def parameter_count(network: NetworkSpec) -> int:
    """Return how many parameters a network has."""
    return sum(prod(field.shape) for field in parameter_layout(network).fields.values())


def line_field(network: NetworkSpec, layout: RowLayout, layer: int) -> Field:
    """Return w, r and b of a hidden layer as one matrix of input lines ``[M, N]``."""
    offset = layout.fields[f"layer{layer}.w"].offset
    return Field(offset, (n_lines(network, layer), network.hidden[layer]))


def scalars_offset(layout: RowLayout) -> int:
    """Return where the scalars of a parameter row begin; they run to the end of its fields."""
    return layout.fields[f"layer0.{SCALARS[0]}"].offset


def accumulated_from(layout: RowLayout, learning: LearningSpec) -> int:
    """Return the first parameter whose gradient adds up: all of them, the scalars alone, none."""
    if learning.update == "frozen":
        return layout.width
    adds_all = learning.update == "segment" or learning.is_preconditioned
    return 0 if adds_all else scalars_offset(layout)


def learnt_scalars(network: NetworkSpec, learning: LearningSpec) -> tuple[str, ...]:
    """Return which of a layer's four numbers move, in the order of `two_compartment.SCALARS`.

    A ``lif`` has a soma only, so its soma's decay is the one number it can learn; a ``tclif`` has
    couplings only.
    """
    kind = network.neuron.kind
    if learning.update == "frozen":
        return ()
    if kind == "lif":
        return ("soma_decay_minimum",) if learning.learn_decay_minima else ()
    learns_couplings = learning.learn_couplings
    if learns_couplings is None:
        learns_couplings = kind == "tclif"
    minima = SCALARS[:2] if learning.learn_decay_minima and kind != "tclif" else ()
    return minima + (SCALARS[2:] if learns_couplings else ())


def state_layout(network: NetworkSpec, learning: LearningSpec) -> RowLayout:
    """Return the layout of one strand's state row: neurons, traces, logits.

    The logits and what remembers them (`logit_memory`) come last. The readout's trace holds its
    bias line after its neurons.
    """
    shapes: list[tuple[str, tuple[int, ...]]] = []
    learns = learning.update != "frozen"
    for layer, size in enumerate(network.hidden):
        neuron_fields = ("dendrite", "soma", "spikes", "pseudo_derivative")
        shapes += [(f"layer{layer}.{name}", (size,)) for name in neuron_fields]
        lines = (n_lines(network, layer) * learns,)
        shapes += [
            (f"layer{layer}.eligibility.dendrite", lines),
            (f"layer{layer}.eligibility.soma", lines),
        ]
        for name in learnt_scalars(network, learning):
            shapes += [
                (f"layer{layer}.{name}.dendrite", (size,)),
                (f"layer{layer}.{name}.soma", (size,)),
            ]
    shapes.append(("logits", (network.classes,)))
    if learns and learning.filter_readout_trace:
        shapes.append(("readout.trace", (network.hidden[-1] + 1,)))
    if learns and learning.filter_hidden_traces:
        for layer, size in enumerate(network.hidden):
            shapes.append((f"layer{layer}.filtered", (n_lines(network, layer), size)))
            learnt = learnt_scalars(network, learning)
            shapes += [(f"layer{layer}.{name}.filtered", (size,)) for name in learnt]
    return RowLayout.stack(shapes)


def logit_memory(layout: RowLayout, state: torch.Tensor) -> torch.Tensor:
    """Return the end of a state row ``[Q]``: the logits, and traces filtered by their leak.

    It is evidence about the running segment, not memory of the neurons.
    """
    return state[layout.fields["logits"].offset :]


def rate_spans(
    network: NetworkSpec, learning: LearningSpec, layout: RowLayout
) -> tuple[tuple[int, int, float], ...]:
    """Return ``(start, stop, layer rate)`` of the pieces of a parameter row, in its order.

    Raises:
        ValueError: ``layer_rates`` is for a network of another depth.
    """
    rates = learning.rates_of_layers(network)
    pieces: list[tuple[int, int, float]] = []
    for name, field in layout.fields.items():
        layer = name.partition(".")[0]
        rate = rates[-1] if layer == "readout" else rates[int(layer.removeprefix("layer"))]
        stop = field.offset + prod(field.shape)
        if pieces and pieces[-1][2] == rate:
            pieces[-1] = (pieces[-1][0], stop, rate)
        else:
            pieces.append((field.offset, stop, rate))
    return tuple(pieces)


def feedback_layout(network: NetworkSpec, learning: LearningSpec) -> RowLayout:
    """Return the layout of the feedback row, empty unless feedback is broadcast."""
    if learning.feedback == "chain" or learning.update == "frozen":
        return RowLayout.stack([])
    return RowLayout.stack(
        (f"layer{layer}.feedback", (network.classes, size))
        for layer, size in enumerate(network.hidden)
    )
