"""The state of a replay follows what was sent and what the server answers."""

import dataclasses
import math

import numpy as np
import pytest

from clients.replay_progress import Phase, ReplayProgress, SentSegment
from service.wire_protocol import (
    ErrorMessage,
    Learned,
    Prediction,
    SegmentedBySilence,
    Unsegmented,
)


def progress(n_passes: int = 2, pass_segments: int = 2, test_segments: int = 0) -> ReplayProgress:
    return ReplayProgress(
        source="toy",
        classes=("a", "b"),
        n_channels=7,
        n_passes=n_passes,
        pass_segments=pass_segments,
        test_segments=test_segments,
    )


def sent(number: int, *, pass_index: int | None = 0, told: int | None = 1) -> SentSegment:
    return SentSegment(
        key=number,
        pass_index=pass_index,
        label=0,
        told=told,
        begin_us=0,
        times_us=np.array([0, 5], np.int64),
        addresses=np.array([0, 6], np.uint32),
        duration_us=10,
        n_ticks=2,
    )


def predicted(segment: int, *, index: int = 0, final: bool = True) -> Prediction:
    return Prediction(
        segment=segment, tick=5, t_us=20, index=index, label="?", confidence=0.5, final=final
    )


def learned(segment: int | None, *, correct: bool = True, windowed: float | None = 0.5) -> Learned:
    return Learned(
        segment=segment,
        target=1,
        correct=correct,
        loss=0.0,
        prequential_accuracy=windowed,
        segments_labelled=99,
    )


def test_nothing_is_known_before_anything_is_heard() -> None:
    state = progress()

    assert math.isnan(state.accuracy)
    assert math.isnan(state.lag_ms(50))
    assert (state.fraction, state.remaining_s) == (0.0, None)
    assert (state.ticks_per_s, state.events_per_s) == (0.0, 0.0)
    assert state.chance == 0.5


def test_ticks_count_once_at_the_final_prediction() -> None:
    state = progress()
    state.send(sent(0))

    state.hear(predicted(0, final=False))
    assert (state.n_predicted, state.n_ticks) == (0, 0)
    state.hear(predicted(0))

    assert (state.n_predicted, state.n_ticks) == (1, 5)


