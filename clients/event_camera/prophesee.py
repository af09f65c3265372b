"""Files of Prophesee's cameras: EVT 2.0, EVT 3.0 and DAT.

All begin with lines of text that start with ``%``. Words are little-endian; the highest four bits
of a word are its type. A word of a type that the format does not have is passed over.

    EVT2, 32 bits   0, 1  event off, on: time 27:22, x 21:11, y 10:0      8  time 33:6
    EVT3, 16 bits   0  y 10:0     2  event: polarity 11, x 10:0     3  base: polarity 11, x 10:0
                    4, 5  events at base x + i for each bit i of 12, 8; the base moves on by 12, 8
                    6  time 11:0     8  time 23:12
    DAT, 64 bits    time 31:0, then x 13:0, y 27:14, polarity 28; type and size of an event before

Source: Prophesee's public descriptions of the three. Events before the first full time are passed
over, as in the manufacturer's decoder. Times that overflow go on. EVT3's high time alone tells of
overflows of the low one, which may also fall by some us while the high one stands still.
"""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from clients.event_camera.camera_events import CameraEvents, Damage, Decoded, runs, unwrap
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
    events = _evt2(words, kind) if is_evt2 else _evt3(words, kind)
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


def _evt3(words: Words, kind: npt.NDArray[np.uint8]) -> CameraEvents:
    value = (words & 0xFFF).astype(np.uint16)
    is_high, is_base = kind == 8, kind == 3  # noqa: PLR2004
    vector_width = np.where(kind == 4, 12, np.where(kind == 5, 8, 0))  # noqa: PLR2004
    is_vector = vector_width > 0
    n_high = np.cumsum(is_high)
    source = np.flatnonzero(((kind == 2) | is_vector) & (n_high > 0))  # noqa: PLR2004
    # pixels that earlier vectors of the same base have passed
    passed = np.cumsum(vector_width) - vector_width
    bits = np.where(is_vector[source], value[source] & ((1 << vector_width[source]) - 1), 1)
    n_pixels = np.bitwise_count(bits)
    owner = np.repeat(source, n_pixels)
    step = _set_bits(bits, n_pixels)

    base = _newest(is_base, value)
    base_at = _newest(is_base, passed)
    of_vector = is_vector[owner]
    head = np.where(of_vector, base[owner], value[owner])
    column = (head & 0x7FF).astype(np.int64) + step
    column += np.where(of_vector, passed[owner] - base_at[owner], 0)
    high = unwrap(value[is_high].astype(np.int64), 1 << 12)
    # the last low time says nothing of the time after a high one that moves on, whose own low time
    # may come late: until then it is 0
    restarts = np.zeros(len(words), np.bool_)
    restarts[np.flatnonzero(is_high)[np.diff(high, prepend=-1) != 0]] = True
    low = _newest((kind == 6) | restarts, np.where(is_high, 0, value).astype(np.uint16))  # noqa: PLR2004
    return CameraEvents(
        times_us=high[n_high[owner] - 1] << 12 | low[owner].astype(np.int64),
        x=column.astype(np.uint16),
        y=(_newest(kind == 0, value)[owner] & 0x7FF).astype(np.uint16),
        polarity=(head >> 11 & 1).astype(np.uint8),
    )


def _newest(given: npt.NDArray[np.bool_], value: Words) -> Words:
    """Carry each given value ``[n]`` on to the next one; 0 before the first."""
    numbers = np.cumsum(given)
    newest: Words = np.concatenate([np.zeros(1, value.dtype), value[given]])[numbers]
    return newest


def _set_bits(bits: Words, counts: Words) -> npt.NDArray[np.int64]:
    """List the numbers of the set bits of each of the 12-bit ``bits``, lowest first."""
    several = np.flatnonzero(bits != 1)
    steps = np.zeros(int(counts.sum()), np.int64)
    if several.size:
        matrix = bits[several, np.newaxis] >> np.arange(12) & 1
        is_several = np.repeat(bits != 1, counts)
        steps[is_several] = np.nonzero(matrix)[1]
    return steps
