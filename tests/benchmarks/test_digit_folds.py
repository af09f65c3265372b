"""Five folds over the takes of spoken digits."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from benchmarks.digit_folds import N_FOLDS, PARTS, SPEECH, load_digits, read_takes
from tests.clients.small_files import h5py, write_spike_file


def write_part(path: Path, channels: list[list[int]], labels: list[int], takes: list[int]) -> None:
    """Write recordings of one event each 2 ms from the begin, of the given channels."""
    plain = path.with_suffix("")
    times = [[0.002 * n for n in range(len(each))] for each in channels]
    write_spike_file(plain, times, channels, labels, speakers=list(range(len(labels))))
    with h5py.File(plain, "a") as file:
        file["extra/take"] = np.asarray(takes, np.uint16)
    path.write_bytes(gzip.compress(plain.read_bytes()))


def test_a_recording_keeps_its_label_speaker_and_take_across_both_parts(tmp_path: Path) -> None:
    write_part(tmp_path / PARTS[0], [[0], [1], [2]], [1, 0, 1], [7, 49, 10])
    write_part(tmp_path / PARTS[1], [[3], [4]], [0, 1], [4, 3])

    digits = load_digits(tmp_path)

    assert digits.labels.tolist() == [1, 0, 1, 0, 1]
    assert [example.label for example in digits.examples] == [1, 0, 1, 0, 1]
    assert [example.group for example in digits.examples] == ["0", "1", "2", "0", "1"]
    # the remainders by five of 7, 49, 10, 4, 3
    assert digits.folds.tolist() == [2, 4, 0, 4, 3]
    assert digits.features.shape == (5, 560)


def test_neighbouring_channels_make_one_input(tmp_path: Path) -> None:
    # the events of 0, 2 and 4 ms share the first tick of 5 ms, that of 6 ms is in the second
    write_part(tmp_path / PARTS[0], [[0, 4, 5, 699]], [0], [0])
    write_part(tmp_path / PARTS[1], [[0]], [0], [1])

    block = load_digits(tmp_path).examples[0].block

    assert block.channels.tolist() == [0, 1, 139]
    assert block.values.tolist() == [2, 1, 1]
    assert block.tick_events.tolist()[:3] == [0, 2, 3]


def test_a_part_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=PARTS[0]):
        load_digits(tmp_path)


@pytest.mark.skipif(not SPEECH.exists(), reason=f"{SPEECH} is not here")
def test_folds_of_the_set_hold_ten_takes_of_each_digit_and_speaker() -> None:
    takes, keys = [], []
    for part in PARTS:
        takes.append(read_takes(SPEECH / part))
        with gzip.open(SPEECH / part) as unpacked, h5py.File(unpacked) as file:
            keys += list(zip(file["labels"][()], file["extra/speaker"][()], strict=True))

    folds = np.concatenate(takes) % N_FOLDS

    counts: dict[tuple[int, ...], int] = {}
    for (digit, speaker), fold in zip(keys, folds, strict=True):
        place = (int(digit), int(speaker), int(fold))
        counts[place] = counts.get(place, 0) + 1
    assert len(folds) == 2500
    assert set(counts.values()) == {10}
    # no utterance twice, or a fold would be judged by a network that has learnt it
    every = list(zip(keys, np.concatenate(takes).tolist(), strict=True))
    assert len({(int(d), int(s), take) for (d, s), take in every}) == 2500
