"""AEDAT4 by the package aedat: whole, cut off, and with a packet that can't be unpacked."""

from pathlib import Path

import pytest

from clients.event_camera.aedat4 import decode_aedat4
from clients.recordings import UnreadableSource

SAMPLE = Path(__file__).parents[4] / "shared" / "data" / "event_files" / "sample.aedat4"

aedat = pytest.importorskip("aedat")

# where the 59th of its 118 packets lies, of 375 bytes after 8 of framing, as its framing tells
PACKET, PACKET_BYTES = 540_239, 383


@pytest.fixture
def sample() -> bytes:
    if not SAMPLE.exists():
        pytest.skip(f"{SAMPLE} is not here")
    return SAMPLE.read_bytes()


@pytest.mark.dataset
def test_a_whole_file_has_all_its_events(sample: bytes) -> None:
    decoded = decode_aedat4(sample, "sample")

    assert (len(decoded.events), decoded.size, decoded.damage) == (111_954, (320, 240), ())
    first = [decoded.events.times_us[0], decoded.events.x[0], decoded.events.y[0]]
    assert first == [1_605_537_493_718_345, 154, 204]


@pytest.mark.dataset
def test_a_damaged_packet_is_passed_over_and_reported(sample: bytes) -> None:
    content = bytearray(sample)
    content[PACKET + 100 : PACKET + 300] = bytes(200)

    decoded = decode_aedat4(bytes(content), "sample")

    # it holds movements of the camera, no events
    assert len(decoded.events) == 111_954
    assert [(part.offset, part.n_bytes) for part in decoded.damage] == [(PACKET, PACKET_BYTES)]


@pytest.mark.dataset
def test_a_cut_off_file_gives_what_is_before_the_cut(sample: bytes) -> None:
    decoded = decode_aedat4(sample[: PACKET + 100], "sample")

    assert len(decoded.events) == 64_778
    assert [(part.offset, part.n_bytes) for part in decoded.damage] == [
        (PACKET, 100),
        (PACKET + 100, 0),
    ]
    assert "before its table at offset 945243" in decoded.damage[1].reason


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"#!AER-DAT4.0\r\n\x10\x00\x00\x00abc"])
def test_a_damaged_header_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableSource, match=r"a\.aedat4"):
        decode_aedat4(content, "a.aedat4")
