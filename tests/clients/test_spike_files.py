import gzip
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from clients.optional_packages import MissingPackage
from clients.recordings import UnreadableSource
from clients.spike_files import SpikeFile, open_heidelberg
from tests.clients.small_files import SHARED_DATA, h5py, write_spike_file

# exact in float16, so that microseconds can be told by hand
TIMES = [[0.5, 0.25, 0.25, 0.125], [1.0]]
UNITS = [[7, 699, 3, 0], [42]]


def good_file(folder: Path) -> Path:
    return write_spike_file(folder / "good.h5", TIMES, UNITS, [1, 0])


def test_events_are_sorted_microseconds_with_their_channels(tmp_path: Path) -> None:
    source = SpikeFile(good_file(tmp_path))

    first = source.load(0)

    assert first.times_us.tolist() == [125_000, 250_000, 250_000, 500_000]
    # equal times keep the order of the file
    assert first.addresses.tolist() == [0, 699, 3, 7]
    assert first.times_us.dtype == np.int64
    assert first.addresses.dtype == np.uint32


def test_a_recording_knows_label_speaker_duration_and_key(tmp_path: Path) -> None:
    source = SpikeFile(good_file(tmp_path))

    second = source.load(1)

    assert source.classes == ("zero", "one")
    assert (second.label, second.label_name, second.speaker) == (0, "zero", 5)
    assert second.duration_us == 1_000_001
    assert second.key == "good.h5#1"
    assert len(source) == 2
    assert source.sensor.channels == 700


def test_a_compressed_file_reads_like_a_plain_one(tmp_path: Path) -> None:
    plain = good_file(tmp_path)
    packed = tmp_path / "good.h5.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))

    times = [SpikeFile(path).load(0).times_us.tolist() for path in (plain, packed)]

    assert times[0] == times[1]


def test_a_file_without_speakers_reads_with_none(tmp_path: Path) -> None:
    path = write_spike_file(tmp_path / "a.h5", TIMES, UNITS, [1, 0], speakers=None)

    assert SpikeFile(path).load(0).speaker is None


def test_a_recording_without_events_is_one_microsecond_long(tmp_path: Path) -> None:
    path = write_spike_file(tmp_path / "a.h5", [[], [0.5]], [[], [1]], [1, 0])

    empty = SpikeFile(path).load(0)

    assert empty.times_us.size == 0
    assert empty.duration_us == 1


@pytest.mark.parametrize("missing", ["spikes/times", "spikes/units", "labels", "extra/keys"])
def test_a_file_of_another_layout_is_refused_by_what_is_missing(
    tmp_path: Path, missing: str
) -> None:
    path = write_spike_file(tmp_path / "a.h5", TIMES, UNITS, [1, 0], without=missing)

    with pytest.raises(UnreadableSource, match=rf"not in the layout of SHD, {missing} missing"):
        SpikeFile(path)


def test_a_group_in_the_place_of_a_dataset_is_missing(tmp_path: Path) -> None:
    path = write_spike_file(tmp_path / "a.h5", TIMES, UNITS, [1, 0], without="labels")
    with h5py.File(path, "a") as file:
        file.create_group("labels")

    with pytest.raises(UnreadableSource, match="labels missing"):
        SpikeFile(path)


@pytest.mark.parametrize("name", ["a.h5", "a.h5.gz"])
def test_bytes_that_are_no_hdf5_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"no such thing" * 100)

    with pytest.raises(UnreadableSource, match="damaged, or not an HDF5 file"):
        SpikeFile(path)


