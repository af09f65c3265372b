"""What the last measurements come to, on one page, with the fractions of the floor.

    python -m benchmarks.summary

Reads ``benchmarks/results/``, computes nothing anew, prints a table and appends it to
``benchmarks/RESULTS.md``. Each line says when its figure was measured; what was not is left out.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.measured_on import append, facts
from benchmarks.service import holds

RESULTS = Path(__file__).parent / "results"
MEBIBYTE = 2**20


class Figure(NamedTuple):
    """One line.

    Attributes:
        what: Was measured.
        value: Came out, with its unit.
        floor: The fraction of the floor that it reaches, where there is one.
        date: When.
    """

    what: str
    value: str
    floor: str
    date: str


def figures(results: Path) -> Iterator[Figure]:
    """Return the lines of what was measured.

    Args:
        results: Folder of the files that the benchmarks write.
    """
    readers = {
        "kernels": _kernels,
        "memory_short": _memory,
        "socket_ceiling": _sockets,
        "service": _service,
        "service_load": _load,
        "peers": _peers,
    }
    for name, read in readers.items():
        path = results / f"{name}.json"
        if path.exists():
            measured = json.loads(path.read_text())
            for what, value, floor in read(measured):
                yield Figure(what, value, floor, measured["date"])


Part = tuple[str, str, str]


def _kernels(measured: dict[str, Any]) -> Iterator[Part]:
    for line in measured["lines"]:
        case = line["case"]
        if case["kernel"] == "cpu":
            words = [f"{name} {value}" for name, value in case.items() if name != "kernel"]
            microseconds = median(line["microseconds"])
            yield (
                f"kernel: {', '.join(words)}",
                f"{microseconds:.1f} µs a tick",
                f"{line['fraction_of_floor']:.2f}",
            )


def _memory(measured: dict[str, Any]) -> Iterator[Part]:
    first, last = measured["eprop"][0], measured["eprop"][-1]
    sizes = [f"{row['session_bytes'] / MEBIBYTE:.2f}" for row in (first, last)]
    yield (
        f"memory of a session after {first['ticks']:,} and {last['ticks']:,} ticks",
        f"{' and '.join(sizes)} MiB",
        "",
    )
    worst = measured["bptt"][-1]
    yield (
        f"memory of backpropagation over {worst['ticks']:,} ticks",
        f"{worst['peak_bytes'] / MEBIBYTE:,.0f} MiB",
        "",
    )


def _sockets(measured: dict[str, Any]) -> Iterator[Part]:
    for line in measured["lines"]:
        if line["sockets"] == "gated" and line["in_flight"] == 1:
            yield "socket layer, a frame in and out", f"{median(line['cpu_us']):.0f} µs of CPU", ""


def _service(measured: dict[str, Any]) -> Iterator[Part]:
    held = [run for run in measured["runs"] if holds(run)]
    if held:
        best = max(held, key=lambda run: int(run["sessions"]["asked"]))
        yield _promise("most sessions found in short runs", best)
    else:
        yield "most sessions found in short runs", "none held every promise", ""


def _load(measured: dict[str, Any]) -> Iterator[Part]:
    for run in measured["runs"]:
        seconds, ends = run["workload"]["seconds"], run["workload"]["segments_end"]
        yield _promise(f"{seconds:g} s, segments end {ends}", run)


def _promise(what: str, run: dict[str, Any]) -> Part:
    lag_ms = run["lag_ms"]["p99"]
    text = "unbounded" if lag_ms is None else f"{lag_ms:.1f} ms"
    broken = f"; broken: {'; '.join(run['broken'])}" if run["broken"] else ""
    return what, f"{run['sessions']['admitted']} sessions, p99 lag {text}{broken}", ""


def _peers(measured: dict[str, Any]) -> Iterator[Part]:
    for line in measured["lines"]:
        if line["peer"] != "ours" and line["times_ours"] is not None:
            what = f"ours against {line['peer']}, {line['sessions']} sessions"
            yield what, f"{line['times_ours']:.1f} times as fast", ""


def main() -> int:
    """Print and append."""
    rows = ["| what | came out | fraction of the floor | measured |", "|---|---|---|---|"]
    rows += [f"| {' | '.join(figure)} |" for figure in figures(RESULTS)]
    print("\n".join(rows))
    append("Summary", facts("python -m benchmarks.summary"), rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
