"""Files of Prophesee's cameras: EVT 2.0, EVT 3.0 and DAT.

All begin with lines of text that start with ``%``. Words are little-endian; the highest four bits
of a word are its type. A word of a type that the format does not have is passed over.

    EVT2, 32 bits   0, 1  event off, on: time 27:22, x 21:11, y 10:0      8  time 33:6
    EVT3, 16 bits   `evt3`
    DAT, 64 bits    time 31:0, then x 13:0, y 27:14, polarity 28; type and size of an event before

Source: Prophesee's public descriptions of the three. Events before the first full time are passed
over, as in the manufacturer's decoder. Times that overflow go on.
"""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from clients.event_camera.camera_events import CameraEvents, Damage, Decoded, runs, unwrap
from clients.event_camera.evt3 import decode_words
from clients.recordings import UnreadableSource

_EVT2_TYPES: Final = (0, 1, 8, 10, 14, 15)
_EVT3_TYPES: Final = (0, 2, 3, 4, 5, 6, 7, 8, 10, 14, 15)
_DAT_EVENT_BYTES: Final = 8

Words = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Header:
    """The text before the data.

    Attributes:
        n_bytes: Its length: where the data begin.
        format: ``"EVT2"`` or ``"EVT3"``; None if it names none of them.
        size: Columns and rows of the sensor, if it tells them.
    """

    n_bytes: int
    format: str | None
    size: tuple[int, int] | None


def read_header(content: bytes) -> Header:
    """Read the lines of text at the beginning of a file."""
    n_bytes = 0
    lines = []
    while (line := re.match(rb"%[ -~\t]*\r?\n", content[n_bytes : n_bytes + 4096])) is not None:
        n_bytes += line.end()
        lines.append(line[0][1:].strip().decode("ascii").lower())
        if lines[-1] == "end":
            break
    text = "\n".join(lines)
    named = re.search(r"(?:^evt |format evt)([23])", text, re.MULTILINE)
    return Header(n_bytes, f"EVT{named[1]}" if named else None, _size(text))


def _size(text: str) -> tuple[int, int] | None:
    if geometry := re.search(r"^geometry (\d+)x(\d+)", text, re.MULTILINE):
        return int(geometry[1]), int(geometry[2])
    width, height = (re.search(rf"{side}[ =](\d+)", text) for side in ("width", "height"))
    return (int(width[1]), int(height[1])) if width and height else None


def decode_raw(content: bytes, name: str) -> Decoded:
    """Decode a file of EVT 2.0 or EVT 3.0 words.

    Args:
        content: The whole file.
        name: What to call it in messages.

    Raises:
        UnreadableSource: Its header names neither.
    """
    header = read_header(content)
    if header.format is None:
        raise UnreadableSource(f"{name}: no header that names EVT2 or EVT3 came, one was expected")
    is_evt2 = header.format == "EVT2"
    width, types = (4, _EVT2_TYPES) if is_evt2 else (2, _EVT3_TYPES)
    words, damage = _whole_words(content, header.n_bytes, width)
    kind = (words >> (8 * width - 4)).astype(np.uint8)
    bad = np.isin(kind, types, invert=True)
    for first, count in runs(bad) if bad.any() else ():
        reason = f"words of unknown type, the first is {int(words[first]):#x}"
        damage.append(Damage(header.n_bytes + first * width, count * width, reason))
    events = _evt2(words, kind) if is_evt2 else decode_words(words.astype(np.uint16, copy=False))
    return Decoded(events, header.size, tuple(sorted(damage, key=lambda part: part.offset)))


def decode_dat(content: bytes, name: str) -> Decoded:
    """Decode a DAT file of 8-byte events.

    Raises:
        UnreadableSource: It ends before its events, or they are longer or shorter.
    """
    header = read_header(content)
    begin = header.n_bytes + 2
    if len(content) < begin or content[begin - 1] != _DAT_EVENT_BYTES:
        came = content[header.n_bytes : begin].hex(" ") or "nothing"
        raise UnreadableSource(
            f"{name}: after the text, at offset {header.n_bytes}, came {came}; the type of the "
            f"events and their size 8 were expected"
        )
    rest = (len(content) - begin) % _DAT_EVENT_BYTES
    pairs = np.frombuffer(content, "<u4", (len(content) - begin - rest) // 4, begin).reshape(-1, 2)
    place = pairs[:, 1]
    events = CameraEvents(
        times_us=unwrap(pairs[:, 0].astype(np.int64), 1 << 32),
        x=(place & 0x3FFF).astype(np.uint16),
        y=(place >> 14 & 0x3FFF).astype(np.uint16),
        polarity=(place >> 28 & 1).astype(np.uint8),
    )
    return Decoded(events, header.size, cut_off(len(content), rest))


def cut_off(n_bytes: int, rest: int) -> tuple[Damage, ...]:
    """Report the last ``rest`` bytes of a file, if any, as a part of a cut-off event."""
    return (Damage(n_bytes - rest, rest, "the file ends in mid-event"),) if rest else ()


def _whole_words(content: bytes, begin: int, width: int) -> tuple[Words, list[Damage]]:
    rest = (len(content) - begin) % width
    words = np.frombuffer(content, f"<u{width}", (len(content) - begin - rest) // width, begin)
    return words, list(cut_off(len(content), rest))


def _evt2(words: Words, kind: npt.NDArray[np.uint8]) -> CameraEvents:
    is_time = kind == 8  # noqa: PLR2004 - the types of words are those of the module's table
    high = unwrap((words[is_time] & 0xFFFFFFF).astype(np.int64), 1 << 28)
    n_times = np.cumsum(is_time)
    chosen = (kind <= 1) & (n_times > 0)
    event = words[chosen]
    return CameraEvents(
        times_us=high[n_times[chosen] - 1] << 6 | (event >> 22 & 0x3F).astype(np.int64),
        x=(event >> 11 & 0x7FF).astype(np.uint16),
        y=(event & 0x7FF).astype(np.uint16),
        polarity=kind[chosen],
    )
