from array import array

import pytest

from clients.load_arguments import Arguments, parse
from clients.load_report import Report, summed_up, table
from clients.load_tally import Tally


@pytest.fixture
def arguments() -> Arguments:
    return parse(["--sessions", "2"])


def held() -> Tally:
    """Tell of a load that broke no promise."""
    tally = Tally(
        due_s=array("d", [float(n) for n in range(200)]),
        lag_s=array("d", [0.010] * 200),
        late_s=array("d", [0.001] * 200),
        n_frames=200,
        n_admitted=2,
        accuracies=[0.9, 0.7],
    )
    tally.judged[30], tally.right[30] = 200, 160
    return tally


def broken(arguments: Arguments, tally: Tally, use: dict[str, float] | None = None) -> list[str]:
    sentences: list[str] = summed_up(arguments, tally, 0.0, use)["broken"]
    return sentences


def test_a_load_that_was_borne_breaks_no_promise(arguments: Arguments) -> None:
    report: Report = summed_up(arguments, held(), 0.0, None)

    assert report["broken"] == []
    assert report["frames"]["missed"] == 0
    assert report["quality"]["accuracy"] == 0.8
    assert report["quality"]["worst_session"] == 0.7
    assert "BROKEN" not in table(report)


def test_a_refusal_breaks_no_promise(arguments: Arguments) -> None:
    tally = held()
    tally.n_admitted = 1
    tally.refused["overloaded"] = 1

    assert broken(arguments, tally) == []
    assert "refused: 1 overloaded" in table(summed_up(arguments, tally, 0.0, None))


def test_a_hundredth_of_the_predictions_may_be_late(arguments: Arguments) -> None:
    tally = held()
    tally.lag_s[0] = 0.051

    assert broken(arguments, tally) == []
    tally.lag_s[1] = tally.lag_s[2] = 0.060
    assert broken(arguments, tally) == ["p99 lag is 60.0 ms, expected at most 50 ms"]


def test_a_prediction_that_never_came_is_a_broken_promise(arguments: Arguments) -> None:
    tally = held()
    tally.n_unanswered = 1

    assert broken(arguments, tally) == ["1 frames were never answered"]
    assert summed_up(arguments, tally, 0.0, None)["frames"]["missed"] == 1


def test_what_is_lost_is_a_broken_promise(arguments: Arguments) -> None:
    tally = held()
    tally.reconnections["1006"] = 3
    tally.errors["label_too_late"] = 2
    tally.n_skipped = 5

    assert broken(arguments, tally) == [
        "3 connections were lost",
        "2 messages were refused",
        "5 predictions were skipped",
    ]
    assert broken(arguments, held(), use={"dropped_events": 7.0}) == ["7 events were dropped"]


def test_a_network_that_learns_nothing_is_a_broken_promise(arguments: Arguments) -> None:
    tally = held()
    tally.right[30] = 10

    assert broken(arguments, tally) == ["accuracy is 0.05, expected at least 0.5"]


def test_quality_is_not_judged_before_networks_could_learn(arguments: Arguments) -> None:
    tally = held()
    tally.judged.clear()
    tally.judged[29] = 1000

    report = summed_up(arguments, tally, 0.0, None)

    assert report["broken"] == []
    assert "not judged" in table(report)


def test_a_load_that_is_late_itself_says_so(arguments: Arguments) -> None:
    tally = held()
    tally.late_s = array("d", [0.021] * 200)

    [sentence] = broken(arguments, tally)

    assert sentence == "the load itself sent its frames 21 ms late (p99): it lacks a CPU"


def test_a_load_without_any_session_says_only_that(arguments: Arguments) -> None:
    assert broken(arguments, Tally()) == [
        "0 sessions were admitted, and no frame was due in the measured time"
    ]
    assert "p99 never" not in table(summed_up(arguments, Tally(), 0.0, None)).splitlines()[0]
