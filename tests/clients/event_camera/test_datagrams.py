import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.event_camera.datagrams import (
    LAYOUTS,
    NO_STAMP,
    BadDatagram,
    StampedEvents,
    decode_spif,
    decode_t32,
    decode_t64,
)

Row = tuple[int, int, int, int]
"""Stamp, x, y, polarity."""


def rows(events: StampedEvents) -> list[Row]:
    columns = (events.stamps, events.x, events.y, events.polarity)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def words(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


def spif_by_hand(data: bytes) -> list[Row] | None:
    """Walk the words one by one, as the layout is told."""
    if not data or len(data) % 4:
        return None
    found = []
    rest = list(struct.unpack(f"<{len(data) // 4}I", data))
    while rest:
        word = rest.pop(0)
        stamp = NO_STAMP
        if word < 0x8000_0000:
            if not rest:
                return None
            stamp = rest.pop(0)
        found.append((stamp, word // 0x1_0000 % 0x8000, word % 0x8000, word // 0x8000 % 2))
    return found


def test_spif_tells_x_polarity_and_y_and_that_there_is_no_time() -> None:
    # bit 31: no time; x 3 from bit 16 on; bit 15: brighter; y 5
    assert rows(decode_spif(bytes([0x05, 0x80, 0x03, 0x80]))) == [(NO_STAMP, 3, 5, 1)]
    # the greatest numbers, darker
    assert rows(decode_spif(words(0xFFFF_7FFF))) == [(NO_STAMP, 32767, 32767, 0)]


def test_spif_tells_the_time_in_a_word_of_its_own() -> None:
    # times may look like any event
    data = words(0x0003_8005, 0xFFFF_FFFF, 0x0004_0006, 7)

    assert rows(decode_spif(data)) == [(0xFFFF_FFFF, 3, 5, 1), (7, 4, 6, 0)]


def test_spif_may_mix_events_with_and_without_time() -> None:
    data = words(0x8001_0001, 0x0002_8002, 9, 0x8003_0003)

    assert rows(decode_spif(data)) == [(NO_STAMP, 1, 1, 0), (9, 2, 2, 1), (NO_STAMP, 3, 3, 0)]


@pytest.mark.parametrize("data", [b"", words(0x8001_0001)[:3], words(1), words(1, 2, 3)])
def test_spif_that_is_cut_off_is_bad(data: bytes) -> None:
    with pytest.raises(BadDatagram):
        decode_spif(data)


@given(st.lists(st.sampled_from([0, 7, 0x8000_0000, 0x8001_8002, 0xFFFF_FFFF]), max_size=12))
def test_spif_is_what_a_walk_by_hand_finds(numbers: list[int]) -> None:
    data = words(*numbers)
    expected = spif_by_hand(data)

    if expected is None:
        with pytest.raises(BadDatagram):
            decode_spif(data)
    else:
        assert rows(decode_spif(data)) == expected


def test_eight_bytes_hold_time_x_and_y_with_polarity_below_it() -> None:
    # y 5 brighter: 5 * 2 + 1
    data = struct.pack("<IHH", 0xFFFF_FFFE, 3, 11) + struct.pack("<IHH", 1, 4, 12)

    assert rows(decode_t32(data)) == [(0xFFFF_FFFE, 3, 5, 1), (1, 4, 6, 0)]


def test_thirteen_bytes_hold_a_long_time_of_which_the_lower_half_counts() -> None:
    data = struct.pack("<QHHB", (5 << 32) + 9, 3, 5, 1)

    assert rows(decode_t64(data)) == [(9, 3, 5, 1)]


@pytest.mark.parametrize("layout", LAYOUTS)
@given(data=st.binary(max_size=80))
def test_any_bytes_are_events_or_a_bad_datagram(layout: str, data: bytes) -> None:
    try:
        events = LAYOUTS[layout](data)
    except BadDatagram:
        return
    assert len(events) > 0
    assert len(events.x) == len(events.y) == len(events.polarity) == len(events)
