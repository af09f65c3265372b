# ruff: noqa: PLR0917 - compiled functions take positions; groups would hide shapes
"""Compiled loops of the readout: logits, losses with their errors, what its leak remembers.

Equations are those of `readout`.

Shapes: N neurons of the top layer, C classes, B ticks of a batch.
"""

import numpy as np

from tclif_core.compilation import compiled
from tclif_core.kernels.compiled_vectors import ONE, TINY, ZERO, highest
from tclif_core.kernels.cpu_plan import Doubles, Floats, Integers


@compiled
def advance_readout(
    logits: Floats,
    weights: Floats,
    biases: Floats,
    spiking: Integers,
    readout_decay: np.float32,
    probabilities: Floats,
    sums: Doubles,
) -> np.float32:
    """Move the logits ``[C]``; write the probabilities and add them to their sum.

    Returns:
        The logarithm of the sum of the logits' exponentials.
    """
    for c in range(len(logits)):
        logits[c] = readout_decay * logits[c] + biases[c]
    for i in range(len(spiking)):
        line = weights[spiking[i]]
        for c in range(len(logits)):
            logits[c] += line[c]
    most = highest(logits)
    total = ZERO
    for c in range(len(logits)):
        probabilities[c] = np.exp(logits[c] - most)
        total += probabilities[c]
    for c in range(len(logits)):
        probabilities[c] /= total
        sums[c] += probabilities[c]
    log_total: np.float32 = np.log(total) + most
    return log_total


@compiled
def _mean_squared(logits: Floats, target: Floats, error: Floats) -> np.float32:
    """Return the loss of a tick by a target ``[C]``; write its derivative by the logits."""
    n_classes = np.float32(len(logits))
    total = ZERO
    for c in range(len(logits)):
        difference = logits[c] - target[c]
        total += difference * difference
        error[c] = (difference + difference) / n_classes
    loss: np.float32 = total / n_classes
    return loss


@compiled
def find_loss(
    is_mean_squared: bool,  # noqa: FBT001 - compiled code takes positions
    logits: Floats,
    probabilities: Floats,
    log_total: np.float32,
    label: int,
    target_values: Floats,
    tick: int,
    error: Floats,
) -> np.float32:
    """Return the loss of a tick with a target; write its derivative by the logits ``[C]``.

    Args:
        is_mean_squared: Which of the two losses.
        logits: Of the tick ``[C]``.
        probabilities: Likewise.
        log_total: From `advance_readout`.
        label: The class, read by the cross-entropy.
        target_values: What the logits of each tick should be ``[B, C]``, read by the other loss.
        tick: Which of its lines.
        error: Written.
    """
    if is_mean_squared:
        return _mean_squared(logits, target_values[tick], error)
    for c in range(len(error)):
        error[c] = probabilities[c]
    error[label] -= ONE
    loss: np.float32 = log_total - logits[label]
    return loss


@compiled
def filter_spikes(trace: Floats, spikes: Floats, readout_decay: np.float32) -> None:
    """Move what the readout still remembers of its lines ``[N + 1]``: spikes, then the bias."""
    for j in range(len(spikes)):
        moved = readout_decay * trace[j] + spikes[j]
        trace[j] = moved if moved >= TINY else ZERO
    trace[len(spikes)] = readout_decay * trace[len(spikes)] + ONE
