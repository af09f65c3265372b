"""Memory against the length of a sequence: a session of e-prop beside backpropagation through time.

    python -m benchmarks.memory [--quick | --most-ticks N]

e-prop: ticks stream through the CPU kernel with a target at each; when T of them have, the arrays
that the learner reaches are measured exactly, the growth of the process beside them.
Backpropagation: one sequence of T ticks forward and backward in a process of its own, its highest
memory minus that after a sequence of ten ticks; the input counts, since it must be kept. Lengths
that would take more than 6 GiB are not run but continued in proportion, and said so. Writes
``benchmarks/results/memory.json`` and ``docs/figures/memory.png``. What Yin et al. 2024 show in
their figure 6.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.live_memory import forget_peak, peak_resident_bytes, reachable_bytes, resident_bytes
from clients.training.surroundings import commit, machine
from tclif_core import EventBlock, Learner, LearningSpec, NetworkSpec, Strand
from tclif_core.bptt import UnrolledNetwork, objective

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "memory.json"
FIGURE = ROOT / "docs" / "figures" / "memory.png"

NETWORK = NetworkSpec(inputs=700, hidden=(128, 128), classes=20)
LENGTHS = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 1_000_000)
QUICK_LENGTHS = (100, 1_000)
LIMIT_BYTES = 6 * 2**30

# about 45 of 700 channels speak in a tick, as with spoken digits
_EVENT_RATE = 45 / 700
_CALL_TICKS = 100
# a tick of backpropagation takes about this many times as long
_BPTT_WEIGHT = 40

_BLUE, _ORANGE = "#0072B2", "#D55E00"

Row = dict[str, Any]


def measure_eprop(lengths: tuple[int, ...], on_ticks: Callable[[int], None]) -> list[Row]:
    """Stream one segment through a session and look at it whenever it reaches one of the lengths.

    Args:
        lengths: T to look at, rising.
        on_ticks: Hears how many ticks went through since it was last called.

    Returns:
        For each length the bytes of a session, of all arrays of the learner, and by how much the
        process has grown since the segment began.
    """
    learner = Learner(NETWORK, LearningSpec(), kernel="cpu")
    slot = learner.open(seed=1, rate=1e-5)
    generator = np.random.default_rng(1)
    x = (generator.random((_CALL_TICKS, NETWORK.inputs)) < _EVENT_RATE).astype(np.float64)
    block, targets = EventBlock.from_dense([x]), generator.integers(0, NETWORK.classes, _CALL_TICKS)
    row, strand, learns = np.array([slot]), np.array([int(Strand.LIVE)]), np.array([True])
    learner.advance(row, strand, learns, block, targets)
    learner.apply_update(slot)
    learner.begin_segment(slot, Strand.LIVE)
    rows = []
    before, started = resident_bytes(), time.perf_counter()
    for start, length in pairwise((0, *lengths)):
        for _ in range((length - start) // _CALL_TICKS):
            learner.advance(row, strand, learns, block, targets)
            learner.apply_update(slot)
            on_ticks(_CALL_TICKS)
        rows.append(
            {
                "ticks": length,
                "session_bytes": sum(part.nbytes for part in learner.export(slot).values()),
                "learner_bytes": reachable_bytes(learner),
                "process_growth_bytes": resident_bytes() - before,
                "seconds": round(time.perf_counter() - started, 2),
            }
        )
    return rows


def measure_bptt(lengths: tuple[int, ...], on_ticks: Callable[[int], None]) -> list[Row]:
    """Run each length in a process of its own, as long as the next one will stay below the limit.

    Args:
        lengths: T of each sequence, rising.
        on_ticks: Hears how many ticks were run or given up since it was last called.
    """
    rows: list[Row] = []
    for length in lengths:
        if not rows or proportional(rows, length) <= LIMIT_BYTES:
            answer = subprocess.run(  # noqa: S603 - this very program
                [sys.executable, "-m", "benchmarks.memory", "--unroll", str(length)],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
            )
            rows.append(json.loads(answer.stdout))
        on_ticks(length)
    return rows


def proportional(rows: list[Row], length: int) -> int:
    """Return the bytes that a length would take, going on in proportion from the longest one."""
    return int(rows[-1]["peak_bytes"] * length / rows[-1]["ticks"])


def unroll(length: int) -> Row:
    """Train on one sequence and return the memory that it took beyond a sequence of ten ticks."""
    torch.set_num_threads(1)
    network = UnrolledNetwork(NETWORK, LearningSpec(), seed=1)
    _forward_and_backward(network, 10)
    forget_peak()
    before, started = resident_bytes(), time.perf_counter()
    _forward_and_backward(network, length)
    return {
        "ticks": length,
        "peak_bytes": peak_resident_bytes() - before,
        "seconds": round(time.perf_counter() - started, 2),
    }


def _forward_and_backward(network: UnrolledNetwork, length: int) -> None:
    # drawn in place: random numbers beside the input would count as memory of training
    x = torch.zeros(length, 1, NETWORK.inputs).bernoulli_(_EVENT_RATE)
    targets = torch.randint(NETWORK.classes, (length, 1))
    loss = objective(network(x).logits, targets, "cross_entropy")
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, write results and figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="two short lengths, to see it run")
    parser.add_argument("--most-ticks", type=int, help="leave longer ones out")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    parser.add_argument("--unroll", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.unroll is not None:
        print(json.dumps(unroll(options.unroll)))
        return 0
    lengths: tuple[int, ...] = QUICK_LENGTHS if options.quick else LENGTHS
    if options.most_ticks is not None:
        lengths = tuple(length for length in lengths if length <= options.most_ticks)
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, transient=True) as progress:
        bar = progress.add_task("backpropagation", total=lengths[-1] + sum(lengths) * _BPTT_WEIGHT)
        bptt = measure_bptt(lengths, lambda n: progress.advance(bar, n * _BPTT_WEIGHT))
        progress.update(bar, description="e-prop")
        eprop = measure_eprop(lengths, lambda n: progress.advance(bar, n))
    not_run = lengths[len(bptt) :]
    results: Row = {
        "machine": f"{machine()}, one of them used",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "command": f"python -m benchmarks.memory{_chosen(options)}",
        "network": NETWORK.to_dict(),
        "eprop": eprop,
        "bptt": bptt,
        "bptt_not_run": [
            {"ticks": n, "proportional_bytes": proportional(bptt, n)} for n in not_run
        ],
        "limit_bytes": LIMIT_BYTES,
    }
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps(results, indent=1) + "\n")
    _plot(results, options.figure)
    _print(results)
    return 0


def _chosen(options: argparse.Namespace) -> str:
    if options.most_ticks is not None:
        return f" --most-ticks {options.most_ticks}"
    return " --quick" if options.quick else ""


def _print(results: Row) -> None:
    print("| ticks | e-prop session | e-prop, all arrays | its process grew | backpropagation |")
    print("|---|---|---|---|---|")
    measured = {row["ticks"]: _mebibytes(row["peak_bytes"]) for row in results["bptt"]}
    for row in results["bptt_not_run"]:
        measured[row["ticks"]] = f"not run; in proportion {_mebibytes(row['proportional_bytes'])}"
    for row in results["eprop"]:
        names = ("session_bytes", "learner_bytes", "process_growth_bytes")
        cells = [f"{row['ticks']:,}", *(_mebibytes(row[n]) for n in names), measured[row["ticks"]]]
        print(f"| {' | '.join(cells)} |")


def _mebibytes(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:,.2f} MiB"


def _plot(results: Row, path: Path) -> None:
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    bptt, not_run, eprop = results["bptt"], results["bptt_not_run"], results["eprop"]
    ticks, peaks = [r["ticks"] for r in bptt], [r["peak_bytes"] / 2**20 for r in bptt]
    axes.loglog(ticks, peaks, "o-", color=_ORANGE, label="backpropagation through time, measured")
    if not_run:
        axes.loglog(
            [ticks[-1], *(r["ticks"] for r in not_run)],
            [peaks[-1], *(r["proportional_bytes"] / 2**20 for r in not_run)],
            "--",
            color=_ORANGE,
            label="not run, in proportion",
        )
    session = [r["learner_bytes"] / 2**20 for r in eprop]
    axes.loglog([r["ticks"] for r in eprop], session, "s-", color=_BLUE, label="e-prop, measured")
    axes.annotate(
        f"{session[-1]:.2f} MiB at every length",
        (eprop[0]["ticks"], session[0]),
        xytext=(0, -14),
        textcoords="offset points",
        color=_BLUE,
    )
    sizes = "-".join(map(str, (NETWORK.inputs, *NETWORK.hidden, NETWORK.classes)))
    axes.set_title(f"Memory to learn one sequence, {sizes}, recurrent")
    axes.set_xlabel("ticks of the sequence")
    axes.set_ylabel("MiB")
    axes.set_ylim(bottom=min(*session, *peaks) / 3)
    axes.grid(color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
