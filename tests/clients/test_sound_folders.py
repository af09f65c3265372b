import sys
from pathlib import Path

import numpy as np
import pytest

from clients.cochlea_design import CochleaSpec
from clients.optional_packages import MissingPackage
from clients.recordings import UnreadableSource
from clients.sound_folders import SoundFolder
from tests.clients.small_files import SHARED_DATA, tone, write_sound

SPEC = CochleaSpec(channels=24)


def write_takes(folder: Path, *names: str) -> Path:
    for name in names:
        write_sound(folder / name, tone(440.0, 0.05, 16_000))
    return folder


def test_labels_and_speakers_are_read_from_speaker_folders(tmp_path: Path) -> None:
    folder = write_takes(tmp_path, "bob/10_00.wav", "bob/2_00.flac", "ann/two_words_3.wav")

    source = SoundFolder(folder, spec=SPEC)

    # in the order of paths; classes: numbers by value, then words
    assert source.classes == ("2", "10", "two_words")
    assert [(r.label, r.label_name, r.speaker) for r in source] == [
        (2, "two_words", "ann"),
        (1, "10", "bob"),
        (0, "2", "bob"),
    ]
    assert [r.key for r in source] == ["ann/two_words_3.wav", "bob/10_00.wav", "bob/2_00.flac"]
    assert len(source) == 3


def test_labels_are_read_from_label_folders(tmp_path: Path) -> None:
    folder = write_takes(
        tmp_path, "yes/0a_nohash_0.wav", "no/0a_nohash_1.wav", "_background_noise_/pink_1.wav"
    )

    source = SoundFolder(folder, spec=SPEC)

    assert source.classes == ("no", "yes")
    assert [(r.label_name, r.speaker) for r in source] == [("no", "0a"), ("yes", "0a")]


def test_names_that_do_not_end_in_a_take_mean_label_folders(tmp_path: Path) -> None:
    source = SoundFolder(write_takes(tmp_path, "yes/hello.wav", "no/1_0.wav"), spec=SPEC)

    assert source.classes == ("no", "yes")
    assert source.load(0).speaker is None


def test_a_layout_can_be_demanded(tmp_path: Path) -> None:
    folder = write_takes(tmp_path, "yes/1_0.wav")

    assert SoundFolder(folder, spec=SPEC).classes == ("1",)
    assert SoundFolder(folder, layout="label", spec=SPEC).classes == ("yes",)


def test_a_name_that_does_not_fit_a_demanded_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match=r"hello\.wav: expected a name like <label>_<take>"):
        SoundFolder(write_takes(tmp_path, "yes/hello.wav"), layout="speaker")


def test_stereo_is_heard_as_the_mean_of_both_sides(tmp_path: Path) -> None:
    left = tone(440.0, 0.05, 16_000)
    write_sound(tmp_path / "ann" / "1_0.wav", np.stack([left, np.zeros_like(left)], axis=1))

    sound = SoundFolder(tmp_path, spec=SPEC).sound(0)

    # 16-bit files hold steps of 1/32768
    assert sound.samples == pytest.approx(left / 2, abs=1 / 32_768)
    assert sound.sample_rate == 16_000


def test_a_folder_without_sound_is_refused_with_the_layouts_known(tmp_path: Path) -> None:
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / "notes.txt").touch()

    with pytest.raises(UnreadableSource, match=r"no sound files; expected <speaker>/<label>_"):
        SoundFolder(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        SoundFolder(tmp_path / "absent")


def test_a_damaged_file_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    folder = write_takes(tmp_path, "ann/1_0.wav", "ann/2_0.wav")
    (folder / "ann" / "2_0.wav").write_bytes(b"no sound at all")
    source = SoundFolder(folder, spec=SPEC)

    assert source.load(0).times_us.size > 0
    with pytest.raises(UnreadableSource, match=r"2_0\.wav: damaged, or not a sound file"):
        source.load(1)


def test_without_soundfile_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)

    with pytest.raises(MissingPackage, match="'soundfile' is needed to read sound files"):
        SoundFolder(tmp_path)


@pytest.mark.dataset
@pytest.mark.parametrize("name", ["fsdd", "arabic_digits", "gsc_commands"])
def test_folders_of_real_recordings_are_read(name: str) -> None:
    folder = SHARED_DATA / name
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}")

    source = SoundFolder(folder)
    heard = [recording for _, recording in zip(range(5), source.recordings(3), strict=False)]

    assert len(source.classes) == 10
    assert all(recording.times_us.size > 500 for recording in heard)
    assert all(recording.key.startswith(f"{recording.speaker}/") for recording in heard)
