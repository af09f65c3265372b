"""The lines that a replay ends with."""

import json

import pytest

from clients.replay_progress import Phase, ReplayProgress, Score
from clients.replay_report import (
    as_json,
    describe_phase,
    pass_table,
    progress_line,
    summary_line,
)
from clients.replay_report import (
    test_line as line_of_test,
)


@pytest.fixture
def finished() -> ReplayProgress:
    return ReplayProgress(
        source="toy",
        classes=("a", "b"),
        n_channels=7,
        n_passes=2,
        pass_segments=300,
        test_segments=8,
        session="s-1",
        phase=Phase.FINISHED,
        n_events=1000,
        n_ticks=201_234,
        heard_us=124_000_000,
        n_predicted=608,
        n_learned=600,
        passes=[Score(300, 150, 0.6), Score(300, 270, None)],
        test=Score(8, 6),
        curve=[(1, 0.0), (600, 0.912)],
        lags_s=[0.0123],
        elapsed_s=10.0,
    )


def test_the_last_line_is_for_scripts(finished: ReplayProgress) -> None:
    # 201,234 ticks in 10 s
    assert summary_line(finished) == (
        "accuracy=0.912 segments=600 ticks=201234 ticks_per_s=20123 lag_p99_ms=12.3"
    )


def test_the_table_has_a_line_for_each_pass(finished: ReplayProgress) -> None:
    assert pass_table(finished).splitlines() == [
        "pass  segments  accuracy  last 200",
        "   1       300     0.500     0.600",
        "   2       300     0.900      null",
    ]


def test_the_test_has_a_line_of_its_own(finished: ReplayProgress) -> None:
    assert line_of_test(finished) == "test_accuracy=0.750 test_segments=8"


@pytest.mark.parametrize(
    ("phase", "words"),
    [(Phase.LEARNING, "pass 2/2"), (Phase.TESTING, "test 8/8"), (Phase.FINISHED, "finished")],
)
def test_the_line_on_the_way_says_where_it_is(
    finished: ReplayProgress, phase: Phase, words: str
) -> None:
    finished.phase = phase

    assert describe_phase(finished) == words
    assert progress_line(finished) == (
        f"{words} · segment 608 · accuracy 0.912 · 20123 ticks/s · max speed, 12.4x reached · "
        "lag p99 12.3 ms"
    )


def test_the_line_on_the_way_says_that_the_server_is_away(finished: ReplayProgress) -> None:
    finished.n_reconnections = 2
    finished.trouble = "no server answers"

    assert progress_line(finished).endswith(
        " · reconnected 2 times · reconnecting: no server answers"
    )


def test_of_many_passes_the_last_ones_are_listed(finished: ReplayProgress) -> None:
    finished.passes = [Score(1, 1, 1.0)] * 50

    lines = pass_table(finished).splitlines()

    assert [lines[1].split()[0], lines[-1].split()[0], len(lines)] == ["31", "50", 21]


def test_the_first_pass_is_named_before_it_has_begun() -> None:
    state = ReplayProgress(source="", classes=("a",), n_channels=1, n_passes=3, pass_segments=1)

    assert describe_phase(state) == "pass 1/3"
    state.n_passes = None
    assert describe_phase(state) == "pass 1"


def test_what_is_not_known_is_null_in_the_lines_too() -> None:
    state = ReplayProgress(source="", classes=("a",), n_channels=1, n_passes=1, pass_segments=1)

    assert summary_line(state) == "accuracy=null segments=0 ticks=0 ticks_per_s=0 lag_p99_ms=null"
    assert line_of_test(state) == "test_accuracy=null test_segments=0"


def test_machines_get_the_same_numbers_and_the_curve(finished: ReplayProgress) -> None:
    report = json.loads(json.dumps(as_json(finished), allow_nan=False))

    assert report["accuracy"] == 0.912
    assert report["curve"] == [[1, 0.0], [600, 0.912]]
    assert report["passes"][0] == {"segments": 300, "accuracy": 0.5, "windowed_accuracy": 0.6}
    assert report["test"] == {"segments": 8, "accuracy": 0.75, "windowed_accuracy": None}
    assert report["lag_p99_ms"] == pytest.approx(12.3)
    assert report["ticks_per_s"] == pytest.approx(20_123.4)
    assert report["pace"] == pytest.approx(12.4)
    assert (report["segmentation"], report["reconnections"]) == ("client", 0)


def test_what_is_not_known_is_null_for_machines() -> None:
    state = ReplayProgress(source="", classes=("a",), n_channels=1, n_passes=1, pass_segments=1)

    report = json.loads(json.dumps(as_json(state), allow_nan=False))

    assert (report["accuracy"], report["lag_p99_ms"], report["test"]) == (None, None, None)
