"""Electrocardiograms, tick by tick: e-prop, BPTT on the same network, and their controls.

    python -m benchmarks.ecg [--only eprop,linear] [--workers 2]

Every labelled tick of the test sequences is answered by the largest logit of that tick, by networks
trained on all training sequences for a fixed number of passes. Interrupted, the same command goes
on where it stood. Writes ``benchmarks/results/ecg.json`` and ``docs/figures/ecg.png``.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.ecg_sequences import ECG, N_CHANNELS, N_CLASSES, load_sequences, train_control
from benchmarks.resampling import accuracy_interval, difference_interval
from benchmarks.training_runs import Desk, Result, Run, run_all, train_and_judge
from clients.argument_types import count
from clients.training.surroundings import commit, machine
from tclif_core import DecayProfile, LearningSpec, NetworkSpec, NeuronSpec
from tclif_core.training import Training
from tclif_core.training.examples import Example
from tclif_core.training.spec import TrainingSpec

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "ecg.json"
RUNS = ROOT / "benchmarks" / "results" / "runs" / "ecg"
FIGURE = ROOT / "docs" / "figures" / "ecg.png"

NEURON = NeuronSpec(
    dendrite_decay_minimum=0.97,
    soma_decay_minimum=0.9,
    soma_to_dendrite=-0.05,
    dendrite_to_soma=0.2,
    decay_profile=DecayProfile(amplitude=0.02),
)
NETWORK = NetworkSpec(
    inputs=N_CHANNELS,
    hidden=(128,),
    classes=N_CLASSES,
    neuron=NEURON,
    readout_decay=0.9,
    input_gain=4.0,
)
LEARNING = LearningSpec(
    first_moment_decay=0.0,
    learn_couplings=True,
    filter_hidden_traces=True,
    filter_readout_trace=True,
)
EPROP = TrainingSpec(
    method="eprop", passes=15, rate=3e-3, rate_schedule="cosine", average_last=3, seed=1
)
BPTT = replace(EPROP, method="bptt", examples_per_update=8)
SEEDS = (1, 2, 3)


class Method(NamedTuple):
    """One row of the table."""

    meaning: str
    network: NetworkSpec
    learning: LearningSpec
    training: TrainingSpec
    seeds: tuple[int, ...] = SEEDS[:1]


METHODS = {
    "eprop": Method("e-prop, Adaptive TC-LIF", NETWORK, LEARNING, EPROP, SEEDS),
    "unfiltered": Method(
        "e-prop, hidden traces not filtered",
        NETWORK,
        replace(LEARNING, filter_hidden_traces=False),
        EPROP,
        SEEDS,
    ),
    "learnable": Method(
        "e-prop, decays constant in time",
        replace(NETWORK, neuron=replace(NEURON, kind="learnable_tclif", decay_profile=None)),
        LEARNING,
        EPROP,
        SEEDS,
    ),
    "bptt": Method(
        "BPTT, the same network", NETWORK, replace(LEARNING, first_moment_decay=0.9), BPTT
    ),
    "frozen": Method(
        "e-prop of the readout alone",
        NETWORK,
        replace(LEARNING, layer_rates=(0.0, 1.0)),
        EPROP,
    ),
    "shuffled": Method("e-prop, targets of another sequence", NETWORK, LEARNING, EPROP),
}
CONTROLS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "linear": ("linear on leaky traces", {"hidden": 0, "passes": 5, "rate": 1e-2, "seed": 1}),
    "mlp": ("MLP of 128 on leaky traces", {"hidden": 128, "passes": 8, "rate": 3e-3, "seed": 1}),
}
MEANINGS = {name: method.meaning for name, method in METHODS.items()}
MEANINGS |= {name: meaning for name, (meaning, _) in CONTROLS.items()}


def main() -> int:
    """Train and judge all that is asked for; print, plot and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", default=",".join(MEANINGS), help="some of " + ", ".join(MEANINGS))
    parser.add_argument("--workers", type=count, default=2, help="trainings at a time")
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := sorted(set(names) - MEANINGS.keys()):
        parser.error(f"--only: {unknown} came, expected some of {', '.join(MEANINGS)}")
    if not ECG.exists():
        print(f"{ECG} is not here: nothing is measured")
        return 0
    try:
        results = run_all(runs_of(names), RUNS, workers=options.workers)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on")
        return 130
    written: dict[str, Any] = {
        "machine": machine(),
        "commit": commit(),
        "methods": {name: row_of(results, name) for name in names},
    }
    if "eprop" in names:
        for name in names:
            written["methods"][name]["eprop_minus_this"] = difference_to(results, name)
    RESULTS.write_text(json.dumps(written, indent=1) + "\n")
    _print(written)
    _plot(written)
    return 0


