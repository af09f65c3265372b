"""The comparison of estimates with gradients: its arithmetic, and what theory says it must find."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.gradient_cosines import compare, cosines
from benchmarks.gradient_quality import main
from benchmarks.utterances import count_events, random_utterances
from clients.recordings import Recording
from tclif_core import NetworkSpec

UTTERANCES = random_utterances(30, channels=30, classes=10, n_ticks=25, seed=4)


def _network(readout_decay: float) -> NetworkSpec:
    return NetworkSpec(inputs=30, hidden=(12, 10), classes=10, readout_decay=readout_decay)


def test_cosines_are_of_utterances_and_of_their_sum_by_layer() -> None:
    one = [[torch.tensor([1.0, 0.0])], [torch.tensor([0.0, 2.0])], [torch.zeros(2)]]
    other = [[torch.tensor([1.0, 1.0])], [torch.tensor([3.0, 0.0])], [torch.ones(2)]]

    ((single, together),) = cosines(one, other)

    # cosines 1/sqrt(2) and 0, the third has no direction; sums (1, 2) and (5, 2): 9/sqrt(5 * 29)
    assert single == pytest.approx(0.5**0.5 / 2)
    assert together == pytest.approx(9 / 145**0.5)


def test_events_are_counted_by_tick_and_channel() -> None:
    recording = Recording(
        times_us=np.array([0, 9, 10, 10, 24]),
        addresses=np.array([0, 1, 2, 2, 0], dtype=np.uint32),
        label=0,
        label_name="a",
        duration_us=25,
        speaker=None,
        key="k",
    )

    counts = count_events(recording, channels=3, tick_us=10)

    assert counts.tolist() == [[1, 1, 0], [0, 0, 2], [1, 0, 0]]


def test_random_utterances_of_a_class_resemble_each_other() -> None:
    first, again = (
        random_utterances(40, channels=50, classes=2, n_ticks=16, seed=s) for s in (1, 1)
    )

    assert all(np.array_equal(a.counts, b.counts) for a, b in zip(first, again, strict=True))
    flat = {n: [u.counts.ravel() for u in first if u.label == n] for n in (0, 1)}
    within = np.corrcoef(flat[0][0], flat[0][1])[0, 1]
    between = np.corrcoef(flat[0][0], flat[1][0])[0, 1]
    assert within > between + 0.2


@pytest.mark.parametrize("stage", ["before", "after"])
def test_where_theory_says_exact_the_cosine_to_the_detached_gradient_is_one(stage: str) -> None:
    memoryless = compare(_network(0.0), UTTERANCES[:20], UTTERANCES[20:], stage)
    lasting = compare(_network(0.9), UTTERANCES[:20], UTTERANCES[20:], stage)

    by_name = {row["option"]: row for row in memoryless}
    assert list(by_name) == ["plain", "readout trace", "hidden traces", "both", "broadcast"]
    for name in ("plain", "both"):
        # the upper hidden layer and the readout; the lower one sees an instantaneous chain
        assert by_name[name]["to_detached"][1:] == pytest.approx([1.0] * 3, abs=1e-9)
        assert 0.0 < by_name[name]["to_detached"][0] < 1.0 - 1e-6
    by_name = {row["option"]: row for row in lasting}
    # with readout memory all but the readout's biases, whose trace is not filtered
    assert by_name["both"]["to_detached"][1:3] == pytest.approx([1.0, 1.0], abs=1e-9)
    assert by_name["plain"]["to_detached"][1] < 1.0 - 1e-6
    assert min(by_name["plain"]["spike_rates"]) > 0.01


@pytest.mark.slow
def test_a_quick_run_writes_a_row_for_every_combination(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = ["--results", str(tmp_path / "q.json"), "--figure", str(tmp_path / "q.png")]

    assert main(["--quick", "--train", "10", "--test", "2", *paths]) == 0

    results = json.loads((tmp_path / "q.json").read_text())
    assert results["source"] == "random input, Poisson"
    # three readout decays, before and after, five estimates
    assert len(results["rows"]) == 30
    assert all(len(row["to_gradient"]) == 4 for row in results["rows"])
    assert (tmp_path / "q.png").stat().st_size > 0
    assert capsys.readouterr().out.count("| broadcast |") == 6
