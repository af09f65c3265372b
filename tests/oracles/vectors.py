"""Test vectors: results of an independent implementation, played through a learner.

A vector file (npz) holds input, targets, initial weights and hyper-parameters, and what must come
out: every tick's potentials, spikes, pseudo-derivatives, logits and probabilities, the eligibility
after the last tick, summed gradients, and the weights after per-tick SGD.
"""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tclif_core import (
    DecayProfile,
    EventBlock,
    Learner,
    LearningSpec,
    NetworkSpec,
    NeuronSpec,
    SlotIndex,
    Strand,
)

Array = NDArray[np.float64]

VECTOR_FOLDER = Path(__file__).parents[2] / "../shared/vectors"

# the files call everything with a dendrite `two_compartment`, whether its decays vary or not
_NEURON_KINDS = {"two_compartment": "adaptive_tclif", "adaptive_tclif": "adaptive_tclif"}

_SCALARS = (
    "dendrite_decay_minimum",
    "soma_decay_minimum",
    "soma_to_dendrite",
    "dendrite_to_soma",
)
_TICK_FIELDS = ("dendrite", "soma", "spikes", "pseudo_derivative")


class UnreadableVectorsError(ValueError):
    """A file is no vector file, or speaks of something that the project does not compute."""


@dataclass(frozen=True)
class VectorCase:
    """One vector file.

    Attributes:
        name: The file's name.
        meta: Hyper-parameters by name.
        arrays: Everything else by name, float64 but for ``target``.
        network: The specification that the file describes.
        learning: Per-tick SGD where the file's rate is above 0, accumulated gradients otherwise.
    """

    name: str
    meta: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    network: NetworkSpec
    learning: LearningSpec

    @property
    def rate(self) -> float:
        """The rate of per-tick SGD, 0 where weights stay."""
        return float(self.meta["rate"])

    @property
    def is_lif(self) -> bool:
        """Whether the neurons have one compartment: the files then hold no dendrite."""
        return self.network.neuron.kind == "lif"

    @property
    def n_ticks(self) -> int:
        """T."""
        return len(self.arrays["target"])

    @property
    def weight_names(self) -> list[str]:
        """Names of all weights and biases."""
        layers = range(len(self.network.hidden))
        parts = ("w", "r", "b") if self.network.recurrent else ("w", "b")
        return [f"layer{n}.{part}" for n in layers for part in parts] + ["readout.w", "readout.b"]

    @property
    def scalar_names(self) -> list[str]:
        """Names of those of the layers' four numbers whose gradient the file holds."""
        names = [f"layer{n}.{name}" for n in range(len(self.network.hidden)) for name in _SCALARS]
        return [name for name in names if f"{name}.gradient" in self.arrays]


def read_vectors(path: Path) -> VectorCase:
    """Read a vector file.

    Raises:
        UnreadableVectorsError: It is no such file, lacks something, or a shape is wrong; the text
            says what.
    """
    try:
        with np.load(path) as archive:
            arrays = {name: archive[name] for name in archive.files}
        meta = json.loads(str(arrays.pop("meta")))
        network, learning = _specifications(meta, arrays)
    except KeyError as error:
        raise UnreadableVectorsError(f"{path}: lacks {error}") from error
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise UnreadableVectorsError(f"{path}: {error}") from error
    case = VectorCase(path.name, meta, arrays, network, learning)
    _check_arrays(path, case)
    return case


def _specifications(
    meta: dict[str, Any], arrays: dict[str, NDArray[Any]]
) -> tuple[NetworkSpec, LearningSpec]:
    names = _NEURON_KINDS | {"lif": "lif"}
    if meta["neuron"] not in names:
        raise UnreadableVectorsError(f"neuron must be one of {sorted(names)}: {meta['neuron']!r}")
    inputs, *hidden = (int(size) for size in meta["sizes"])
    network = NetworkSpec(
        inputs=inputs,
        hidden=tuple(hidden),
        classes=int(meta["n_class"]),
        recurrent=bool(meta["recurrent"]),
        neuron=NeuronSpec.from_dict(
            {
                "kind": names[meta["neuron"]],
                "decay_profile": DecayProfile(
                    shape=meta["shape"],
                    scale_ticks=meta["scale_ticks"],
                    amplitude=meta["amplitude"],
                ),
                **{name: meta[name] for name in _SCALARS},
                **{n: meta[n] for n in ("threshold", "dendritic_reset", "surrogate_width")},
            }
        ),
        readout_decay=meta["readout_decay"],
    )
    learning = LearningSpec(
        update="tick" if meta["rate"] > 0 else "segment",
        optimizer="sgd",
        feedback=meta["feedback"],
        learn_couplings=any(f"layer0.{name}.gradient" in arrays for name in _SCALARS[2:]),
    )
    starts = meta["segment_starts"]
    if starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] >= len(arrays["target"]):
        raise UnreadableVectorsError(f"segment_starts must rise from 0 within the ticks: {starts}")
    return network, learning


