from array import array

import numpy as np
import pytest

from clients.load_tally import Tally, percentiles, timeline


def test_tallies_add_up() -> None:
    total, other = Tally(), Tally()
    total.n_frames, other.n_frames = 3, 4
    total.errors["bad_segment"] = 1
    other.errors["bad_segment"] = 2
    other.lag_s.append(0.5)
    other.accuracies.append(0.75)

    total.add(other)
    total.add(other)

    assert total.n_frames == 11
    assert total.errors == {"bad_segment": 5}
    assert total.lag_s == array("d", [0.5, 0.5])
    assert total.accuracies == [0.75, 0.75]


def test_an_answer_that_never_came_is_later_than_all_others() -> None:
    tally = Tally(lag_s=array("d", [0.001] * 98), n_unanswered=2)

    found = percentiles(tally.lags_ms())

    assert found["p50"] == pytest.approx(1.0)
    assert found["p95"] == pytest.approx(1.0)
    # of a hundred frames two were not answered
    assert found["p99"] is None
    assert found["max"] is None


def test_percentiles_are_values_that_came() -> None:
    # of 1 to 200 the smallest that is not below 50, 95, 99 and 100% of the way
    assert percentiles(np.arange(1.0, 201.0)) == {"p50": 101, "p95": 191, "p99": 199, "max": 200}
    assert percentiles(np.empty(0)) == {"p50": None, "p95": None, "p99": None, "max": None}


def test_the_timeline_has_a_line_for_each_slice() -> None:
    # due at 100 s and after, in no order, as frames of several sessions are answered
    due_s = array("d", [112.0, 100.0, 109.9, 131.0])
    lag_s = array("d", [0.004, 0.001, 0.003, 0.002])

    lines = timeline(Tally(due_s=due_s, lag_s=lag_s), 100.0, 10.0)

    assert [line["from_s"] for line in lines] == [0.0, 10.0, 30.0]
    assert [line["n"] for line in lines] == [2, 1, 1]
    assert [line["max"] for line in lines] == pytest.approx([3.0, 4.0, 2.0])
    assert timeline(Tally(), 100.0, 10.0) == []


def test_accuracy_counts_segments_from_one_on() -> None:
    tally = Tally()
    tally.judged.update({0: 10, 30: 4, 31: 4})
    tally.right.update({0: 1, 30: 3, 31: 3})

    assert tally.accuracy_from(30) == 0.75
    assert tally.accuracy_from(32) is None
