"""Five folds of human speech: e-prop, BPTT on the same network, and their controls.

    python -m benchmarks.speech_folds [--only eprop,linear] [--workers 2]

2,250 + 250 utterances of the Free Spoken Digit Dataset as spikes of SHD's cochlea, `digit_folds`.
Every utterance is judged once, by a network trained on the four other folds for a fixed number of
passes; differences are paired by utterance. Interrupted, the same command goes on where it stood.
Writes ``benchmarks/results/speech_folds.json`` and ``docs/figures/speech_folds.png``.
"""

import argparse
import json
import sys
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from benchmarks import linear_control
from benchmarks.digit_folds import N_CLASSES, N_FOLDS, N_INPUTS, SPEECH, Digits, load_digits
from benchmarks.resampling import accuracy_interval, difference_interval
from benchmarks.spiking_lstm import SpikingLstm
from benchmarks.spiking_lstm_training import LstmSpec, train_and_judge_lstm
from benchmarks.training_runs import Desk, Result, Run, run_all, train_and_judge
from clients.argument_types import count
from clients.training.surroundings import commit, machine
from tclif_core import LearningSpec, NetworkSpec, NeuronSpec
from tclif_core.training import Training
from tclif_core.training.examples import Example
from tclif_core.training.spec import TrainingSpec

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "speech_folds.json"
RUNS = ROOT / "benchmarks" / "results" / "runs" / "speech_folds"
FIGURE = ROOT / "docs" / "figures" / "speech_folds.png"

NETWORK = NetworkSpec(
    inputs=N_INPUTS, hidden=(128, 128), classes=N_CLASSES, readout_decay=0.98, input_gain=1.5
)
LEARNING = LearningSpec(first_moment_decay=0.0)
EPROP = TrainingSpec(method="eprop", passes=12, rate=5e-4, rate_schedule="cosine", seed=1)
BPTT = replace(EPROP, method="bptt", rate=1e-3, examples_per_update=8)

FIRST_FREE_FOLD = 1
"""Settings were chosen on fold 0; the folds from here on had no part in it."""


class Method(NamedTuple):
    """One row of the table."""

    meaning: str
    network: NetworkSpec
    learning: LearningSpec
    training: TrainingSpec
    shuffles_labels: bool = False


METHODS = {
    "eprop": Method("e-prop, Adaptive TC-LIF", NETWORK, LEARNING, EPROP),
    "bptt": Method("BPTT, the same network", NETWORK, LearningSpec(), BPTT),
    "frozen": Method(
        "e-prop of the readout alone, hidden layers as they began",
        NETWORK,
        replace(LEARNING, layer_rates=(0.0, 0.0, 1.0)),
        EPROP,
    ),
    "shuffled": Method(
        "e-prop, training labels drawn at random", NETWORK, LEARNING, EPROP, shuffles_labels=True
    ),
    "lif": Method(
        "e-prop, LIF neurons",
        replace(NETWORK, neuron=NeuronSpec(kind="lif")),
        LEARNING,
        EPROP,
    ),
}
LSTM = LstmSpec(hidden=128, passes=12, rate=2e-3, batch=32, seed=1)
MEANINGS = {
    "linear": "linear control, log counts in 70 channel groups x 8 relative time bins",
    **{name: method.meaning for name, method in METHODS.items()},
    "lstm": "BPTT, spiking LSTM of 128 units",
}


def main() -> int:
    """Train and judge all that is asked for; print, plot and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", default=",".join(MEANINGS), help="some of " + ", ".join(MEANINGS))
    parser.add_argument("--workers", type=count, default=2, help="trainings at a time")
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := sorted(set(names) - MEANINGS.keys()):
        parser.error(f"--only: {unknown} came, expected some of {', '.join(MEANINGS)}")
    if not SPEECH.exists():
        print(f"{SPEECH} is not here: nothing is measured")
        return 0
    runs = {f"{name}-{fold}": _run(name, fold) for name in names for fold in range(N_FOLDS)}
    try:
        results = run_all(runs, RUNS, workers=options.workers)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on")
        return 130
    digits = load_digits()
    table = table_of({name: answers_of(results, name, digits) for name in names}, digits)
    rates = {name: _firing_rates(results, name) for name in names if name in METHODS}
    written = {
        "machine": machine(),
        "commit": commit(),
        "methods": {n: {"meaning": MEANINGS[n], **table[n]} for n in names},
        "firing_rates": rates,
        "curves": {n: mean_curve(results, n) for n in names if n in METHODS},
        "seconds": {n: sum(results[f"{n}-{k}"]["seconds"] for k in range(N_FOLDS)) for n in names},
    }
    RESULTS.write_text(json.dumps(written, indent=1) + "\n")
    _print(written)
    _plot(written)
    return 0


def _run(name: str, fold: int) -> Run:
    if name == "linear":
        return Run({"name": name, "fold": fold}, 1, partial(_judge_linear, fold=fold))
    if name == "lstm":
        settings = {"name": name, "fold": fold, **LSTM._asdict()}
        return Run(settings, LSTM.passes, partial(_judge_lstm, fold=fold))
    method = METHODS[name]
    settings = {
        "name": name,
        "fold": fold,
        "network": method.network.to_dict(),
        "learning": method.learning.to_dict(),
        "training": method.training.to_dict(),
    }
    return Run(settings, method.training.passes, partial(judge, name=name, fold=fold))


@cache
def digits_once() -> Digits:
    """Read the set once in a process."""
    return load_digits()


def _parts(fold: int) -> tuple[list[Example], list[Example]]:
    digits = digits_once()
    held = digits.folds == fold
    learnt = [digits.examples[n] for n in np.flatnonzero(~held)]
    return learnt, [digits.examples[n] for n in np.flatnonzero(held)]


def judge(desk: Desk, *, name: str, fold: int) -> Result:
    """Train a method's network on the other folds and judge it on this one."""
    method = METHODS[name]
    learnt, judged = _parts(fold)
    if method.shuffles_labels:
        labels = digits_once().labels[digits_once().folds != fold]
        drawn = np.random.default_rng(fold).permutation(labels)
        learnt = [
            Example.of_class(example.block, int(label), group=example.group)
            for example, label in zip(learnt, drawn, strict=True)
        ]
    training = Training(method.network, method.learning, method.training, learnt)
    return train_and_judge(desk, training, judged)


