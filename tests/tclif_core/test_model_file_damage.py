"""A model file that was cut, continued or changed in any byte is refused, and so are others."""

import os
import pickle
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from tclif_core import (
    ModelFileError,
    read_model,
    write_model,
)
from tests.tclif_core.tiny_models import refusal_of, tiny_model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tiny.safetensors"


@pytest.fixture
def written(path: Path) -> bytes:
    write_model(path, tiny_model())
    return path.read_bytes()


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
