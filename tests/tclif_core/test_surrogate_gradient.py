import pytest
import torch

from tclif_core.surrogate_gradient import triangular


def test_triangle_of_width_one_falls_from_one_to_zero() -> None:
    distance = torch.tensor([-1.5, -1.0, -0.25, 0.0, 0.5, 1.0])

    # 1 - |distance|, never below 0
    assert triangular(distance, 1.0).tolist() == [0.0, 0.0, 0.75, 1.0, 0.5, 0.0]


def test_wider_triangle_is_lower() -> None:
    # (2 - |distance|) / 4
    assert triangular(torch.tensor([0.0, 1.0, -3.0]), 2.0).tolist() == [0.5, 0.25, 0.0]


@pytest.mark.parametrize("width", [0.5, 1.0, 3.0])
def test_area_under_the_triangle_is_one(width: float) -> None:
    distance = torch.linspace(-4, 4, 80_001, dtype=torch.float64)

    area = torch.trapezoid(triangular(distance, width), distance)

    assert float(area) == pytest.approx(1.0, abs=1e-6)
