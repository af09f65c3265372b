import math
from typing import get_args

import pytest
import torch

from tclif_core.hyperparameters import SurrogateName
from tclif_core.surrogate_gradient import (
    SURROGATES,
    arctan,
    fast_sigmoid,
    rectangular,
    triangular,
)


def test_triangle_of_width_one_falls_from_one_to_zero() -> None:
    distance = torch.tensor([-1.5, -1.0, -0.25, 0.0, 0.5, 1.0])

    # 1 - |distance|, never below 0
    assert triangular(distance, 1.0).tolist() == [0.0, 0.0, 0.75, 1.0, 0.5, 0.0]


def test_wider_triangle_is_lower() -> None:
    # (2 - |distance|) / 4
    assert triangular(torch.tensor([0.0, 1.0, -3.0]), 2.0).tolist() == [0.5, 0.25, 0.0]


def test_rectangle_ends_at_its_half_width_inclusive() -> None:
    # 1 / (2 * 2) up to 2
    distance = torch.tensor([-2.5, -2.0, 0.0, 1.5, 2.0, 2.25])

    assert rectangular(distance, 2.0).tolist() == [0.0, 0.25, 0.25, 0.25, 0.25, 0.0]


def test_fast_sigmoid_falls_to_a_quarter_at_its_width() -> None:
    # one over the squares of 1, of 1 + 1 and of 1 + 3
    assert fast_sigmoid(torch.tensor([0.0, -2.0, 6.0]), 2.0).tolist() == [1.0, 0.25, 0.0625]


def test_arctan_is_as_high_as_the_triangle_and_halves_at_a_pi_th_of_its_width() -> None:
    values = arctan(torch.tensor([0.0, 2.0 / math.pi, -2.0 / math.pi], dtype=torch.float64), 2.0)

    # 1 / w, then 1 / (w (1 + 1))
    assert values.tolist() == pytest.approx([0.5, 0.25, 0.25], abs=1e-15)


REACH = 40.0


def _areas(width: float) -> dict[str, float]:
    """Return the integrals from -40 to 40: of the antiderivatives at the ends."""
    return {
        "triangular": 1.0,
        "rectangular": 1.0,
        # w - w / (1 + d / w) on each side; 2 w in the limit
        "fast_sigmoid": 2.0 * width * (1.0 - 1.0 / (1.0 + REACH / width)),
        # arctan(pi d / w) / pi; 1 in the limit
        "arctan": 2.0 / math.pi * math.atan(math.pi * REACH / width),
    }


@pytest.mark.parametrize("width", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("name", get_args(SurrogateName))
def test_area_is_that_of_the_closed_form(name: SurrogateName, width: float) -> None:
    # a rectangle's edges lie on the grid, where the trapezoid rule misses half a cell each
    distance = torch.linspace(-REACH, REACH, 800_001, dtype=torch.float64)

    area = torch.trapezoid(SURROGATES[name](distance, width), distance)

    assert float(area) == pytest.approx(_areas(width)[name], abs=2e-4)


@pytest.mark.parametrize("name", get_args(SurrogateName))
def test_surrogates_are_even_and_keep_shape_and_type(name: SurrogateName) -> None:
    distance = torch.rand(3, 4, dtype=torch.float32)

    values = SURROGATES[name](distance, 0.7)

    assert (values.shape, values.dtype) == (distance.shape, torch.float32)
    assert torch.equal(values, SURROGATES[name](-distance, 0.7))
