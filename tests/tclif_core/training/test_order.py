"""The order of examples in a pass."""

import numpy as np

from tclif_core.training.order import updates_of_pass
from tclif_core.training.spec import TrainingSpec

EPROP = TrainingSpec(examples_per_update=3, seed=4)
BPTT = TrainingSpec(method="bptt", examples_per_update=4, seed=4)


def flat(updates: list[tuple[int, ...]]) -> list[int]:
    return [index for update in updates for index in update]


def test_every_example_comes_once_a_pass() -> None:
    for spec in (EPROP, BPTT):
        assert sorted(flat(updates_of_pass(spec, 0, [5] * 22))) == list(range(22))


def test_the_order_is_the_seeds_and_fresh_in_each_pass() -> None:
    first = updates_of_pass(EPROP, 0, [5] * 20)

    assert updates_of_pass(EPROP, 0, [5] * 20) == first
    assert updates_of_pass(EPROP, 1, [5] * 20) != first
    assert updates_of_pass(TrainingSpec(examples_per_update=3, seed=5), 0, [5] * 20) != first


def test_an_update_has_the_size_that_was_asked_for() -> None:
    assert [len(update) for update in updates_of_pass(EPROP, 0, [5] * 8)] == [3, 3, 2]


def test_batches_of_bptt_hold_similar_lengths() -> None:
    lengths = np.random.default_rng(0).integers(10, 200, 64).tolist()

    updates = updates_of_pass(BPTT, 0, lengths)

    # 64 examples are one run of 16 batches, so together the batches tell the sorted lengths
    by_length = sorted(sorted(lengths[index] for index in update) for update in updates)
    assert [length for batch in by_length for length in batch] == sorted(lengths)
    # shuffled again: shorter batches do not all come first
    firsts = [lengths[update[0]] for update in updates]
    assert firsts != sorted(firsts)
