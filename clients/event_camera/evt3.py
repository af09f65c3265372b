"""EVT 3.0 words become events: a compiled loop that reads one after the other, as a camera writes.

The highest four bits of a 16-bit word are its kind, the others change something:

    0  row: y in bits 10:0                   2  event at x in bits 10:0, polarity in bit 11
    3  base: x in bits 10:0, polarity in 11  4, 5  events at base + i for each bit i of 12, 8;
    6  low time, 12 bits                           the base moves on by 12, 8
    8  high time, 12 bits

Source: Prophesee's public description of the format; times as its published decoder has them. The
high time alone tells of overflows of the low one, which may also fall by some us while the high
one stands still. A high time that moves on sets the low one to 0 until its own comes. Events before
the first high time are passed over, and so is every other kind.
"""

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from clients.event_camera.camera_events import CameraEvents

_ROW, _EVENT, _BASE, _VECTOR_12, _VECTOR_8, _LOW, _HIGH = 0, 2, 3, 4, 5, 6, 8
_TIME_BITS: Final = 12
# a fall by more than half of what the high time counts to is an overflow
_OVERFLOW: Final = 1 << (_TIME_BITS - 1)

Words = npt.NDArray[np.uint16]


def decode_words(words: Words) -> CameraEvents:
    """Decode all words ``[n]`` of a file."""
    kind = words >> 12
    n_single = np.count_nonzero(kind == _EVENT)
    n_of_12 = np.bitwise_count(words[kind == _VECTOR_12] & 0xFFF).sum()
    n_of_8 = np.bitwise_count(words[kind == _VECTOR_8] & 0xFF).sum()
    n_most = int(n_single + n_of_12 + n_of_8)
    times_us, (x, y) = np.empty(n_most, np.int64), np.empty((2, n_most), np.uint16)
    polarity = np.empty(n_most, np.uint8)
    n = _read(words, times_us, x, y, polarity)
    return CameraEvents(times_us=times_us[:n], x=x[:n], y=y[:n], polarity=polarity[:n])


@numba.njit(cache=True, nogil=True)
def _read(  # noqa: C901 - a branch for each kind of word
    words: Words,
    times_us: npt.NDArray[np.int64],
    x: Words,
    y: Words,
    polarity: npt.NDArray[np.uint8],
) -> int:
    """Write the events; return how many have a time."""
    zero, high = np.int64(0), np.int64(-1)
    low, row, base, base_polarity = zero, zero, zero, zero
    n_overflows, n = 0, 0
    for word in words:
        kind, value = word >> 12, np.int64(word & 0xFFF)
        if kind == _HIGH:
            if high - value > _OVERFLOW:
                n_overflows += 1
            if value != high:
                high, low = value, zero
        elif kind == _LOW:
            low = value
        elif kind == _ROW:
            row = value & 0x7FF
        elif kind == _BASE:
            base, base_polarity = value & 0x7FF, value >> 11
        elif kind == _EVENT and high >= 0:
            times_us[n] = ((n_overflows << _TIME_BITS) + high) << _TIME_BITS | low
            x[n], y[n], polarity[n] = value & 0x7FF, row, value >> 11
            n += 1
        elif kind in (_VECTOR_12, _VECTOR_8):
            width = 12 if kind == _VECTOR_12 else 8
            for i in range(width):
                if high >= 0 and value >> i & 1:
                    times_us[n] = ((n_overflows << _TIME_BITS) + high) << _TIME_BITS | low
                    x[n], y[n], polarity[n] = base + i, row, base_polarity
                    n += 1
            base += width
    return n
