"""A model small enough to try every byte of its file, and how a file of it is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tclif_core import (
    DecayProfile,
    LearningSpec,
    Model,
    ModelFileError,
    NetworkSpec,
    NeuronSpec,
    read_model,
)

NETWORK = NetworkSpec(
    inputs=1, hidden=(1,), classes=2, neuron=NeuronSpec(decay_profile=DecayProfile(amplitude=0.1))
)


def tiny_model(**fields: Any) -> Model:  # noqa: ANN401 - wrong values too
    values: dict[str, Any] = {
        "network": NETWORK,
        "learning": LearningSpec(),
        "weights": {
            "layer0.w": np.array([[0.5]], np.float32),
            "layer0.r": np.array([[-0.25]], np.float32),
            "layer0.b": np.array([0.0], np.float32),
            "readout.w": np.array([[1.0, -1.0]], np.float32),
            "readout.b": np.array([0.0, 2.0], np.float32),
            "layer0.dendrite_decay_minimum": np.array(0.75, np.float32),
            "layer0.soma_decay_minimum": np.array(0.8, np.float32),
            "layer0.soma_to_dendrite": np.array(-0.5, np.float32),
            "layer0.dendrite_to_soma": np.array(0.5, np.float32),
        },
        "classes": ("yes", "no"),
        "tick_us": 4000,
        "sensor": {"kind": "raw", "addresses": 1},
        "provenance": {"seed": 7, "data": {"sha256": "0" * 64}, "scores": [0.5, None]},
    }
    return Model(**{**values, **fields})


def with_weight(name: str, weight: object) -> Model:
    model = tiny_model()
    return replace(model, weights={**model.weights, name: weight})  # type: ignore[dict-item]  # wrong ones too


def refusal_of(path: Path, contents: bytes) -> ModelFileError:
    path.write_bytes(contents)
    with pytest.raises(ModelFileError) as refusal:
        read_model(path)
    assert refusal.value.path == path
    assert str(refusal.value).startswith(f"{path}: ")
    return refusal.value
