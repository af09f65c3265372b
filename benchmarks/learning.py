"""How well networks learn through the socket, with their controls.

    python -m benchmarks.learning [--train TRAIN.h5.gz --test TEST.h5.gz] [--passes 8]

Starts a server and replays, as fast as it takes them: real human speech in SHD's format (the
recordings are not part of this project; without them that half is left out and said so), the same
with shuffled labels, and the demo's synthesised digits, once through. Beside them stands the linear
control on event counts. Writes ``benchmarks/results/learning.json`` and ``docs/figures/``.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.linear_control import correct_on_test
from clients import demo, replay
from clients.datasets import open_source
from clients.local_server import local_server

ROOT = Path(__file__).parents[1]
SPEECH = ROOT.parent / "shared" / "data" / "fsdd_spikes"
RESULTS = ROOT / "benchmarks" / "results" / "learning.json"
FIGURE = ROOT / "docs" / "figures" / "learning.png"

Result = dict[str, Any]

_CURVE_STEP = 50

# Okabe and Ito's palette, told apart by colour-blind readers too
_BLUE, _ORANGE, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#777777"


def main() -> int:
    """Run all replays, print and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--train", type=Path, default=SPEECH / "train.h5.gz")
    parser.add_argument("--test", type=Path, default=SPEECH / "test.h5.gz")
    parser.add_argument("--passes", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    results: dict[str, Result] = {}
    with local_server() as address:
        common = ["--url", f"ws://{address}/v1/stream", "--speed", "max", "--plain"]
        common += ["--seed", str(options.seed)]
        if options.train.exists() and options.test.exists():
            speech = [str(options.train), "--passes", str(options.passes), *common]
            results["speech"] = _replay([*speech, "--test", str(options.test)])
            results["speech_shuffled"] = _replay([*speech, "--shuffle-labels"])
        else:
            print(f"{options.train} is not here: the replays of human speech are left out")
        results["digits"] = _replay([demo.SOURCE, *common])
    if "speech" in results:
        train, test = open_source(str(options.train)), open_source(str(options.test))
        results["speech_linear"] = {"accuracy": correct_on_test(train, test) / len(test)}
    _plot(results)
    for result in results.values():
        result["curve"] = result.get("curve", [])[::_CURVE_STEP]
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results) + "\n")
    _print(results)
    return 0


def _replay(arguments: list[str]) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "replay.json"
        code = replay.main([*arguments, "--json", str(path)])
        if code:
            sys.exit(code)
        result: Result = json.loads(path.read_text())
        return result


def _print(results: dict[str, Result]) -> None:
    for name, result in results.items():
        passes = [f"{score['accuracy']:.3f}" for score in result.get("passes", [])]
        test = result.get("test")
        print(
            f"{name}: accuracy={result['accuracy']:.3f}",
            f"passes={' '.join(passes)}" if passes else "",
            f"test={test['accuracy']:.3f}" if test else "",
        )


def _plot(results: dict[str, Result]) -> None:
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11, 4), width_ratios=(2, 1), sharey=True, layout="constrained"
    )
    if "speech" in results:
        speech = results["speech"]
        _curve(left, speech, _BLUE, "true labels")
        _curve(left, results["speech_shuffled"], _GREY, "labels drawn at random")
        ends = np.cumsum([score["segments"] for score in speech["passes"]])
        for end in ends[:-1]:
            left.axvline(end, color="0.85", linewidth=0.8, zorder=0)
        test, linear = speech["test"]["accuracy"], results["speech_linear"]["accuracy"]
        left.plot(ends[-1], test, "o", color=_ORANGE, label=f"held-out takes: {test:.3f}")
        left.plot(ends[-1], linear, "^", color=_GREEN, label=f"linear control: {linear:.3f}")
        left.legend(loc="upper left", frameon=False)
    left.set_title("Human speech in SHD's format, the same recordings each pass")
    left.set_ylabel("test-then-train accuracy, last 200")
    _curve(right, results["digits"], _BLUE, "true labels")
    right.set_title("Synthesised digits, each heard once")
    for axes in (left, right):
        axes.axhline(0.1, color="0.5", linewidth=0.8, linestyle=":")
        axes.set_xlabel("utterances")
        axes.set_ylim(0, 1.02)
        axes.spines[["top", "right"]].set_visible(False)
    FIGURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(FIGURE, dpi=130)
    plt.close(figure)


def _curve(axes: Any, result: Result, colour: str, label: str) -> None:  # noqa: ANN401 - untyped
    utterances, accuracy = np.array(result["curve"]).T
    axes.plot(utterances, accuracy, color=colour, linewidth=1.2, label=label)


if __name__ == "__main__":
    sys.exit(main())