def runs_of(names: list[str]) -> dict[str, Run]:
    """Return a run for each method and seed, by name."""
    runs = {}
    for name in names:
        if name in CONTROLS:
            settings = CONTROLS[name][1]
            runs[f"{name}-1"] = Run(settings, 1, partial(_judge_control, settings=settings))
            continue
        for seed in METHODS[name].seeds:
            method = METHODS[name]
            training = replace(method.training, seed=seed)
            settings = {
                "network": method.network.to_dict(),
                "learning": method.learning.to_dict(),
                "training": training.to_dict(),
                "shuffled": name == "shuffled",
            }
            compute = partial(judge, name=name, training=training)
            runs[f"{name}-{seed}"] = Run(settings, training.passes, compute)
    return runs


def judge(desk: Desk, *, name: str, training: TrainingSpec) -> Result:
    """Train a method's network on the training sequences and judge it on the test sequences."""
    method = METHODS[name]
    learnt = load_sequences("train").examples()
    if name == "shuffled":
        targets = [learnt[k].targets for k in np.random.default_rng(0).permutation(len(learnt))]
        learnt = [Example(e.block, t) for e, t in zip(learnt, targets, strict=True)]
    judged = load_sequences("test").examples()
    return train_and_judge(
        desk, Training(method.network, method.learning, training, learnt), judged
    )


def _judge_control(desk: Desk, *, settings: dict[str, Any]) -> Result:
    answers = train_control(load_sequences("train"), load_sequences("test"), **settings)
    desk.tell(1)
    return {"answers": answers, "seconds": 0.0}


def _seeds(name: str) -> tuple[int, ...]:
    return METHODS[name].seeds if name in METHODS else SEEDS[:1]


def row_of(results: dict[str, Result], name: str) -> dict[str, Any]:
    """Return a method's accuracy with its interval, and what its runs tell beside."""
    runs = [results[f"{name}-{seed}"] for seed in _seeds(name)]
    answers = np.array([run["answers"] for run in runs], np.int64)
    row: dict[str, Any] = {
        "meaning": MEANINGS[name],
        # the ticks of a heart belong together, so whole sequences are resampled, with all seeds
        "accuracy": accuracy_interval(answers[:, :, 0].sum(axis=0), answers[:, :, 1].sum(axis=0)),
        "accuracy_by_seed": [float(a[:, 0].sum() / a[:, 1].sum()) for a in answers],
        "seconds": [run["seconds"] for run in runs],
    }
    if name in METHODS:
        row["firing_rates"] = [run["firing_rates"] for run in runs]
        row["curve"] = [report["train_score"] for report in runs[0]["history"]]
    return row


def difference_to(results: dict[str, Result], name: str) -> list[float]:
    """Return e-prop's accuracy minus another's, each the mean of its seeds."""
    one, other = (
        np.mean([results[f"{n}-{seed}"]["answers"] for seed in _seeds(n)], axis=0)
        for n in ("eprop", name)
    )
    return list(difference_interval(one[:, 0], other[:, 0], one[:, 1]))


def _print(written: dict[str, Any]) -> None:
    for name, row in written["methods"].items():
        seeds = " ".join(f"{accuracy:.4f}" for accuracy in row["accuracy_by_seed"])
        mean, low, high = row["accuracy"]
        line = f"{name:10} {mean:.4f} ({low:.4f} to {high:.4f})  seeds {seeds}"
        if "eprop_minus_this" in row:
            line += "  e-prop minus this {:+.4f} ({:+.4f} to {:+.4f})".format(
                *row["eprop_minus_this"]
            )
        if "firing_rates" in row:
            line += f"  fires {row['firing_rates'][0][0]:.3f}"
        print(f"{line}  {sum(row['seconds']):.0f} s of computing")


def _plot(written: dict[str, Any]) -> None:
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11, 4), width_ratios=(3, 2), layout="constrained"
    )
    names = list(written["methods"])[::-1]
    for place, name in enumerate(names):
        mean, low, high = written["methods"][name]["accuracy"]
        colour = "#0072B2" if name == "eprop" else "#777777"
        left.plot([low, high], [place, place], color=colour, linewidth=4, alpha=0.4)
        left.plot(mean, place, "o", color=colour)
        left.annotate(f"{mean:.3f}", (mean, place), (0, 7), textcoords="offset points", ha="center")
    left.set_yticks(range(len(names)), [written["methods"][name]["meaning"] for name in names])
    left.set_ylim(-0.5, len(names) - 0.3)
    left.set_xlim(0, 1)
    left.set_xlabel("accuracy on labelled test ticks, 95% interval over sequences")
    colours = {"eprop": "#0072B2", "bptt": "#D55E00", "unfiltered": "#009E73", "frozen": "#777777"}
    for name, colour in colours.items():
        curve = written["methods"].get(name, {}).get("curve", [])
        if curve:
            right.plot(range(1, len(curve) + 1), curve, ".-", color=colour, label=name)
    right.xaxis.get_major_locator().set_params(integer=True)
    right.set_xlabel("pass")
    right.set_ylabel("accuracy on training ticks")
    right.legend(frameon=False, loc="lower right")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(FIGURE, dpi=130)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
