"""A model comes back from disk as it went there; what does not fit is not written."""

import hashlib
import json
import os
import re
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from tclif_core import (
    Learner,
    LearningSpec,
    Model,
    ModelFileError,
    NetworkSpec,
    NeuronSpec,
    pack_model,
    peek_model,
    read_model,
    unpack_model,
    write_model,
)
from tests.tclif_core.tiny_models import NETWORK, tiny_model, with_weight


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tiny.safetensors"


@pytest.fixture
def written(path: Path) -> bytes:
    write_model(path, tiny_model())
    return path.read_bytes()


@pytest.mark.parametrize(
    ("network", "learning"),
    [
        (NetworkSpec(inputs=5, hidden=(4, 3), classes=3), LearningSpec()),
        (
            NetworkSpec(inputs=2, hidden=(3,), classes=2, neuron=NeuronSpec(kind="tclif")),
            LearningSpec(
                update="tick",
                optimizer="rmsprop",
                momentum=0.5,
                layer_rates=(1, 0.5),
                loss="mean_squared",
            ),
        ),
        (
            NetworkSpec(
                inputs=2, hidden=(3,), classes=2, recurrent=False, neuron=NeuronSpec(kind="lif")
            ),
            LearningSpec(update="frozen"),
        ),
    ],
)
def test_a_model_comes_back_as_it_was(
    path: Path, network: NetworkSpec, learning: LearningSpec
) -> None:
    learner = Learner(network, learning, kernel="reference")
    weights = learner.weights(learner.open(seed=3, rate=0.1))
    names = tuple(f"class {index}" for index in range(network.classes))
    model = tiny_model(network=network, learning=learning, weights=weights, classes=names)

    write_model(path, model)
    back = read_model(path)

    assert (back.network, back.learning) == (network, learning)
    assert (back.classes, back.tick_us) == (names, 4000)
    assert (back.sensor, back.provenance) == (model.sensor, model.provenance)
    assert back.weights.keys() == weights.keys()
    for name, weight in weights.items():
        assert back.weights[name].dtype == np.float32
        np.testing.assert_array_equal(back.weights[name], weight)


def test_a_read_model_can_be_learnt_on(path: Path, written: bytes) -> None:
    assert written
    learner = Learner(NETWORK, LearningSpec(), kernel="reference")
    slot = learner.open(seed=1, rate=0.1)

    learner.load_weights(slot, read_model(path).weights)

    assert learner.weights(slot)["layer0.w"] == np.float32(0.5)


def test_weights_that_were_read_can_not_be_written_to(path: Path, written: bytes) -> None:
    assert written
    with pytest.raises(ValueError, match="read-only"):
        read_model(path).weights["layer0.w"][0, 0] = 1.0


def test_any_safetensors_reader_opens_the_file(written: bytes) -> None:
    tensors = safetensors.numpy.load(written)

    assert tensors["readout.w"].tolist() == [[1.0, -1.0]]
    length = struct.unpack("<Q", written[:8])[0]
    document = json.loads(json.loads(written[8 : 8 + length])["__metadata__"]["tclif-model"])
    assert document["schema"] == 1
    assert document["network"]["neuron"]["decay_profile"]["amplitude"] == 0.1
    assert document["provenance"]["seed"] == 7


def test_the_digest_is_sha256_of_the_file_with_zeros_in_its_place(written: bytes) -> None:
    found = re.search(rb'sha256\\":\\"([0-9a-f]{64})', written)
    assert found is not None

    blank = written[: found.start(1)] + b"0" * 64 + written[found.end(1) :]

    assert hashlib.sha256(blank).hexdigest().encode() == found[1]


def test_equal_models_are_equal_bytes_whatever_the_order_of_their_weights(
    path: Path, written: bytes
) -> None:
    model = tiny_model()
    write_model(path, replace(model, weights=dict(reversed(list(model.weights.items())))))

    assert path.read_bytes() == written


def test_tuples_come_back_as_lists(path: Path) -> None:
    write_model(path, tiny_model(provenance={"shape": (1, (2,))}))

    assert read_model(path).provenance == {"shape": [1, [2]]}


