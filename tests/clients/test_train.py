"""``tclif-train`` from its command line to its files."""

import json
import os
import re
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from clients.train import main
from clients.training import recordings as train_recordings
from clients.training import run as train_run
from clients.training.progress import PlainView
from tclif_core import EventBlock
from tclif_core.model_file import read_model
from tclif_core.training import Training
from tclif_core.training.examples import Example
from tclif_core.training.reports import PassReport, UpdateReport
from tests.clients.toy_spikes import write_toy_spikes

SMALL = ("--hidden", "10,8", "--plain", "--no-plot", "--rate", "0.02", "--passes", "3")


@pytest.fixture
def source(tmp_path: Path) -> str:
    return write_toy_spikes(tmp_path / "train.h5")


def command(source: str, folder: Path, *more: str) -> list[str]:
    return [source, *SMALL, "--output", str(folder / "model.safetensors"), *more]


def report_of(folder: Path) -> dict[str, object]:
    report: dict[str, object] = json.loads((folder / "model.report" / "report.json").read_text())
    return report


def test_recordings_become_a_model_a_report_and_a_plot(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    test = write_toy_spikes(tmp_path / "test.h5", seed=1, count=10)
    options = [option for option in command(source, tmp_path) if option != "--no-plot"]

    code = main([*options, "--test", test, "--seed", "3"])

    assert code == 0
    model = read_model(tmp_path / "model.safetensors")
    assert (model.network.inputs, model.network.hidden) == (12, (10, 8))
    assert (model.classes, model.tick_us) == (("word-0", "word-1"), 5000)
    assert dict(model.sensor) == {"kind": "cochlea", "channels": 12}
    assert model.provenance["training"]["seed"] == 3
    report = report_of(tmp_path)
    assert report["examples"] == {"training": 16, "validation": 8, "test": 10}
    assert len(report["history"]) == 3  # type: ignore[arg-type]  # a list
    assert (tmp_path / "model.report" / "report.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "model.safetensors.resume").exists()
    last = capsys.readouterr().out.splitlines()[-1]
    found = re.fullmatch(
        r"passes=3 kept_pass=3 train_accuracy=(\S+) validation_accuracy=(\S+)"
        r" test_accuracy=(\S+) seconds=\d+",
        last,
    )
    assert found
    # two classes by channel: chance is 0.5, and of ten test recordings one may be missed
    assert float(found[3]) >= 0.9


def test_a_model_tells_which_recordings_it_learnt(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[object] = []

    class Watched(Training):
        def __init__(self, *args: object) -> None:
            super().__init__(*args)  # type: ignore[arg-type]  # as they came
            compared.append(self.state().values["settings"]["examples"])

    monkeypatch.setattr(train_run, "Training", Watched)
    chosen = ("--limit", "20", "--tick-us", "4000", "--validate-speakers", "3", "--passes", "1")

    assert main(command(source, tmp_path, *chosen)) == 0

    told = read_model(tmp_path / "model.safetensors").provenance
    # the path and its options, as they were given
    assert told["source"] == source
    assert (told["limit"], told["tick_us"], told["held_out"]) == (20, 4000, "speaker 3")
    assert told["groups"] == {"training": ["10", "2"], "validation": ["3"]}
    assert told["digests"] == compared[0]
    report = report_of(tmp_path)
    assert {name: report[name] for name in told if name != "training"} == {
        name: value for name, value in told.items() if name != "training"
    }


def test_a_person_is_told_before_the_network_compiles(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    monkeypatch.setattr(Training, "warm_up", lambda _: said.append(capsys.readouterr().out))

    assert main(command(source, tmp_path, "--passes", "1")) == 0

    assert "preparing the network; on first use this compiles" in said[0]


def test_backpropagation_writes_a_model_too(source: str, tmp_path: Path) -> None:
    code = main(command(source, tmp_path, "--method", "bptt", "--examples-per-update", "4"))

    assert code == 0
    assert report_of(tmp_path)["stop_reason"] == "passes"
    assert read_model(tmp_path / "model.safetensors").network.classes == 2


def test_speakers_who_validate_are_never_learnt(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: set[str] = set()
    judged: set[str] = set()

    class Watched(Training):
        def __init__(self, *args: object) -> None:
            learnt.update(example.group for example in args[3])  # type: ignore[attr-defined]  # examples
            judged.update(example.group for example in args[4])  # type: ignore[attr-defined]  # examples
            super().__init__(*args)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(train_run, "Training", Watched)

    code = main(command(source, tmp_path, "--validate-speakers", "3", "--passes", "1"))

    assert code == 0
    assert (learnt, judged) == ({"2", "10"}, {"3"})
    assert report_of(tmp_path)["groups"] == {"training": ["10", "2"], "validation": ["3"]}


@pytest.mark.parametrize(
    ("method", "number"),
    [("eprop", signal.SIGINT), ("eprop", signal.SIGTERM), ("bptt", signal.SIGINT)],
)
def test_an_interrupted_run_resumes_to_the_same_model(
    method: str,
    number: signal.Signals,
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    options = ("--method", method, "--examples-per-update", "4", "--average-last", "2")
    assert main(command(source, whole, *options)) == 0

    # sixteen recordings by four are four updates a pass: the sixth is in mid-pass
    interrupt_at(6, number, monkeypatch)
    # what a shell reports of a program that a signal ended
    assert main(command(source, cut, *options)) == 128 + number
    assert not (cut / "model.safetensors").exists()
    monkeypatch.undo()
    assert main(command(source, cut, *options, "--resume")) == 0

    expected = read_model(whole / "model.safetensors").weights
    for name, weight in read_model(cut / "model.safetensors").weights.items():
        np.testing.assert_array_equal(weight, expected[name], name)
    assert report_of(cut)["history"] == report_of(whole)["history"]
    # sixteen of the first pass and eight of the second
    assert report_of(cut)["resumed_after"] == [24]


def test_a_resumed_run_says_from_where_it_goes_on(
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = signal.getsignal(signal.SIGINT)
    interrupt_at(18, signal.SIGINT, monkeypatch)
    assert main(command(source, tmp_path)) == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert "interrupted; --resume goes on from" in capsys.readouterr().out
    monkeypatch.undo()

    assert main(command(source, tmp_path, "--resume")) == 0

    # one recording an update, sixteen a pass
    said = capsys.readouterr().out
    assert "going on after 1 of 3 passes and 2 of 16 recordings of the next" in said


def interrupt_at(n_updates: int, number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process receive a signal after so many updates."""
    advance, n_seen = Training.advance, 0

    def counting(training: Training) -> UpdateReport | PassReport:
        nonlocal n_seen
        report = advance(training)
        n_seen += isinstance(report, UpdateReport)
        if n_seen == n_updates:
            os.kill(os.getpid(), number)
        return report

    monkeypatch.setattr(Training, "advance", counting)


def fails(command_line: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that is to fail with one sentence; return the sentence."""
    assert main(command_line) == 1
    said = capsys.readouterr()
    assert said.err.startswith("tclif-train: ")
    assert said.err.count("\n") == 1
    return said.err


@pytest.mark.parametrize("resume", [False, True])
def test_an_interruption_while_loading_says_what_is_left(
    resume: bool,  # noqa: FBT001 - a case
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    if resume:
        interrupt_at(3, signal.SIGINT, monkeypatch)
        assert main(command(source, tmp_path)) == 130
        monkeypatch.undo()
    monkeypatch.setattr(train_run, "load", interrupted)
    place = tmp_path / "new" / "report"
    options = ("--report", str(place), *(("--resume",) if resume else ()))

    assert main(command(source, tmp_path, *options)) == 130

    left = f"--resume goes on from {tmp_path / 'model.safetensors.resume'}"
    expected = left if resume else "there is nothing to resume"
    said = capsys.readouterr().err
    assert said.endswith(f"tclif-train: interrupted before training began; {expected}\n")
    assert not place.parent.exists()


def test_a_report_folder_that_was_there_stays(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "mine"
    place.mkdir()
    nobody = ("--report", str(place), "--validate-speakers", "7")

    assert "nobody is called 7" in fails(command(source, tmp_path, *nobody), capsys)

    assert place.is_dir()


def test_resuming_with_other_settings_names_the_field(
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    interrupt_at(3, signal.SIGINT, monkeypatch)
    assert main(command(source, tmp_path)) == 130
    monkeypatch.undo()

    for option, field in {
        "--channel-shift": "training.channel_shift was 0 when training began and is 4 now",
        "--tick-us": "tick_us was 5000 when training began and is 4 now",
        "--limit": "limit was None when training began and is 4 now",
    }.items():
        assert field in fails(command(source, tmp_path, "--resume", option, "4"), capsys)


def test_resuming_with_other_recordings_says_in_words_what_differs(
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    interrupt_at(3, signal.SIGINT, monkeypatch)
    assert main(command(source, tmp_path)) == 130
    monkeypatch.undo()
    # of 18 recordings by three speakers in turn, six are held out: twelve of sixteen are left
    fewer = write_toy_spikes(tmp_path / "fewer.h5", count=18)
    write_toy_spikes(tmp_path / "train.h5", seed=5)

    other = fails(command(fewer, tmp_path, "--resume"), capsys)
    changed = fails(command(source, tmp_path, "--resume"), capsys)

    begun = "--resume: the recordings are not those that training began with: "
    assert f"{begun}the source was {source} and is {fewer} now" in other
    assert "the number of recordings to learn was 16 and is 12 now" in other
    assert f"{begun}they are as many, but not the same ones" in changed


def test_an_interrupted_run_is_not_overwritten_by_a_new_one(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.safetensors.resume").write_bytes(b"anything")

    sentence = fails(command(source, tmp_path), capsys)

    assert "is an interrupted run: --resume goes on with it" in sentence
    assert "damaged" in fails(command(source, tmp_path, "--resume"), capsys)


def test_nothing_to_resume_is_said(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no interrupted run" in fails(command(source, tmp_path, "--resume"), capsys)


def test_a_place_that_takes_no_file_is_found_before_training(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("recordings were loaded")

    monkeypatch.setattr(train_run, "load", never)

    folder = fails([source, *SMALL, "--output", str(tmp_path)], capsys)
    missing = fails([source, *SMALL, "--output", str(tmp_path / "no" / "m.safetensors")], capsys)
    report = fails(command(source, tmp_path, "--report", str(tmp_path / "train.h5")), capsys)

    assert "this is a folder, a file was expected" in folder
    assert f"there is no folder {tmp_path / 'no'}" in missing
    assert f"--report {tmp_path / 'train.h5'}: this is a file, a folder was expected" in report


def test_a_report_folder_that_can_not_be_made_is_refused_with_a_sentence(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # a name longer than any file system takes; the rights of root would not stop it
    place = tmp_path / ("x" * 300)

    sentence = fails(command(source, tmp_path, "--report", str(place)), capsys)

    assert "--report" in sentence
    assert ": can't make this folder: File name too long" in sentence


def test_sources_that_do_not_fit_are_refused_with_a_sentence(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_toy_spikes(tmp_path / "other.h5", keys=3)
    silent = write_toy_spikes(tmp_path / "silent.h5", speakers=False)

    assert "no file" in fails(command(str(tmp_path / "none.h5"), tmp_path), capsys)
    assert "word-2; expected those of" in fails(command(source, tmp_path, "--test", other), capsys)
    unknown = fails(command(source, tmp_path, "--validate-speakers", "7"), capsys)
    assert "nobody is called 7; expected some of 2, 3, 10" in unknown
    nobody = fails(command(silent, tmp_path, "--validate-speakers", "2"), capsys)
    assert "does not say who speaks" in nobody


def test_settings_that_do_not_fit_are_refused_with_a_sentence(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options, words in {
        ("--passes", "0"): "passes must be an integer in [1, 1000000], got 0",
        ("--set", "neuron.colour=3"): "--set neuron.colour: expected one of neuron.",
        ("--set", "neuron.threshold=high"): "neuron.threshold must be a number",
        ("--patience", "2", "--validate-share", "0"): "patience 2 needs validation",
    }.items():
        assert words in fails(command(source, tmp_path, *options), capsys)


def test_a_plot_without_matplotlib_names_the_extra_before_training(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "clients.training.plot", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    options = [option for option in command(source, tmp_path) if option != "--no-plot"]

    assert "pip install 'tclif[train]'" in fails(options, capsys)


def test_a_layer_that_hardly_fires_is_warned_of(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quiet = ("--set", "neuron.threshold=500", "--passes", "1")

    assert main(command(source, tmp_path, *quiet)) == 0

    assert "warning: layer 0 fires 0.0000" in capsys.readouterr().out
    assert len(report_of(tmp_path)["warnings"]) == 2  # type: ignore[arg-type]  # one a layer


def test_training_that_is_no_longer_finite_ends_with_a_report(
    source: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:

    def with_a_huge_one(*args: object) -> list[Example]:
        huge = EventBlock.from_dense([np.full((20, 12), 3e38)])
        return [*train_recordings.load(*args), Example.of_class(huge, 0, group="2")]  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(train_run, "load", with_a_huge_one)

    # variations would take the huge numbers for counts of events
    plain = ("--event-drop-out", "0", "--channel-jitter", "0")
    sentence = fails(command(source, tmp_path, *plain), capsys)

    assert "the gradient is no longer finite in pass 1" in sentence
    assert "no longer finite" in str(report_of(tmp_path)["failure"])
    assert not (tmp_path / "model.safetensors").exists()


def test_patience_is_reported_with_the_pass_that_is_kept(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # a rate of zero: no pass is better than the first
    still = ("--rate", "0", "--passes", "9", "--patience", "2", "--event-drop-out", "0")

    assert main(command(source, tmp_path, *still)) == 0

    assert report_of(tmp_path)["kept"] == {
        "pass": 1,
        "why": "the best validation, in pass 1 of 3",
    }
    assert "no better validation in 2 passes: stopped" in capsys.readouterr().out


def test_a_plain_view_tells_the_time_left_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, 10.0, 40.0, 50.0])
    view = PlainView(interval_s=30.0, clock=lambda: next(times))
    view.begin("training", 100, 200)

    view.show(110, "early")
    view.show(140, "pass 3")
    view.show(150, "again")

    # 40 of 100 in 40 s: 60 are left, and 60 s
    assert capsys.readouterr().out == "training 70%  pass 3  1:00 left\n"
