"""AEDAT 4.0, the files of iniVation's cameras, by the package ``aedat``.

After one line of text and a header of stated length come packets: the number of their stream and
their size, 4 bytes each, then the data. The package decodes them in order and stops at the first
that it can't; where that one lies, and where the next one begins, the framing tells. The header, a
flatbuffer, says where the packets end and a table of them begins.
"""

import struct
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from clients.event_camera.camera_events import CameraEvents, Damage, Decoded
from clients.optional_packages import import_optional
from clients.recordings import UnreadableSource

_MAGIC: Final = b"#!AER-DAT4.0\r\n"
_FRAME: Final = struct.Struct("<iI")
_EVENT: Final = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")])


def decode_aedat4(content: bytes, name: str) -> Decoded:
    """Decode the events of an AEDAT4 file.

    Args:
        content: The whole file.
        name: What to call it in messages.

    Raises:
        UnreadableSource: Its header is damaged.
        MissingPackage: The package is not installed.
    """
    aedat = import_optional("aedat", "to read AEDAT4 files")
    begin = len(_MAGIC) + 4
    if not content.startswith(_MAGIC) or len(content) < begin:
        raise UnreadableSource(f"{name}: {content[:14]!r} came, {_MAGIC!r} was expected")
    begin += int.from_bytes(content[begin - 4 : begin], "little")
    header, blocks, damage = bytearray(content[:begin]), [], []
    table_at = _table_field(header, name)
    end = int.from_bytes(header[table_at : table_at + 8], "little", signed=True)
    if end > len(content):
        damage.append(Damage(len(content), 0, f"the file ends before its table at offset {end}"))
    if not begin <= end <= len(content):
        end = len(content)
    size: tuple[int, int] | None = None
    while True:
        header[table_at : table_at + 8] = (len(header) + end - begin).to_bytes(8, "little")
        size, packets, error = _read(aedat, bytes(header) + content[begin:end], name, size)
        blocks += [packet["events"] for packet in packets if "events" in packet]
        for _ in packets:
            begin += _FRAME.size + _FRAME.unpack_from(content, begin)[1]
        if error is None or begin >= end:
            break
        n_bytes = end - begin
        if n_bytes >= _FRAME.size:
            n_bytes = min(n_bytes, _FRAME.size + _FRAME.unpack_from(content, begin)[1])
        damage.append(Damage(begin, n_bytes, error))
        begin += n_bytes
    return Decoded(_joined(blocks), size, tuple(sorted(damage, key=lambda part: part.offset)))


def _table_field(header: bytearray, name: str) -> int:
    """Find where the header says at which offset the packets end: its second field."""
    root = len(_MAGIC) + 4
    try:
        table = root + int(struct.unpack_from("<I", header, root)[0])
        fields = table - int(struct.unpack_from("<i", header, table)[0])
        field = table + int(struct.unpack_from("<H", header, fields + 6)[0])
    except struct.error as error:
        raise UnreadableSource(f"{name}: its header can't be read: {error}") from error
    if not table < field <= len(header) - 8:
        raise UnreadableSource(f"{name}: its header does not say where its packets end")
    return field


def _read(
    aedat: ModuleType, content: bytes, name: str, size: tuple[int, int] | None
) -> tuple[tuple[int, int] | None, list[dict[str, Any]], str | None]:
    """Read packets up to the first bad one; return the sensor's size, them, and what is wrong."""
    packets: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        # the package reads files only
        path = Path(folder) / "events.aedat4"
        path.write_bytes(content)
        try:
            decoder = aedat.Decoder(path)
        except RuntimeError as error:
            raise UnreadableSource(f"{name}: its header can't be read: {error}") from error
        for stream in decoder.id_to_stream().values():
            if stream["type"] == "events":
                size = int(stream["width"]), int(stream["height"])
        try:
            packets.extend(decoder)
        except RuntimeError as error:
            return size, packets, str(error)
    return size, packets, None


def _joined(blocks: list[np.ndarray[Any, np.dtype[np.void]]]) -> CameraEvents:
    rows = np.concatenate(blocks) if blocks else np.empty(0, _EVENT)
    return CameraEvents(
        times_us=rows["t"].astype(np.int64),
        x=rows["x"].astype(np.uint16),
        y=rows["y"].astype(np.uint16),
        polarity=rows["on"].astype(np.uint8),
    )
