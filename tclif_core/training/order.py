"""Which examples make which update of a pass: a function of seed, pass and lengths alone."""

from collections.abc import Sequence

import numpy as np

from tclif_core.training.spec import TrainingSpec

ORDER_STREAM, VARIATION_STREAM = 2, 3
"""Streams of random numbers of one seed, apart from those of weights and feedback (0 and 1)."""

_SORTED_BATCHES = 16


def generator(seed: int, *key: int) -> np.random.Generator:
    """Return the random numbers of a seed for one purpose, named by a stream and what follows."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def updates_of_pass(
    spec: TrainingSpec, pass_number: int, lengths: Sequence[int]
) -> list[tuple[int, ...]]:
    """Choose the examples of each update of one pass: every example once, in a fresh order.

    Batches of ``bptt`` are padded to their longest example, so examples of similar length share
    one: runs of some batches are sorted by length, and the batches are shuffled again.

    Args:
        spec: Gives seed, method and the size of an update.
        pass_number: From 0.
        lengths: Ticks of each example.
    """
    draw = generator(spec.seed, ORDER_STREAM, pass_number)
    order = draw.permutation(len(lengths))
    size = spec.examples_per_update
    if spec.method == "bptt":
        run = _SORTED_BATCHES * size
        ticks = np.asarray(lengths)
        runs = [order[start : start + run] for start in range(0, len(order), run)]
        order = np.concatenate([part[np.argsort(ticks[part], kind="stable")] for part in runs])
    updates = [tuple(order[start : start + size].tolist()) for start in range(0, len(order), size)]
    if spec.method == "bptt":
        updates = [updates[place] for place in draw.permutation(len(updates))]
    return updates
