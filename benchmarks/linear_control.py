"""How much of a source's labels a linear readout gets from plain event counts: the control.

    python -m benchmarks.linear_control SOURCE [--test SOURCE] [--hold-out speaker] [--seed 7]

A spiking network that is worth its name should beat this. Features are log(1 + events) in groups
of neighbouring channels by time bins relative to the recording's length (70 x 8 by default);
the classifier is multinomial logistic regression. Its penalty is chosen among a few on a part of
the training recordings, never on the test recordings.
"""

import argparse
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from scipy.stats import binomtest

from clients.datasets import open_source
from clients.recordings import Recording, Source

Features = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

PENALTIES = (0.003, 0.01, 0.03, 0.1)


@dataclass(frozen=True, slots=True)
class CountedRecordings:
    """The recordings of a source as features ``[n, groups * bins]`` and labels ``[n]``."""

    features: Features
    labels: Labels
    speakers: list[str]


def count_features(recording: Recording, channels: int, groups: int, bins: int) -> Features:
    """Turn one recording into log(1 + events) by channel group and relative time ``[groups*bins]``.

    Args:
        recording: What to count.
        channels: Channels of its sensor; every group has nearly equally many neighbours.
        groups: Number of channel groups.
        bins: Number of equal parts of the recording's duration.
    """
    group = recording.addresses.astype(np.int64) * groups // channels
    part = recording.times_us * bins // recording.duration_us
    return np.log1p(np.bincount(group * bins + part, minlength=groups * bins))


def count_source(source: Source, groups: int, bins: int) -> CountedRecordings:
    """Load every recording of a source once and count its events."""
    rows, labels, speakers = [], [], []
    for recording in source.recordings():
        rows.append(count_features(recording, source.sensor.channels, groups, bins))
        labels.append(recording.label)
        speakers.append(str(recording.speaker))
    return CountedRecordings(np.array(rows), np.array(labels), speakers)


def fit_logistic(
    features: Features, labels: Labels, classes: int, penalty: float
) -> tuple[Features, Features]:
    """Fit multinomial logistic regression by L-BFGS.

    Args:
        features: ``[n, f]``, roughly standardised.
        labels: ``[n]``, 0 to ``classes - 1``.
        classes: Number of classes C.
        penalty: Weight of half the squared norm of the weights beside the mean cross-entropy; the
            biases are free.

    Returns:
        Weights ``[f, C]`` and biases ``[C]``.
    """
    n, width = features.shape
    onehot = np.eye(classes)[labels]

    def loss_and_gradient(flat: Features) -> tuple[float, Features]:
        weights, biases = flat[:-classes].reshape(width, classes), flat[-classes:]
        logits = features @ weights + biases
        loss = -np.sum(onehot * log_softmax(logits, axis=1)) / n
        error = (softmax(logits, axis=1) - onehot) / n
        slope = features.T @ error + penalty * weights
        total = float(loss + penalty / 2 * np.sum(weights**2))
        return total, np.concatenate([slope.ravel(), error.sum(axis=0)])

    start = np.zeros((width + 1) * classes)
    fit = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", options={"maxiter": 300})
    return fit.x[:-classes].reshape(width, classes), fit.x[-classes:]


def predict(
    train: tuple[Features, Labels], features: Features, classes: int, penalty: float
) -> Labels:
    """Train on one set, return the classes of others ``[n]``, given their features ``[n, f]``."""
    mean, spread = train[0].mean(axis=0), train[0].std(axis=0) + 0.1
    weights, biases = fit_logistic((train[0] - mean) / spread, train[1], classes, penalty)
    predicted: Labels = np.argmax((features - mean) / spread @ weights + biases, axis=1)
    return predicted


def count_correct(
    train: tuple[Features, Labels], test: tuple[Features, Labels], classes: int, penalty: float
) -> int:
    """Train on one set, return how many of the other are classified rightly."""
    return int(np.sum(predict(train, test[0], classes, penalty) == test[1]))


