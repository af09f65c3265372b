"""Layouts of datagrams that hold camera events; all numbers are little-endian.

``spif``
    Words of 32 bits, as SpiNNaker's peripheral interface takes them: x in bits 30 to 16, polarity
    in bit 15, y in bits 14 to 0. Where bit 31 is clear a word with the time in microseconds follows
    (spiffer's README in SpiNNakerManchester/spif). AEStream sends either all events with their
    times, 8 bytes each, or none (``src/output/dvs_to_udp.cpp`` in aestream/aestream).

``t32_x16_y15_on1``
    8 bytes: time in 32 bits, x in 16, then y times two plus polarity in 16. Faery's.

``t64_x16_y16_on8``
    13 bytes: time in 64 bits, x and y in 16 each, polarity in 8. Faery's, and its default
    (``python/faery/udp_encoder.py`` in aestream/faery).

SPIF says nothing of what polarity means; 1 is taken for brighter, as both senders have it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

NO_STAMP: Final = -1
"""In place of the time of an event that came without one."""

_ABSENT: Final = np.uint32(1 << 31)
_T32: Final = np.dtype([("t", "<u4"), ("x", "<u2"), ("y_on", "<u2")])
_T64: Final = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "u1")])


class BadDatagram(ValueError):
    """A datagram is not of its layout; nothing of it can be trusted."""


@dataclass(frozen=True, slots=True, eq=False)
class StampedEvents:
    """Events as a sensor sends them, in their order.

    Attributes:
        stamps: The sensor's clock ``[n]`` int64 in microseconds, `NO_STAMP` where it says nothing;
            only the lower 32 bits of it count.
        x: Columns ``[n]`` uint16.
        y: Rows ``[n]`` uint16.
        polarity: ``[n]`` uint8, 1 for brighter.
    """

    stamps: npt.NDArray[np.int64]
    x: npt.NDArray[np.uint16]
    y: npt.NDArray[np.uint16]
    polarity: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.stamps)


def decode_spif(data: bytes) -> StampedEvents:
    """Decode a datagram of 32-bit words, each of which may be followed by its time.

    Raises:
        BadDatagram: It holds no event, a part of one, or one whose time is missing.
    """
    words = np.frombuffer(_whole(data, 4), "<u4")
    absent = words >= _ABSENT
    stamps = np.full(len(words), NO_STAMP, np.int64)
    if not absent.all():
        at = _places(absent)
        timed = at[~absent[at]]
        if timed[-1] + 1 == len(words):
            raise BadDatagram(f"the last of {len(words)} words should be followed by its time")
        stamps[timed] = words[timed + 1]
        words, stamps = words[at], stamps[at]
    return StampedEvents(
        stamps=stamps,
        x=(words >> 16 & 0x7FFF).astype(np.uint16),
        y=(words & 0x7FFF).astype(np.uint16),
        polarity=(words >> 15 & 1).astype(np.uint8),
    )


def _places(absent: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Find the words that are events, where some of them are times."""
    if not absent[::2].any():
        return np.arange(0, len(absent), 2)
    # no sender known to us mixes the two
    places, k = [], 0
    has_none = absent.tolist()
    while k < len(has_none):
        places.append(k)
        k += 1 if has_none[k] else 2
    return np.array(places, np.int64)


def decode_t32(data: bytes) -> StampedEvents:
    """Decode a datagram of 8-byte events.

    Raises:
        BadDatagram: It holds no event, or a part of one.
    """
    rows = np.frombuffer(_whole(data, _T32.itemsize), _T32)
    return StampedEvents(
        stamps=rows["t"].astype(np.int64),
        x=rows["x"].astype(np.uint16),
        y=(rows["y_on"] >> 1).astype(np.uint16),
        polarity=(rows["y_on"] & 1).astype(np.uint8),
    )


def decode_t64(data: bytes) -> StampedEvents:
    """Decode a datagram of 13-byte events.

    Raises:
        BadDatagram: It holds no event, or a part of one.
    """
    rows = np.frombuffer(_whole(data, _T64.itemsize), _T64)
    return StampedEvents(
        stamps=(rows["t"] & 0xFFFFFFFF).astype(np.int64),
        x=rows["x"].astype(np.uint16),
        y=rows["y"].astype(np.uint16),
        polarity=(rows["on"] > 0).astype(np.uint8),
    )


def _whole(data: bytes, event_bytes: int) -> bytes:
    if not data or len(data) % event_bytes:
        raise BadDatagram(f"{len(data)} bytes came, a multiple of {event_bytes} was expected")
    return data


LAYOUTS: Final[Mapping[str, Callable[[bytes], StampedEvents]]] = {
    "spif": decode_spif,
    "t32_x16_y15_on1": decode_t32,
    "t64_x16_y16_on8": decode_t64,
}
"""Decoders by the names of their layouts."""
