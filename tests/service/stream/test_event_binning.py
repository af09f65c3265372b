"""Binning: ticks, the horizon, late events, saturation and pooling, against a naive oracle."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.stream.event_binning import (
    MAX_COUNT,
    BinnedFrame,
    EventBinner,
    TickBlock,
    address_to_input,
)
from service.stream.tick_grid import TickGrid
from service.wire_protocol import CochleaSensor, DvsSensor, RawSensor

N_INPUTS = 3

Event = tuple[int, int]
Tick = dict[int, float]


class Outcome(NamedTuple):
    """What a frame did, in plain Python: its ticks by input, and what was dropped."""

    ticks: list[Tick]
    n_late: int
    n_outside: int
    n_saturated: int


def new_binner(*, tick_us: int = 10, late_us: int = 0, begin_us: int = 0) -> EventBinner:
    grid = TickGrid(begin_us, tick_us)
    return EventBinner(grid, late_us=late_us, n_inputs=N_INPUTS)


def add(binner: EventBinner, *events: Event) -> BinnedFrame:
    times, inputs = zip(*events, strict=True)
    return binner.add(np.array(times, np.int64), np.array(inputs, np.int64), max(times))


def ticks_of(block: TickBlock) -> list[Tick]:
    return [
        dict(
            zip(
                block.channels[start:stop].tolist(),
                block.values[start:stop].tolist(),
                strict=True,
            )
        )
        for start, stop in zip(block.offsets[:-1], block.offsets[1:], strict=True)
    ]


def outcome(frame: BinnedFrame) -> Outcome:
    return Outcome(ticks_of(frame.block), frame.n_late, frame.n_outside, frame.n_saturated)


def same(one: TickBlock, other: TickBlock) -> bool:
    return (
        np.array_equal(one.offsets, other.offsets)
        and np.array_equal(one.channels, other.channels)
        and np.array_equal(one.values, other.values)
    )


# --- ticks and the horizon


def test_an_event_waits_until_the_horizon_passes_the_end_of_its_tick() -> None:
    binner = new_binner(begin_us=100)

    waiting = add(binner, (105, 2))
    # tick 0 is [100, 110): an event at 109 leaves it open, one at 110 completes it
    still_waiting = add(binner, (109, 1))
    complete = add(binner, (110, 0))

    assert waiting.block.n_ticks == still_waiting.block.n_ticks == 0
    assert ticks_of(complete.block) == [{1: 1.0, 2: 1.0}]


def test_events_of_one_input_in_one_tick_add_up_in_channel_order() -> None:
    frame = add(new_binner(), (3, 2), (1, 0), (9, 2), (25, 1))

    # ticks [0, 10) and [10, 20) are complete at 25; the second has no event
    assert frame.block.offsets.tolist() == [0, 2, 2]
    assert frame.block.channels.tolist() == [0, 2]
    assert frame.block.values.tolist() == [1.0, 2.0]


def test_a_frame_without_events_completes_ticks_up_to_its_time() -> None:
    binner = new_binner()
    add(binner, (4, 0))

    assert ticks_of(binner.move_horizon(19).block) == [{0: 1.0}]
    assert ticks_of(binner.move_horizon(40).block) == [{}, {}, {}]


def test_the_horizon_never_moves_back() -> None:
    binner = new_binner()
    binner.move_horizon(30)

    frame = binner.move_horizon(5)
    late = add(binner, (29, 0))

    assert frame.block.n_ticks == 0
    assert late.n_late == 1


def test_an_event_at_the_horizon_is_not_late() -> None:
    binner = new_binner()
    add(binner, (17, 0))

    frame = add(binner, (17, 1))

    assert frame.n_late == 0
    assert ticks_of(binner.end(20).block) == [{0: 1.0, 1: 1.0}]


def test_events_of_the_frame_that_moves_the_horizon_are_not_late() -> None:
    # within a frame events may be in any order: 3 is older than 55 but not late
    frame = add(new_binner(), (55, 0), (3, 1))

    assert frame.n_late == 0
    assert ticks_of(frame.block)[0] == {1: 1.0}


def test_late_events_are_dropped_by_the_grace_of_late_us() -> None:
    binner = new_binner(late_us=15)
    first = add(binner, (50, 0))
    # complete up to 50 - 15 = 35: ticks [0,10) [10,20) [20,30); an event at 35 is in time, 34 late
    second = add(binner, (34, 1), (35, 1))

    assert first.block.n_ticks == 3
    assert (second.n_late, second.block.n_ticks) == (1, 0)
    assert ticks_of(binner.end(60).block) == [{1: 1.0}, {}, {0: 1.0}]


def test_events_before_the_begin_lie_outside_and_complete_nothing() -> None:
    binner = new_binner(begin_us=100)

    frame = add(binner, (20, 0), (99, 0))
    within = add(binner, (100, 1))

    assert outcome(frame) == Outcome([], 0, 2, 0)
    assert within.n_late == 0


@pytest.mark.parametrize(
    ("end_us", "n_ticks"),
    [(0, 0), (1, 1), (10, 1), (11, 2)],
    ids=["at the begin", "one microsecond", "one tick", "a microsecond more"],
)
def test_an_end_counts_a_partial_last_tick(end_us: int, n_ticks: int) -> None:
    binner = new_binner()

    assert binner.ticks_until(end_us) == n_ticks
    assert binner.end(end_us).block.n_ticks == n_ticks


def test_an_end_drops_waiting_events_beyond_the_last_tick() -> None:
    binner = new_binner(late_us=100)
    add(binner, (5, 0), (25, 1), (25, 1))

    frame = binner.end(20)

    # ticks [0, 10) and [10, 20); the two events at 25 are of a third tick
    assert outcome(frame) == Outcome([{0: 1.0}, {}], 0, 2, 0)


def test_an_end_keeps_ticks_that_are_complete_already() -> None:
    binner = new_binner()
    complete = add(binner, (35, 0))

    frame = binner.end(12)

    assert complete.block.n_ticks == 3
    # the event at 35 waits in tick 3, which begins after the end
    assert outcome(frame) == Outcome([], 0, 1, 0)


def test_counts_beyond_the_most_saturate_and_are_counted() -> None:
    binner = new_binner()
    n_events = MAX_COUNT + 3
    add(binner, *[(5, 1)] * n_events, (5, 0))

    frame = binner.move_horizon(10)

    assert outcome(frame) == Outcome([{0: 1.0, 1: float(MAX_COUNT)}], 0, 0, 3)


def test_counts_saturate_across_frames_too() -> None:
    binner = new_binner()
    for _ in range(2):
        add(binner, *[(5, 1)] * 200)

    # 400 events of one input in one tick: 255 stay, 145 are counted
    assert outcome(binner.move_horizon(10)) == Outcome([{1: 255.0}], 0, 0, 145)


def test_ticks_completed_by_tells_what_a_move_would_complete() -> None:
    binner = new_binner(late_us=5)
    binner.move_horizon(26)

    # complete up to 21: two ticks; up to 47 - 5 = 42 two more; a time before the horizon: none
    assert binner.n_complete == 2
    assert binner.ticks_completed_by(47) == 2
    assert binner.ticks_completed_by(3) == 0


def test_types_are_those_of_the_learner() -> None:
    block = add(new_binner(), (5, 1), (15, 0)).block

    dtypes = [array.dtype.name for array in (block.offsets, block.channels, block.values)]
    assert dtypes == ["int64", "int32", "float32"]


# --- the oracle: every event by itself, in plain Python


class NaiveBinner:
    """The protocol's sentences about time, one event after the other."""

    def __init__(self, tick_us: int, late_us: int, begin_us: int) -> None:
        self.tick_us, self.late_us, self.begin_us = tick_us, late_us, begin_us
        self.horizon: int | None = None
        self.n_complete = 0
        self.waiting: list[Event] = []

    def frame(self, events: Sequence[Event], base_us: int) -> Outcome:
        """Take one frame; ``base_us`` counts only if it has no events."""
        n_late = n_outside = 0
        for t_us, channel in events:
            if t_us < self.begin_us:
                n_outside += 1
            elif self.horizon is not None and t_us < self.horizon - self.late_us:
                n_late += 1
            else:
                self.waiting.append((t_us, channel))
        newest = max((t_us for t_us, _ in events), default=base_us)
        self.horizon = newest if self.horizon is None else max(self.horizon, newest)
        ticks, n_saturated = [], 0
        while self.begin_us + (self.n_complete + 1) * self.tick_us <= self.horizon - self.late_us:
            tick, n_more = self.complete_one()
            ticks.append(tick)
            n_saturated += n_more
        return Outcome(ticks, n_late, n_outside, n_saturated)

    def end(self, t_us: int) -> Outcome:
        """End the segment: every tick that begins before ``t_us`` belongs to it."""
        ticks, n_saturated = [], 0
        while self.begin_us + self.n_complete * self.tick_us < t_us:
            tick, n_more = self.complete_one()
            ticks.append(tick)
            n_saturated += n_more
        return Outcome(ticks, 0, len(self.waiting), n_saturated)

    def complete_one(self) -> tuple[Tick, int]:
        """Return the next tick, and how many of its events were too many."""
        end_us = self.begin_us + (self.n_complete + 1) * self.tick_us
        counts = Counter(channel for t_us, channel in self.waiting if t_us < end_us)
        self.waiting = [event for event in self.waiting if event[0] >= end_us]
        self.n_complete += 1
        tick = {channel: float(min(counts[channel], MAX_COUNT)) for channel in sorted(counts)}
        return tick, sum(max(0, count - MAX_COUNT) for count in counts.values())


