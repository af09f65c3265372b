"""Segments that the server cuts, by silence and by windows, by hand and however frames are cut."""

import random
from itertools import pairwise

import pytest

from service.errors import ProtocolViolation
from service.network.visit import Delivery
from service.stream.work import EndSegment, Refuse, Work
from service.wire_protocol import EventFrame, Label
from tests.service.client_messages import begin, end, events, label, learning
from tests.service.session_bench import (
    N_INPUTS,
    SETTINGS,
    Bench,
    codes,
    lessons,
    predictions,
    same_weights,
)

Event = tuple[int, int]

SILENCE: dict[str, object] = {"by": "silence", "gap_us": 300}
WINDOW: dict[str, object] = {"by": "window", "length_us": 250}
NONE: dict[str, object] = {"by": "none"}


def told(delivery: Delivery) -> list[tuple[int, int, int, bool]]:
    """Return what is told of which segment: number, ticks, time, and whether it is final."""
    return [(p.segment, p.tick, p.t_us, p.final) for p in predictions(delivery)]


def n_ends(work: list[Work]) -> int:
    return sum(isinstance(item, EndSegment) for item in work)


def bench_of(segmentation: dict[str, object], **fields: object) -> Bench:
    return Bench(**({"segmentation": segmentation, "report": {"every_ticks": 0}} | fields))


# --- silence; ticks of 100 us


def test_a_segment_begins_at_an_event_and_ends_a_gap_after_its_last_one() -> None:
    bench = bench_of(SILENCE)

    quiet = bench.take(events(1, (1050, 0), (1200, 1)), events(2, base_us=1499))
    ended = bench.take(events(3, base_us=1500))

    # from 1050 to 1200 + 300: four ticks of 100 us and half a one
    assert told(quiet) == []
    assert told(ended) == [(0, 5, 1500, True)]


def test_an_event_exactly_a_gap_after_the_last_begins_the_next_segment() -> None:
    before, at = bench_of(SILENCE), bench_of(SILENCE)

    one = before.take(events(1, (0, 0), (299, 0)), events(2, base_us=598))
    two = at.take(events(1, (0, 0), (300, 0)), events(2, base_us=600))

    assert told(one) == []
    # both end 300 after their only event, with three ticks each
    assert told(two) == [(0, 3, 300, True), (1, 3, 600, True)]


def test_no_tick_lies_between_segments_however_long_the_silence() -> None:
    bench = bench_of(SILENCE)

    delivery = bench.take(
        events(1, (0, 0)), events(2, (10**12, 0), base_us=10**12), events(3, base_us=2 * 10**12)
    )

    assert told(delivery) == [(0, 3, 300, True), (1, 3, 10**12 + 300, True)]
    assert delivery.n_ticks == 6


def test_clock_frames_before_the_first_event_begin_nothing() -> None:
    for segmentation in (SILENCE, WINDOW, NONE):
        bench = bench_of(segmentation)

        delivery = bench.take(events(1, base_us=5000), events(2, (100, 0)))

        assert delivery.messages == []
        assert bench.intake.segmentation.open_segment is not None
        assert bench.intake.segmentation.open_segment.begin_us == 100


def test_events_of_a_segment_that_has_ended_are_late() -> None:
    bench = bench_of(SILENCE, late_us=500)
    bench.take(events(1, (0, 0)))

    # 310 begins segment 1, since 0 + 300 is over; 250 is within late_us, but its segment has ended
    first = bench.take(events(2, (310, 0)), events(3, (250, 0), (305, 0), (320, 0)))
    # a late event of the open segment is welcome
    second = bench.take(events(4, (315, 0)))

    assert told(first) == [(0, 3, 300, True)]
    assert codes(first) == ["late_events"]
    assert bench.intake.segmentation.counters.n_late == 2
    assert codes(second) == []


def test_the_horizon_of_silence_goes_on_from_segment_to_segment() -> None:
    bench = bench_of(SILENCE)
    bench.take(events(1, (0, 0)), events(2, base_us=5000))

    assert codes(bench.take(events(3, (4999, 0)))) == ["late_events"]
    assert bench.intake.segmentation.open_segment is None
    assert codes(bench.take(events(4, (5000, 0)))) == []