def choose_penalty(
    features: Features, labels: Labels, classes: int, generator: np.random.Generator
) -> float:
    """Choose the penalty that does best on a random fifth of the training recordings."""
    inner = generator.permutation(len(labels)) < len(labels) // 5
    train, test = (features[~inner], labels[~inner]), (features[inner], labels[inner])
    return max(PENALTIES, key=lambda penalty: count_correct(train, test, classes, penalty))


def folds_of(
    counted: CountedRecordings, hold_out: str, folds: int, generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Give each recording the number of the fold in which it is tested ``[n]``.

    Args:
        counted: The recordings.
        hold_out: ``"recording"`` spreads them evenly at random; ``"speaker"`` keeps all of one
            speaker's recordings in one fold, so that the control never heard a tested speaker.
        folds: How many folds; no more than speakers when those are held out.
        generator: Decides the split.
    """
    if hold_out == "recording":
        return generator.permutation(len(counted.labels)) % folds
    names = sorted(set(counted.speakers))
    if len(names) < folds:
        raise ValueError(f"{len(names)} speakers can't be held out in {folds} folds")
    fold_of_name = dict(zip(names, generator.permutation(len(names)) % folds, strict=True))
    return np.array([fold_of_name[name] for name in counted.speakers])


def correct_on_test(
    source: Source, other: Source, groups: int = 70, bins: int = 8, *, seed: int = 7
) -> int:
    """Train on one source, return how many recordings of the other are classified rightly.

    Raises:
        ValueError: The sources have different classes.
    """
    if other.classes != source.classes:
        raise ValueError(f"classes differ: {source.classes} and {other.classes}")
    counted, tested = (count_source(each, groups, bins) for each in (source, other))
    classes = len(source.classes)
    generator = np.random.default_rng(seed)
    penalty = choose_penalty(counted.features, counted.labels, classes, generator)
    return count_correct(
        (counted.features, counted.labels), (tested.features, tested.labels), classes, penalty
    )


def report(name: str, correct: int, total: int) -> str:
    """Say accuracy with its binomial 95 % interval (Wilson)."""
    interval = binomtest(correct, total).proportion_ci(0.95, method="wilson")
    return (
        f"{name}: {correct} of {total} right, accuracy {correct / total:.3f} "
        f"(95 % interval {interval.low:.3f} to {interval.high:.3f})"
    )


def main(arguments: list[str] | None = None) -> None:
    """Run the control from the command line and print accuracies."""
    parser = argparse.ArgumentParser(description="Linear control on event counts.")
    parser.add_argument("source", help="what clients.datasets.open_source understands")
    parser.add_argument("--test", help="another source to test on; without it, cross-validation")
    parser.add_argument("--hold-out", choices=("recording", "speaker"), default="recording")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--groups", type=int, default=70)
    parser.add_argument("--bins", type=int, default=8)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args(arguments)

    source = open_source(chosen.source)
    if chosen.test is not None:
        other = open_source(chosen.test)
        correct = correct_on_test(source, other, chosen.groups, chosen.bins, seed=chosen.seed)
        print(report(f"{chosen.source} -> {chosen.test}", correct, len(other)))
        return
    generator = np.random.default_rng(chosen.seed)
    counted = count_source(source, chosen.groups, chosen.bins)
    classes = len(source.classes)
    fold = folds_of(counted, chosen.hold_out, chosen.folds, generator)
    total = 0
    for k in range(chosen.folds):
        rest, held = fold != k, fold == k
        train = counted.features[rest], counted.labels[rest]
        penalty = choose_penalty(*train, classes, generator)
        test = counted.features[held], counted.labels[held]
        correct = count_correct(train, test, classes, penalty)
        print(report(f"fold {k} (penalty {penalty})", correct, len(test[1])))
        total += correct
    print(report(f"{chosen.source}, by {chosen.hold_out}", total, len(counted.labels)))


if __name__ == "__main__":
    main()
