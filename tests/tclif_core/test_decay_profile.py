import math

import pytest

from tclif_core import DecayProfile
from tclif_core.decay_profile import decay_at, gamma_profile
from tests.oracles.tclif_by_hand import gamma_density


@pytest.mark.parametrize(("shape", "scale", "peak_tick"), [(2.0, 20.0, 19), (3.0, 6.0, 11)])
def test_profile_peaks_at_one_when_shape_minus_one_scales_have_passed(
    shape: float, scale: float, peak_tick: int
) -> None:
    # time is tick + 1: the peak at (k - 1) s lies at tick (k - 1) s - 1
    assert gamma_profile(peak_tick, shape, scale) == 1.0
    assert gamma_profile(peak_tick - 1, shape, scale) < 1.0
    assert gamma_profile(peak_tick + 1, shape, scale) < 1.0


def test_profile_of_the_first_tick_by_hand() -> None:
    # k = 2, s = 20: (1 / 20) exp(-1 / 20) over its peak exp(-1), so exp(0.95) / 20
    assert gamma_profile(0, 2.0, 20.0) == pytest.approx(0.129285, abs=1e-6)


@pytest.mark.parametrize("shape", [1.5, 2.0, 4.0])
@pytest.mark.parametrize("tick", [0, 3, 50])
def test_profile_is_the_gamma_density_over_its_maximum(shape: float, tick: int) -> None:
    density = gamma_density(tick + 1.0, shape, 5.0)
    maximum = gamma_density((shape - 1.0) * 5.0, shape, 5.0)

    assert gamma_profile(tick, shape, 5.0) == pytest.approx(density / maximum, rel=1e-12)


def test_profile_of_shape_one_falls_from_the_first_tick_on() -> None:
    assert gamma_profile(0, 1.0, 10.0) == pytest.approx(math.exp(-0.1), rel=1e-15)
    assert gamma_profile(9, 1.0, 10.0) == pytest.approx(math.exp(-1.0), rel=1e-15)


def test_profile_stays_finite_for_large_shapes_and_late_ticks() -> None:
    assert gamma_profile(0, 1000.0, 1e9) == pytest.approx(0.0, abs=1e-300)
    assert gamma_profile(10**12, 2.0, 20.0) == 0.0


def test_decay_settles_at_its_minimum_and_rises_by_the_amplitude_at_the_peak() -> None:
    profile = DecayProfile(shape=2.0, scale_ticks=20.0, amplitude=0.15)

    assert decay_at(19, 0.75, 0.15, profile) == pytest.approx(0.9)
    assert decay_at(10**6, 0.75, 0.15, profile) == 0.75
