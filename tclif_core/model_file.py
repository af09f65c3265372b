"""A named model on disk: weights with the full specification and their provenance in one file.

The file is a safetensors file, see `sealed_tensors`: any reader of that format can open it, and no
byte of it can change unseen. It is written whole or not at all, and read whole or not at all.
"""

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from tclif_core.hyperparameters import LearningSpec, NetworkSpec
from tclif_core.row_layout import parameter_layout
from tclif_core.scalar_intervals import SCALAR_SLACK, scalar_intervals
from tclif_core.sealed_tensors import peek, seal, unseal
from tclif_core.strict_json import FileFault
from tclif_core.whole_file import write_whole

KIND, SCHEMA = "tclif-model", 1

Spec = TypeVar("Spec", NetworkSpec, LearningSpec)

_FIELDS = ("network", "learning", "classes", "tick_us", "sensor", "provenance")
_LONGEST_CLASS_NAME = 128
_LONGEST_TICK_US = 10**9


class ModelFileError(ValueError):
    """A file that is no whole and sound model, or a model that can't be written.

    Attributes:
        path: The file.
        field: Name of the field or tensor at fault, ``None`` where it has none.
        byte: Where in the file it shows, from 0, ``None`` where there is no such place.
    """

    def __init__(
        self, path: Path, problem: str, *, field: str | None = None, byte: int | None = None
    ) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.field = field
        self.byte = byte


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A network that has learnt, and all that is needed to go on with it.

    `write_model` says what may be in it; `read_model` returns nothing else.
    """

    network: NetworkSpec
    learning: LearningSpec

    weights: Mapping[str, NDArray[np.float32]]
    """All parameters by name, as `Learner.weights` returns them."""

    classes: tuple[str, ...]
    """The names of the classes, by index."""

    tick_us: int
    """Length of a tick, from 1 microsecond to 1000 seconds."""

    sensor: Mapping[str, Any]
    """What the inputs are; plain JSON values."""

    provenance: Mapping[str, Any]
    """Where the weights come from: data, command, seed, scores, versions; plain JSON values."""


def write_model(path: str | os.PathLike[str], model: Model) -> None:
    """Write a model in place of what is at the path; what is there stays if this fails.

    Equal models give equal bytes. Tuples in ``sensor`` and ``provenance`` come back as lists.

    Raises:
        ModelFileError: Weights do not fit the specification: one is missing, unknown, of another
            shape or type, not finite or outside its interval; or a field is not as `Model` says.
        OSError: The file can't be written.
    """
    write_whole(Path(path), pack_model(model, path))


def read_model(path: str | os.PathLike[str]) -> Model:
    """Read a model that `write_model` wrote; its weights are read-only.

    Raises:
        ModelFileError: The file is of another kind or schema, was cut short, continued or changed
            in any byte, or what is in it does not fit together.
        OSError: The file can't be read.
    """
    with Path(path).open("rb") as stream:
        return _read(stream, path)


def pack_model(model: Model, name: str | os.PathLike[str]) -> bytes:
    """Return what `write_model` writes.

    Args:
        model: What is to be kept.
        name: What an error calls the file.

    Raises:
        ModelFileError: As `write_model`.
    """
    try:
        _check(model)
        document = {
            "network": model.network.to_dict(),
            "learning": model.learning.to_dict(),
            "classes": model.classes,
            "tick_us": model.tick_us,
            "sensor": model.sensor,
            "provenance": model.provenance,
        }
        return seal(KIND, SCHEMA, document, model.weights)
    except FileFault as fault:
        raise ModelFileError(Path(name), str(fault), field=fault.field, byte=fault.byte) from fault


def unpack_model(contents: bytes, name: str | os.PathLike[str]) -> Model:
    """Return the model in a file's contents, as `read_model` does.

    Raises:
        ModelFileError: As `read_model`.
    """
    return _read(io.BytesIO(contents), name)


def peek_model(contents: bytes, name: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a file's first bytes say of a model, its weights unread.

    Args:
        contents: The file's begin, its whole header at least.
        name: What an error calls the file.

    Raises:
        ModelFileError: It is no model file, or the header is not whole.
    """
    try:
        return peek(io.BytesIO(contents), KIND, SCHEMA)
    except FileFault as fault:
        raise ModelFileError(Path(name), str(fault), field=fault.field, byte=fault.byte) from fault


