"""The score: windowed and overall shares of right predictions."""

from service.network.prequential_accuracy import PrequentialAccuracy


def test_a_new_score_is_zero_not_undefined() -> None:
    accuracy = PrequentialAccuracy(window=3)

    assert (accuracy.windowed, accuracy.overall, accuracy.n_scored) == (0.0, 0.0, 0)


def test_the_window_forgets_the_oldest_while_the_overall_score_keeps_all() -> None:
    accuracy = PrequentialAccuracy(window=4)

    for correct in (True, True, False, True, False, False):
        accuracy.score(correct=correct)

    # the last four: False True False False; of all six three are right
    assert accuracy.windowed == 1 / 4
    assert accuracy.overall == 3 / 6
    assert (accuracy.n_scored, accuracy.n_correct) == (6, 3)


def test_a_window_that_is_not_full_counts_what_is_there() -> None:
    accuracy = PrequentialAccuracy(window=200)

    for correct in (True, False, True):
        accuracy.score(correct=correct)

    assert accuracy.windowed == accuracy.overall == 2 / 3