def test_a_silence_that_completes_too_much_changes_nothing() -> None:
    bench = bench_of(SILENCE | {"gap_us": 500_000})
    bench.take(events(1, (0, 0)))

    # the end at 500,000 would complete 5000 ticks; 4096 are allowed
    with pytest.raises(ProtocolViolation, match="expected at most 4096"):
        bench.intake.take(events(2, (600_000, 0)))

    bench.intake.take(events(2, base_us=300_000))
    assert n_ends(bench.intake.take(events(3, (600_000, 0)))) == 1


def test_many_segments_in_one_frame_count_together() -> None:
    bench = bench_of(SILENCE)
    # each segment has three ticks: 1365 of them are 4095 ticks, and the last one is still open
    many = [(1000 * n, 0) for n in range(1366)]

    with pytest.raises(ProtocolViolation, match="completes 4098 ticks at once"):
        bench.intake.take(events(1, *many, (1000 * 1366, 0)))

    assert n_ends(bench.intake.take(events(1, *many))) == 1365


# --- windows


def test_windows_follow_each_other_from_the_first_event() -> None:
    bench = bench_of(WINDOW)

    delivery = bench.take(events(1, (1010, 0)), events(2, base_us=1510))

    # [1010, 1260) and [1260, 1510), three ticks each, the last one of half length
    assert told(delivery) == [(0, 3, 1260, True), (1, 3, 1510, True)]
    segment = bench.intake.segmentation.open_segment
    assert segment is not None
    assert (segment.number, segment.begin_us) == (2, 1510)


def test_a_window_waits_for_late_events() -> None:
    bench = bench_of(WINDOW, late_us=200)
    whole = bench_of(WINDOW)
    bench.take(events(1, (0, 0)), events(2, (260, 1)))

    # 240 belongs to window 0, which ends once the horizon is at 250 + 200
    nothing = bench.take(events(3, (240, 2)), events(4, base_us=449))
    ended = bench.take(events(5, base_us=450))
    expected = whole.take(events(1, (0, 0), (240, 2), (260, 1)), events(2, base_us=250))

    assert told(nothing) == []
    assert ended.messages == expected.messages
    assert bench.intake.segmentation.counters.n_late == 0


def test_what_comes_before_the_first_event_is_late() -> None:
    bench = bench_of(NONE, late_us=500)
    bench.take(events(1, (1000, 0)))

    assert codes(bench.take(events(2, (999, 0)))) == ["late_events"]


def test_a_stream_without_cuts_has_one_segment_that_is_told_of_and_never_ends() -> None:
    bench = bench_of(NONE, report={"every_ticks": 4})

    delivery = bench.take(events(1, (500, 0)), events(2, base_us=1700))

    # twelve ticks from 500 on
    assert told(delivery) == [(0, 4, 900, False), (0, 8, 1300, False), (0, 12, 1700, False)]


def test_predictions_without_segments_are_of_the_ticks_since_the_last_one() -> None:
    every_tick = bench_of(NONE, report={"every_ticks": 1, "probabilities": True})
    every_third = bench_of(NONE, report={"every_ticks": 3, "probabilities": True})
    frames = [events(1, (0, 0), *stream(3, 900)), events(2, base_us=900)]

    single = [p.probabilities for p in predictions(every_tick.take(*frames))]
    means = [p.probabilities for p in predictions(every_third.take(*frames))]

    for n, mean in enumerate(means):
        assert mean is not None
        three = [p for p in single[3 * n : 3 * n + 3] if p is not None]
        expected = [sum(column) / 3 for column in zip(*three, strict=True)]
        assert mean == pytest.approx(expected, abs=1e-6)
    assert len(means) == 3
    assert len(set(means)) == 3


# --- labels by number, marks, learning ahead


@pytest.mark.parametrize("segmentation", [SILENCE, WINDOW, NONE])
def test_the_client_marks_no_segments_that_the_server_cuts(segmentation: dict[str, object]) -> None:
    delivery = bench_of(segmentation).take(begin(1, 0, 0), end(2, 0, 10))

    assert codes(delivery) == ["bad_segment", "bad_segment"]


