"""Variations of training examples, so that a network learns words and not recordings by heart.

Each keeps what an example means: some events are missing or come from a channel nearby, a voice is
higher or lower, speech is faster or slower. Equal generators give equal variations.
"""

import numpy as np
from numpy.typing import NDArray

from tclif_core.batch import EventBlock
from tclif_core.training.examples import Example
from tclif_core.training.spec import TrainingSpec


def vary(example: Example, spec: TrainingSpec, n_inputs: int, draw: np.random.Generator) -> Example:
    """Return a variation of an example; the example is left untouched.

    Args:
        example: What was recorded.
        spec: How much may change.
        n_inputs: Channels of the network; events that are shifted beyond them are lost.
        draw: Random numbers of this example in this pass.
    """
    block, targets = example.block, example.targets
    ticks = np.repeat(np.arange(block.n_ticks), np.diff(block.tick_events))
    channels, values, n_ticks = block.channels, block.values, block.n_ticks
    if spec.event_drop_out > 0.0:
        values = _thinned(values, spec.event_drop_out, draw)
    if spec.channel_shift > 0:
        shift = int(draw.integers(-spec.channel_shift, spec.channel_shift, endpoint=True))
        channels = channels + np.int32(shift)
    if spec.channel_jitter > 0.0:
        moves = draw.normal(0.0, spec.channel_jitter, len(channels))
        channels = channels + np.rint(moves).astype(np.int32)
    if spec.time_stretch > 0.0:
        factor = 1.0 + spec.time_stretch * float(draw.uniform(-1.0, 1.0))
        n_ticks = max(1, round(n_ticks * factor))
        # events of a tick spread over it, lest a longer example have empty ticks in between
        moved = (ticks + draw.random(len(ticks))) * factor
        ticks = np.minimum(moved.astype(np.int64), n_ticks - 1)
        centres = (np.arange(n_ticks) + 0.5) / factor
        targets = targets[np.minimum(centres.astype(np.int64), block.n_ticks - 1)]
    kept = (values != 0) & (channels >= 0) & (channels < n_inputs)
    varied = _gathered(ticks[kept], channels[kept], values[kept], n_ticks, n_inputs)
    return Example(varied, targets, example.label, example.group)


def _thinned(
    values: NDArray[np.floating], share: float, draw: np.random.Generator
) -> NDArray[np.floating]:
    """Leave out events: from a count each event by itself, other values as a whole."""
    counts = np.rint(np.abs(values)).astype(np.int64)
    is_count = counts == np.abs(values)
    kept = draw.binomial(np.where(is_count, counts, 1), 1.0 - share)
    thinned: NDArray[np.floating] = np.where(is_count, np.sign(values) * kept, values * kept)
    return thinned.astype(values.dtype)


def _gathered(
    ticks: NDArray[np.int64],
    channels: NDArray[np.int32],
    values: NDArray[np.floating],
    n_ticks: int,
    n_inputs: int,
) -> EventBlock:
    """Return pairs as one row, in order, those of one tick and channel added up."""
    keys, where = np.unique(ticks * n_inputs + channels, return_inverse=True)
    sums = np.zeros(len(keys), values.dtype)
    np.add.at(sums, where, values)
    tick_events = np.searchsorted(keys, np.arange(n_ticks + 1) * n_inputs)
    return EventBlock(
        np.array([0, n_ticks]),
        tick_events.astype(np.int64),
        (keys % n_inputs).astype(np.int32),
        sums,
    )