events_strategy = st.lists(st.tuples(st.integers(0, 80), st.integers(0, N_INPUTS - 1)), max_size=8)
frames_strategy = st.lists(st.tuples(events_strategy, st.integers(0, 80)), max_size=8)


@given(
    frames=frames_strategy,
    tick_us=st.integers(1, 12),
    late_us=st.integers(0, 25),
    begin_us=st.integers(0, 30),
    length_us=st.integers(0, 80),
)
def test_binning_equals_the_naive_oracle(
    frames: list[tuple[list[Event], int]],
    tick_us: int,
    late_us: int,
    begin_us: int,
    length_us: int,
) -> None:
    binner = new_binner(tick_us=tick_us, late_us=late_us, begin_us=begin_us)
    oracle = NaiveBinner(tick_us, late_us, begin_us)

    for events, base_us in frames:
        frame = add(binner, *events) if events else binner.move_horizon(base_us)
        assert outcome(frame) == oracle.frame(events, base_us)
    assert outcome(binner.end(begin_us + length_us)) == oracle.end(begin_us + length_us)


@given(
    times=st.lists(st.integers(0, 200), min_size=1, max_size=40),
    data=st.data(),
    late_us=st.integers(0, 30),
)
def test_how_events_in_order_are_cut_into_frames_changes_no_tick(
    times: list[int], data: st.DataObject, late_us: int
) -> None:
    events = [(t_us, t_us % N_INPUTS) for t_us in sorted(times)]
    cuts = data.draw(st.sets(st.integers(1, len(events)), max_size=6))
    bounds = sorted({0, *cuts, len(events)})
    whole, cut = new_binner(late_us=late_us), new_binner(late_us=late_us)

    whole_blocks = [add(whole, *events).block, whole.end(200).block]
    cut_frames = [add(cut, *events[start:stop]) for start, stop in pairwise(bounds)]
    cut_blocks = [*(frame.block for frame in cut_frames), cut.end(200).block]

    assert sum(frame.n_late for frame in cut_frames) == 0
    assert same(TickBlock.join(whole_blocks), TickBlock.join(cut_blocks))


