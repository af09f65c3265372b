import numpy as np
import pytest

from benchmarks.linear_control import (
    CountedRecordings,
    count_correct,
    count_features,
    fit_logistic,
    folds_of,
    report,
)
from clients.recordings import Recording


def test_features_count_events_by_channel_group_and_relative_time() -> None:
    recording = Recording(
        times_us=np.array([0, 10, 49, 50, 99]),
        addresses=np.array([0, 4, 9, 5, 9], dtype=np.uint32),
        label=0,
        label_name="a",
        duration_us=100,
        speaker=None,
        key="k",
    )

    features = count_features(recording, channels=10, groups=2, bins=2)

    # channels 0 and 4 in the first half; 9 in the first, 5 and 9 in the second half
    assert features == pytest.approx(np.log1p([2, 0, 1, 2]))


def test_the_fit_is_where_the_gradient_vanishes() -> None:
    generator = np.random.default_rng(1)
    features = generator.standard_normal((60, 3))
    labels = generator.integers(0, 4, 60)

    weights, biases = fit_logistic(features, labels, 4, 0.1)

    scores = np.exp(features @ weights + biases)
    error = scores / scores.sum(axis=1, keepdims=True) - np.eye(4)[labels]
    assert features.T @ error / 60 + 0.1 * weights == pytest.approx(np.zeros((3, 4)), abs=1e-4)
    assert error.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-4)


def test_classes_apart_are_told_apart_and_random_labels_are_not() -> None:
    generator = np.random.default_rng(1)
    labels = np.arange(300) % 3
    features = generator.standard_normal((300, 5))
    features[:, 0] += 8.0 * labels
    shuffled = generator.permutation(labels)

    def correct(truth: np.ndarray[tuple[int], np.dtype[np.int64]]) -> int:
        train, test = (features[:200], truth[:200]), (features[200:], truth[200:])
        return count_correct(train, test, 3, 0.003)

    assert correct(labels) == 100
    # chance is 33 of 100, its standard deviation 4.7
    assert correct(shuffled) < 33 + 4 * 4.7


def test_held_out_speakers_are_in_one_fold_each() -> None:
    speakers = [str(i % 7) for i in range(70)]
    counted = CountedRecordings(np.zeros((70, 1)), np.zeros(70, np.int64), speakers)

    fold = folds_of(counted, "speaker", 3, np.random.default_rng(1))

    assert set(fold) == {0, 1, 2}
    for speaker in set(speakers):
        assert len({f for f, s in zip(fold, speakers, strict=True) if s == speaker}) == 1


def test_held_out_recordings_are_spread_evenly() -> None:
    counted = CountedRecordings(np.zeros((52, 1)), np.zeros(52, np.int64), ["a"] * 52)

    fold = folds_of(counted, "recording", 5, np.random.default_rng(1))

    assert sorted(np.bincount(fold).tolist()) == [10, 10, 10, 11, 11]


def test_more_folds_than_speakers_are_refused() -> None:
    counted = CountedRecordings(np.zeros((4, 1)), np.zeros(4, np.int64), list("abab"))

    with pytest.raises(ValueError, match="2 speakers can't be held out in 3 folds"):
        folds_of(counted, "speaker", 3, np.random.default_rng(1))


def test_accuracy_comes_with_its_binomial_interval() -> None:
    # Wilson's interval of 90 of 100: centre (0.9 + 1.9207/100) / (1 + 3.8415/100) = 0.88520,
    # half-width 1.95996 sqrt(0.09/100 + 3.8415/40000) / 1.038415 = 0.05957
    assert report("x", 90, 100) == (
        "x: 90 of 100 right, accuracy 0.900 (95 % interval 0.826 to 0.945)"
    )
