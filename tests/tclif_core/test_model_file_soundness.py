"""A model file whose checksums are right is refused if what is in it does not fit together."""

import json
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tclif_core import (
    Model,
    read_model,
    write_model,
)
from tclif_core.sealed_tensors import seal
from tests.tclif_core.tiny_models import NETWORK, refusal_of, tiny_model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tiny.safetensors"


@pytest.fixture
def written(path: Path) -> bytes:
    write_model(path, tiny_model())
    return path.read_bytes()


def document_of(model: Model) -> dict[str, Any]:
    return {
        "network": model.network.to_dict(),
        "learning": model.learning.to_dict(),
        "classes": list(model.classes),
        "tick_us": model.tick_us,
        "sensor": dict(model.sensor),
        "provenance": dict(model.provenance),
    }


def sealed(
    document: Mapping[str, Any] | None = None,
    weights: Mapping[str, object] | None = None,
    schema: int = 1,
) -> bytes:
    """Return a file whose checksums are right, with something else in it."""
    model = tiny_model()
    all_weights: dict[str, Any] = {**model.weights, **(weights or {})}
    kept = {name: weight for name, weight in all_weights.items() if weight is not None}
    return seal("tclif-model", schema, {**document_of(model), **(document or {})}, kept)


def test_a_file_sealed_by_hand_is_read(path: Path, written: bytes) -> None:
    # the control of the tests below: nothing else in it, and it is the file itself
    assert sealed() == written
    path.write_bytes(sealed())
    assert read_model(path).tick_us == 4000


def test_another_schema_is_refused_with_both(path: Path) -> None:
    refusal = refusal_of(path, sealed(schema=2))

    assert refusal.field == "schema"
    assert "schema 2 came, schema 1 is read" in str(refusal)


@pytest.mark.parametrize(
    ("document", "field", "sentence"),
    [
        (
            {"network": {**NETWORK.to_dict(), "readout_decay": 1.5}},
            "network",
            "readout_decay .* 1.5",
        ),
        ({"network": {**NETWORK.to_dict(), "hidden": []}}, "network", "hidden"),
        ({"network": {"inputs": 1}}, "network", "hidden"),
        ({"network": None}, "network", "object, got None"),
        ({"network": {**NETWORK.to_dict(), "neuron": {"kind": "gru"}}}, "network", "neuron.kind"),
        ({"network": {**NETWORK.to_dict(), "neuron": {"gain": 1}}}, "network", "gain"),
        ({"learning": {"update": "never"}}, "learning", "update must be one of"),
        ({"learning": {"loss": ["a"]}}, "learning", "loss"),
        ({"learning": {"layer_rates": [1]}}, "learning", "layer_rates must hold 2"),
        ({"classes": [["a"], ["b"]]}, "classes", "name"),
        ({"classes": "no"}, "classes", "tuple"),
        ({"tick_us": 4000.0}, "tick_us", "integer"),
        ({"sensor": []}, "sensor", "JSON object"),
        ({"weather": "fine"}, "weather", "unknown"),
    ],
)
def test_a_specification_that_is_no_such_thing_is_named(
    path: Path, document: dict[str, Any], field: str, sentence: str
) -> None:
    refusal = refusal_of(path, sealed(document))

    assert refusal.field == field
    assert re.search(sentence, str(refusal))


@pytest.mark.parametrize(
    ("weights", "field", "sentence"),
    [
        ({"layer0.r": None}, "layer0.r", "missing"),
        ({"layer9.r": np.zeros(1, np.float32)}, "layer9.r", "unknown"),
        ({"layer0.w": np.zeros((1, 1))}, "layer0.w", "float32, got float64"),
        ({"layer0.w": np.zeros((1,), np.float32)}, "layer0.w", r"\[1, 1\], got \[1\]"),
        ({"readout.b": np.array([0, np.nan], np.float32)}, "readout.b", "not finite"),
        (
            {"layer0.soma_to_dendrite": np.array(0.25, np.float32)},
            "layer0.soma_to_dendrite",
            r"\[-1, 0\], got 0.25",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(
    path: Path, weights: dict[str, object], field: str, sentence: str
) -> None:
    refusal = refusal_of(path, sealed(weights=weights))

    assert refusal.field == field
    assert re.search(sentence, str(refusal))


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"dtype": "F32", "shape": [1]}, "must have dtype"),
        ({"dtype": ["F32"], "shape": [1], "data_offsets": [0, 4]}, "must be one of"),
        ({"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}, "must be one of"),
        ({"dtype": "F32", "shape": [1], "data_offsets": [0, True]}, "two offsets"),
        ({"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}, "two offsets"),
        ([0, 4], "must have dtype"),
    ],
)
def test_a_tensor_without_a_place_is_named(path: Path, entry: object, sentence: str) -> None:
    header = json.dumps({"__metadata__": {"tclif-model": '{"schema":1}'}, "a": entry}).encode()

    refusal = refusal_of(path, struct.pack("<Q", len(header)) + header + b"\0" * 4)

    assert refusal.field == "a"
    assert sentence in str(refusal)
