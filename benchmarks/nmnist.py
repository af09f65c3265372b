"""N-MNIST as a live camera: networks from random, in live order, beside linear controls.

    python -m benchmarks.nmnist [--passes 10] [--workers 1]

Streams 800 recordings of N-MNIST through the socket as `tclif-events` does, each one predicted
before it is learnt: three seeds of weights and order, the first of them with labels drawn at
random, and unpooled; then five folds, in which a network hears four and is judged, learning off, on
the one that it has never heard. The linear controls are those of `nmnist_controls`, each measured
as the network beside it is. The recordings are not part of this project.

Writes ``benchmarks/results/nmnist.json`` and ``docs/figures/nmnist.png``. Interrupted, the same
command goes on with the runs that are missing.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import binomtest

from benchmarks.measured_on import facts
from benchmarks.nmnist_controls import (
    RATES,
    WINDOW,
    Counts,
    count_events,
    fold_of,
    held_out,
    in_live_order,
    windowed,
)
from benchmarks.training_runs import Desk, Result, Run, run_all
from clients.argument_types import count
from clients.datasets import open_source
from clients.local_server import local_server
from clients.replay import Replay
from clients.replay_arguments import parse
from clients.replay_progress import ReplayProgress
from clients.replay_report import as_json

ROOT = Path(__file__).parents[1]
RECORDINGS = ROOT.parent / "shared" / "data" / "nmnist" / "train"
RESULTS = ROOT / "benchmarks" / "results" / "nmnist.json"
RUNS = ROOT / "benchmarks" / "results" / "runs" / "nmnist"
FIGURE = ROOT / "docs" / "figures" / "nmnist.png"

LINEAR = {"standardised": "linear on standardised counts", "raw": "linear on counts as they are"}
SEEDS = (1, 2, 3)
N_FOLDS = 5
_POOL = 2
_STEP = 20
"""Recordings between two points of a curve."""
_SETTINGS = ("--hidden", "128,128", "--rate", "0.001", "--tick-us", "5000")


@dataclass(slots=True)
class PassTeller:
    """Tells a desk how many passes are done; a view that writes nothing."""

    desk: Desk
    n_told: int = 0
    interval_s: float = 2.0

    def show(self, progress: ReplayProgress) -> None:
        """Tell of the passes that have ended since."""
        n_done = sum(one.n_segments >= progress.pass_segments for one in progress.passes)
        self.desk.tell(n_done - self.n_told)
        self.n_told = n_done

    def close(self) -> None:
        """Say nothing more."""


def main() -> int:
    """Stream, compare, print, plot and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--passes", type=count, default=10)
    parser.add_argument("--workers", type=count, default=1, help="servers at a time")
    options = parser.parse_args()
    if not RECORDINGS.is_dir():
        print(f"{RECORDINGS} is not here: nothing is measured")
        return 0
    runs = {f"seed-{seed}": _run(options.passes, seed) for seed in SEEDS}
    runs["shuffled"] = _run(options.passes, SEEDS[0], shuffles_labels=True)
    runs |= {f"fold-{k}": _run(options.passes, SEEDS[0], fold=k) for k in range(N_FOLDS)}
    runs["unpooled"] = _run(options.passes, SEEDS[0], pool=1)
    try:
        results = run_all(runs, RUNS, workers=options.workers)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on")
        return 130
    counts = count_events(open_source(f"{RECORDINGS}?pool={_POOL}"))
    n_recordings = len(counts.labels)
    written: dict[str, Any] = {
        **facts(f"python -m benchmarks.nmnist --passes {options.passes}"),
        "network": {name: written_of(results[name]) for name in _in_live_order()},
        "linear_in_live_order": {
            name: _live_control(counts, options.passes, is_standardised=name == "standardised")
            for name in LINEAR
        },
        "held_out": {
            "network": _share(_n_right(results), n_recordings),
            "linear": _share(held_out(counts, N_FOLDS), n_recordings),
        },
    }
    RESULTS.write_text(json.dumps(written, indent=1) + "\n")
    _print(written)
    _plot(written)
    return 0


def _names() -> list[str]:
    return [f"seed-{seed}" for seed in SEEDS]


def _in_live_order() -> list[str]:
    return [*_names(), "shuffled", "unpooled"]


def _run(
    passes: int,
    seed: int,
    *,
    pool: int = _POOL,
    fold: int | None = None,
    shuffles_labels: bool = False,
) -> Run:
    options = [*_SETTINGS, "--passes", str(passes), "--seed", str(seed), "--order-seed", str(seed)]
    options += ["--speed", "max", "--plain"] + ["--shuffle-labels"] * shuffles_labels
    settings: dict[str, Any] = {"options": options, "pool": pool, "fold": fold}
    return Run(settings, passes, partial(_stream, **settings))


def _stream(desk: Desk, *, options: list[str], pool: int, fold: int | None) -> Result:
    """Stream to a server of its own and return what the replay reports."""
    with tempfile.TemporaryDirectory() as folder, local_server() as address:
        learnt, judged = RECORDINGS, None
        if fold is not None:
            learnt, judged = _split(Path(folder), fold)
        arguments = parse([f"{learnt}?pool={pool}", "--url", f"ws://{address}/v1/stream", *options])
        source = open_source(arguments.source)
        test = None if judged is None else open_source(f"{judged}?pool={pool}")
        request = arguments.request(source, with_picture=False)
        replay = Replay(arguments, request, source, test, PassTeller(desk))
        asyncio.run(replay.run())
    return as_json(replay.progress)


