"""The memory benchmark: its arithmetic by hand, and what a short run of it finds."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import memory
from benchmarks.live_memory import reachable_bytes
from tclif_core import Learner, LearningSpec


def test_bytes_found_are_those_of_shared_memory_once() -> None:
    rows = torch.zeros(10, dtype=torch.float64)

    # a view and an array of the same 80 bytes, and 12 bytes of its own
    found = reachable_bytes({"a": rows, "b": [rows[2:4], rows.numpy()], "c": np.zeros(3, "f4")})

    assert found == 92


def test_lengths_not_run_go_on_in_proportion_from_the_longest() -> None:
    rows = [{"ticks": 10, "peak_bytes": 999}, {"ticks": 100, "peak_bytes": 5_000}]

    assert memory.proportional(rows, 300) == 15_000


def test_lengths_beyond_the_limit_are_given_up_but_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []
    monkeypatch.setattr(memory, "LIMIT_BYTES", 1)

    rows = memory.measure_bptt((20, 40, 80), heard.append)

    # the first always runs: nothing is known of it before
    assert [row["ticks"] for row in rows] == [20]
    assert heard == [20, 40, 80]


@pytest.mark.slow
def test_a_quick_run_finds_e_prop_level_and_backpropagation_growing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = ["--results", str(tmp_path / "memory.json"), "--figure", str(tmp_path / "memory.png")]

    assert memory.main(["--quick", *paths]) == 0

    results = json.loads((tmp_path / "memory.json").read_text())
    expected = Learner.session_bytes(memory.NETWORK, LearningSpec())
    assert [row["session_bytes"] for row in results["eprop"]] == [expected, expected]
    assert len({row["learner_bytes"] for row in results["eprop"]}) == 1
    short, long = (row["peak_bytes"] for row in results["bptt"])
    # potentials and spikes of 256 neurons in float32 for 900 more ticks, at the very least
    assert long - short > 900 * 256 * 4 * 3
    assert (tmp_path / "memory.png").stat().st_size > 0
    assert "| 1,000 |" in capsys.readouterr().out