@pytest.mark.parametrize("segmentation", [SILENCE, WINDOW])
def test_a_label_by_number_is_learnt_as_that_of_a_marked_segment(
    segmentation: dict[str, object],
) -> None:
    server_cut, marked = bench_of(segmentation), bench_of({"by": "client"})
    spikes = [(0, 0), *stream(5, 200), (249, 3)]
    stop_us = 549 if segmentation is SILENCE else 250

    one = server_cut.take(
        events(1, *spikes), events(2, base_us=stop_us), label(3, 0, 2), label(4, 0, 1)
    )
    two = marked.take(
        begin(1, 0, 0), events(2, *spikes), end(3, 0, stop_us), label(4, 0, 2), label(5, 0, 1)
    )

    assert [(m.type, getattr(m, "code", None)) for m in one.messages] == [
        ("prediction", None),
        ("learned", None),
        ("error", "label_duplicate"),
    ]
    assert one.messages[:2] == two.messages[:2]
    assert same_weights(server_cut.weights(), marked.weights())


@pytest.mark.parametrize("segmentation", [SILENCE, WINDOW])
def test_a_label_for_the_open_segment_is_learnt_at_its_end(segmentation: dict[str, object]) -> None:
    bench = bench_of(segmentation)
    bench.take(events(1, (0, 0), (200, 1)))

    waiting = bench.take(label(2, 0, 1))
    done = bench.take(events(3, base_us=500))

    assert lessons(waiting) == []
    assert [m.type for m in done.messages][:2] == ["prediction", "learned"]


def ahead(segmentation: dict[str, object], update: str = "segment") -> Bench:
    return bench_of(
        segmentation,
        learning={"mode": "ahead", "update": update, "optimizer": "sgd", "rate": 0.1},
    )


@pytest.mark.parametrize("update", ["segment", "tick"])
@pytest.mark.parametrize("segmentation", [SILENCE, WINDOW])
def test_a_label_ahead_may_name_the_segment_that_comes_next(
    segmentation: dict[str, object], update: str
) -> None:
    server_cut, marked = ahead(segmentation, update), ahead({"by": "client"}, update)
    spikes = [(0, 0), *stream(5, 200), (249, 3)]
    stop_us = 549 if segmentation is SILENCE else 250

    one = server_cut.take(label(1, 0, 2), events(2, *spikes), events(3, base_us=stop_us))
    two = marked.take(begin(1, 0, 0), label(2, 0, 2), events(3, *spikes), end(4, 0, stop_us))

    assert one.messages == two.messages
    assert len(lessons(one)) == 1
    assert same_weights(server_cut.weights(), marked.weights())


def test_a_label_ahead_names_no_segment_that_has_events() -> None:
    window, silence = ahead(WINDOW), ahead(SILENCE)
    late = ahead(WINDOW)
    late.intake.segmentation = bench_of(WINDOW, late_us=200).intake.segmentation

    assert codes(window.take(events(1, (0, 0)), label(2, 0, 1))) == ["label_too_late"]
    assert codes(silence.take(events(1, (0, 0)), label(2, 0, 1))) == ["label_too_late"]
    # window 1 is not open before the horizon is at 450, but has an event already
    assert codes(late.take(events(1, (0, 0), (260, 0)), label(2, 1, 1))) == ["label_too_late"]
    assert codes(late.take(label(3, 2, 1))) == ["unknown_segment"]


def test_labels_ahead_are_told_once_and_for_the_next_segment_only() -> None:
    bench = ahead(SILENCE)

    delivery = bench.take(
        label(1, 1, 0), label(2, 0, 0), label(3, 0, 0), learning(4, mode="off"), events(5, (0, 0))
    )

    assert codes(delivery) == ["unknown_segment", "label_duplicate", "bad_value"]
    assert bench.intake.segmentation.learns_ahead