def _check_arrays(path: Path, case: VectorCase) -> None:
    """Refuse a file where an array is missing, superfluous, misshapen or not finite."""
    expected = _expected_shapes(case)
    optional = {
        name for name in expected if name.endswith(tuple(f"{s}.gradient" for s in _SCALARS))
    }
    if missing := sorted(set(expected) - optional - set(case.arrays)):
        raise UnreadableVectorsError(f"{path}: lacks {', '.join(missing)}")
    if unknown := sorted(set(case.arrays) - set(expected)):
        # what is not compared must not look as if it were
        raise UnreadableVectorsError(f"{path}: holds unknown {', '.join(unknown)}")
    for name, array in case.arrays.items():
        if array.shape != expected[name]:
            raise UnreadableVectorsError(
                f"{path}: {name} is {array.shape}, expected {expected[name]}"
            )
        if not np.isfinite(array).all():
            raise UnreadableVectorsError(f"{path}: {name} holds numbers that are not finite")


def _expected_shapes(case: VectorCase) -> dict[str, tuple[int, ...]]:
    network, ticks = case.network, case.n_ticks
    shapes: dict[str, tuple[int, ...]] = {
        "x": (ticks, network.inputs),
        "target": (ticks,),
        "logits": (ticks, network.classes),
        "probabilities": (ticks, network.classes),
    }
    weights: dict[str, tuple[int, ...]] = {
        "readout.w": (network.hidden[-1], network.classes),
        "readout.b": (network.classes,),
    }
    below = network.inputs
    for layer, size in enumerate(network.hidden):
        prefix = f"layer{layer}"
        weights[f"{prefix}.w"], weights[f"{prefix}.b"] = (below, size), (size,)
        if network.recurrent:
            weights[f"{prefix}.r"] = (size, size)
        n_lines = below + 1 + (size if network.recurrent else 0)
        for field in _TICK_FIELDS:
            shapes[f"{prefix}.{field}"] = (ticks, size)
        for compartment in ("dendrite", "soma"):
            shapes[f"{prefix}.eligibility.{compartment}"] = (n_lines, size)
        for name in _SCALARS:
            shapes[f"{prefix}.{name}.gradient"] = ()
        if case.learning.feedback == "broadcast":
            shapes[f"{prefix}.feedback"] = (network.classes, size)
        below = size
    for name, shape in weights.items():
        shapes |= {name: shape, f"{name}.gradient": shape, f"{name}.after": shape}
    return shapes


@dataclass(frozen=True)
class Measured:
    """One computed array beside the expected one.

    Attributes:
        quantity: Row of the tolerance table.
        where: Which array, for a person.
        tick: Which tick, -1 for what is known after the last one.
        actual: Computed.
        expected: From the file.
    """

    quantity: str
    where: str
    tick: int
    actual: Array
    expected: Array


