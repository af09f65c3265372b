"""Cosines of e-prop's estimates to the gradients of backpropagation, for networks as they train.

Both are of one loss, the cross-entropy of every tick of an utterance, from equal weights and in
float64: estimates by the reference kernel, gradients by `bptt`. A hidden layer's weights and biases
count together, its decays and couplings are left out; the readout's weights and its biases count
each alone, since an option may filter the trace of the one and not of the other.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.utterances import Utterance
from tclif_core import EventBlock, Learner, LearningSpec, NetworkSpec, SlotIndex, Strand
from tclif_core.bptt import UnrolledNetwork, objective
from tclif_core.hyperparameters import Feedback

SEED = 3
RATE = 1e-3

_PLAIN = LearningSpec(optimizer="sgd")
OPTIONS = {
    "plain": _PLAIN,
    "readout trace": replace(_PLAIN, filter_readout_trace=True),
    "hidden traces": replace(_PLAIN, filter_hidden_traces=True),
    "both": replace(_PLAIN, filter_readout_trace=True, filter_hidden_traces=True),
    "broadcast": replace(_PLAIN, feedback="broadcast"),
}
"""The ways to estimate, by the name in table and figure."""

Weights = dict[str, NDArray[np.floating]]
Row = dict[str, Any]


def train(network: NetworkSpec, feedback: Feedback, utterances: list[Utterance]) -> Weights:
    """Return the weights after one pass of e-prop, an update after each utterance."""
    learner = Learner(network, LearningSpec(feedback=feedback), kernel="cpu")
    slot = learner.open(seed=SEED, rate=RATE)
    for utterance in utterances:
        _learn(learner, slot, utterance)
        learner.apply_update(slot)
    return learner.weights(slot)


def estimates(
    network: NetworkSpec, learning: LearningSpec, weights: Weights, utterances: list[Utterance]
) -> list[list[torch.Tensor]]:
    """Return e-prop's sums for each utterance, one vector a part: hidden layers, w_out, b_out."""
    learner = Learner(network, learning, kernel="reference", dtype=torch.float64)
    # a rate of 0: an update clears the sums and moves nothing
    slot = learner.open(seed=SEED, rate=0.0)
    learner.load_weights(slot, weights)
    found = []
    for utterance in utterances:
        _learn(learner, slot, utterance)
        found.append(_by_layer(network, learner.bank.gradient_views(slot)))
        learner.apply_update(slot)
    return found


def gradients(
    network: NetworkSpec, weights: Weights, utterances: list[Utterance], *, is_detached: bool
) -> tuple[list[list[torch.Tensor]], list[float]]:
    """Return autograd's gradient for each utterance as `estimates` does, and mean spike rates."""
    unrolled = UnrolledNetwork(
        network, _PLAIN, seed=SEED, dtype=torch.float64, is_detached=is_detached
    )
    unrolled.load_weights(weights)
    found, rates = [], []
    for utterance in utterances:
        unrolled.zero_grad()
        answer = unrolled(torch.from_numpy(utterance.counts)[:, None])
        targets = torch.full((len(utterance.counts), 1), utterance.label)
        objective(answer.logits, targets, "cross_entropy").backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        named = {
            name.replace("_", ".", 1): parameter.grad
            for name, parameter in unrolled.named_parameters()
            if parameter.grad is not None
        }
        found.append(_by_layer(network, named))
        rates.append(answer.spike_rates.detach())
    return found, torch.stack(rates).mean(dim=0).tolist()


def cosines(
    one: list[list[torch.Tensor]], other: list[list[torch.Tensor]]
) -> list[tuple[float, float]]:
    """Return for each part the mean cosine of utterances, and that of their sums.

    NaN where a gradient is zero throughout: such an utterance has no direction to compare.
    """
    answer = []
    for layer in range(len(one[0])):
        rows = [torch.stack([each[layer] for each in side]) for side in (one, other)]
        lengths = rows[0].norm(dim=1) * rows[1].norm(dim=1)
        products = (rows[0] * rows[1]).sum(dim=1)
        single = (products / lengths)[lengths > 0.0].mean()
        sums = [side.sum(dim=0) for side in rows]
        together = sums[0] @ sums[1] / (sums[0].norm() * sums[1].norm())
        answer.append((float(single), float(together)))
    return answer


def compare(
    network: NetworkSpec, trained: list[Utterance], tested: list[Utterance], stage: str
) -> list[Row]:
    """Return a row for each option: its cosines by layer, at one readout decay and stage.

    Args:
        network: Its readout decay is the one in question.
        trained: What the network has heard when the stage is ``after``.
        tested: What the gradients are of.
        stage: ``before`` or ``after`` training.
    """
    rows: list[Row] = []
    for feedback in ("chain", "broadcast"):
        weights = train(network, feedback, trained if stage == "after" else [])
        full, rates = gradients(network, weights, tested, is_detached=False)
        detached, _ = gradients(network, weights, tested, is_detached=True)
        for name, learning in OPTIONS.items():
            if learning.feedback != feedback:
                continue
            found = estimates(network, learning, weights, tested)
            to_full, to_detached = cosines(found, full), cosines(found, detached)
            rows.append(
                {
                    "readout_decay": network.readout_decay,
                    "stage": stage,
                    "option": name,
                    "to_gradient": [single for single, _ in to_full],
                    "to_gradient_summed": [together for _, together in to_full],
                    "to_detached": [single for single, _ in to_detached],
                    "to_detached_summed": [together for _, together in to_detached],
                    "spike_rates": rates,
                }
            )
    return rows


def _learn(learner: Learner, slot: SlotIndex, utterance: Utterance) -> None:
    """Walk through an utterance as one segment, its label at every tick."""
    dtype = np.float64 if learner.bank.dtype == torch.float64 else np.float32
    learner.begin_segment(slot, Strand.LIVE)
    learner.advance(
        np.array([slot]),
        np.array([int(Strand.LIVE)]),
        np.array([True]),
        EventBlock.from_dense([utterance.counts], dtype),
        np.full(len(utterance.counts), utterance.label),
    )


def _by_layer(network: NetworkSpec, named: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    layers = [
        torch.cat(
            [named[f"layer{layer}.{n}"].flatten() for n in "wrb" if f"layer{layer}.{n}" in named]
        )
        for layer in range(len(network.hidden))
    ]
    # copies: the next utterance writes where these lie
    return [*layers, named["readout.w"].flatten().clone(), named["readout.b"].clone()]
