"""Examples, and batches of them."""

import numpy as np
import pytest

from tclif_core import EventBlock
from tclif_core.training.examples import Example, dense_input, dense_targets, digest
from tests.tclif_core.toy_examples import toy_examples


def block(*rows: list[list[float]]) -> EventBlock:
    return EventBlock.from_dense([np.array(row) for row in rows])


def test_an_example_of_a_class_has_it_at_every_tick() -> None:
    example = Example.of_class(block([[1.0, 0.0], [0.0, 2.0]]), 1, group="ann")

    assert example.targets.tolist() == [1, 1]
    assert (example.label, example.group, example.n_ticks) == (1, "ann", 2)


def test_what_is_no_example_is_refused() -> None:
    with pytest.raises(ValueError, match="got 2 rows of 2 ticks"):
        Example.of_class(block([[1.0]], [[1.0]]), 0)
    with pytest.raises(ValueError, match="got 1 rows of 0 ticks"):
        Example.of_class(EventBlock.from_dense([np.zeros((0, 2))]), 0)
    with pytest.raises(ValueError, match="2 ticks needs as many targets, got 3"):
        Example(block([[1.0], [0.0]]), np.zeros(3, np.int64))


def test_a_batch_is_padded_with_silence_without_target() -> None:
    short = Example.of_class(block([[1.0, 0.0]]), 1)
    long = Example.of_class(block([[0.0, 2.0], [3.0, 0.0]]), 0)

    x, targets = dense_input([short, long], 2), dense_targets([short, long])

    assert x.tolist() == [[[1, 0], [0, 2]], [[0, 0], [3, 0]]]
    assert targets.tolist() == [[1, 0], [-1, 0]]


def test_pairs_of_one_channel_add_up() -> None:
    pairs = EventBlock(
        np.array([0, 1]), np.array([0, 2]), np.array([1, 1], np.int32), np.ones(2, np.float32)
    )

    assert dense_input([Example.of_class(pairs, 0)], 2).tolist() == [[[0, 2]]]


def test_targets_in_numbers_are_padded_with_nan() -> None:
    short = Example(block([[1.0]]), np.array([[0.5, -1.0]]))
    long = Example(block([[1.0], [1.0]]), np.array([[0.0, 1.0], [np.nan, np.nan]]))

    targets = dense_targets([short, long])

    np.testing.assert_array_equal(targets[0], [[0.5, -1.0], [0.0, 1.0]])
    assert np.isnan(targets[1]).all()
    assert long.labelled.tolist() == [True, False]


def test_a_digest_sees_every_target_and_every_event() -> None:
    examples = toy_examples(3)
    relabelled = [*examples[:2], Example.of_class(examples[2].block, 0)]

    assert digest(examples) == digest(toy_examples(3))
    assert digest(examples) != digest(relabelled)
    assert digest(examples) != digest(examples[::-1])
    assert digest(examples) != digest(toy_examples(3, seed=1))
