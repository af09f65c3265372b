import numpy as np

from benchmarks.nmnist_controls import Counts, fold_of, in_live_order, standardised, windowed


def test_the_first_prediction_knows_nothing_and_later_ones_have_learnt() -> None:
    counts = Counts(np.eye(2), np.array([1, 0]), 2)

    right = in_live_order(counts, [[0, 1]] * 20, 0.1, is_standardised=False)

    # all scores equal: class 0 is said, and recording 0 is of class 1
    assert not right[0]
    assert right[-10:].all()


def test_a_windowed_accuracy_forgets_what_is_200_predictions_ago() -> None:
    right = np.array([False] * 100 + [True] * 250)

    shares = windowed(right)

    assert shares[0] == 0
    # 100 of 200, then 150 of 200, then 200 of 200
    assert list(shares[[199, 249, 349]]) == [0.5, 0.75, 1.0]


def test_features_are_standardised_by_what_the_stream_has_met_so_far() -> None:
    stream = np.array([[2.0], [6.0], [1.0]])

    # (2-2)/0.1; mean 4, spread 2: (6-4)/2.1; mean 3, spread sqrt(41/3 - 9): (1-3)/(2.1602+0.1)
    np.testing.assert_allclose(standardised(stream)[:, 0], [0, 0.95238, -0.88486], atol=1e-5)


def test_folds_are_of_equal_size_and_the_same_each_time() -> None:
    assert np.array_equal(fold_of(800, 5), fold_of(800, 5))
    assert np.bincount(fold_of(800, 5)).tolist() == [160] * 5