def test_a_window_that_came_without_a_label_ahead_can_be_taught_when_the_mode_changes() -> None:
    bench = ahead(WINDOW)
    bench.take(events(1, (0, 0)), events(2, base_us=260))

    late = bench.take(label(3, 0, 1))
    done = bench.take(learning(4, mode="delayed"), label(5, 0, 1))

    assert codes(late) == ["label_too_late"]
    assert len(lessons(done)) == 1


def test_a_window_longer_than_the_server_keeps_takes_no_label() -> None:
    bench = bench_of({"by": "window", "length_us": 4_000_000})
    intake = bench.intake
    intake.take(events(1, (0, 0)))
    for n in range(1, 11):
        intake.take(events(2 + n, base_us=400_000 * n))

    # 40,000 ticks of which 32,768 are kept
    [refused] = intake.take(label(20, 0, 1))
    assert isinstance(refused, Refuse)
    assert refused.refusal.code == "label_too_late"
    assert intake.segmentation.kept.n_dropped == 1


# --- however frames are cut


def stream(seed: int, length_us: int, begin_us: int = 0) -> list[Event]:
    chosen = random.Random(seed)
    times = sorted(chosen.randrange(begin_us, begin_us + length_us) for _ in range(length_us // 10))
    return [(t_us, chosen.randrange(N_INPUTS)) for t_us in times]


def bursts() -> list[Event]:
    """Return events in bursts with silences between them, shorter and longer than the gap."""
    begins = [0, 700, 1100, 2500, 2800, 4444, 6000]
    return [event for n, t_us in enumerate(begins) for event in stream(n, 300, t_us)]


def cut_into_frames(listed: list[Event], cuts: list[int]) -> list[EventFrame | Label]:
    bounds = pairwise(sorted({0, len(listed), *cuts}))
    return [
        *(events(n, *listed[start:stop]) for n, (start, stop) in enumerate(bounds, start=1)),
        events(900, base_us=9000),
        label(901, 1, 0),
        label(902, 0, 2),
        label(903, 3, 1),
    ]


def run(
    segmentation: dict[str, object], cuts: list[int], *, late_us: int = 0, shuffled: bool = False
) -> tuple[list[object], Bench]:
    """Send the bursts cut there, then a clock frame and labels; compute in visits of 7 ticks."""
    bench = bench_of(
        segmentation,
        late_us=late_us,
        report={"every_ticks": 2, "probabilities": True},
        learning={"optimizer": "adam", "rate": 0.01},
        carry_state=True,
    )
    listed = bursts()
    if shuffled:
        # each event comes up to 90 us late, in whatever frame that is then
        chosen = random.Random(9)
        listed = sorted(listed, key=lambda event: event[0] + chosen.randrange(90))
    messages = cut_into_frames(listed, cuts)
    return [*bench.take(*messages, visit_ticks=7).messages], bench


@pytest.mark.parametrize("late_us", [0, 250])
@pytest.mark.parametrize("segmentation", [SILENCE, WINDOW, {"by": "window", "length_us": 400}])
def test_any_cutting_into_frames_gives_equal_bits(
    segmentation: dict[str, object], late_us: int
) -> None:
    whole, expected = run(segmentation, [], late_us=late_us)

    for seed in range(3):
        n_events = len(bursts())
        cuts = random.Random(seed).sample(range(n_events), (3, 20, n_events)[seed % 3])
        parts, bench = run(segmentation, cuts, late_us=late_us)
        assert parts == whole
        assert same_weights(bench.weights(), expected.weights())


@pytest.mark.parametrize("segmentation", [WINDOW, {"by": "window", "length_us": 400}, NONE])
def test_events_within_the_grace_may_come_in_any_order(segmentation: dict[str, object]) -> None:
    ordered, expected = run(segmentation, [], late_us=100)
    mixed, bench = run(segmentation, [*range(0, 200, 9)], late_us=100, shuffled=True)

    assert mixed == ordered
    assert same_weights(bench.weights(), expected.weights())


def test_the_settings_of_these_tests_are_the_defaults() -> None:
    assert (SETTINGS.max_advance_ticks, SETTINGS.kept_ticks) == (4096, 32768)
