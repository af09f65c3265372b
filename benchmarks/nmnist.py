"""N-MNIST as a live camera: one network from random, in live order, beside a linear control.

    python -m benchmarks.nmnist [--passes 10] [--limit N] [--pool 2] [--shuffle-labels]

Starts a server, streams ``../shared/data/nmnist`` to it as `tclif-events` does, and prints the
windowed test-then-train accuracy. The recordings are not part of this project. The control is
multinomial logistic regression on log(1 + events) of every input, pooled alike, with the mean of
five folds over the same recordings: it is told of each recording only while it learns the others,
whereas the network has heard each of them in the passes before.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.linear_control import PENALTIES, count_correct, count_features
from clients import events
from clients.datasets import open_source
from clients.local_server import local_server

RECORDINGS = Path(__file__).parents[2] / "shared" / "data" / "nmnist" / "train"

_FOLDS = 5


def main() -> int:
    """Stream, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--passes", type=int, default=10)
    parser.add_argument("--limit", type=int, default=800)
    parser.add_argument("--pool", type=int, default=2)
    parser.add_argument("--hidden", default="128,128")
    parser.add_argument("--rate", default="0.001")
    parser.add_argument("--tick-us", default="5000")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--shuffle-labels", action="store_true")
    options = parser.parse_args()
    if not RECORDINGS.is_dir():
        print(f"there is no {RECORDINGS}")
        return 1
    with local_server() as address, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nmnist.json"
        command = [str(RECORDINGS), "--url", f"ws://{address}/v1/stream", "--speed", "max"]
        command += ["--pool", str(options.pool), "--passes", str(options.passes)]
        command += ["--limit", str(options.limit), "--hidden", options.hidden]
        command += ["--rate", options.rate, "--tick-us", options.tick_us, "--seed", options.seed]
        command += ["--plain", "--json", str(path)]
        command += ["--shuffle-labels"] if options.shuffle_labels else []
        code = events.main(command)
        if code:
            return code
        result = json.loads(path.read_text())
    print(f"network, last 200 recordings: {result['accuracy']:.3f}")
    print(f"linear control on counts, {_FOLDS} folds: {_control(options.pool):.3f}")
    return 0


def _control(pool: int) -> float:
    """Return the accuracy of the linear control, at the penalty that does best for it."""
    source = open_source(f"{RECORDINGS}?pool={pool}")
    channels = source.sensor.channels
    said = list(source)
    features = np.array([count_features(each, channels, channels, 1) for each in said])
    labels = np.array([each.label for each in said])
    fold = np.random.default_rng(0).permutation(len(labels)) % _FOLDS
    return max(
        sum(
            count_correct(
                (features[fold != k], labels[fold != k]),
                (features[fold == k], labels[fold == k]),
                len(source.classes),
                penalty,
            )
            for k in range(_FOLDS)
        )
        / len(labels)
        for penalty in PENALTIES
    )


if __name__ == "__main__":
    sys.exit(main())
