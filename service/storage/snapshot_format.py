"""A session as one sealed file: a manifest, a document, and tensors by the place they belong to.

The state of a session is a tree: dictionaries and lists, whose leaves are plain JSON values or
arrays of float32, float64 or int64. Its arrays become tensors of a safetensors file, named by their
path in the tree; what remains is JSON, and lies in a tensor of its own, since it may be longer than
a header should be. The manifest is small and lies in the header, so that many can be read quickly.
Every changed byte is noticed (`tclif_core.seal`).
"""

import io
import json
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.errors import SnapshotUnreadable
from service.state_tree import Tree
from service.wire_protocol import NUMBER_LIMIT
from tclif_core import FileFault, json_object, peek, seal, unseal

KIND, SCHEMA = "tclif-session", 1

DOCUMENT = "document"
"""The tensor that holds the tree without its arrays: UTF-8 text, filled up with blanks."""

_WORD_BYTES = 8
_LONGEST_HEADER = 1 << 23

_Counter = Annotated[int, Field(ge=0, lt=NUMBER_LIMIT)]


class Manifest(BaseModel):
    """What is known of a snapshot without reading its tensors.

    Attributes:
        principal: Whose session it is.
        session: The session's name.
        epoch: Its incarnation.
        applied: Number of the last message that is in the snapshot.
        ticks: Ticks inside segments that were computed until then.
        events: Events that had come.
        network_bytes: Learner memory that the session takes.
        taken_s: When it was taken, in seconds since 1970.
        used_s: When the session was last attached, likewise.
        requested: Whether somebody asked for it, and may want to roll back to it.
        version: Of the server that took it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    principal: str
    session: str
    epoch: _Counter
    applied: _Counter
    ticks: _Counter
    events: _Counter
    network_bytes: _Counter
    taken_s: float
    used_s: float
    requested: bool
    version: str


def pack(manifest: Manifest, tree: Tree) -> bytes:
    """Return a snapshot's bytes; equal content gives equal bytes.

    Raises:
        FileFault: Something in the tree can be neither JSON nor a tensor.
    """
    tensors: dict[str, NDArray[Any]] = {}
    try:
        text = json.dumps(
            _without_arrays(tree, (), tensors), allow_nan=False, separators=(",", ":")
        )
    except (TypeError, ValueError) as error:
        raise FileFault(f"the state is no JSON: {error}") from error
    written = text.encode()
    written += b" " * (-len(written) % _WORD_BYTES)
    tensors[DOCUMENT] = np.frombuffer(written, "<i8")
    return seal(KIND, SCHEMA, manifest.model_dump(), tensors)


def unpack(contents: bytes) -> tuple[Manifest, Tree]:
    """Return what `pack` was given, once every byte is known to be as written.

    Raises:
        SnapshotUnreadable: It is another kind of file or another schema, it was cut short,
            continued or changed in any byte, or its parts do not belong together.
    """
    try:
        document, tensors = unseal(io.BytesIO(contents), KIND, SCHEMA)
        manifest = _manifest(document)
        text = tensors.pop(DOCUMENT, np.empty(0, "<i8")).astype("<i8").tobytes().decode()
        # whoever takes the state may write into its arrays
        arrays = {name: np.array(tensor) for name, tensor in tensors.items()}
        tree = _with_arrays(json_object(text, DOCUMENT, len), (), arrays)
    except (FileFault, UnicodeDecodeError) as error:
        raise SnapshotUnreadable(f"the snapshot is damaged: {error}") from error
    if arrays:
        raise SnapshotUnreadable(f"tensors {sorted(arrays)} came, for which there is no place")
    assert isinstance(tree, dict), "a JSON object stays one"
    return manifest, tree


def read_manifest(read_begin: Callable[[int], bytes]) -> Manifest:
    """Return the manifest alone; a changed byte may go unnoticed.

    Args:
        read_begin: Returns so many first bytes of the file, fewer if there are fewer.

    Raises:
        SnapshotUnreadable: The file's header can't be read.
    """
    # enough for a session with dozens of kept segments
    begin = read_begin(1 << 16)
    header_ends = _WORD_BYTES + int.from_bytes(begin[:_WORD_BYTES], "little")
    if len(begin) < header_ends <= _LONGEST_HEADER:
        begin = read_begin(header_ends)
    try:
        return _manifest(peek(io.BytesIO(begin), KIND, SCHEMA))
    except FileFault as fault:
        raise SnapshotUnreadable(f"the snapshot is damaged: {fault}") from fault


def _manifest(document: dict[str, Any]) -> Manifest:
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise FileFault(f"{where}: {fault['msg']}, {fault['input']!r:.100} came") from error


def _without_arrays(
    value: object, path: tuple[str, ...], tensors: dict[str, NDArray[Any]]
) -> object:
    """Return a value as JSON can hold it: arrays are taken out and leave ``None`` behind."""
    match value:
        case np.ndarray():
            tensors["/".join(path)] = value
            return None
        case dict():
            return {
                key: _without_arrays(member, (*path, _part(key)), tensors)
                for key, member in value.items()
            }
        case list() | tuple():
            return [
                _without_arrays(member, (*path, str(place)), tensors)
                for place, member in enumerate(value)
            ]
    return value


def _part(key: object) -> str:
    if not isinstance(key, str) or "/" in key:
        raise TypeError(f"the key {key!r} came; expected a text without a slash")
    return key


def _with_arrays(value: object, path: tuple[str, ...], arrays: dict[str, NDArray[Any]]) -> object:
    """Put every array back where ``None`` holds its place; it leaves ``arrays``."""
    match value:
        case dict():
            return {
                key: _with_arrays(member, (*path, key), arrays) for key, member in value.items()
            }
        case list():
            return [
                _with_arrays(member, (*path, str(place)), arrays)
                for place, member in enumerate(value)
            ]
        case None:
            return arrays.pop("/".join(path), None)
    return value