# --- blocks


def test_a_block_is_cut_into_its_ticks_with_offsets_from_zero() -> None:
    block = add(new_binner(), (1, 0), (2, 1), (15, 2), (31, 0)).block

    middle = block.cut(1, 3)

    # ticks {0: 1, 1: 1}, {2: 1}, {}: the last two remain
    assert middle.offsets.tolist() == [0, 1, 1]
    assert ticks_of(middle) == [{2: 1.0}, {}]


@given(data=st.data(), times=st.lists(st.integers(0, 99), min_size=1, max_size=30))
def test_any_cut_of_a_block_joins_to_the_same_block(data: st.DataObject, times: list[int]) -> None:
    binner = new_binner()
    add(binner, *[(t_us, t_us % N_INPUTS) for t_us in times])
    block = binner.end(100).block
    cuts = data.draw(st.sets(st.integers(0, block.n_ticks), max_size=5))
    bounds = sorted({0, *cuts, block.n_ticks})

    pieces = [block.cut(start, stop) for start, stop in pairwise(bounds)]

    assert same(TickBlock.join(pieces), block)


def test_no_blocks_join_to_a_block_without_ticks() -> None:
    block = TickBlock.join([])

    assert (block.n_ticks, block.n_inputs) == (0, 0)
    assert block.offsets.tolist() == [0]


