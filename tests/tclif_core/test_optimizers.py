import math

import pytest
import torch

from tclif_core import LearningSpec
from tclif_core.optimizers import OptimizerRows, is_usable, length, step


def _step(
    learning: LearningSpec, gradients: list[float], rate: float, start: float = 1.0
) -> list[float]:
    parameters = torch.tensor([start], dtype=torch.float64)
    first, second = torch.zeros_like(parameters), torch.zeros_like(parameters)
    path = []
    for n, gradient in enumerate(gradients, start=1):
        given = torch.tensor([gradient], dtype=torch.float64)
        rows = OptimizerRows(parameters, given, first, second)
        step(learning, rows, rate=rate, n_updates=n)
        path.append(float(parameters))
    return path


def test_sgd_subtracts_rate_times_gradient() -> None:
    assert _step(LearningSpec(optimizer="sgd"), [2.0, -4.0], 0.25) == [0.5, 1.5]


def test_first_step_of_adam_is_the_rate_whatever_the_gradients_size() -> None:
    learning = LearningSpec(epsilon=1e-12)

    # m / (1 - b1) = g and v / (1 - b2) = g^2, so the step is rate * sign(g)
    assert _step(learning, [0.001], 0.1)[0] == pytest.approx(0.9)
    assert _step(learning, [-500.0], 0.1)[0] == pytest.approx(1.1)


def test_second_step_of_adam_by_hand() -> None:
    learning = LearningSpec(first_moment_decay=0.5, second_moment_decay=0.75, epsilon=1e-12)

    path = _step(learning, [1.0, -2.0], 0.1)

    # m = 0.5*0.5 + 0.5*(-2) = -0.75, over 1 - 0.25: -1
    # v = 0.75*0.25 + 0.25*4 = 1.1875, over 1 - 0.5625: 2.7142857
    assert path[1] - path[0] == pytest.approx(0.1 / math.sqrt(1.1875 / 0.4375))


def test_first_steps_of_rmsprop_by_hand() -> None:
    learning = LearningSpec(optimizer="rmsprop", square_decay=0.75, epsilon=0.5)

    # v = 0.25*4 = 1: step 0.1*2 / 1.5;  v = 0.75 + 0.25*9 = 3: step 0.1*3 / (sqrt(3) + 0.5)
    assert _step(learning, [2.0, 3.0], 0.1) == pytest.approx(
        [1.0 - 0.2 / 1.5, 1.0 - 0.2 / 1.5 - 0.3 / (math.sqrt(3.0) + 0.5)]
    )


def test_adam_without_momentum_keeps_no_first_moment() -> None:
    learning = LearningSpec(first_moment_decay=0.0, second_moment_decay=0.75, epsilon=1e-12)

    path = _step(learning, [1.0, -2.0], 0.1)

    # v = 0.75*0.25 + 0.25*4 = 1.1875, over 1 - 0.5625: 2.7142857; the step is 0.1*2 / its root
    assert not learning.keeps_first_moment
    assert path[1] - path[0] == pytest.approx(0.2 / math.sqrt(1.1875 / 0.4375))


@pytest.mark.parametrize(
    ("optimizer", "momentum"), [("sgd", 0.0), ("rmsprop", 0.0), ("adam", 0.9), ("adam", 0.0)]
)
def test_fifty_steps_equal_those_of_torch(optimizer: str, momentum: float) -> None:
    learning = LearningSpec.from_dict({"optimizer": optimizer, "first_moment_decay": momentum})
    ours = torch.randn(40, dtype=torch.float64)
    theirs = ours.clone().requires_grad_()
    torchs: torch.optim.Optimizer = {
        "sgd": torch.optim.SGD([theirs], lr=1e-2),
        "rmsprop": torch.optim.RMSprop([theirs], lr=1e-2, alpha=learning.square_decay, eps=1e-8),
        "adam": torch.optim.Adam([theirs], lr=1e-2, betas=(momentum, 0.999), eps=1e-8),
    }[optimizer]
    first, second = torch.zeros_like(ours), torch.zeros_like(ours)
    for n in range(1, 51):
        gradient = torch.randn(40, dtype=torch.float64)
        theirs.grad = gradient.clone()
        torchs.step()
        rows = OptimizerRows(ours, gradient, first, second)
        step(learning, rows, rate=1e-2, n_updates=n)

    assert torch.allclose(ours, theirs.detach(), rtol=0, atol=1e-13)


def test_step_leaves_the_gradient_untouched() -> None:
    gradient = torch.ones(3)
    zeros = torch.zeros(3)

    rows = OptimizerRows(zeros, gradient, zeros.clone(), zeros.clone())
    step(LearningSpec(), rows, rate=1.0, n_updates=1)

    assert gradient.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1.1e18])
def test_a_gradient_without_finite_square_is_not_usable(bad: float) -> None:
    assert is_usable(torch.tensor([1.0, -1e18]))
    assert not is_usable(torch.tensor([1.0, bad]))


def test_velocity_of_sgd_by_hand() -> None:
    learning = LearningSpec(optimizer="sgd", momentum=0.5)

    # V = 2, then 0.5*2 - 4 = -3: 1 - 0.25*2 = 0.5, 0.5 + 0.75
    assert _step(learning, [2.0, -4.0], 0.25) == [0.5, 1.25]


def test_velocity_of_rmsprop_is_of_gradients_and_scaled_afterwards() -> None:
    learning = LearningSpec(optimizer="rmsprop", square_decay=0.75, epsilon=0.5, momentum=0.5)

    # v = 1, V = 2: step 0.1*2 / 1.5;  v = 0.75 + 0.25*9 = 3, V = 1 + 3: 0.1*4 / (sqrt(3) + 0.5)
    assert _step(learning, [2.0, 3.0], 0.1) == pytest.approx(
        [1.0 - 0.2 / 1.5, 1.0 - 0.2 / 1.5 - 0.4 / (math.sqrt(3.0) + 0.5)]
    )


def test_length_is_summed_in_double_precision() -> None:
    # 3e4^2 + 4e4^2 = 25e8; squares of 1e18 are no float32 any more
    assert length(torch.tensor([3e4, 4e4])) == pytest.approx(5e4)
    assert length(torch.tensor([1e18, 0.0])) == pytest.approx(1e18)


@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_momentum_of_sgd_equals_that_of_torch(momentum: float) -> None:
    learning = LearningSpec(optimizer="sgd", momentum=momentum)
    ours = torch.randn(10, dtype=torch.float64)
    theirs = ours.clone().requires_grad_()
    torchs = torch.optim.SGD([theirs], lr=1e-2, momentum=momentum)
    first, second = torch.zeros_like(ours), torch.zeros_like(ours)
    for n in range(1, 21):
        gradient = torch.randn(10, dtype=torch.float64)
        theirs.grad = gradient.clone()
        torchs.step()
        rows = OptimizerRows(ours, gradient, first, second)
        step(learning, rows, rate=1e-2, n_updates=n)

    assert torch.allclose(ours, theirs.detach(), rtol=0, atol=1e-14)
