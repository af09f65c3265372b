"""Events are cut into frames that a server takes, and their ticks are counted as it counts them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.event_slicing import FrameSlice, FrameSlicer
from service.wire_protocol import (
    Limits,
    NetworkRequest,
    Open,
    Opened,
    RawSensor,
    Segmentation,
    SegmentedByClient,
    SegmentedBySilence,
    SegmentedByWindow,
    Unsegmented,
)

CLIENT = SegmentedByClient()


def slicer(
    *,
    tick_us: int = 10,
    late_us: int = 0,
    ticks: int = 1000,
    events: int = 1000,
    segmentation: Segmentation = CLIENT,
) -> FrameSlicer:
    limits = Limits(
        max_message_bytes=24 + 8 * events,
        max_advance_ticks=ticks,
        kept_segments=1,
        kept_ticks=1,
        idle_s=1.0,
    )
    return FrameSlicer(tick_us=tick_us, late_us=late_us, limits=limits, segmentation=segmentation)


def times(*times_us: int) -> np.ndarray:
    return np.array(times_us, np.int64)


def test_a_frame_completes_the_ticks_before_its_last_event() -> None:
    cutter = slicer()
    cutter.begin(100)

    # ticks end at 110, 120, 130, …; the one of an event is not complete
    first = list(cutter.slice_events(times(101, 119, 120)))
    second = list(cutter.slice_events(times(125, 149)))

    assert first == [FrameSlice(0, 3, 101, 2)]
    assert second == [FrameSlice(0, 2, 125, 2)]


def test_late_events_hold_ticks_back() -> None:
    cutter = slicer(late_us=15)
    cutter.begin(100)

    # the clock stands at 140 - 15: the ticks that end at 110 and 120
    assert list(cutter.slice_events(times(140))) == [FrameSlice(0, 1, 140, 2)]


def test_a_frame_has_no_more_events_than_fit_the_message() -> None:
    cutter = slicer(events=2)
    cutter.begin(0)

    frames = list(cutter.slice_events(times(1, 2, 3, 4, 25)))

    assert frames == [FrameSlice(0, 2, 1, 0), FrameSlice(2, 4, 3, 0), FrameSlice(4, 5, 25, 2)]


def test_offsets_of_a_frame_fit_32_bits() -> None:
    cutter = slicer()

    # outside a segment no tick bounds the frame
    frames = list(cutter.slice_events(times(5, 5 + 2**32 - 1, 5 + 2**32)))

    assert frames == [FrameSlice(0, 2, 5, 0), FrameSlice(2, 3, 5 + 2**32, 0)]


def test_distant_events_are_approached_by_clock_frames() -> None:
    cutter = slicer(ticks=4)
    cutter.begin(0)

    # 95 is in the tenth tick, 9 are complete: 4 + 4 by the clock, 1 by the event
    frames = list(cutter.slice_events(times(5, 95)))

    assert frames == [
        FrameSlice(0, 1, 5, 0),
        FrameSlice(0, 0, 40, 4),
        FrameSlice(0, 0, 80, 4),
        FrameSlice(1, 2, 95, 1),
    ]


def test_the_clock_moves_in_as_many_frames_as_allowed() -> None:
    cutter = slicer(ticks=4)
    cutter.begin(0)

    assert list(cutter.advance(60)) == [FrameSlice(0, 0, 40, 4), FrameSlice(0, 0, 60, 2)]
    assert list(cutter.advance(60)) == [FrameSlice(0, 0, 60, 0)]


def test_an_end_completes_the_rest_and_counts_a_partial_tick() -> None:
    cutter = slicer(late_us=25)
    cutter.begin(100)
    list(cutter.slice_events(times(150)))

    # 150 - 25: 2 ticks complete; until 161 there are 7, the last one partial
    assert cutter.end(161) == ([], 5)


def test_a_far_end_is_approached_by_clock_frames() -> None:
    cutter = slicer(ticks=4)
    cutter.begin(0)

    assert cutter.end(81) == ([FrameSlice(0, 0, 40, 4), FrameSlice(0, 0, 80, 4)], 1)


def test_outside_a_segment_nothing_is_computed() -> None:
    cutter = slicer()

    assert list(cutter.slice_events(times(5, 500))) == [FrameSlice(0, 2, 5, 0)]
    assert list(cutter.advance(1000)) == [FrameSlice(0, 0, 1000, 0)]
    assert cutter.end(2000) == ([], 0)


def test_an_end_before_the_begin_completes_nothing() -> None:
    cutter = slicer()
    cutter.begin(100)

    assert cutter.end(50) == ([], 0)


def test_a_server_that_cuts_segments_itself_begins_at_the_first_event() -> None:
    cutter = slicer(segmentation=Unsegmented())

    assert list(cutter.slice_events(times(105, 130))) == [FrameSlice(0, 2, 105, 2)]
    assert list(cutter.slice_events(times())) == []


def test_windows_round_their_last_tick_up() -> None:
    cutter = slicer(segmentation=SegmentedByWindow(length_us=25), late_us=5)
    list(cutter.slice_events(times(100)))

    # windows [100, 125), [125, 150) of three ticks each, the last one of 5 us; the clock stands 5
    # us behind: at 124, one before the first end, at the end, in the second tick of the next
    done = [next(cutter.advance(t_us)).ticks for t_us in (129, 130, 139, 140)]

    assert done == [2, 1, 0, 1]


def test_a_far_time_is_approached_over_many_windows() -> None:
    cutter = slicer(segmentation=SegmentedByWindow(length_us=25), ticks=4)
    list(cutter.slice_events(times(100)))

    # ticks are complete at 110, 120, 125, 135, 145, 150, 160, 170, 175, 185: four, four, two
    assert list(cutter.advance(185)) == [
        FrameSlice(0, 0, 135, 4),
        FrameSlice(0, 0, 170, 4),
        FrameSlice(0, 0, 185, 2),
    ]


def test_a_silence_ends_its_segment_with_the_ticks_of_the_gap() -> None:
    cutter = slicer(segmentation=SegmentedBySilence(gap_us=30))

    frames = list(cutter.slice_events(times(100, 115, 145, 170)))

    # [100, 145): five ticks, one of them complete at 115; an event at the very end of the gap
    # begins the next segment, of which 170 completes two ticks
    assert frames == [FrameSlice(0, 2, 100, 1), FrameSlice(2, 4, 145, 4 + 2)]


def test_the_clock_ends_a_silent_segment_too() -> None:
    cutter = slicer(segmentation=SegmentedBySilence(gap_us=30), late_us=15)
    list(cutter.slice_events(times(100)))

    # one tick complete at 129 - 15; at 130 all three, whatever may come late
    assert [next(cutter.advance(t_us)).ticks for t_us in (129, 130, 500)] == [1, 2, 0]
    # nothing is open now: the next event begins
    assert list(cutter.slice_events(times(600, 612))) == [FrameSlice(0, 2, 600, 0)]


def test_a_long_gap_is_approached_before_it_ends_the_segment() -> None:
    cutter = slicer(segmentation=SegmentedBySilence(gap_us=100), ticks=4)
    list(cutter.slice_events(times(0)))

    # ten ticks: four, four, and two with the event that ends the segment and begins another
    assert list(cutter.slice_events(times(1000))) == [
        FrameSlice(0, 0, 40, 4),
        FrameSlice(0, 0, 80, 4),
        FrameSlice(0, 1, 1000, 2),
    ]


def test_the_ticks_that_a_silence_owes_count_for_the_frame_that_brings_them() -> None:
    cutter = slicer(segmentation=SegmentedBySilence(gap_us=40), ticks=4)
    list(cutter.slice_events(times(0)))

    # four ticks are owed at 100: that frame may complete none of its own, the next one four
    assert list(cutter.slice_events(times(100, 115, 125))) == [
        FrameSlice(0, 1, 100, 4),
        FrameSlice(1, 3, 115, 2),
    ]


def test_a_segment_that_was_left_open_goes_on_from_its_clock() -> None:
    cutter = slicer()
    cutter.resume(100, 135)

    # three ticks were complete at 135
    assert list(cutter.slice_events(times(150))) == [FrameSlice(0, 1, 150, 2)]


def test_of_a_clock_that_is_not_known_the_worst_is_assumed() -> None:
    cutter = slicer()
    cutter.resume(100, None)

    assert list(cutter.slice_events(times(150))) == [FrameSlice(0, 1, 150, 5)]


def opened(*, horizon_us: int, open_segment_t_us: int | None = None) -> Opened:
    limits = Limits(
        max_message_bytes=1 << 20, max_advance_ticks=10, kept_segments=1, kept_ticks=1, idle_s=1.0
    )
    return Opened(
        session="s",
        resumed=True,
        epoch=1,
        next_sequence=9,
        credit_ticks=10,
        classes=("a", "b"),
        tick_us=100,
        seed=1,
        kernel="none",
        limits=limits,
        server="none",
        horizon_us=horizon_us,
        open_segment_t_us=open_segment_t_us,
    )


@pytest.mark.parametrize("phase", range(0, 150, 10))
def test_a_stream_that_the_server_cuts_goes_on_from_its_clock_wherever_its_windows_lie(
    phase: int,
) -> None:
    request = Open(
        sensor=RawSensor(addresses=1),
        network=NetworkRequest(classes=2),
        segmentation=SegmentedByWindow(length_us=150),
    )
    # the truth: the first window began at 1000 + phase, the clock stands at 5000
    truth = slicer(tick_us=100, segmentation=request.segmentation, ticks=10**6)
    truth.resume(1000 + phase, 5000)

    cutter = FrameSlicer.of_session(request, opened(horizon_us=5000))
    frames = list(cutter.slice_events(times(5001, 20_000)))

    # the server allows ten ticks a message
    completed = [next(truth.advance(frame.base_us)).ticks for frame in frames]
    assert max(completed) <= 10
    assert sum(completed) == (20_000 - 1000 - phase) // 150 * 2 + (
        (20_000 - 1000 - phase) % 150 // 100
    ) - ((4000 - phase) // 150 * 2 + (4000 - phase) % 150 // 100)


def test_a_segment_of_the_clients_goes_on_from_where_it_was_left() -> None:
    request = Open(sensor=RawSensor(addresses=1), network=NetworkRequest(classes=2))

    cutter = FrameSlicer.of_session(request, opened(open_segment_t_us=1000, horizon_us=1250))

    assert list(cutter.slice_events(times(1300))) == [FrameSlice(0, 1, 1300, 1)]


def test_after_an_end_nothing_is_owed() -> None:
    cutter = slicer()
    cutter.begin(0)
    cutter.end(100)

    assert list(cutter.advance(1000)) == [FrameSlice(0, 0, 1000, 0)]


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 400), max_size=30).map(sorted),
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(0, 40),
)
def test_every_event_goes_once_and_no_frame_completes_too_much(
    event_times: list[int], max_ticks: int, max_events: int, late_us: int
) -> None:
    cutter = slicer(ticks=max_ticks, events=max_events, late_us=late_us)
    cutter.begin(0)

    frames = list(cutter.slice_events(times(*event_times)))
    last_frames, end_ticks = cutter.end(401)

    sent = [index for frame in frames for index in range(frame.start, frame.stop)]
    assert sent == list(range(len(event_times)))
    assert all(frame.stop - frame.start <= max_events for frame in frames)
    assert all(frame.ticks <= max_ticks for frame in [*frames, *last_frames])
    assert end_ticks <= max_ticks
    # 401 us are 40 whole ticks of 10 us and a partial one
    assert sum(frame.ticks for frame in [*frames, *last_frames]) + end_ticks == 41
