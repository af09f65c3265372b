"""Named tensors and one JSON document in a safetensors file that notices every changed byte.

    8 bytes    length n of the header, little-endian
    n bytes    the header: JSON, {"__metadata__": {kind: document}, tensor: type, shape, place ...}
    the rest   the tensors' numbers, one after the other

The document is JSON inside a text, since safetensors' metadata are texts. There is one entry only:
the library writes several in an order of its own, and equal content should be equal bytes. The
document begins with the file's digest: sha256 of the whole file with the digest's own 64 digits as
zeros. The schema and the sha256 of each tensor follow, so that damage has a name.

A digest shows damage, not forgery: who can write the file can write the digest.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from tclif_core.strict_json import FileFault, json_object, plain_json

MOST_HEADER_BYTES = 2**22
"""Longest header that is written or read; a longer one is announced by damage, or by no model."""

_LENGTH_BYTES = 8
_NO_DIGEST = b"0" * 64
_KEPT_FOR_THE_SEAL = ("sha256", "schema", "tensor_sha256")
_DTYPES = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8"), "I64": np.dtype("<i8")}
"""What a tensor may hold, by the names of safetensors."""

_SIGNATURES = {
    b"\x89PNG": "a PNG image",
    b"\x89HDF": "an HDF5 file",
    b"PK\x03\x04": "a zip archive, as torch.save writes",
    b"\x80\x02": "a pickle",
    b"\x80\x03": "a pickle",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
    b"\x1f\x8b": "a gzip file",
}


class _Place(NamedTuple):
    """Where a tensor's numbers lie, in bytes from the file's begin."""

    begin: int
    end: int


def seal(
    kind: str, schema: int, document: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]
) -> bytes:
    """Return a file's bytes; equal content gives equal bytes.

    Args:
        kind: What the file is, its entry in the metadata.
        schema: Version of the document's meaning.
        document: Plain JSON values by name, other names than those of the seal.
        tensors: float32, float64 or int64; left untouched.

    Raises:
        FileFault: A value is no plain JSON, or there is too much of it.
    """
    ordered = {name: _stored(name, tensor) for name, tensor in sorted(tensors.items())}
    sealed = {
        "sha256": _NO_DIGEST.decode(),
        "schema": schema,
        "tensor_sha256": {
            name: hashlib.sha256(tensor.data).hexdigest() for name, tensor in ordered.items()
        },
        **{name: plain_json(value, name) for name, value in sorted(document.items())},
    }
    text = json.dumps(sealed, separators=(",", ":"))
    contents = safetensors.numpy.save(ordered, {kind: text})
    length = int.from_bytes(contents[:_LENGTH_BYTES], "little")
    if length > MOST_HEADER_BYTES:
        raise FileFault(
            f"the header would take {length} bytes, at most {MOST_HEADER_BYTES} are allowed"
        )
    place = _digest_place(contents)
    digest = _digest(contents, place).encode()
    # at one go: `+` would copy it twice, and keep every thread waiting meanwhile
    return b"".join([contents[:place], digest, memoryview(contents)[place + len(digest) :]])


def unseal(
    stream: BinaryIO, kind: str, schema: int
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return document and tensors of a file, once every byte of it is known to be as written.

    Args:
        stream: The file at its begin; it must be seekable.
        kind: What the file should be.
        schema: The schema that is understood.

    Raises:
        FileFault: It is another kind of file or another schema, it was cut short or continued, or
            a byte has changed.
        OSError: It can't be read.
    """
    header = _read_header(stream)
    begin = _LENGTH_BYTES + len(header)
    document, entries = _opened(header, kind, schema)
    places = {name: _place(name, entry, begin) for name, entry in entries.items()}
    end = max([begin, *(place.end for place in places.values())])
    _check_size(stream.seek(0, io.SEEK_END), end)
    stream.seek(0)
    contents = stream.read(end)
    _check_size(len(contents), end)
    _check_digest(contents, document, places, begin)
    try:
        tensors = safetensors.numpy.load(contents)
    except safetensors.SafetensorError as error:
        raise FileFault(f"safetensors can't read it: {error}") from error
    return _without_seal(document), tensors


def peek(stream: BinaryIO, kind: str, schema: int) -> dict[str, Any]:
    """Return a file's document without reading its tensors; a changed byte may go unnoticed.

    Args:
        stream: The file at its begin.
        kind: What the file should be.
        schema: The schema that is understood.

    Raises:
        FileFault: It is another kind of file or another schema, or its header can't be read.
        OSError: It can't be read.
    """
    document, _ = _opened(_read_header(stream), kind, schema)
    return _without_seal(document)


