"""How near e-prop's estimate comes to the gradient: cosines by layer, option and readout decay.

    python -m benchmarks.gradient_quality [--quick]

Backpropagation through time of the same loss gives the gradient of each utterance, once through
everything and once with z[t-1] taken as given in reset and recurrence, which is all that e-prop
means to estimate. Both are compared with the sums of the reference kernel in float64, for every way
to estimate them, at the initial weights and after training by e-prop on other utterances (by
broadcast feedback for the broadcast estimate, since weights align with the feedback that trained
them; by chained feedback for the others). What counts as a layer, `gradient_cosines` says.
Utterances are real human speech in SHD's format; the recordings are no part of this project, and
without them random input takes their place and is named as such. Writes
``benchmarks/results/gradient_quality.json`` and ``docs/figures/gradient_quality.png``.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.lines import Line2D
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.gradient_cosines import OPTIONS, SEED, Row, compare
from benchmarks.utterances import Utterance, random_utterances, read_utterances
from clients.training.surroundings import commit, machine
from tclif_core import NetworkSpec

ROOT = Path(__file__).parents[1]
SPEECH = ROOT.parent / "shared" / "data" / "fsdd_spikes" / "train.h5.gz"
RESULTS = ROOT / "benchmarks" / "results" / "gradient_quality.json"
FIGURE = ROOT / "docs" / "figures" / "gradient_quality.png"

READOUT_DECAYS = (0.0, 0.9, 0.98)
TICK_US = 10_000
# Okabe and Ito's palette, told apart by colour-blind readers too
_COLOURS = dict(zip(OPTIONS, ("#0072B2", "#56B4E9", "#009E73", "#D55E00", "#777777"), strict=True))


def main(arguments: list[str] | None = None) -> int:
    """Compare, print the table, write results and figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a tiny network on random input")
    parser.add_argument("--source", type=Path, default=SPEECH, help="a file in SHD's layout")
    parser.add_argument("--train", type=int, default=500, help="utterances to train on")
    parser.add_argument("--test", type=int, default=20, help="utterances to compare on")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    started = time.perf_counter()
    network, source, utterances = _setting(options)
    tested, trained = utterances[: options.test], utterances[options.test :]
    rows: list[Row] = []
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, transient=True) as progress:
        bar = progress.add_task("", total=2 * len(READOUT_DECAYS))
        for decay in READOUT_DECAYS:
            for stage in ("before", "after"):
                progress.update(bar, description=f"kappa {decay}, {stage} training")
                rows += compare(replace(network, readout_decay=decay), trained, tested, stage)
                progress.advance(bar)
    results: Row = {
        "machine": f"{machine()}, one of them used",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "command": f"python -m benchmarks.gradient_quality{' --quick' if options.quick else ''}",
        "seconds": round(time.perf_counter() - started, 1),
        "network": network.to_dict(),
        "source": source,
        "trained_on": len(trained),
        "tested_on": len(tested),
        "rows": rows,
    }
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps(results, indent=1) + "\n")
    _plot(results, options.figure)
    _print(results)
    return 0


def _setting(options: argparse.Namespace) -> tuple[NetworkSpec, str, list[Utterance]]:
    n, channels, hidden = options.train + options.test, 700, (128, 128)
    if not options.quick and options.source.exists():
        name = f"{options.source.parent.name}/{options.source.name}, ticks of {TICK_US} us"
        utterances = read_utterances(options.source, n, tick_us=TICK_US, seed=SEED)
        return NetworkSpec(inputs=channels, hidden=hidden, classes=10), name, utterances
    if not options.quick:
        print(f"{options.source} is not here: random input takes its place")
    else:
        channels, hidden = 30, (12, 10)
    utterances = random_utterances(n, channels=channels, classes=10, n_ticks=40, seed=SEED)
    network = NetworkSpec(inputs=channels, hidden=hidden, classes=10)
    return network, "random input, Poisson", utterances


def _part_names(results: Row) -> list[str]:
    hidden = [f"hidden {n + 1}" for n in range(len(results["network"]["hidden"]))]
    return [*hidden, "w_out", "b_out"]


def _print(results: Row) -> None:
    names = _part_names(results)
    print(f"{results['source']}; mean cosine to the gradient (to the detached one), by layer")
    print(f"| kappa | training | estimate | {' | '.join(names)} | spike rates |")
    print(f"|{'---|' * (4 + len(names))}")
    for row in results["rows"]:
        pairs = zip(row["to_gradient"], row["to_detached"], strict=True)
        cells = [f"{full:.3f} ({detached:.3f})" for full, detached in pairs]
        rates = ", ".join(f"{rate:.3f}" for rate in row["spike_rates"])
        start = [str(row["readout_decay"]), row["stage"], row["option"]]
        print(f"| {' | '.join([*start, *cells, rates])} |")


def _plot(results: Row, path: Path) -> None:
    names = _part_names(results)
    figure, grid = plt.subplots(
        2, len(READOUT_DECAYS), figsize=(11, 5.5), sharex=True, sharey=True, layout="constrained"
    )
    for axes, (stage, decay) in zip(
        grid.flat, [(s, d) for s in ("before", "after") for d in READOUT_DECAYS], strict=True
    ):
        shown = [r for r in results["rows"] if (r["stage"], r["readout_decay"]) == (stage, decay)]
        for n, row in enumerate(shown):
            places = np.arange(len(names)) + 0.16 * (n - (len(shown) - 1) / 2)
            colour = _COLOURS[row["option"]]
            axes.bar(places, row["to_gradient"], 0.14, color=colour, label=row["option"])
            axes.plot(places, row["to_detached"], "_", color="black", markersize=7)
        axes.set_title(f"{stage} training, kappa {decay}", fontsize=10)
        axes.axhline(0.0, color="0.5", linewidth=0.8)
        axes.set_xticks(range(len(names)), names)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    dash = Line2D([], [], color="black", marker="_", linestyle="")
    figure.legend(
        [*handles, dash],
        [*labels, "to the detached gradient"],
        loc="outside lower center",
        ncols=6,
        frameon=False,
    )
    figure.supylabel("cosine of estimate and gradient", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
