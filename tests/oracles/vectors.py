"""Test vectors: files with the results of an independent implementation.

A vector file (npz) holds input, targets, initial weights and hyper-parameters, and what must come
out: every tick's potentials, spikes, pseudo-derivatives, logits and probabilities, the eligibility
after the last tick, summed gradients, and the weights after per-tick SGD.
"""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tclif_core import DecayProfile, LearningSpec, NetworkSpec, NeuronSpec

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
TICK_FIELDS = ("dendrite", "soma", "spikes", "pseudo_derivative")


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
    optional = {name for name in expected if _is_optional(case, name)}
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


def _is_optional(case: VectorCase, name: str) -> bool:
    if name.endswith(".after"):
        return case.rate == 0
    if name.endswith(".dendrite"):
        return case.is_lif
    return name.endswith(tuple(f"{scalar}.gradient" for scalar in _SCALARS))


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
        for field in TICK_FIELDS:
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
