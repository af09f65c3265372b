"""One door to files of camera events: the reader is chosen by the file's name.

    .raw      EVT 2.0 or EVT 3.0, by its header             .dat    Prophesee's DAT
    .bin      N-MNIST                                       .npy    a structured array t, x, y, p
    .aedat4   AEDAT 4.0, by the package aedat

N-MNIST (Orchard et al. 2015) stores 5 bytes an event, big-endian: x, y, then the polarity in the
top bit before 23 bits of microseconds. A row 240 is no event but 2**13 us that have passed.

What can be read of a damaged file is used; what can't is in `Decoded.damage` with its offset.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from clients.event_camera.aedat4 import decode_aedat4
from clients.event_camera.camera_events import CameraEvents, Decoded
from clients.event_camera.prophesee import cut_off, decode_dat, decode_raw
from clients.recordings import UnreadableSource

_NMNIST_BYTES: Final = 5
_NMNIST_SIZE: Final = (34, 34)
_NMNIST_OVERFLOW_ROW: Final = 240
_NMNIST_OVERFLOW_US: Final = 1 << 13


def read_event_file(path: Path) -> Decoded:
    """Read a file of camera events.

    Raises:
        ValueError: The name's ending is that of no known format.
        FileNotFoundError: There is no such file.
        UnreadableSource: Not even its beginning can be read.
        MissingPackage: It is AEDAT4 and the package for that is not installed.
    """
    decode = _DECODERS.get(path.suffix.lower())
    if decode is None:
        raise ValueError(f"{path}: one of {', '.join(SUFFIXES)} was expected")
    return decode(path.read_bytes(), str(path))


def decode_nmnist(content: bytes, name: str) -> Decoded:  # noqa: ARG001 - as all decoders
    """Decode an N-MNIST file."""
    rest = len(content) % _NMNIST_BYTES
    rows = np.frombuffer(content, np.uint8, len(content) - rest).reshape(-1, _NMNIST_BYTES)
    high, middle, low = rows[:, 2:].T.astype(np.int64)
    times_us = (high & 0x7F) << 16 | middle << 8 | low
    is_overflow = rows[:, 1] == _NMNIST_OVERFLOW_ROW
    times_us += np.cumsum(is_overflow) * _NMNIST_OVERFLOW_US
    kept = ~is_overflow
    events = CameraEvents(
        times_us=times_us[kept],
        x=rows[kept, 0].astype(np.uint16),
        y=rows[kept, 1].astype(np.uint16),
        polarity=rows[kept, 2] >> 7,
    )
    return Decoded(events, _NMNIST_SIZE, cut_off(len(content), rest))


def decode_npy(content: bytes, name: str) -> Decoded:
    """Decode a NumPy file of a structured array with fields ``t``, ``x``, ``y``, ``p``.

    Raises:
        UnreadableSource: It is no such file.
    """
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    except ValueError as error:
        raise UnreadableSource(f"{name}: damaged, or not a NumPy file: {error}") from error
    if dtype.hasobject or not {"t", "x", "y", "p"} <= set(dtype.names or ()) or len(shape) != 1:
        raise UnreadableSource(
            f"{name}: an array {shape} of {dtype} came, "
            "a vector with fields t, x, y, p was expected"
        )
    begin = stream.tell()
    n_whole = min(shape[0], (len(content) - begin) // dtype.itemsize)
    rows = np.frombuffer(content, dtype, n_whole, begin)
    missing = n_whole < shape[0]
    rest = len(content) - begin - n_whole * dtype.itemsize if missing else 0
    events = CameraEvents(
        times_us=rows["t"].astype(np.int64),
        x=rows["x"].astype(np.uint16),
        y=rows["y"].astype(np.uint16),
        polarity=(rows["p"] > 0).astype(np.uint8),
    )
    return Decoded(events, None, cut_off(len(content), rest))


_DECODERS: Final[dict[str, Callable[[bytes, str], Decoded]]] = {
    ".aedat4": decode_aedat4,
    ".bin": decode_nmnist,
    ".dat": decode_dat,
    ".npy": decode_npy,
    ".raw": decode_raw,
}

SUFFIXES: Final = tuple(_DECODERS)
"""Endings of the files that can be read."""
