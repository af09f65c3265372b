"""What the last measurements come to, on one page, with the fractions of the floor.

    python -m benchmarks.summary

Reads ``benchmarks/results/``, measures nothing anew, prints a table, appends it to
``benchmarks/RESULTS.md`` and draws ``docs/figures/kernels.png``. Each line says when its figure was
measured; what was not is named at the end.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.kernel_figure import draw
from benchmarks.measured_on import append, facts
from benchmarks.service import holds

RESULTS = Path(__file__).parent / "results"
FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "kernels.png"
MEBIBYTE = 2**20
# ticks; what shorter calls cost is in the kernels' own table
SHORTEST_CALL = 16

Measured = dict[str, Any]


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
    for name, read in READERS.items():
        path = results / f"{name}.json"
        if path.exists():
            measured = json.loads(path.read_text())
            for what, value, floor in read(measured):
                yield Figure(what, value, floor, measured["date"])


def missing(results: Path) -> list[str]:
    """Return which measurements have left nothing in a folder."""
    return [name for name in READERS if not (results / f"{name}.json").exists()]


Part = tuple[str, str, str]


def _kernels(measured: Measured) -> Iterator[Part]:
    """The compiled kernel in calls of 16 ticks, and of 64 where one session has the core."""
    for line in measured["lines"]:
        case = line["case"]
        if case["kernel"] != "cpu" or case["ticks_a_call"] < SHORTEST_CALL:
            continue
        sessions = "1 session" if case["sessions"] == 1 else f"{case['sessions']} sessions in turn"
        input_ = f"{case['active']} channels, {case['ticks_a_call']} ticks a call"
        dense, blocks = line["fraction_of_floor"], line["fraction_of_block_floor"]
        yield (
            f"kernel, learning {case['learning']}: {input_}, {sessions}",
            f"{median(line['microseconds']):.1f} µs a tick",
            f"{dense:.2f} dense, {blocks:.2f} in blocks",
        )


def _memory(measured: Measured) -> Iterator[Part]:
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


def _session_memory(measured: Measured) -> Iterator[Part]:
    for row in measured["rules"]:
        grew = f"{row['arrays_grew']:,} bytes more after {row['stream_ticks']:,} ticks"
        value = f"{row['times_parameters']:.2f} times its parameters, {grew}"
        yield f"memory of a session, {row['learning']}", value, ""


def _known(measured: Measured) -> Iterator[Part]:
    before, after = measured["resident_mib"]
    wake_ms = measured["wake_ms"][1]
    yield (
        f"{measured['sessions']:,} known sessions, {measured['in_memory']} in memory",
        f"{after - before:.0f} MiB more than with one; p99 of waking {wake_ms:.0f} ms",
        "",
    )


def _gpu(measured: Measured) -> Iterator[Part]:
    for line in measured["lines"]:
        fraction = line["fraction_of_floor"]
        sessions = f"{line['n_sessions']} sessions, block {line['block']}"
        yield (
            f"GPU, learning {line['learning']}: {sessions}",
            f"{line['session_ticks_a_second']:,.0f} session-ticks a second",
            "" if fraction is None else f"{fraction:.2f} of the bandwidth",
        )


def _sockets(measured: Measured) -> Iterator[Part]:
    for line in measured["lines"]:
        if line["sockets"] == "gated" and line["in_flight"] == 1:
            yield "socket layer, a frame in and out", f"{median(line['cpu_us']):.0f} µs of CPU", ""


def _service(measured: Measured) -> Iterator[Part]:
    held = [run for run in measured["runs"] if holds(run)]
    if held:
        best = max(held, key=lambda run: int(run["sessions"]["asked"]))
        yield _promise("most sessions found in short runs", best)
    else:
        yield "most sessions found in short runs", "none held every promise", ""


def _load(measured: Measured) -> Iterator[Part]:
    for run in measured["runs"]:
        seconds, ends = run["workload"]["seconds"], run["workload"]["segments_end"]
        yield _promise(f"{seconds:g} s, segments end {ends}", run)


def _promise(what: str, run: dict[str, Any]) -> Part:
    lag_ms = run["lag_ms"]["p99"]
    text = "unbounded" if lag_ms is None else f"{lag_ms:.1f} ms"
    broken = f"; broken: {'; '.join(run['broken'])}" if run["broken"] else ""
    return what, f"{run['sessions']['admitted']} sessions, p99 lag {text}{broken}", ""


def _peers(measured: Measured) -> Iterator[Part]:
    for line in measured["lines"]:
        if line["peer"].startswith("ours"):
            continue
        sessions = "1 session" if line["sessions"] == 1 else f"{line['sessions']} sessions"
        what = f"ours against {line['peer']}, {sessions}"
        if line["absent"] is not None:
            yield what, f"absent: {line['absent']}", ""
            continue
        wanted = "" if line["wanted"] is None else f"; wanted: {line['wanted']:g}"
        yield what, f"{line['times_ours']:.1f} times as fast{wanted}", ""


READERS: dict[str, Callable[[Measured], Iterator[Part]]] = {
    "kernels": _kernels,
    "peers": _peers,
    "session_memory": _session_memory,
    "memory_short": _memory,
    "memory": _memory,
    "socket_ceiling": _sockets,
    "service": _service,
    "service_load": _load,
    "known_sessions": _known,
    "gpu": _gpu,
}
"""What reads a file of results, by the file's name without its ending."""


def main() -> int:
    """Print and append."""
    rows = ["| what | came out | fraction of the floor | measured |", "|---|---|---|---|"]
    rows += [f"| {' | '.join(figure)} |" for figure in figures(RESULTS)]
    absent = missing(RESULTS)
    if absent:
        rows += ["", f"Not measured here: {', '.join(absent)}."]
    print("\n".join(rows))
    append("Summary", facts("python -m benchmarks.summary"), rows)
    draw(RESULTS, FIGURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