def test_a_block_counts_its_inputs_not_their_events() -> None:
    binner = new_binner()
    add(binner, (1, 0), (2, 0), (3, 1))

    block = binner.end(10).block

    assert (block.n_ticks, block.n_inputs) == (1, 2)


# --- addresses


@pytest.mark.parametrize("sensor", [CochleaSensor(channels=12), RawSensor(addresses=12)])
def test_a_channel_is_its_own_input(sensor: CochleaSensor | RawSensor) -> None:
    inputs = address_to_input(sensor, np.array([0, 11, 5], np.uint32))

    assert inputs.tolist() == [0, 11, 5]


def test_a_camera_without_pooling_keeps_its_addresses() -> None:
    sensor = DvsSensor(width=4, height=3)
    addresses = np.arange(24, dtype=np.uint32)

    assert address_to_input(sensor, addresses).tolist() == list(range(24))


@pytest.mark.parametrize(
    ("polarity", "y", "x", "expected"),
    [
        # width 5, height 3, pool 2: three columns and two rows of inputs, six a polarity
        (0, 0, 0, 0),
        (0, 1, 1, 0),
        (0, 0, 2, 1),
        (0, 0, 4, 2),
        (0, 2, 0, 3),
        (0, 2, 4, 5),
        (1, 0, 0, 6),
        (1, 2, 4, 11),
        (1, 1, 3, 7),
    ],
)
def test_a_camera_pools_blocks_of_pixels_with_sizes_rounded_up(
    polarity: int, y: int, x: int, expected: int
) -> None:
    sensor = DvsSensor(width=5, height=3, pool=2)
    address = (polarity * 3 + y) * 5 + x

    inputs = address_to_input(sensor, np.array([address], np.uint32))

    assert sensor.n_inputs == 12
    assert inputs.tolist() == [expected]


def test_addresses_near_the_limit_do_not_wrap() -> None:
    sensor = DvsSensor(width=4096, height=2048, pool=1024)
    last = 2 * 2048 * 4096 - 1

    # 4 columns and 2 rows a polarity: the last pixel is the last input
    assert address_to_input(sensor, np.array([last], np.uint32)).tolist() == [15]


def test_mapping_addresses_leaves_them_untouched() -> None:
    addresses = np.array([7], np.uint32)

    address_to_input(DvsSensor(width=4, height=2, pool=2), addresses)

    assert addresses.tolist() == [7]