def _split(folder: Path, fold: int) -> tuple[Path, Path]:
    """Make a folder of what is learnt and one of what is judged, of links to the recordings."""
    paths = sorted(RECORDINGS.iterdir())
    learnt, judged = folder / "learnt", folder / "judged"
    for part in (learnt, judged):
        part.mkdir()
    for path, number in zip(paths, fold_of(len(paths), N_FOLDS), strict=True):
        ((judged if number == fold else learnt) / path.name).symlink_to(path)
    return learnt, judged


def written_of(result: Result) -> dict[str, Any]:
    """Return what is written of a run: its passes, and its curve where the control's has points."""
    return {"passes": result["passes"], "curve": result["curve"][_STEP - 1 :: _STEP]}


def _live_control(counts: Counts, passes: int, *, is_standardised: bool) -> dict[str, Any]:
    """Measure the linear control on the network's streams, at the rate that does best for it."""
    n = len(counts.labels)
    asked = [
        parse([str(RECORDINGS), "--passes", str(passes), "--order-seed", str(seed)])
        for seed in SEEDS
    ]
    rates = {}
    for rate in RATES:
        curves = [
            windowed(in_live_order(counts, one.orders(n), rate, is_standardised=is_standardised))
            for one in asked
        ]
        mean = np.mean(curves, axis=0)
        rates[rate] = {
            "by_pass": mean[n - 1 :: n].tolist(),
            "curve": mean[_STEP - 1 :: _STEP].tolist(),
        }
    # another rate may be best for few passes than for many
    best = [max(RATES, key=lambda rate: rates[rate]["by_pass"][k]) for k in range(passes)]
    by_pass = [{"rate": rate, "accuracy": rates[rate]["by_pass"][k]} for k, rate in enumerate(best)]
    return {"by_pass": by_pass, "rates": {str(rate): rates[rate] for rate in RATES}}


def _n_right(results: dict[str, Result]) -> int:
    tests = [results[f"fold-{k}"]["test"] for k in range(N_FOLDS)]
    n_right: float = sum(test["accuracy"] * test["segments"] for test in tests)
    return round(n_right)


def _share(n_right: int, n: int) -> dict[str, float]:
    """Return a share with its binomial 95% interval (Wilson)."""
    interval = binomtest(n_right, n).proportion_ci(0.95, method="wilson")
    return {"accuracy": n_right / n, "low": float(interval.low), "high": float(interval.high)}


def _print(written: dict[str, Any]) -> None:
    print("right of the last 200 at the end of each pass, predicted before they were learnt")
    print(
        "| pass | network: mean (least to most) | linear, standardised | linear, as they are "
        "| network, unpooled | network, labels at random |"
    )
    rows = {n: _ends(written["network"][n]) for n in _in_live_order()}
    linear = {n: written["linear_in_live_order"][n]["by_pass"] for n in LINEAR}
    for k in range(len(rows["shuffled"])):
        seeds = [rows[name][k] for name in _names()]
        controls = [f"{linear[n][k]['accuracy']:.3f} ({linear[n][k]['rate']:g})" for n in LINEAR]
        cells = [f"{np.mean(seeds):.3f} ({min(seeds):.3f} to {max(seeds):.3f})", *controls]
        cells += [f"{rows[name][k]:.3f}" for name in ("unpooled", "shuffled")]
        print(f"| {k + 1} | " + " | ".join(cells) + " |")
    for name, share in written["held_out"].items():
        low, high = share["low"], share["high"]
        print(f"never heard, {name}: {share['accuracy']:.3f} ({low:.3f} to {high:.3f})")


def _ends(curve: dict[str, Any]) -> list[float]:
    return [one["windowed_accuracy"] for one in curve["passes"]]


def _plot(written: dict[str, Any]) -> None:
    figure, axes = plt.subplots(figsize=(9, 4.2), layout="constrained")
    for name, colour, label in (
        *((name, "#0072B2", "network, three seeds") for name in _names()),
        ("shuffled", "#777777", "network, labels at random"),
    ):
        n_heard, accuracy = np.array(written["network"][name]["curve"]).T
        shown = label if name in ("seed-1", "shuffled") else None
        axes.plot(n_heard, accuracy, color=colour, linewidth=1.2, label=shown)
    for name, style in (("standardised", "-"), ("raw", "--")):
        live = written["linear_in_live_order"][name]
        curve = live["rates"][str(live["by_pass"][0]["rate"])]["curve"]
        n_heard = np.arange(1, len(curve) + 1) * _STEP
        axes.plot(n_heard, curve, style, color="#D55E00", linewidth=1.2, label=LINEAR[name])
    for name, colour in (("network", "#0072B2"), ("linear", "#D55E00")):
        share = written["held_out"][name]["accuracy"]
        label = f"{name}, recordings never heard: {share:.3f}"
        axes.axhline(share, color=colour, linestyle=":", label=label)
    axes.set_ylim(0, 1.02)
    axes.set_xlim(0, None)
    axes.set_xlabel("labelled recordings (800 a pass)")
    axes.set_ylabel(f"right of the last {WINDOW}, before learning them")
    axes.legend(frameon=False, fontsize="small", loc="center right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(FIGURE, dpi=130, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