@pytest.mark.parametrize(
    ("model", "field", "sentence"),
    [
        (with_weight("layer1.w", np.zeros((1, 1), np.float32)), "layer1.w", "unknown"),
        (
            with_weight("layer0.w", np.zeros((2, 1), np.float32)),
            "layer0.w",
            r"\[1, 1\], got \[2, 1\]",
        ),
        (with_weight("layer0.w", np.zeros((1, 1))), "layer0.w", "float32, got float64"),
        (with_weight("layer0.w", [[0.5]]), "layer0.w", "float32, got list"),
        (
            with_weight("layer0.b", np.array([np.nan], np.float32)),
            "layer0.b",
            "1 numbers .* finite",
        ),
        (with_weight("layer0.b", np.array([np.inf], np.float32)), "layer0.b", "finite"),
        (
            # the profile rises by 0.1: 0.9 is the highest
            with_weight("layer0.soma_decay_minimum", np.array(0.91, np.float32)),
            "layer0.soma_decay_minimum",
            r"\[0, 0.9\], got 0.91",
        ),
        (tiny_model(classes=("yes",)), "classes", "2 different names"),
        (tiny_model(classes=("yes", "yes")), "classes", "2 different names"),
        (tiny_model(classes=("yes", "")), "classes", "1 to 128 characters"),
        (tiny_model(classes=("yes", 2)), "classes", "1 to 128 characters"),
        (tiny_model(classes=["yes", "no"]), "classes", "tuple"),
        (tiny_model(tick_us=0), "tick_us", "got 0"),
        (tiny_model(tick_us=True), "tick_us", "got True"),
        (tiny_model(sensor=None), "sensor", "object, got None"),
        (tiny_model(provenance={"a": [1, {"b": np.nan}]}), "provenance.a[1].b", "got nan"),
        (tiny_model(provenance={"a": np.float32(1)}), "provenance.a", "plain JSON"),
        (tiny_model(provenance={"a": 2**63}), "provenance.a", "plain JSON"),
        (tiny_model(provenance={1: 2}), "provenance", "key 1"),
        (tiny_model(provenance={"a": "x" * 2**22}), None, "at most 4194304"),
        (
            tiny_model(learning=LearningSpec(layer_rates=(1.0,))),
            "learning",
            "layer_rates must hold 2 numbers",
        ),
    ],
)
def test_what_does_not_fit_is_not_written_and_leaves_the_file_that_is_there(
    path: Path, model: Model, field: str | None, sentence: str
) -> None:
    path.write_bytes(b"an older model")

    with pytest.raises(ModelFileError, match=sentence) as refusal:
        write_model(path, model)

    assert refusal.value.field == field
    assert path.read_bytes() == b"an older model"
    assert list(path.parent.iterdir()) == [path]


def test_a_weight_that_is_missing_is_not_written(path: Path) -> None:
    model = tiny_model()
    weights = {name: weight for name, weight in model.weights.items() if name != "readout.b"}

    with pytest.raises(ModelFileError, match=r"readout\.b is missing") as refusal:
        write_model(path, replace(model, weights=weights))

    assert refusal.value.field == "readout.b"
    assert not path.exists()


def test_a_disk_that_fails_leaves_the_older_file_and_nothing_else(
    path: Path, written: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)

    with pytest.raises(OSError, match="No space left"):
        write_model(path, tiny_model(tick_us=5000))

    assert path.read_bytes() == written
    assert list(path.parent.iterdir()) == [path]


def test_a_packed_model_is_what_a_file_holds_and_comes_back(tmp_path: Path) -> None:
    model = tiny_model()
    write_model(tmp_path / "m", model)

    packed = pack_model(model, "m")

    assert packed == (tmp_path / "m").read_bytes()
    back = unpack_model(packed, "m")
    assert all(np.array_equal(back.weights[name], w) for name, w in model.weights.items())
    with pytest.raises(ModelFileError, match=r"^m: "):
        unpack_model(packed[:-1], "m")


def test_a_look_at_a_models_begin_tells_all_but_its_weights() -> None:
    model = tiny_model()
    packed = pack_model(model, "m")
    n_header = 8 + int.from_bytes(packed[:8], "little")

    document = peek_model(packed[:n_header], "m")

    assert document["network"] == model.network.to_dict()
    assert document["classes"] == list(model.classes)
    with pytest.raises(ModelFileError, match=f"ends at byte {n_header - 1}"):
        peek_model(packed[: n_header - 1], "m")