def _judge_lstm(desk: Desk, *, fold: int) -> Result:
    learnt, judged = _parts(fold)
    network = SpikingLstm(
        N_INPUTS, (LSTM.hidden,), N_CLASSES, seed=LSTM.seed, readout_decay=LSTM.readout_decay
    )
    return train_and_judge_lstm(desk, LSTM, network, learnt, judged)


def _judge_linear(desk: Desk, *, fold: int) -> Result:
    digits = digits_once()
    held = digits.folds == fold
    features, labels = digits.features, digits.labels
    generator = np.random.default_rng(fold)
    penalty = linear_control.choose_penalty(features[~held], labels[~held], N_CLASSES, generator)
    predicted = linear_control.predict(
        (features[~held], labels[~held]), features[held], N_CLASSES, penalty
    )
    desk.tell(1)
    right = predicted == labels[held]
    return {"answers": [[int(r), 1] for r in right], "penalty": penalty, "seconds": 0.0}


def answers_of(results: dict[str, Result], name: str, digits: Digits) -> NDArray[np.int64]:
    """Return whether each utterance was predicted rightly ``[2500]``."""
    right = np.zeros(len(digits.labels), np.int64)
    for fold in range(N_FOLDS):
        answers = np.array(results[f"{name}-{fold}"]["answers"], np.int64)
        right[digits.folds == fold] = answers[:, 0]
    return right


def table_of(right: dict[str, NDArray[np.int64]], digits: Digits) -> dict[str, dict[str, Any]]:
    """Return accuracies and paired differences with their intervals, a row a method.

    Args:
        right: Whether each utterance was predicted rightly, by method ``[n]``.
        digits: The utterances.
    """
    ones = np.ones(len(digits.labels), np.int64)
    free = digits.folds >= FIRST_FREE_FOLD
    table: dict[str, dict[str, Any]] = {}
    for name, answers in right.items():
        table[name] = {
            "accuracy": accuracy_interval(answers, ones),
            "accuracy_of_free_folds": accuracy_interval(answers[free], ones[free]),
            "accuracy_by_fold": [float(answers[digits.folds == k].mean()) for k in range(N_FOLDS)],
        }
        if name != "eprop" and "eprop" in right:
            table[name]["eprop_minus_this"] = difference_interval(right["eprop"], answers, ones)
            table[name]["eprop_minus_this_free_folds"] = difference_interval(
                right["eprop"][free], answers[free], ones[free]
            )
    return table


def _firing_rates(results: dict[str, Result], name: str) -> list[float]:
    rates = [results[f"{name}-{fold}"]["firing_rates"] for fold in range(N_FOLDS)]
    mean: list[float] = np.mean(rates, axis=0).tolist()
    return mean


def mean_curve(results: dict[str, Result], name: str) -> list[float]:
    """Return the score on the way through the training folds, pass by pass, mean of all folds."""
    histories = [results[f"{name}-{fold}"]["history"] for fold in range(N_FOLDS)]
    scores = [[report["train_score"] for report in history] for history in histories]
    mean: list[float] = np.mean(scores, axis=0).tolist()
    return mean


def _print(written: dict[str, Any]) -> None:
    for name, row in written["methods"].items():
        line = (
            f"{name:9} {_span(row['accuracy'])}  folds 1-4 {_span(row['accuracy_of_free_folds'])}"
        )
        if "eprop_minus_this" in row:
            line += f"  e-prop minus this {_span(row['eprop_minus_this'], sign='+')}"
        rates = written["firing_rates"].get(name)
        line += f"  fires {' '.join(f'{rate:.3f}' for rate in rates)}" if rates else ""
        print(f"{line}  {written['seconds'][name]:.0f} s of computing")


def _span(interval: list[float], sign: str = "") -> str:
    mean, low, high = interval
    return f"{mean:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"


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
    left.axvline(1 / N_CLASSES, color="0.5", linewidth=0.8, linestyle=":")
    left.set_xlim(0, 1)
    left.set_ylim(-0.5, len(names) - 0.3)
    left.set_xlabel("accuracy on held-out takes, five folds, 95% interval")
    styles = {"eprop": "#0072B2", "bptt": "#D55E00", "frozen": "#009E73", "shuffled": "#777777"}
    for name, curve in written["curves"].items():
        if name in styles:
            right.plot(range(1, len(curve) + 1), curve, ".-", color=styles[name], label=name)
    right.set_ylim(0, 1.02)
    right.xaxis.get_major_locator().set_params(integer=True)
    right.set_xlabel("pass")
    right.set_ylabel("accuracy on training folds, before learning")
    right.legend(frameon=False, fontsize="small", loc="lower right", bbox_to_anchor=(1.0, 0.36))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(FIGURE, dpi=130)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