class Player:
    """Plays a vector file through a backend."""

    def __init__(self, case: VectorCase, kernel: str, dtype: torch.dtype) -> None:
        self._case = case
        self._value_type = np.float64 if dtype == torch.float64 else np.float32
        self.learner = Learner(case.network, case.learning, kernel=kernel, dtype=dtype)
        self.slot: SlotIndex = self.learner.open(seed=0, rate=case.rate)
        views = self.learner.bank.parameter_views(self.slot)
        for name in case.weight_names:
            views[name].copy_(torch.from_numpy(case.arrays[name]))
        feedback = self.learner.bank.feedback_layout.views(self.learner.bank.feedback[self.slot])
        for name, view in feedback.items():
            view.copy_(torch.from_numpy(case.arrays[name]))

    def measure(self, *, from_file: bool) -> Iterator[Measured]:
        """Play tick by tick and yield everything that the file holds, tick after tick.

        Args:
            from_file: Set state and logits to the file's before each tick, so that rounding does
                not add up over ticks and a spike that differs stays one spike.
        """
        sums = self.learner.bank.sums[self.slot, Strand.LIVE, :-1]
        for tick in range(self._case.n_ticks):
            begins = tick in self._case.meta["segment_starts"]
            if begins:
                self.learner.begin_segment(self.slot, Strand.LIVE)
            elif from_file:
                self._take_state(tick - 1)
            before = sums.clone()
            logits = self._advance(tick, tick + 1)
            yield from self._neurons(tick)
            expected = self._case.arrays
            yield Measured("logits", "logits", tick, logits[0], expected["logits"][tick])
            p = (sums - before).numpy()
            yield Measured(
                "probabilities", "probabilities", tick, p, expected["probabilities"][tick]
            )
        yield from self._after_the_last_tick()

    def play_segments(self) -> Array:
        """Play each segment in one call; return all logits ``[T, C]``."""
        starts = [*self._case.meta["segment_starts"], self._case.n_ticks]
        logits = []
        for start, stop in pairwise(starts):
            self.learner.begin_segment(self.slot, Strand.LIVE)
            logits.append(self._advance(start, stop))
        return np.concatenate(logits)

    def play_ticks(self) -> Array:
        """Play each tick in a call of its own; return all logits ``[T, C]``."""
        logits = []
        for tick in range(self._case.n_ticks):
            if tick in self._case.meta["segment_starts"]:
                self.learner.begin_segment(self.slot, Strand.LIVE)
            logits.append(self._advance(tick, tick + 1))
        return np.concatenate(logits)

    def _advance(self, start: int, stop: int) -> Array:
        x = self._case.arrays["x"][start:stop]
        result = self.learner.advance(
            np.array([self.slot]),
            np.array([Strand.LIVE], np.int64),
            np.array([True]),
            EventBlock.from_dense([x], self._value_type),
            self._case.arrays["target"][start:stop].astype(np.int64),
        )
        return result.logits.astype(np.float64)

    def _take_state(self, tick: int) -> None:
        views = self.learner.bank.state_views(self.slot, Strand.LIVE)
        names = [
            f"layer{layer}.{field}"
            for layer in range(len(self._case.network.hidden))
            for field in ("dendrite", "soma", "spikes")
        ]
        for name in [*names, "logits"]:
            if not (self._case.is_lif and name.endswith(".dendrite")):
                views[name].copy_(torch.from_numpy(self._case.arrays[name][tick]))

    def _neurons(self, tick: int) -> Iterator[Measured]:
        views = self.learner.bank.state_views(self.slot, Strand.LIVE)
        for layer in range(len(self._case.network.hidden)):
            for field in _TICK_FIELDS:
                name = f"layer{layer}.{field}"
                expected = self._case.arrays[name][tick]
                actual = views[name].numpy().astype(np.float64)
                if self._case.is_lif and field == "dendrite":
                    # a pass-through here and nothing in the file: there is no dendrite to compare
                    actual = np.zeros_like(actual)
                yield Measured(field, name, tick, actual, expected)

    def _after_the_last_tick(self) -> Iterator[Measured]:
        case, bank = self._case, self.learner.bank
        state = bank.state_views(self.slot, Strand.LIVE)
        for layer, size in enumerate(case.network.hidden):
            for compartment in ("dendrite", "soma"):
                name = f"layer{layer}.eligibility.{compartment}"
                # one pair serves all synapses of a line: the file's columns must all equal it
                actual = state[name].numpy().astype(np.float64)[:, None].repeat(size, axis=1)
                if case.is_lif and compartment == "dendrite":
                    actual = np.zeros_like(actual)
                yield Measured("eligibility", name, -1, actual, case.arrays[name])
        weights, gradients = self.learner.weights(self.slot), bank.gradient_views(self.slot)
        for name in case.weight_names:
            after = weights[name].astype(np.float64)
            yield Measured("after", f"{name}.after", -1, after, case.arrays[f"{name}.after"])
            if case.rate > 0:
                start = case.arrays[name].astype(self._value_type).astype(np.float64)
                actual = (start - after) / case.rate
            else:
                actual = gradients[name].numpy().astype(np.float64)
            label = f"{name}.gradient"
            yield Measured("gradient", label, -1, actual, case.arrays[label])
        for name in case.scalar_names:
            label = f"{name}.gradient"
            actual = gradients[name].numpy().astype(np.float64)
            yield Measured("gradient", label, -1, actual, case.arrays[label])
