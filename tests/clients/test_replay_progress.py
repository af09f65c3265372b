"""The state of a replay follows what was sent and what the server answers."""

import math

import numpy as np
import pytest

from clients.replay_progress import Phase, ReplayProgress, SentSegment
from service.wire_protocol import ErrorMessage, Learned, Prediction


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
        number=number,
        pass_index=pass_index,
        label=0,
        told=told,
        begin_us=0,
        times_us=np.array([0, 5], np.int64),
        addresses=np.array([0, 6], np.uint32),
        duration_us=10,
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