def _opened(header: bytes, kind: str, schema: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the document, and the entries of the tensors."""
    entries = _parsed(header)
    document = _document(entries.pop("__metadata__", None), kind, header)
    if document.get("schema") != schema:
        came = document.get("schema")
        raise FileFault(f"schema {came!r} came, schema {schema} is read", field="schema")
    return document, entries


def _without_seal(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in _KEPT_FOR_THE_SEAL}


def _read_header(stream: BinaryIO) -> bytes:
    prefix = stream.read(_LENGTH_BYTES)
    if not prefix:
        raise FileFault("the file is empty", byte=0)
    if len(prefix) < _LENGTH_BYTES:
        raise FileFault(
            f"it ends at byte {len(prefix)}, the header's length alone takes {_LENGTH_BYTES}",
            byte=len(prefix),
        )
    length = int.from_bytes(prefix, "little")
    if length > MOST_HEADER_BYTES:
        kinds = [what for begin, what in _SIGNATURES.items() if prefix.startswith(begin)]
        raise FileFault(
            f"a header of {length} bytes is announced, at most {MOST_HEADER_BYTES} are read"
            + (f": it looks like {kinds[0]}" if kinds else ""),
            byte=0,
        )
    header = stream.read(length)
    if len(header) < length:
        ends, promised = _LENGTH_BYTES + len(header), _LENGTH_BYTES + length
        raise FileFault(f"it ends at byte {ends}, the header alone promises {promised}", byte=ends)
    return header


def _parsed(header: bytes) -> dict[str, Any]:
    try:
        text = header.decode()
    except UnicodeDecodeError as error:
        byte = _LENGTH_BYTES + error.start
        raise FileFault(f"the header is no UTF-8 at byte {byte}", byte=byte) from error
    return json_object(text, "the header", lambda before: _LENGTH_BYTES + len(before.encode()))


def _document(metadata: object, kind: str, header: bytes) -> dict[str, Any]:
    if not isinstance(metadata, dict) or metadata.keys() != {kind}:
        found = sorted(metadata) if isinstance(metadata, dict) else "none"
        raise FileFault(
            f"it is a safetensors file of another kind: its metadata should be {kind!r},"
            f" got {found}",
            field="__metadata__",
        )
    text = metadata[kind]
    if not isinstance(text, str):
        raise FileFault(f"{kind} must be JSON in a text, got {text!r:.100}", field=kind)
    begin = _LENGTH_BYTES + header.find(b'"{') + 1
    # a JSON text inside a JSON text: what stands before the place takes more bytes than characters
    return json_object(text, kind, lambda before: begin + len(json.dumps(before)) - 2)


def _place(name: str, entry: object, begin: int) -> _Place:
    """Read where a tensor lies; the rest of its entry is for the library to check."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise FileFault(
            f"{name} must have dtype, shape and data_offsets, got {entry!r}", field=name
        )
    # a list may be in the place of the name
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in _DTYPES:
        raise FileFault(
            f"{name} must be one of {', '.join(_DTYPES)}, got {entry['dtype']!r}", field=name
        )
    offsets = entry["data_offsets"]
    is_pair = isinstance(offsets, list) and [type(offset) for offset in offsets] == [int, int]
    if not is_pair or not 0 <= offsets[0] <= offsets[1]:
        raise FileFault(f"{name} must lie between two offsets, got {offsets!r}", field=name)
    return _Place(begin + offsets[0], begin + offsets[1])


def _check_size(size: int, end: int) -> None:
    if size < end:
        raise FileFault(f"it ends at byte {size}, its header promises {end}", byte=size)
    if size > end:
        raise FileFault(f"{size - end} bytes follow its end at byte {end}", byte=end)


def _digest_place(header: bytes) -> int:
    marker = b'{\\"sha256\\":\\"'
    found = header.find(marker)
    if found < 0:
        raise FileFault("the document must begin with sha256", field="sha256")
    return found + len(marker)


def _digest(contents: bytes, place: int) -> str:
    seen = memoryview(contents)
    digest = hashlib.sha256(seen[:place])
    digest.update(_NO_DIGEST)
    digest.update(seen[place + len(_NO_DIGEST) :])
    return digest.hexdigest()


def _check_digest(
    contents: bytes, document: dict[str, Any], places: dict[str, _Place], begin: int
) -> None:
    place = _digest_place(contents[:begin])
    if contents[place : place + len(_NO_DIGEST)] == _digest(contents, place).encode():
        return
    known = document.get("tensor_sha256")
    for name, (first, end) in places.items():
        digest = hashlib.sha256(contents[first:end]).hexdigest()
        if isinstance(known, dict) and known.get(name) != digest:
            raise FileFault(
                f"the numbers of {name}, bytes {first} to {end - 1}, or their sha256 have changed",
                field=name,
                byte=first,
            )
    raise FileFault(
        f"something in the header, bytes 0 to {begin - 1}, has changed", field="header", byte=0
    )


def _stored(name: str, tensor: NDArray[Any]) -> NDArray[Any]:
    if tensor.dtype not in _DTYPES.values():
        raise FileFault(f"{name} must be float32, float64 or int64, got {tensor.dtype}", field=name)
    return np.asarray(tensor, order="C")
