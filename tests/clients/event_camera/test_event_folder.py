import logging
from pathlib import Path

import pytest

from clients.datasets import open_source
from clients.recordings import EventCamera, UnreadableSource

# off at (2, 1) after 5 us, on at (3, 1) after 2 us
NMNIST = bytes([2, 1, 0, 0, 5, 3, 1, 0x80, 0, 2])


def test_labels_come_from_the_names_of_files(tmp_path: Path) -> None:
    for name in ("7_1.bin", "7_2.bin", "10_1.bin"):
        (tmp_path / name).write_bytes(NMNIST)

    source = open_source(str(tmp_path))

    assert (source.classes, len(source)) == (("7", "10"), 3)
    assert source.sensor == EventCamera(width=34, height=34, polarities=2)
    assert [recording.label_name for recording in source] == ["10", "7", "7"]


def test_a_recording_begins_with_its_first_event_and_is_in_order(tmp_path: Path) -> None:
    (tmp_path / "a_1.bin").write_bytes(NMNIST)

    recording = open_source(f"{tmp_path}?polarity=merged").load(0)

    assert (recording.times_us.tolist(), recording.addresses.tolist()) == ([0, 3], [37, 36])
    assert recording.duration_us == 4


def test_labels_come_from_the_names_of_folders(tmp_path: Path) -> None:
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "take.bin").write_bytes(NMNIST)

    assert open_source(f"{tmp_path}?pool=17").classes == ("left", "right")


def test_damage_is_told_once_with_its_offset(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a_1.bin").write_bytes(NMNIST + b"\x01")
    source = open_source(str(tmp_path))

    with caplog.at_level(logging.WARNING):
        counts = [len(source.load(0).times_us), len(source.load(0).times_us)]

    assert counts == [2, 2]
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert "1 bytes at offset 10" in told[0]


def test_a_file_without_a_label_is_refused(tmp_path: Path) -> None:
    (tmp_path / "take.bin").write_bytes(NMNIST)

    with pytest.raises(UnreadableSource, match=r"<label>_<take>\.bin was expected"):
        open_source(str(tmp_path))


def test_a_camera_of_unknown_size_needs_it_told(tmp_path: Path) -> None:
    (tmp_path / "a_1.raw").write_bytes(b"% evt 2.0\n")

    with pytest.raises(ValueError, match="size=WxH is needed"):
        open_source(str(tmp_path))
    assert open_source(f"{tmp_path}?size=6x4&roi=0,0,3,2").sensor.channels == 12


def test_an_empty_recording_is_one_microsecond_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "a_1.bin").write_bytes(b"")

    recording = open_source(str(tmp_path)).load(0)

    assert (recording.times_us.size, recording.duration_us) == (0, 1)
