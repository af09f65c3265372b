"""Many trainings in processes of their own: results, failures, interruptions."""

import json
import multiprocessing
from functools import partial
from pathlib import Path

import pytest

from benchmarks.training_runs import Desk, Run, RunFailed, run_all, train_and_judge
from clients.training.checkpoint import Checkpoint, write_checkpoint
from tclif_core.training.reports import PassReport
from tests.benchmarks import toy_runs
from tests.tclif_core.toy_examples import toy_examples, toy_training


class WatchingView:
    """Notes what is shown; may be interrupted by a person."""

    def __init__(self, *, interrupted: bool = False) -> None:
        self.begun: list[tuple[int, int]] = []
        self.shown: list[int] = []
        self.said: list[str] = []
        self.is_closed = False
        self._interrupted = interrupted

    def say(self, line: str) -> None:
        """Note a line."""
        self.said.append(line)

    def begin(self, title: str, n_done: int, n_all: int) -> None:
        """Note where a count begins."""
        assert title
        self.begun.append((n_done, n_all))

    def show(self, n_done: int, text: str) -> None:
        """Note how far it is."""
        assert text
        self.shown.append(n_done)
        if self._interrupted:
            raise KeyboardInterrupt

    def close(self) -> None:
        """Note the end."""
        self.is_closed = True


class ToldDesk:
    """A desk whose reports are noted."""

    def __init__(self, state: Path) -> None:
        self.told: list[int] = []
        self.found: list[int] = []
        self.desk = Desk(state, self.told.append, self.found.append)


def counting(n_passes: int, **settings: object) -> Run:
    return Run(settings, n_passes, partial(toy_runs.count_up, n_passes=n_passes))


def test_runs_are_computed_once_and_counted(tmp_path: Path) -> None:
    runs = {"two": counting(2, sizes=(1, 2)), "three": counting(3)}
    view = WatchingView()

    results = run_all(runs, tmp_path / "runs", workers=2, view=view)

    # tuples have become lists, as when they are read from the folder
    assert results["two"] == {"settings": {"sizes": [1, 2]}, "counted": [0, 1]}
    assert list(results) == ["two", "three"]
    assert (view.begun, view.shown) == ([(0, 5)], [1, 2, 3, 4, 5])
    assert sorted(view.said) == ["three is done", "two is done"]
    assert view.is_closed
    # computed again, these would kill their process
    stored = {name: Run(run.settings, run.n_passes, toy_runs.die) for name, run in runs.items()}
    assert run_all(stored, tmp_path / "runs", view=WatchingView()) == results


def test_results_of_other_settings_and_damaged_ones_are_computed_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.json").write_text('{"settings": {"rate": 1}, "counted": "old"}')
    (tmp_path / "cut.json").write_text('{"settings": {}, "coun')
    (tmp_path / "list.json").write_text("[]")
    runs = {"other": counting(1, rate=2), "cut": counting(1), "list": counting(1)}

    results = run_all(runs, tmp_path, view=WatchingView())

    assert [result["counted"] for result in results.values()] == [[0], [0], [0]]
    assert f"{tmp_path / 'cut.json'} is damaged" in capsys.readouterr().err


def test_a_run_that_fails_is_named_and_stops_the_others(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    view = WatchingView()
    runs = {"waits": Run({}, 1, toy_runs.wait_for_ever), "bad": Run({}, 2, toy_runs.fail)}

    with pytest.raises(RunFailed, match="run bad ended with exit code 1") as failure:
        run_all(runs, tmp_path, view=view)

    assert failure.value.name == "bad"
    assert "this run was meant to fail" in capfd.readouterr().err
    assert view.is_closed
    assert multiprocessing.active_children() == []


def test_a_process_that_is_killed_is_heard(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="exit code -9"):
        run_all({"bad": Run({}, 1, toy_runs.die)}, tmp_path, view=WatchingView())


def test_an_interruption_leaves_no_process_and_keeps_what_is_done(tmp_path: Path) -> None:
    runs = {"waits": Run({}, 1, toy_runs.wait_for_ever), "trains": Run({}, 3, toy_runs.train)}

    # at the first pass that is shown
    with pytest.raises(KeyboardInterrupt):
        run_all(runs, tmp_path, view=WatchingView(interrupted=True))

    assert multiprocessing.active_children() == []
    assert (tmp_path / "trains.state").exists() != (tmp_path / "trains.json").exists()


def test_no_workers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        run_all({}, tmp_path, workers=0, view=WatchingView())


def test_an_interrupted_training_ends_as_one_that_was_not(tmp_path: Path) -> None:
    whole, cut = ToldDesk(tmp_path / "whole.state"), ToldDesk(tmp_path / "cut.state")
    expected = toy_runs.train(whole.desk)

    # a first process ends after one pass and some updates
    first = toy_training(rate=0.01, passes=3, examples_per_update=4)
    while not isinstance(first.advance(), PassReport):
        pass
    write_checkpoint(cut.desk.state, Checkpoint(first.state(), {"seconds": 1000.0}))
    first.advance()
    result = toy_runs.train(cut.desk)

    assert (whole.found, whole.told) == ([], [1, 1, 1])
    assert (cut.found, cut.told) == ([1], [1, 1])
    assert {**result, "seconds": 0} == {**expected, "seconds": 0}
    assert result["seconds"] > 1000.0
    # four examples, each with one answer
    assert [scored for _, scored in result["answers"]] == [1, 1, 1, 1]
    json.dumps(result, allow_nan=False)


def test_a_state_of_other_settings_or_damaged_is_not_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = ToldDesk(tmp_path / "a.state")
    other = toy_training(rate=0.02, passes=3, examples_per_update=4)
    write_checkpoint(desk.desk.state, Checkpoint(other.state(), {"seconds": 1000.0}))

    from_other = toy_runs.train(desk.desk)
    whole = desk.desk.state.read_bytes()
    desk.desk.state.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    from_damaged = toy_runs.train(desk.desk)

    assert desk.found == []
    assert from_other["history"] == from_damaged["history"]
    assert from_other["seconds"] < 1000.0
    said = capsys.readouterr().err
    assert "is not gone on with: training.rate was 0.02" in said
    assert "damaged" in said


def test_a_state_of_other_recordings_is_not_gone_on_with(tmp_path: Path) -> None:
    desk = ToldDesk(tmp_path / "a.state")
    one = toy_training(passes=1, examples=toy_examples(3, seed=5))
    train_and_judge(desk.desk, one, toy_examples(1))

    train_and_judge(
        desk.desk, toy_training(passes=1, examples=toy_examples(3, seed=6)), toy_examples(1)
    )

    assert (desk.found, desk.told) == ([], [1, 1])
