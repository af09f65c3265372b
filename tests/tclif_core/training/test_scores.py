"""Right answers and losses."""

import numpy as np

from tclif_core import EventBlock
from tclif_core.training.examples import Example
from tclif_core.training.scores import Tally

BLOCK = EventBlock.from_dense([np.ones((3, 1))])
LOGITS = np.array([[0.0, 1.0], [2.0, 1.0], [0.0, 3.0]])


def test_nothing_is_known_before_the_first_answer() -> None:
    assert (Tally().score, Tally().loss) == (None, None)


def test_a_class_is_scored_once_by_the_mean_of_its_probabilities() -> None:
    tally = Tally()

    tally.add_answers(Example.of_class(BLOCK, 0), LOGITS, np.array([0.6, 0.4]))
    tally.add_answers(Example.of_class(BLOCK, 1), LOGITS, np.array([0.6, 0.4]))

    assert (tally.n_right, tally.n_answers, tally.score) == (1, 2, 0.5)


def test_a_stream_is_scored_at_each_labelled_tick() -> None:
    tally = Tally()

    # the largest logits are at 1, 0, 1; the middle tick has no target
    tally.add_answers(Example(BLOCK, np.array([1, -1, 0])), LOGITS, np.array([0.5, 0.5]))

    assert (tally.n_right, tally.n_answers) == (1, 2)


def test_numbers_are_scored_by_where_they_are_largest() -> None:
    tally, nan = Tally(), float("nan")
    targets = np.array([[0.1, 0.9], [nan, nan], [-1.0, 2.0]])

    tally.add_answers(Example(BLOCK, targets), LOGITS, np.array([0.5, 0.5]))

    assert (tally.n_right, tally.n_answers) == (2, 2)


def test_the_loss_is_a_mean_over_all_ticks_not_over_examples() -> None:
    tally = Tally()

    tally.add_loss(6.0, 2)
    tally.add_loss(1.0, 8)

    assert tally.loss == 0.7
