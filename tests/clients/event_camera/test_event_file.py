"""Files written byte by byte from the formats' public descriptions, and the shared ones."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest

from clients.event_camera.camera_events import CameraEvents, Damage, Decoded
from clients.event_camera.event_file import read_event_file
from clients.recordings import UnreadableSource

SHARED = Path(__file__).parents[4] / "shared" / "data" / "event_files"


def rows(events: CameraEvents) -> list[tuple[int, int, int, int]]:
    columns = (events.times_us, events.x, events.y, events.polarity)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def read(folder: Path, name: str, content: bytes) -> Decoded:
    path = folder / name
    path.write_bytes(content)
    return read_event_file(path)


def evt2(*words: int) -> bytes:
    return b"% evt 2.0\n% geometry 640x480\n" + struct.pack(f"<{len(words)}I", *words)


def evt3(*words: int) -> bytes:
    return b"% format EVT3;height=720;width=1280\n% end\n" + struct.pack(f"<{len(words)}H", *words)


def test_evt2_words_become_events(tmp_path: Path) -> None:
    # full time 5 << 6 = 320 us; on at 3 us later, x 7, y 9; off at 63 us later, x 639, y 479
    on, off = 1 << 28 | 3 << 22 | 7 << 11 | 9, 63 << 22 | 639 << 11 | 479

    decoded = read(tmp_path, "a.raw", evt2(on, 8 << 28 | 5, on, 0xA0000000, off))

    assert rows(decoded.events) == [(323, 7, 9, 1), (383, 639, 479, 0)]
    assert decoded.size == (640, 480)
    assert decoded.damage == ()


def test_evt2_time_goes_on_when_its_counter_overflows(tmp_path: Path) -> None:
    event = 1 << 28

    decoded = read(tmp_path, "a.raw", evt2(0x8FFFFFFF, event, 0x80000000, event))

    # 28 bits of 64 us are 2**34 us
    assert decoded.events.times_us.tolist() == [(1 << 34) - 64, 1 << 34]


def test_evt3_words_become_events(tmp_path: Path) -> None:
    # time 2 << 12 | 5 = 8197 us, row 4: one on at x 3; a base at x 100, off, then bits 0 and 11 of
    # 12 and bits 1 and 7 of 8
    words = (0x8002, 0x6005, 0x0004, 0x2803, 0x3064, 0x4801, 0x5082)

    decoded = read(tmp_path, "a.raw", evt3(*words))

    at = 8197
    assert rows(decoded.events) == [
        (at, 3, 4, 1),
        (at, 100, 4, 0),
        (at, 111, 4, 0),
        (at, 113, 4, 0),
        (at, 119, 4, 0),
    ]
    assert decoded.size == (1280, 720)


def test_evt3_time_goes_on_when_its_counter_overflows(tmp_path: Path) -> None:
    decoded = read(tmp_path, "a.raw", evt3(0x8FFF, 0x6FFF, 0x2001, 0x8000, 0x6001, 0x2001))

    assert decoded.events.times_us.tolist() == [(1 << 24) - 1, (1 << 24) + 1]


def test_evt3_low_time_may_fall_while_the_high_one_stands_still(tmp_path: Path) -> None:
    # 2 << 12 | 0x32b, then 11 us less, as cameras send it beside a repeated high time
    decoded = read(tmp_path, "a.raw", evt3(0x8002, 0x632B, 0x2001, 0x8002, 0x6320, 0x2002))

    assert decoded.events.times_us.tolist() == [0x232B, 0x2320]


def test_evt3_low_time_is_zero_after_a_high_one_that_moved_on(tmp_path: Path) -> None:
    # an event between the new high time and its low one is not 4095 us in the future
    words = (0x8002, 0x6FFF, 0x2001, 0x8003, 0x2002, 0x6001, 0x2003)

    decoded = read(tmp_path, "a.raw", evt3(*words))

    assert decoded.events.times_us.tolist() == [0x2FFF, 0x3000, 0x3001]


def test_words_of_unknown_type_are_passed_over_and_reported(tmp_path: Path) -> None:
    content = evt3(0x8000, 0x6001, 0x2001, 0x9123, 0xB456, 0x2002)

    decoded = read(tmp_path, "a.raw", content)

    assert decoded.events.x.tolist() == [1, 2]
    reason = "words of unknown type, the first is 0x9123"
    assert decoded.damage == (Damage(len(content) - 6, 4, reason),)


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_cut_off_word_is_reported_with_its_offset(tmp_path: Path, cut: int) -> None:
    content = evt2(0x80000001, 1 << 28, 1 << 28)

    decoded = read(tmp_path, "a.raw", content[:-cut])

    part = Damage(len(content) - 4, 4 - cut, "the file ends in mid-event")
    assert (len(decoded.events), decoded.damage) == (1, (part,))


def test_dat_events_follow_the_text_and_two_bytes(tmp_path: Path) -> None:
    text = b"% Version 2\n% Width 304\n% Height 240\n" + bytes([0x0C, 8])
    events = struct.pack("<4I", 35, 1 << 28 | 35 << 14 | 67, 2**32 - 1, 303)

    decoded = read(tmp_path, "a.dat", text + events + struct.pack("<2I", 1, 0) + b"\x00")

    assert rows(decoded.events) == [(35, 67, 35, 1), (2**32 - 1, 303, 0, 0), (2**32 + 1, 0, 0, 0)]
    assert decoded.size == (304, 240)
    part = Damage(len(text) + 24, 1, "the file ends in mid-event")
    assert decoded.damage == (part,)


def test_nmnist_events_have_five_bytes(tmp_path: Path) -> None:
    # 0x012345 = 74565 us; a row of 240 says that 8192 us have passed
    content = bytes([3, 4, 0x81, 0x23, 0x45, 0, 240, 0, 0, 0, 33, 0, 0x01, 0x23, 0x45, 9, 9])

    decoded = read(tmp_path, "a.bin", content)

    assert rows(decoded.events) == [(74565, 3, 4, 1), (82757, 33, 0, 0)]
    assert decoded.size == (34, 34)
    assert decoded.damage == (Damage(15, 2, "the file ends in mid-event"),)


def test_a_numpy_file_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    dtype = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "i1")])
    stream = io.BytesIO()
    np.save(stream, np.array([(5, 1, 2, 1), (6, 3, 4, -1)], dtype))
    content = stream.getvalue()

    whole, cut = read(tmp_path, "a.npy", content), read(tmp_path, "b.npy", content[:-1])

    assert rows(whole.events) == [(5, 1, 2, 1), (6, 3, 4, 0)]
    assert rows(cut.events) == [(5, 1, 2, 1)]
    part = Damage(len(content) - 13, 12, "the file ends in mid-event")
    assert (whole.damage, cut.damage) == ((), (part,))


@pytest.mark.parametrize("name", ["a.raw", "a.dat", "a.npy"])
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnreadableSource, match=r"expected|not a NumPy file"):
        read(tmp_path, name, b"GIF89a and more of that")


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.es: one of .*\.raw was expected"):
        read_event_file(tmp_path / "a.es")


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return path


@pytest.mark.dataset
def test_evt3_equals_the_truth_but_for_what_its_decoder_adds_to_times() -> None:
    path, truth = shared("evt3_sample.raw"), np.load(shared("evt3_sample.npy"))

    events = read_event_file(path).events

    assert len(events) == len(truth) == 219_596
    for ours, theirs in ((events.x, "x"), (events.y, "y"), (events.polarity, "p")):
        np.testing.assert_array_equal(ours, truth[theirs])
    # the truth's decoder adds 4096 us at each fall of the low time (docs/decisions/0035)
    content = path.read_bytes()
    words = np.frombuffer(content, "<u2", offset=content.index(b"% system_ID 48\n") + 15)
    falls = falls_of_the_low_time(words.tolist())
    assert falls[-1] == 11
    np.testing.assert_array_equal(truth["t"] - events.times_us, 4096 * np.array(falls))


def falls_of_the_low_time(words: list[int]) -> list[int]:
    """Count for each event of an EVT3 file how often the low time has fallen before."""
    falls, low, of_events = 0, 0, []
    for word in words:
        kind, value = word >> 12, word & 0xFFF
        if kind == 6:
            falls, low = falls + (value < low), value
        n_events = {2: 1, 4: value.bit_count(), 5: (value & 0xFF).bit_count()}.get(kind, 0)
        of_events += [falls] * n_events
    return of_events


@pytest.mark.dataset
def test_evt3_lasts_as_long_as_its_high_times_say() -> None:
    path = shared("evt3_sample.raw")

    decoded = read_event_file(path)

    # this camera repeats the high time every 16 us, and there are 551 of them: 8,816 us; the first
    # is 0xb2d and the last 0xb2f
    times_us = decoded.events.times_us
    assert 8_816 - 2 * 16 < times_us[-1] - times_us[0] < 8_816
    assert (times_us[0] >> 12, times_us[-1] >> 12) == (0xB2D, 0xB2F)
    assert np.all(np.diff(times_us) >= 0)
    assert decoded.damage == ()


@pytest.mark.dataset
@pytest.mark.parametrize(
    ("name", "encoding", "count"),
    [("evt2_sample.raw", "evt2", 539_481), ("sample_ncars.dat", "dat", 2_009)],
)
def test_shared_files_equal_what_expelliarmus_reads(name: str, encoding: str, count: int) -> None:
    expelliarmus = pytest.importorskip("expelliarmus")
    path = shared(name)

    events = read_event_file(path).events

    truth = expelliarmus.Wizard(encoding=encoding).read(path)
    assert len(events) == count
    for ours, theirs in (
        (events.times_us, "t"),
        (events.x, "x"),
        (events.y, "y"),
        (events.polarity, "p"),
    ):
        np.testing.assert_array_equal(ours, truth[theirs])
