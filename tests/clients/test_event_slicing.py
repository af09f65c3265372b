"""Events are cut into frames that a server takes, and their ticks are counted as it counts them."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.event_slicing import FrameSlice, FrameSlicer
from service.wire_protocol import Limits


def slicer(
    *,
    tick_us: int = 10,
    late_us: int = 0,
    ticks: int = 1000,
    events: int = 1000,
    client: bool = True,
) -> FrameSlicer:
    limits = Limits(
        max_message_bytes=24 + 8 * events,
        max_advance_ticks=ticks,
        kept_segments=1,
        kept_ticks=1,
        idle_s=1.0,
    )
    return FrameSlicer(tick_us=tick_us, late_us=late_us, limits=limits, by_client=client)


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
    cutter = slicer(client=False)

    assert list(cutter.slice_events(times(105, 130))) == [FrameSlice(0, 2, 105, 2)]
    assert list(cutter.slice_events(times())) == []


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
