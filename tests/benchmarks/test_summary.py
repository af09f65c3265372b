"""The summary reads what the benchmarks write: lines by hand, and the files of the project."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks import kernel_figure, kernels, summary
from benchmarks.kernel_runners import Case


def _write(folder: Path, name: str, measured: dict[str, Any]) -> None:
    (folder / f"{name}.json").write_text(json.dumps({"date": "today"} | measured))


def _kernel_lines() -> list[dict[str, Any]]:
    """Return lines as `kernels` writes them."""
    cases = [
        Case("reference", "segment", 45, 64),
        Case("eager", "segment", 45, 16),
        Case("cpu", "segment", 45, 16),
        Case("cpu", "segment", 45, 1),
        Case("cpu", "segment", 45, 16, sessions=64),
    ]
    times = ([600.0], [96.0], [5.0, 6.0, 9.0], [48.0], [12.0])
    lines = [
        kernels.Line(case, rounds, [0.1, 0.1]) for case, rounds in zip(cases, times, strict=True)
    ]
    # one tick a call has an eager line of its own
    lines.insert(2, kernels.Line(Case("eager", "segment", 45, 1), [96.0], [0.1, 0.1]))
    # eager in calls of 64, for the reference
    lines.insert(3, kernels.Line(Case("eager", "segment", 45, 64), [96.0], [0.1, 0.1]))
    ratios = kernels.ratios(lines)
    return [asdict(line) | ratio for line, ratio in zip(lines, ratios, strict=True)]


def test_kernels_are_told_with_fractions_of_both_floors(tmp_path: Path) -> None:
    _write(tmp_path, "kernels", {"lines": _kernel_lines()})

    lines = list(summary.figures(tmp_path))

    # 12 us dense; in calls of 16 ticks 3 + 12 / 16 = 3.75 us; of the median of 6 us
    assert lines[0] == summary.Figure(
        "kernel, learning segment: 45 channels, 16 ticks a call, 1 session",
        "6.0 µs a tick",
        "2.00 dense, 0.62 in blocks",
        "today",
    )
    # neither the peers nor calls of one tick
    assert [line.what.rpartition(", ")[2] for line in lines] == ["1 session", "64 sessions in turn"]


def test_the_floor_of_inference_does_not_depend_on_calls() -> None:
    assert kernels.block_floor(Case("cpu", "off", 45, 1)) == 1.0
    assert kernels.block_floor(Case("cpu", "tick", 45, 4)) == 6.0


def test_peers_are_told_with_what_is_wanted_and_why_one_is_absent(tmp_path: Path) -> None:
    common = {"sessions": 1, "absent": None, "wanted": None}
    lines = [
        common | {"peer": "ours", "times_ours": 1.0},
        common | {"peer": "braintrace", "times_ours": 3.14, "wanted": 3.0},
        common | {"peer": "snnTorch", "times_ours": None, "absent": "No module named 'snntorch'"},
    ]
    _write(tmp_path, "peers", {"lines": lines})

    told = [(line.what, line.value) for line in summary.figures(tmp_path)]

    assert told == [
        ("ours against braintrace, 1 session", "3.1 times as fast; wanted: 3"),
        ("ours against snnTorch, 1 session", "absent: No module named 'snntorch'"),
    ]


def test_the_results_of_the_project_can_all_be_read() -> None:
    lines = list(summary.figures(summary.RESULTS))

    absent = summary.missing(summary.RESULTS)
    assert len(absent) < len(summary.READERS)
    assert lines
    assert all(line.what and line.value and line.date for line in lines)


def test_what_was_not_measured_is_named(tmp_path: Path) -> None:
    _write(tmp_path, "kernels", {"lines": []})

    assert summary.missing(tmp_path) == [name for name in summary.READERS if name != "kernels"]


def test_the_picture_takes_single_sessions_by_the_length_of_their_calls(tmp_path: Path) -> None:
    lines = _kernel_lines()
    _write(tmp_path, "kernels", {"lines": lines})
    _write(tmp_path, "peers", {"lines": []})

    kernel_figure.draw(tmp_path, tmp_path / "kernels.png")

    assert kernel_figure.points(lines, "cpu", "segment") == [(1, 48.0), (16, 6.0)]
    assert (tmp_path / "kernels.png").stat().st_size > 0


@pytest.mark.parametrize("name", ["kernels", "peers"])
def test_the_picture_does_without_what_was_not_measured(tmp_path: Path, name: str) -> None:
    _write(tmp_path, name, {"lines": []})

    kernel_figure.draw(tmp_path, tmp_path / "kernels.png")

    assert (tmp_path / "kernels.png").stat().st_size > 0