def test_a_truncated_compressed_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5.gz"
    path.write_bytes(gzip.compress(good_file(tmp_path).read_bytes())[:-200])

    with pytest.raises(UnreadableSource, match="damaged"):
        SpikeFile(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.h5"):
        SpikeFile(tmp_path / "absent.h5")


def test_numbers_of_recordings_that_disagree_are_refused(tmp_path: Path) -> None:
    path = write_spike_file(tmp_path / "a.h5", TIMES, UNITS, [1, 0, 1])

    with pytest.raises(UnreadableSource, match="numbers of recordings disagree"):
        SpikeFile(path)


def test_labels_without_a_name_are_refused(tmp_path: Path) -> None:
    path = write_spike_file(tmp_path / "a.h5", TIMES, UNITS, [2, 0])

    with pytest.raises(UnreadableSource, match="labels run from 0 to 2, extra/keys names 2"):
        SpikeFile(path)


@pytest.mark.parametrize(
    ("times", "units", "complaint"),
    [
        ([0.5, 0.25], [1], "2 times for 1 units"),
        ([0.5, float("nan")], [1, 2], "negative or not a number"),
        ([-0.5, 0.25], [1, 2], "negative or not a number"),
        ([0.5, 0.25], [1, 700], "units run from 1 to 700, expected 0 to 699"),
    ],
)
def test_damaged_events_are_refused_when_they_are_loaded(
    tmp_path: Path, times: list[float], units: list[int], complaint: str
) -> None:
    path = write_spike_file(tmp_path / "a.h5", [[0.5], times], [[1], units], [1, 0])
    source = SpikeFile(path)

    assert source.load(0).addresses.tolist() == [1]
    with pytest.raises(UnreadableSource, match=complaint):
        source.load(1)


def test_a_sensor_without_channels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="channels is 0, expected at least 1"):
        SpikeFile(good_file(tmp_path), channels=0)


def test_without_h5py_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)

    with pytest.raises(MissingPackage, match="'h5py' is needed to read SHD-layout files"):
        SpikeFile(tmp_path / "a.h5")


def test_published_sets_come_from_where_tonic_put_them(tmp_path: Path) -> None:
    pytest.importorskip("tonic")
    # what tonic leaves after a download: the archive, which it only looks for, and its content
    for folder, name in (("SHD", "shd_test"), ("SSC", "ssc_valid")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.h5.zip").touch()
        shutil.copy(good_file(tmp_path), tmp_path / folder / f"{name}.h5")

    sources = [open_heidelberg(*name, tmp_path) for name in (("shd", "test"), ("ssc", "valid"))]

    assert [source.name for source in sources] == ["shd_test.h5", "ssc_valid.h5"]
    assert sources[0].load(0).addresses.tolist() == [0, 699, 3, 7]


@pytest.mark.parametrize("name", ["shd", "ssc"])
def test_a_failed_download_says_that_it_needs_the_internet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def unreachable(**_: object) -> None:
        raise OSError("no route to host")

    offline = SimpleNamespace(SHD=unreachable, SSC=unreachable)
    monkeypatch.setitem(sys.modules, "tonic.datasets", offline)

    with pytest.raises(UnreadableSource, match=f"{name}:train can't be .* the internet.*no route"):
        open_heidelberg(name, "train", tmp_path)


@pytest.mark.parametrize(("name", "split"), [("shd", "valid"), ("ssc", ""), ("sdh", "train")])
def test_a_part_that_does_not_exist_is_refused_before_any_download(name: str, split: str) -> None:
    with pytest.raises(ValueError, match="shd:train, shd:test, ssc:train, ssc:valid, ssc:test"):
        open_heidelberg(name, split)


def test_without_tonic_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tonic.datasets", None)

    with pytest.raises(MissingPackage, match="needed to download SHD and SSC"):
        open_heidelberg("shd", "train")


@pytest.mark.dataset
def test_spoken_digits_through_the_heidelberg_cochlea_are_read() -> None:
    path = SHARED_DATA / "fsdd_spikes" / "test.h5.gz"
    if not path.exists():
        pytest.skip(f"no recordings at {path}")

    source = SpikeFile(path)
    recordings = [source.load(i) for i in range(len(source))]

    assert len(recordings) == 250
    assert np.bincount([r.label for r in recordings]).tolist() == [25] * 10
    assert {r.speaker for r in recordings} == {0, 1, 2, 3, 5}
