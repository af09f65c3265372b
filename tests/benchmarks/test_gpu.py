"""The measurement of the CUDA kernel, tried where there is no GPU: everything but its clock."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import gpu, measured_on, summary
from tclif_core import NetworkSpec

TINY = NetworkSpec(inputs=9, hidden=(5,), classes=2, input_gain=6.0)


def _seconds(function: Callable[[], object]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


@pytest.mark.parametrize("learning", ["segment", "tick", "off"])
def test_a_case_is_measured_as_often_as_asked(learning: str) -> None:
    pytest.importorskip("triton", reason="Triton is not made for this system")
    sessions = gpu.Sessions(TINY, learning, 2, _seconds)

    line = sessions.measure(block=1, n_rounds=2, active=4)

    assert (line.learning, line.n_sessions, line.block) == (learning, 2, 1)
    assert len(line.launch_s) == len(line.call_s) == len(line.updates_s) == 2
    assert min(line.launch_s) > 0
    assert (min(line.updates_s) > 0) == (learning == "segment")
    # three rounds, each a launch and a whole call
    assert sessions.learner.spike_counts(sessions.slots[0])[1] == 6


def test_rates_count_the_share_of_the_updates_and_fractions_the_bytes_of_a_block() -> None:
    line = gpu.Line("segment", 10, 4, [0.5, 0.1, 0.2], [6.4] * 3, [1.0] * 3, [0.1])

    # 40 session-ticks in a median launch of 0.2 s and 4 of the 128 ticks of 6.4 s of updates
    assert line.ticks_a_second == pytest.approx(40 / 0.4)
    # 100 session-ticks a second, each 2 x 4 bytes x 1000 parameters / 4 ticks: 200 kB/s of 1 MB/s
    assert line.floor_fraction(1000, 1e6) == pytest.approx(0.2)
    assert gpu.Line("off", 1, 1, [1.0], [0.0], [1.0], [0.1]).floor_fraction(1000, 1e6) is None
    assert "| segment | 10 | 4 | 100 | 0 | 0.20 |" in gpu.table([line], 1000, 1e6)[2]


def test_what_is_written_is_what_the_summary_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measured_on, "LOG", tmp_path / "RESULTS.md")
    line = gpu.Line("tick", 10, 4, [0.4], [0.0], [1.0], [0.1])

    about = {"machine": "a GPU", "date": "today"}
    gpu.write([line], 1000, 1e6, about, tmp_path / "gpu.json")

    written = json.loads((tmp_path / "gpu.json").read_text())
    assert (written["machine"], written["ceiling_gb_a_second"]) == ("a GPU", "0.0")
    # 40 session-ticks in 0.4 s, of 2 x 4 bytes x 1000 parameters / 4 ticks: 200 kB of 1 MB
    assert list(summary.figures(tmp_path)) == [
        summary.Figure(
            "GPU, learning tick: 10 sessions, block 4",
            "100 session-ticks a second",
            "0.20 of the bandwidth",
            "today",
        )
    ]
    row = "| tick | 10 | 4 | 100 | 0 | 0.20 |"
    assert row in capsys.readouterr().out
    assert row in (tmp_path / "RESULTS.md").read_text()


def test_input_has_distinct_channels_at_each_tick() -> None:
    block = gpu.random_block(TINY, n_sessions=3, n_ticks=4, active=5)

    ticks = block.channels.reshape(12, 5)
    assert (np.diff(np.sort(ticks, axis=1), axis=1) > 0).all()
    assert (block.n_rows, block.n_ticks) == (3, 12)


def test_the_ceiling_counts_bytes_read_and_written() -> None:
    # 8 bytes a number that is read and written, in 2 s
    assert gpu.bytes_a_second(lambda _: 2.0, "cpu", 400, 3) == 400.0


def test_a_silent_network_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match="the speed would mean nothing"):
        gpu.check_activity(gpu.Line("off", 1, 1, [1.0], [0.0], [1.0], [0.0, 0.1]))


def test_without_a_gpu_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    assert gpu.main([]) == 1
    assert "this needs a GPU" in capsys.readouterr().err
