"""A session as one sealed file: nothing is lost, nothing changes unseen."""

from typing import Any

import numpy as np
import pytest

from service.errors import SnapshotUnreadable
from service.state_tree import Tree
from service.storage.snapshot_format import (
    DOCUMENT,
    KIND,
    SCHEMA,
    Manifest,
    pack,
    read_manifest,
    unpack,
)
from tclif_core import FileFault, seal

MANIFEST = Manifest(
    principal="local",
    session="kitchen",
    epoch=2**53 - 1,
    applied=7,
    ticks=200,
    events=31,
    network_bytes=4096,
    taken_s=1.5e9,
    used_s=1.5e9,
    requested=False,
    version="0.1.0",
)


def example_tree() -> Tree:
    """Return state with everything that a tree may hold."""
    return {
        "session": {"received": 7, "loss": 0.1, "none": None, "flag": True, "empty": {}},
        "intake": {
            "kept": [
                {"number": 3, "channels": np.arange(5), "target": None},
                {"number": 4, "channels": np.empty(0, np.int64), "blocks": []},
            ],
            "text": 'quotes " and \\ and ünïcode \udc80 and / slashes',
        },
        "network": {
            "parameters": np.array([[0.1, -0.0], [np.nan, np.inf]], np.float32),
            "mean": np.array(np.pi),
            "nothing": None,
        },
    }


def flattened(value: object) -> object:
    """Return a tree so that it can be compared to the last bit."""
    match value:
        case np.ndarray():
            return value.dtype.str, value.shape, value.tobytes()
        case dict():
            return {key: flattened(member) for key, member in value.items()}
        case list():
            return [flattened(member) for member in value]
    return type(value), value


def test_what_was_packed_is_unpacked_to_the_last_bit() -> None:
    manifest, tree = unpack(pack(MANIFEST, example_tree()))

    assert manifest == MANIFEST
    assert flattened(tree) == flattened(example_tree())


def test_equal_states_give_equal_bytes_and_arrays_come_back_to_be_written() -> None:
    contents = pack(MANIFEST, example_tree())

    _, tree = unpack(contents)

    assert pack(MANIFEST, tree) == contents
    network = tree["network"]
    assert isinstance(network, dict)
    network["parameters"][0, 0] = 3.0


def test_the_manifest_is_read_from_the_begin_alone() -> None:
    contents = pack(MANIFEST, example_tree() | {"large": np.zeros(1 << 18)})
    asked: list[int] = []

    def begin(n_bytes: int) -> bytes:
        asked.append(n_bytes)
        return contents[:n_bytes]

    assert read_manifest(begin) == MANIFEST
    assert sum(asked) < len(contents) // 10


def test_the_manifest_of_a_session_with_many_arrays_is_found_too() -> None:
    many: Tree = {"kept": [{"channels": np.zeros(1)} for _ in range(600)]}
    contents = pack(MANIFEST, many)

    assert read_manifest(lambda n_bytes: contents[:n_bytes]) == MANIFEST


def test_every_cut_and_every_changed_byte_is_noticed() -> None:
    contents = pack(MANIFEST, {"a": np.arange(3), "b": [1, "two"]})

    for end in range(len(contents)):
        with pytest.raises(SnapshotUnreadable, match="damaged"):
            unpack(contents[:end])
    for place in range(len(contents)):
        damaged = bytearray(contents)
        damaged[place] ^= 0x40
        with pytest.raises(SnapshotUnreadable, match="damaged"):
            unpack(bytes(damaged))
    with pytest.raises(SnapshotUnreadable, match="1 bytes follow its end"):
        unpack(contents + b"x")


@pytest.mark.parametrize("contents", [b"", b"\x80\x05pickled", b"\xff" * 100, b"\0" * 1000])
def test_what_is_no_snapshot_has_no_manifest(contents: bytes) -> None:
    with pytest.raises(SnapshotUnreadable, match="damaged"):
        read_manifest(lambda n_bytes: contents[:n_bytes])


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        ({"a": object()}, "no JSON"),
        ({"a": float("nan")}, "no JSON"),
        ({"a": np.float32(1)}, "no JSON"),
        ({"a/b": 1}, "expected a text without a slash"),
        ({"a": {7: 1}}, "expected a text without a slash"),
        ({"a": np.zeros(2, np.int32)}, "a must be float32, float64 or int64, got int32"),
    ],
)
def test_what_no_file_can_hold_is_not_packed(tree: Tree, text: str) -> None:
    with pytest.raises(FileFault, match=text):
        pack(MANIFEST, tree)


def words(text: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    written = text.encode()
    return np.frombuffer(written + b" " * (-len(written) % 8), "<i8")


@pytest.mark.parametrize(
    ("document", "tensors", "text"),
    [
        (MANIFEST.model_dump() | {"applied": -1}, {DOCUMENT: words("{}")}, "applied"),
        (MANIFEST.model_dump() | {"applied": 1.0}, {DOCUMENT: words("{}")}, "applied"),
        (MANIFEST.model_dump() | {"more": 1}, {DOCUMENT: words("{}")}, "more"),
        ({}, {DOCUMENT: words("{}")}, "principal"),
        (MANIFEST.model_dump(), {}, "no JSON"),
        (MANIFEST.model_dump(), {DOCUMENT: words("[]")}, "must be a JSON object"),
        (MANIFEST.model_dump(), {DOCUMENT: words('{"a": 1, "a": 2}')}, "a stands twice"),
        (MANIFEST.model_dump(), {DOCUMENT: np.full(2, -1)}, "can't decode byte"),
        (
            MANIFEST.model_dump(),
            {DOCUMENT: words('{"a": 1}'), "a": np.zeros(2), "b/c": np.zeros(2)},
            r"tensors \['a', 'b/c'\] came, for which there is no place",
        ),
    ],
)
def test_what_is_sealed_but_no_state_is_refused(
    document: dict[str, object], tensors: dict[str, np.ndarray[Any, Any]], text: str
) -> None:
    with pytest.raises(SnapshotUnreadable, match=text):
        unpack(seal(KIND, SCHEMA, document, tensors))


def test_another_schema_is_named() -> None:
    future = seal(KIND, SCHEMA + 1, MANIFEST.model_dump(), {DOCUMENT: words("{}")})

    with pytest.raises(SnapshotUnreadable, match="schema 2 came, schema 1 is read"):
        unpack(future)
    with pytest.raises(SnapshotUnreadable, match="schema 2 came, schema 1 is read"):
        read_manifest(lambda n_bytes: future[:n_bytes])
