"""A model comes back from disk as it went there, or not at all."""

import hashlib
import json
import os
import pickle
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from tclif_core import (
    DecayProfile,
    Learner,
    LearningSpec,
    Model,
    ModelFileError,
    NetworkSpec,
    NeuronSpec,
    read_model,
    write_model,
)
from tclif_core.sealed_tensors import seal

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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tiny.safetensors"


@pytest.fixture
def written(path: Path) -> bytes:
    write_model(path, tiny_model())
    return path.read_bytes()


def refusal_of(path: Path, contents: bytes) -> ModelFileError:
    path.write_bytes(contents)
    with pytest.raises(ModelFileError) as refusal:
        read_model(path)
    assert refusal.value.path == path
    assert str(refusal.value).startswith(f"{path}: ")
    return refusal.value


# --- there and back


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


# --- what can't be written


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


# --- what can't be read


def is_read(path: Path) -> bool:
    try:
        read_model(path)
    except ModelFileError:
        return False
    return True


def test_every_changed_byte_is_noticed(path: Path, written: bytes) -> None:
    silent = []
    with path.open("r+b", buffering=0) as stream:
        for place in range(len(written)):
            # one bit, a different one from byte to byte, and then all eight
            for change in (1 << place % 8, 0xFF):
                stream.seek(place)
                stream.write(bytes([written[place] ^ change]))
                if is_read(path):
                    silent.append((place, change))
            stream.seek(place)
            stream.write(written[place : place + 1])

    assert silent == []
    # the control: with every byte put back it is a model again
    assert is_read(path)


def test_every_cut_is_noticed(path: Path, written: bytes) -> None:
    for length in range(len(written) - 1, -1, -1):
        os.truncate(path, length)
        with pytest.raises(ModelFileError) as refusal:
            read_model(path)

        assert refusal.value.byte == length, str(refusal.value)


def test_what_follows_the_end_is_noticed(path: Path, written: bytes) -> None:
    refusal = refusal_of(path, written + b"\0")

    assert refusal.byte == len(written)
    assert "1 bytes follow" in str(refusal)


def test_damaged_numbers_name_their_tensor_and_place(path: Path, written: bytes) -> None:
    # the numbers fill the end: 7 matrices and scalars in the order of their names; the last four
    # bytes are those of readout.w[0, 1]
    damaged = bytearray(written)
    damaged[-1] ^= 1

    refusal = refusal_of(path, bytes(damaged))

    assert (refusal.field, refusal.byte) == ("readout.w", len(written) - 8)


def test_a_damaged_document_names_the_header(path: Path, written: bytes) -> None:
    refusal = refusal_of(path, written.replace(b"4000", b"4001"))

    assert refusal.field == "header"


@pytest.mark.parametrize(
    "marker", [b'"__metadata__"', b'"dtype"', b'\\"sha256\\"', b'\\"seed\\":7']
)
def test_broken_json_is_told_its_byte(path: Path, written: bytes, marker: bytes) -> None:
    place = written.index(marker) + len(marker)

    refusal = refusal_of(path, written[:place] + b"?" + written[place + 1 :])

    assert refusal.byte == place
    assert f"no JSON at byte {place}" in str(refusal)


def test_broken_utf_8_is_told_its_byte(path: Path, written: bytes) -> None:
    place = written.index(b"yes")

    refusal = refusal_of(path, written[:place] + b"\xff" + written[place + 1 :])

    assert refusal.byte == place


def other_formats() -> Iterator[tuple[bytes, str]]:
    yield b"", "empty"
    yield b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "PNG"
    yield b"\x89HDF\r\n\x1a\n" + b"\0" * 40, "HDF5"
    yield pickle.dumps({"weights": [0.5] * 100}), "a header of .* is announced.*pickle"
    yield b"epoch,score\n1,0.5\n", "a header of .* is announced"
    yield b"[]", "ends at byte 2"
    yield struct.pack("<Q", 2) + b"[]", "must be a JSON object"
    yield struct.pack("<Q", 12) + b'{"a":NaN}   ', "NaN is no JSON number"
    yield struct.pack("<Q", 13) + b'{"a":1,"a":2}', "a stands twice"
    yield struct.pack("<Q", 2**21) + b"[" * 2**21, "can't be read"
    yield struct.pack("<Q", 6000) + b'{"a":' + b"1" * 5994 + b"}", "can't be read"
    yield struct.pack("<Q", 2**63) + b"{}", "a header of 9223372036854775808 bytes is announced"
    yield safetensors.numpy.save({"a": np.zeros(3, np.float32)}), "another kind"
    yield safetensors.numpy.save({"a": np.zeros(3)}, {"format": "pt"}), r"got \['format'\]"
    yield safetensors.numpy.save({}, {"tclif-model": "[]"}), "must be a JSON object"


@pytest.mark.parametrize(("contents", "sentence"), list(other_formats()))
def test_what_is_no_model_is_refused_as_such(path: Path, contents: bytes, sentence: str) -> None:
    assert re.search(sentence, str(refusal_of(path, contents)))


def test_a_torch_archive_is_refused_as_such(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"")

    assert "zip archive" in str(refusal_of(path, path.read_bytes()))


def test_a_file_that_is_not_there_is_an_error_of_the_system(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_model(path)


# --- what is whole, but not sound


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
