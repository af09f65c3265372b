"""``tclif-train`` where what it writes has no place any more."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clients.train import main
from tclif_core import model_file
from tclif_core.model_file import read_model
from tclif_core.training import Training
from tclif_core.training.reports import PassReport, UpdateReport
from tests.clients.toy_spikes import write_toy_spikes

PASSES = 3


@pytest.fixture
def source(tmp_path: Path) -> str:
    return write_toy_spikes(tmp_path / "train.h5")


def command(source: str, folder: Path, *more: str) -> list[str]:
    folder.mkdir(exist_ok=True)
    output = ("--output", str(folder / "model.safetensors"))
    return [
        *(source, *output, "--hidden", "10", "--plain", "--no-plot"),
        *("--passes", str(PASSES), "--rate", "0.02", *more),
    ]


def after_pass(number: int, act: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have something happen when a pass has ended, before it is stored."""
    advance = Training.advance

    def watched(training: Training) -> UpdateReport | PassReport:
        report = advance(training)
        if isinstance(report, PassReport) and report.pass_number == number:
            act()
        return report

    monkeypatch.setattr(Training, "advance", watched)


def full(_: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("number", [2, PASSES])
def test_a_disk_that_fills_up_costs_no_more_than_the_pass(
    number: int,
    source: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert main(command(source, whole)) == 0
    capsys.readouterr()

    after_pass(number, lambda: monkeypatch.setattr(os, "fsync", full), monkeypatch)
    assert main(command(source, cut)) == 1
    said = capsys.readouterr().err
    monkeypatch.undo()
    assert main(command(source, cut, "--resume")) == 0

    assert "No space left on device" in said
    assert str(cut / "model.safetensors.resume") in said
    assert f"going on after {number - 1} of {PASSES} passes" in capsys.readouterr().out
    expected = read_model(whole / "model.safetensors").weights
    for name, weight in read_model(cut / "model.safetensors").weights.items():
        np.testing.assert_array_equal(weight, expected[name], name)


def test_a_model_that_finds_no_place_is_written_by_resuming(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(path: Path, _: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(model_file, "write_whole", fails)
    assert main(command(source, tmp_path)) == 1
    assert not (tmp_path / "model.safetensors").exists()
    monkeypatch.undo()

    assert main(command(source, tmp_path, "--resume")) == 0

    assert read_model(tmp_path / "model.safetensors").provenance["kept"]["pass"] == PASSES
    assert not (tmp_path / "model.safetensors.resume").exists()


def test_a_folder_that_vanishes_is_named(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "gone"
    after_pass(1, lambda: shutil.rmtree(folder), monkeypatch)

    assert main(command(source, folder)) == 1

    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(folder / "model.safetensors.resume") in said
