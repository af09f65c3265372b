import math

import pytest
import torch

from tclif_core import readout


def test_logits_leak_and_gather_the_weights_of_neurons_that_spiked() -> None:
    logits = readout.advance(
        torch.tensor([1.0, 2.0]),
        torch.tensor([1.0, 0.0, 1.0]),
        torch.tensor([[0.5, 0.0], [9.0, 9.0], [0.25, -1.0]]),
        torch.tensor([0.0, 0.125]),
        0.5,
    )

    # 0.5*1 + 0.5 + 0.25 + 0;  0.5*2 + 0 - 1 + 0.125
    assert logits.tolist() == [1.25, 0.125]


def test_probabilities_of_two_classes_by_hand() -> None:
    # e^0 : e^ln3 = 1 : 3
    p = readout.probabilities(torch.tensor([0.0, math.log(3.0)]))

    assert p.tolist() == pytest.approx([0.25, 0.75])


def test_loss_is_minus_the_logarithm_of_the_targets_probability() -> None:
    loss = readout.cross_entropy(torch.tensor([0.0, math.log(3.0)]), 0)

    assert float(loss) == pytest.approx(math.log(4.0))


def test_loss_of_a_sure_miss_is_finite() -> None:
    assert float(readout.cross_entropy(torch.tensor([1000.0, 0.0]), 1)) == 1000.0


def test_error_is_the_probabilities_minus_one_at_the_target() -> None:
    p = torch.tensor([0.25, 0.75])

    error = readout.cross_entropy_error(p, 1)

    assert error.tolist() == [0.25, -0.25]
    assert p.tolist() == [0.25, 0.75]


def test_error_is_the_losss_derivative_by_the_logits() -> None:
    logits = torch.tensor([0.3, -1.0, 0.7], dtype=torch.float64, requires_grad=True)
    loss = readout.cross_entropy(logits, 2)
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped

    error = readout.cross_entropy_error(readout.probabilities(logits.detach()), 2)

    assert logits.grad is not None
    assert error.tolist() == pytest.approx(logits.grad.tolist(), abs=1e-15)


def test_mean_squared_loss_and_error_by_hand() -> None:
    logits, target = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 0.0])

    # (0.25 + 4) / 2, and 2 (0.5, -2) / 2
    assert float(readout.mean_squared(logits, target)) == 2.125
    assert readout.mean_squared_error(logits, target).tolist() == [0.5, -2.0]


def test_mean_squared_error_is_the_losss_derivative_by_the_logits() -> None:
    logits = torch.tensor([0.3, -1.0, 0.7], dtype=torch.float64, requires_grad=True)
    target = torch.tensor([1.0, 0.25, -3.0], dtype=torch.float64)
    readout.mean_squared(logits, target).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped

    error = readout.mean_squared_error(logits.detach(), target)

    assert logits.grad is not None
    assert error.tolist() == pytest.approx(logits.grad.tolist(), abs=1e-15)
