"""Recordings as examples."""

from pathlib import Path

import numpy as np
import pytest

from clients.datasets import open_source
from clients.recordings import Recording
from clients.training.recordings import MAX_COUNT, choose, count_by_tick, divide
from service.stream import event_binning
from service.stream.event_binning import EventBinner
from service.stream.tick_grid import TickGrid
from tclif_core import EventBlock
from tclif_core.training.examples import Example
from tests.clients.small_files import SHARED_DATA
from tests.clients.toy_spikes import write_toy_spikes

TICK_US = 5000


def recording(times_us: list[int], addresses: list[int], duration_us: int) -> Recording:
    return Recording(
        times_us=np.array(times_us, np.int64),
        addresses=np.array(addresses, np.uint32),
        label=0,
        label_name="zero",
        duration_us=duration_us,
        speaker=None,
        key="one",
    )


def assert_same_as_a_session(said: Recording, n_channels: int, begin_us: int) -> None:
    """Fail unless a session that is sent the recording in two frames computes the same ticks."""
    binner = EventBinner(TickGrid(begin_us, TICK_US), late_us=0, n_inputs=n_channels)
    half = said.times_us.size // 2
    blocks = []
    for part in (slice(0, half), slice(half, None)):
        if said.times_us[part].size:
            inputs = said.addresses[part].astype(np.int64)
            times_us = said.times_us[part] + begin_us
            blocks.append(binner.add(times_us, inputs, int(times_us.max())).block)
    blocks.append(binner.end(begin_us + said.duration_us).block)
    expected = event_binning.TickBlock.join(blocks)

    counted = count_by_tick(said, n_channels, TICK_US)

    np.testing.assert_array_equal(counted.tick_events, expected.offsets)
    np.testing.assert_array_equal(counted.channels, expected.channels)
    np.testing.assert_array_equal(counted.values, expected.values)


def test_events_are_counted_by_tick_and_channel() -> None:
    # ticks of 5 ms: 0 and 4,999 us are in the first, 5,000 us is in the second; 10,001 us of
    # duration are three ticks
    block = count_by_tick(recording([0, 4999, 4999, 5000], [1, 1, 0, 2], 10_001), 3, TICK_US)

    assert block.tick_events.tolist() == [0, 2, 3, 3]
    assert block.channels.tolist() == [0, 1, 2]
    assert block.values.tolist() == [1, 2, 1]


@pytest.mark.parametrize("duration_us", [9_999, 10_000, 10_001])
@pytest.mark.parametrize("begin_us", [0, 1234])
def test_ticks_are_those_of_a_session(duration_us: int, begin_us: int) -> None:
    times = [0, 0, 4999, 5000, 5000, 9998]

    assert_same_as_a_session(recording(times, [2, 2, 0, 1, 1, 0], duration_us), 3, begin_us)


def test_saturation_is_that_of_a_session() -> None:
    assert MAX_COUNT == event_binning.MAX_COUNT
    assert_same_as_a_session(recording([0] * 300 + [7000], [1] * 301, 8000), 2, 0)


def test_silence_is_a_tick_without_events() -> None:
    block = count_by_tick(recording([], [], 1), 3, TICK_US)

    assert (block.n_ticks, block.channels.size) == (1, 0)


def test_ticks_of_a_file_are_those_of_a_session(tmp_path: Path) -> None:
    for said in open_source(write_toy_spikes(tmp_path / "toy.h5", count=4)):
        assert_same_as_a_session(said, 12, 700_000)


@pytest.mark.dataset
def test_ticks_of_human_speech_are_those_of_a_session() -> None:
    path = SHARED_DATA / "fsdd_spikes" / "test.h5.gz"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    source = open_source(str(path))

    for index in range(0, len(source), 50):
        assert_same_as_a_session(source.load(index), 700, 200_000)


def said_by(*speakers: str) -> list[Example]:
    block = EventBlock.from_dense([np.ones((1, 1))])
    return [Example.of_class(block, 0, group=speaker) for speaker in speakers]


def test_by_default_whole_speakers_are_held_out() -> None:
    examples = said_by("1", "2", "10", "1", "2", "10")

    division = divide(examples, None, 0.1, seed=0)

    assert {example.group for example in division.training} == {"1", "2"}
    assert {example.group for example in division.validation} == {"10"}
    assert division.held_out == "speaker 10"


def test_the_share_is_of_the_speakers() -> None:
    examples = said_by(*(str(number) for number in range(20)))

    division = divide(examples, None, 0.1, seed=0)

    assert sorted(example.group for example in division.validation) == ["18", "19"]


@pytest.mark.parametrize("speakers", [("",) * 20, ("ann",) * 20, ("ann", "") * 10])
def test_recordings_are_held_out_where_speakers_can_not_be(speakers: tuple[str, ...]) -> None:
    examples = said_by(*speakers)

    division, same = divide(examples, None, 0.1, seed=0), divide(examples, None, 0.1, seed=0)

    assert (len(division.training), len(division.validation)) == (18, 2)
    assert {id(e) for e in division.training}.isdisjoint(id(e) for e in division.validation)
    assert same.validation == division.validation
    assert division.held_out == "2 recordings"


def test_nothing_is_held_out_for_a_share_of_zero() -> None:
    division = divide(said_by("1", "2"), None, 0.0, seed=0)

    assert (len(division.training), division.validation) == (2, [])


def test_somebody_must_be_left_to_learn() -> None:
    with pytest.raises(ValueError, match="nobody is left to learn"):
        divide(said_by("1", "2"), ("1", "2"), 0.1, seed=0)
    with pytest.raises(ValueError, match="1 recordings can't be divided"):
        divide(said_by(""), None, 0.1, seed=0)


def test_a_limit_draws_recordings_by_the_seed() -> None:
    assert choose(5, None, 0) == choose(5, 9, 0) == [0, 1, 2, 3, 4]
    assert choose(100, 10, 1) == choose(100, 10, 1)
    assert choose(100, 10, 1) != choose(100, 10, 2)
    assert len(set(choose(100, 10, 1))) == 10
