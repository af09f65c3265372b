import sys
from pathlib import Path

import pytest

from clients.datasets import KNOWN, UnreadableSource, open_source
from clients.sound_folders import SoundFolder
from clients.spike_files import SpikeFile
from clients.spoken_digits import SpokenDigits
from tests.clients.small_files import tone, write_sound, write_spike_file


def spike_file(path: Path) -> Path:
    return write_spike_file(path, [[0.5], [0.25]], [[1], [2]], [1, 0])


def test_a_spike_file_is_known_by_its_ending(tmp_path: Path) -> None:
    source = open_source(str(spike_file(tmp_path / "a.h5")))

    assert isinstance(source, SpikeFile)
    assert (source.sensor.kind, source.sensor.channels) == ("cochlea", 700)


def test_a_folder_is_opened_as_sound(tmp_path: Path) -> None:
    write_sound(tmp_path / "ann" / "1_0.wav", tone(440.0, 0.05, 16_000))

    source = open_source(str(tmp_path))

    assert isinstance(source, SoundFolder)
    assert source.load(0).label_name == "1"


def test_digits_are_synthesised() -> None:
    pytest.importorskip("espeakng_loader")

    source = open_source("digits:shd?n=5&voices=8-11&seed=3&channels=24")

    same = SpokenDigits("shd", n=5, voices=range(8, 12), seed=3)
    assert isinstance(source, SpokenDigits)
    assert len(source) == 5
    assert source.sensor.channels == 24
    assert source.classes == same.classes
    assert [source.sound(i).speaker for i in range(5)] == [same.sound(i).speaker for i in range(5)]


def test_a_single_number_of_voices_counts_from_zero() -> None:
    pytest.importorskip("espeakng_loader")
    source = open_source("digits:english?n=12&voices=2")

    assert isinstance(source, SpokenDigits)
    assert {source.sound(i).speaker for i in range(12)} == {0, 1}


def test_options_reach_files_and_folders(tmp_path: Path) -> None:
    write_sound(tmp_path / "sounds" / "ann" / "1_0.wav", tone(440.0, 0.05, 16_000))
    path = spike_file(tmp_path / "a.h5")

    assert open_source(f"{path}?channels=3").sensor.channels == 3
    folder = open_source(f"{tmp_path / 'sounds'}?layout=label&channels=24")
    assert folder.classes == ("ann",)
    assert folder.sensor.channels == 24


def test_published_sets_are_looked_for_in_the_named_folder(tmp_path: Path) -> None:
    pytest.importorskip("tonic")
    (tmp_path / "SHD").mkdir()
    (tmp_path / "SHD" / "shd_train.h5.zip").touch()
    spike_file(tmp_path / "SHD" / "shd_train.h5")

    assert len(open_source(f"shd:train?folder={tmp_path}")) == 2


@pytest.mark.parametrize("text", ["", "nowhere", "mnist:train", "digits", "./absent/folder"])
def test_what_nobody_knows_is_refused_with_a_list_of_what_is_known(text: str) -> None:
    with pytest.raises(ValueError, match="no source") as caught:
        open_source(text)

    assert all(known in str(caught.value) for known in KNOWN)


def test_an_absent_file_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.h5"):
        open_source("absent.h5")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("digits:english?colour=red", "has no option colour; known are n, voices, seed, channels"),
        ("digits:english?n=many", "n can't be 'many'"),
        ("digits:english?n=0", "expected at least 1 recording"),
        ("digits:english?voices=9-8", "voices can't be '9-8'"),
        ("digits:english?voices=0", "voices can't be '0'"),
        ("digits:english?channels=1", "channels is 1, expected 2 to"),
        ("digits:english?n", "bad query field: 'n'"),
        ("digits:dutch", "expected one of english, german, shd"),
        ("shd:valid", "expected one of shd:train, shd:test"),
        ("shd:train?n=3", "has no option n; known are folder"),
        ("a.h5?layout=label", "has no option layout; known are channels"),
    ],
)
def test_bad_options_are_refused_with_what_is_expected(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        open_source(text)


def test_a_bad_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="layout can't be 'flat': expected speaker or label"):
        open_source(f"{tmp_path}?layout=flat")


def test_a_source_that_cannot_be_read_is_a_value_error_too(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="no sound files"):
        open_source(str(tmp_path))
    assert issubclass(UnreadableSource, ValueError)


def test_opening_needs_no_package_of_other_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = spike_file(tmp_path / "a.h5")
    for name in ("tonic", "tonic.datasets", "soundfile", "espeakng_loader"):
        monkeypatch.setitem(sys.modules, name, None)

    assert len(open_source(str(path))) == 2
