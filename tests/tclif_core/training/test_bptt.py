"""One update of backpropagation through time: the step is the optimiser's, for each layer."""

import numpy as np
import pytest
import torch

from tclif_core import LearningSpec
from tclif_core.bptt import UnrolledNetwork, objective
from tclif_core.training.bptt import BpttTraining
from tclif_core.training.examples import dense_input, dense_targets
from tclif_core.training.scores import Tally
from tclif_core.training.spec import TrainingSpec
from tests.tclif_core.toy_examples import INPUTS, toy_examples, toy_network

RATE = 0.1


def one_update(learning: LearningSpec) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return how far each parameter moved in one update, and the gradient by it."""
    examples = toy_examples(4)
    spec = TrainingSpec(method="bptt", seed=3)
    training = BpttTraining(toy_network(), learning, spec)
    before = training.weights()

    assert training.learn(examples, RATE, Tally())

    after = training.weights()
    network = UnrolledNetwork(toy_network(), learning, seed=3)
    answers = network(torch.from_numpy(dense_input(examples, INPUTS)))
    loss = objective(answers.logits, torch.from_numpy(dense_targets(examples)), "cross_entropy")
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    gradients = {n: p.grad for n, p in network.named_parameters() if p.grad is not None}
    moved = {name: torch.as_tensor(after[name] - before[name]) for name in before}
    return moved, gradients


def test_a_step_of_sgd_is_rate_times_gradient_of_the_mean() -> None:
    moved, gradients = one_update(LearningSpec(optimizer="sgd"))

    for name in ("layer0.w", "layer1.r", "readout.w", "readout.b"):
        expected = -RATE * gradients[name.replace(".", "_")]
        torch.testing.assert_close(moved[name], expected, rtol=1e-4, atol=1e-6)


def test_a_frozen_layer_stays_and_another_moves_at_its_own_rate() -> None:
    moved, gradients = one_update(LearningSpec(optimizer="sgd", layer_rates=(0.0, 0.5, 2.0)))

    assert not moved["layer0.w"].any()
    for name, layer_rate in (("layer1.w", 0.5), ("readout.w", 2.0)):
        expected = -RATE * layer_rate * gradients[name.replace(".", "_")]
        torch.testing.assert_close(moved[name], expected, rtol=1e-4, atol=1e-6)


def test_a_long_gradient_is_shortened_to_the_clip() -> None:
    learning = LearningSpec(optimizer="sgd", gradient_clip=0.001, learn_decay_minima=False)

    moved, gradients = one_update(learning)

    assert sum(float((g**2).sum()) for g in gradients.values()) > 0.001**2
    squared = sum(float((m.double() ** 2).sum()) for m in moved.values())
    assert squared**0.5 == pytest.approx(RATE * 0.001, rel=1e-2)


def test_weights_decay_beside_the_step_and_biases_do_not() -> None:
    plain, _ = one_update(LearningSpec(optimizer="sgd"))
    decayed, _ = one_update(LearningSpec(optimizer="sgd", weight_decay=0.5))

    start = UnrolledNetwork(toy_network(), LearningSpec(), seed=3).weights()
    # w <- (w + step) (1 - rate decay): the difference is -0.1 * 0.5 (w + step)
    for name in ("layer0.w", "layer1.r", "readout.w"):
        expected = -0.05 * (start[name] + plain[name].numpy())
        np.testing.assert_allclose(decayed[name] - plain[name], expected, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(decayed["layer0.b"], plain["layer0.b"], rtol=0, atol=0)
