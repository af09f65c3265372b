"""The spiking LSTM trained and judged on examples, as the networks it stands beside are.

Backpropagation through time of the loss at each tick, Adam, a rate that falls along half a cosine,
batches of examples of similar length. It keeps no state on its way: interrupted, it starts anew.
"""

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.spiking_lstm import SpikingLstm
from benchmarks.training_runs import Desk, Result
from tclif_core.bptt import objective
from tclif_core.training.examples import Example, dense_input, dense_targets


class LstmSpec(NamedTuple):
    """Size and training, as in `training.spec.TrainingSpec`."""

    hidden: int
    passes: int
    rate: float
    batch: int
    seed: int
    readout_decay: float = 0.98


def train_and_judge_lstm(
    desk: Desk,
    spec: LstmSpec,
    network: SpikingLstm,
    examples: Sequence[Example],
    judged: Sequence[Example],
) -> Result:
    """Train on some examples and judge each of the others by its mean prediction.

    Returns:
        ``answers`` ``[[0 or 1, 1]]``, mean spikes of a cell in a tick, ``seconds``.
    """
    started = time.perf_counter()
    n_inputs = network.inputs
    optimizer = torch.optim.Adam(network.parameters())
    generator = np.random.default_rng(spec.seed)
    n_batches = -(-len(examples) // spec.batch)
    for n_pass in range(spec.passes):
        batches = _batches(examples, spec.batch, generator)
        for n, batch in enumerate(batches):
            share = (n_pass * n_batches + n) / (spec.passes * n_batches)
            optimizer.param_groups[0]["lr"] = spec.rate * 0.5 * (1 + math.cos(math.pi * share))
            answers = network(torch.from_numpy(dense_input(batch, n_inputs)))
            targets = torch.from_numpy(dense_targets(batch))
            optimizer.zero_grad()
            objective(answers.logits, targets, "cross_entropy", "each_tick").backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()
        desk.tell(1)
    with torch.no_grad():
        rates = network(torch.from_numpy(dense_input(judged, n_inputs))).spike_rates.tolist()
    return {
        "answers": [[int(_predicted(network, e) == e.label), 1] for e in judged],
        "firing_rates": rates,
        "seconds": time.perf_counter() - started,
    }


def _batches(
    examples: Sequence[Example], size: int, generator: np.random.Generator
) -> list[list[Example]]:
    """Return all examples in batches of similar length, in a drawn order."""
    # a little noise, so that batches differ from pass to pass
    lengths = [example.n_ticks * generator.uniform(0.9, 1.1) for example in examples]
    order = np.argsort(lengths)
    batches = [
        [examples[k] for k in order[start : start + size]] for start in range(0, len(order), size)
    ]
    return [batches[k] for k in generator.permutation(len(batches))]


@torch.no_grad()
def _predicted(network: SpikingLstm, example: Example) -> int:
    logits = network(torch.from_numpy(dense_input([example], network.inputs))).logits
    return int(logits.softmax(dim=-1).mean(dim=0).argmax())
