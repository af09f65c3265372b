"""Weights that may be kept."""

import numpy as np

from tclif_core.training.candidates import Candidates


def weights(value: float) -> dict[str, np.ndarray]:
    return {"w": np.full(2, value, np.float32)}


def test_a_better_score_is_kept_and_of_equal_ones_the_lower_loss() -> None:
    candidates = Candidates(1)

    judged = [
        candidates.judge(weights(number), number, score, loss)
        for number, (score, loss) in enumerate(
            [(0.5, 1.0), (0.4, 0.1), (0.5, 0.9), (0.5, 0.9), (0.6, 2.0)], start=1
        )
    ]

    assert judged == [True, False, True, False, True]
    assert candidates.best_pass == 5
    assert candidates.best()["w"].tolist() == [5.0, 5.0]


def test_the_average_is_over_no_more_passes_than_asked_for() -> None:
    candidates = Candidates(2)

    averages = []
    for value in (1.0, 2.0, 4.0):
        candidates.add(weights(value))
        averages.append(float(candidates.latest()["w"][0]))

    assert averages == [1.0, 1.5, 3.0]


def test_a_loss_that_is_no_number_is_the_worst() -> None:
    candidates = Candidates(1)

    candidates.judge(weights(1), 1, 0.5, float("nan"))

    assert candidates.judge(weights(2), 2, 0.5, 9.0)
    assert not candidates.judge(weights(3), 3, 0.5, float("nan"))