def test_lessons_count_for_the_pass_of_their_segment() -> None:
    state = progress()
    for number in range(4):
        state.send(sent(number, pass_index=number // 2))
    for number, correct in enumerate([True, False, True, True]):
        state.hear(predicted(number))
        state.hear(learned(number, correct=correct, windowed=number / 4))

    assert [score.mean for score in state.passes] == [0.5, 1.0]
    assert [score.windowed for score in state.passes] == [0.25, 0.75]
    assert state.curve == [(1, 0.0), (2, 0.25), (3, 0.5), (4, 0.75)]
    assert state.accuracy == 0.75


def test_a_lesson_that_does_not_count_leaves_the_curve_alone() -> None:
    state = progress()
    state.send(sent(0))

    state.hear(learned(0, windowed=None))

    assert state.n_learned == 1
    assert state.curve == []


def test_a_test_segment_is_scored_by_its_true_class_at_its_final_prediction() -> None:
    state = progress(test_segments=2)
    for number, index in enumerate([0, 1]):
        state.send(sent(number, pass_index=None, told=None))
        state.hear(predicted(number, index=index, final=False))
        state.hear(predicted(number, index=index))

    assert (state.test.n_segments, state.test.n_correct) == (2, 1)
    assert state.passes == []
    assert state.n_ticks == 0


@pytest.mark.parametrize("message", [predicted(7), learned(7), learned(None)])
def test_what_an_earlier_run_has_asked_for_is_passed_over(message: Prediction | Learned) -> None:
    state = progress()
    state.send(sent(0))

    state.hear(message)

    assert (state.n_predicted, state.n_learned, state.shown) == (0, 0, None)


def test_the_segment_predicted_last_is_shown() -> None:
    state = progress()
    first, second = sent(0), sent(1)
    state.send(first)
    state.send(second)

    state.hear(predicted(0))
    shown = predicted(1, final=False)
    state.hear(shown)

    assert state.shown == (second, shown)


def test_errors_are_counted_and_the_last_one_kept() -> None:
    state = progress()
    error = ErrorMessage(code="late_events", message="3", fatal=False)

    state.hear(error)
    state.hear(error)

    assert (state.n_errors, state.last_error) == (2, error)


def test_time_left_is_that_of_the_passes_at_the_pace_so_far() -> None:
    state = progress(test_segments=4)
    state.elapsed_s = 3.0
    state.send(sent(0))
    state.hear(predicted(0))

    # one of four segments took 3 s; the test makes it one of eight
    assert state.remaining_s == 9.0
    assert state.fraction == 0.125
    state.phase = Phase.TESTING
    assert state.remaining_s is None


def test_lag_is_told_as_percentiles_in_milliseconds() -> None:
    state = progress()
    state.lags_s = [0.001, 0.002, 0.003]

    assert state.lag_ms(50) == pytest.approx(2.0)
    assert state.lag_ms(100) == pytest.approx(3.0)


def test_segments_whose_lesson_never_comes_are_forgotten() -> None:
    state = progress()

    for number in range(4097):
        state.send(sent(number))
    state.hear(predicted(0))
    state.hear(predicted(1))

    assert state.n_predicted == 1


def test_the_pace_is_the_sensor_time_that_was_answered_by_the_time_it_took() -> None:
    state = progress()
    state.elapsed_s = 1e-6
    state.send(dataclasses.replace(sent(0), begin_us=100))

    # predicted at 20 us, as if the stream had begun at 15
    state._began_us = 15  # noqa: SLF001 - set by the first segment that is sent
    state.hear(predicted(0))

    assert state.pace == pytest.approx(5.0)


def test_the_curve_of_a_very_long_run_is_thinned() -> None:
    state = progress(pass_segments=10**6)

    for number in range(65_537 + 2):
        state.send(sent(number))
        state.hear(learned(number, windowed=0.5))

    # at 65,537 every second one stays, and of those after it too
    assert state.n_learned == 65_539
    assert len(state.curve) == 32_768 + 1
    assert [n for n, _ in state.curve[:2] + state.curve[-2:]] == [2, 4, 65_536, 65_538]


def test_an_endless_replay_shows_how_far_its_pass_is() -> None:
    state = dataclasses.replace(progress(pass_segments=4), n_passes=None)
    for number in range(5):
        state.send(sent(number))
        state.hear(predicted(number))

    assert state.fraction == 0.25
    assert state.remaining_s is None


def test_segments_that_silence_ends_are_known_by_their_time() -> None:
    state = dataclasses.replace(progress(), segmentation=SegmentedBySilence(gap_us=5))
    words = [dataclasses.replace(sent(0), key=t_us, begin_us=t_us) for t_us in (0, 30)]
    for word in words:
        state.send(word)

    # two parts of the first word and one of the second; the gap belongs to them
    about = [
        state.hear(predicted(number).model_copy(update={"t_us": t_us}))
        for number, t_us in enumerate((8, 15, 45))
    ]
    state.hear(learned(1))
    state.hear(learned(2, correct=False))

    assert about == [words[0], words[0], words[1]]
    assert (state.passes[0].n_segments, state.passes[0].n_correct) == (2, 1)
    assert (state.n_predicted, state.n_ticks) == (3, 15)


def test_intervals_are_known_by_their_begin_and_answered_by_their_lesson() -> None:
    state = dataclasses.replace(progress(test_segments=1), segmentation=Unsegmented())
    state.send(dataclasses.replace(sent(0), key=0))
    state.send(dataclasses.replace(sent(0, pass_index=None), key=50, begin_us=50))
    interval = learned(None).model_copy(update={"from_us": 0, "to_us": 10})

    state.hear(predicted(0, final=False))
    assert (state.n_predicted, state.shown is not None) == (0, True)
    state.hear(interval)
    state.hear(interval.model_copy(update={"from_us": 50, "to_us": 60}))

    assert (state.n_predicted, state.n_ticks, state.n_learned) == (2, 2, 1)
    assert (state.passes[0].n_correct, state.test.n_correct) == (1, 1)
    assert state.curve == [(1, 0.5)]