def _read(stream: BinaryIO, name: str | os.PathLike[str]) -> Model:
    try:
        document, weights = unseal(stream, KIND, SCHEMA)
        model = _restored(document, weights)
        _check(model)
    except FileFault as fault:
        raise ModelFileError(Path(name), str(fault), field=fault.field, byte=fault.byte) from fault
    return model


def _restored(document: dict[str, Any], weights: dict[str, NDArray[Any]]) -> Model:
    for name in {*_FIELDS} ^ {*document}:
        state = "missing" if name in _FIELDS else "unknown"
        raise FileFault(f"{name} is {state}; expected {', '.join(_FIELDS)}", field=name)
    for weight in weights.values():
        weight.flags.writeable = False
    classes = document["classes"]
    return Model(
        network=_specification(NetworkSpec, "network", document),
        learning=_specification(LearningSpec, "learning", document),
        weights=MappingProxyType(weights),
        classes=tuple(classes) if isinstance(classes, list) else classes,
        tick_us=document["tick_us"],
        sensor=document["sensor"],
        provenance=document["provenance"],
    )


def _specification(spec: type[Spec], name: str, document: dict[str, Any]) -> Spec:
    try:
        return spec.from_dict(document[name])
    except ValueError as error:
        raise FileFault(f"{name}: {error}", field=name) from error


def _check(model: Model) -> None:
    """Refuse a model whose fields are wrong or do not fit together."""
    try:
        model.learning.rates_of_layers(model.network)
    except ValueError as error:
        raise FileFault(f"learning: {error}", field="learning") from error
    _check_classes(model.classes, model.network.classes)
    tick_us: object = model.tick_us
    if type(tick_us) is not int or not 1 <= tick_us <= _LONGEST_TICK_US:
        raise FileFault(
            f"tick_us must be an integer in [1, {_LONGEST_TICK_US}], got {tick_us!r}",
            field="tick_us",
        )
    for name in ("sensor", "provenance"):
        value: object = getattr(model, name)
        if not isinstance(value, Mapping):
            raise FileFault(f"{name} must be a JSON object, got {value!r:.100}", field=name)
    _check_weights(model.network, model.weights)


def _check_classes(classes: object, n_classes: int) -> None:
    if not isinstance(classes, tuple):
        raise FileFault(f"classes must be a tuple of names, got {classes!r:.200}", field="classes")
    for name in classes:
        if not isinstance(name, str) or not 1 <= len(name) <= _LONGEST_CLASS_NAME:
            raise FileFault(
                f"a class needs a name of 1 to {_LONGEST_CLASS_NAME} characters, got {name!r:.200}",
                field="classes",
            )
    if not len(classes) == len(set(classes)) == n_classes:
        raise FileFault(
            f"classes must be {n_classes} different names, got {classes!r:.200}", field="classes"
        )


def _check_weights(network: NetworkSpec, weights: Mapping[str, NDArray[Any]]) -> None:
    fields = parameter_layout(network).fields
    for name in sorted({*fields} ^ {*weights}):
        state = "missing" if name in fields else "unknown"
        raise FileFault(f"{name} is {state}; expected {', '.join(fields)}", field=name)
    intervals = scalar_intervals(network)
    for name, field in fields.items():
        weight: object = weights[name]
        if not isinstance(weight, np.ndarray) or weight.dtype != np.float32:
            came = weight.dtype if isinstance(weight, np.ndarray) else type(weight).__name__
            raise FileFault(f"{name} must be an array of float32, got {came}", field=name)
        if weight.shape != field.shape:
            raise FileFault(
                f"{name} must be {list(field.shape)}, got {list(weight.shape)}", field=name
            )
        n_bad = int((~np.isfinite(weight)).sum())
        if n_bad:
            raise FileFault(f"{name} has {n_bad} numbers that are not finite", field=name)
        interval = intervals.get(name.partition(".")[2])
        if interval is not None:
            _check_scalar(name, float(weight), interval)


def _check_scalar(name: str, value: float, interval: tuple[float, float]) -> None:
    low, high = interval
    if not low - SCALAR_SLACK <= value <= high + SCALAR_SLACK:
        raise FileFault(f"{name} must lie in [{low:g}, {high:g}], got {value:g}", field=name)
