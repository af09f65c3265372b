import cmath
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from clients.cochlea_design import SAMPLE_RATE, CochleaSpec, design, erb_rate, erb_width_hz


def response(a1: float, a2: float, gain: float, frequency_hz: float) -> float:
    """Magnitude of one resonator at a frequency, from its difference equation."""
    delay = cmath.exp(-2j * math.pi * frequency_hz / SAMPLE_RATE)
    return abs(gain * (1 - delay**2) / (1 + a1 * delay + a2 * delay**2))


def test_scale_of_frequencies_is_that_of_glasberg_and_moore() -> None:
    # 1 kHz: 1 + 0.00437 * 1000 = 5.37; 24.7 * 5.37 = 132.6 Hz; 21.4 * log10(5.37) = 15.62
    assert erb_width_hz(1000.0) == pytest.approx(132.6, abs=0.1)
    assert erb_rate(1000.0) == pytest.approx(15.62, abs=0.01)


def test_centres_fall_from_the_highest_to_the_lowest_in_equal_steps_of_erb_rate() -> None:
    centers = design(CochleaSpec(channels=50, lowest_hz=100.0, highest_hz=6000.0)).center_hz

    rates = [erb_rate(hz) for hz in centers]
    assert centers[0] == pytest.approx(6000.0)
    assert centers[-1] == pytest.approx(100.0)
    assert np.diff(rates) == pytest.approx([(rates[-1] - rates[0]) / 49] * 49, rel=1e-3)


def test_every_filter_has_unit_gain_at_its_centre() -> None:
    tables = design(CochleaSpec())

    gains = [
        response(*each)
        for each in zip(tables.a1, tables.a2, tables.filter_gain, tables.center_hz, strict=True)
    ]

    # float32 tables: the lowest filters are the most sensitive to their rounding
    assert gains == pytest.approx([1.0] * 700, rel=1e-4)


def test_filters_are_silent_at_zero_and_at_half_the_sample_rate() -> None:
    tables = design(CochleaSpec())

    for channel in (0, 350, 699):
        row = (tables.a1[channel], tables.a2[channel], tables.filter_gain[channel])
        assert response(*row, 0.0) == pytest.approx(0.0, abs=1e-9)
        assert response(*row, SAMPLE_RATE / 2) == pytest.approx(0.0, abs=1e-9)


def test_poles_are_as_far_inside_the_unit_circle_as_the_bandwidth_asks() -> None:
    tables = design(CochleaSpec(channels=2, lowest_hz=1000.0, highest_hz=2000.0, bandwidth_erb=1.0))

    # at 1 kHz ERB = 132.6 Hz: radius = exp(-2 pi 132.6 / 16000) = exp(-0.05209) = 0.94924
    assert math.sqrt(tables.a2[1]) == pytest.approx(0.94924, abs=1e-5)
    # the angle of 1 kHz is 2 pi / 16: a1 = -2 * 0.94924 * cos(0.3927) = -1.75397
    assert tables.a1[1] == pytest.approx(-1.75397, abs=2e-5)


def test_thresholds_are_spread_by_the_golden_ratio() -> None:
    threshold = design(CochleaSpec(threshold_spread=0.5)).threshold

    # 1 + 0.5 (0 - 0.5) = 0.75; 1 + 0.5 (0.61803 - 0.5) = 1.05902; 2 * 0.61803 = 1.23607, so
    # 1 + 0.5 (0.23607 - 0.5) = 0.86803
    assert threshold[:3] == pytest.approx([0.75, 1.05902, 0.86803], abs=1e-5)
    assert threshold.mean() == pytest.approx(1.0, abs=1e-3)


def test_neighbourhood_is_given_in_erb() -> None:
    # 60 to 7,000 Hz are 2.16 to 32.09 ERB-rate: 29.92 / 699 = 0.0428 a channel; 5 / 0.0428 = 116.8
    assert design(CochleaSpec()).inhibition_reach == 117
    # a tenth of the channels, ten times the spacing
    assert design(CochleaSpec(channels=70)).inhibition_reach == 12


def test_time_constants_become_shares_of_the_remaining_difference() -> None:
    tables = design(
        CochleaSpec(gain_attack_ms=1.0, smoothing_ms=1.0, membrane_ms=4.0, refractory_ms=1.0)
    )

    # a sample is 1/16 ms, a step half a millisecond
    assert tables.attack_rate == pytest.approx(1 - math.exp(-1 / 16))
    assert tables.smoothing_rate == pytest.approx(1 - math.exp(-1 / 2))
    assert tables.membrane_rate == pytest.approx(1 - math.exp(-1 / 8))
    assert tables.refractory_steps == 2


def test_every_entry_is_a_float32_so_that_other_languages_find_the_same() -> None:
    def as_float32(values: Sequence[float] | npt.NDArray[np.float64]) -> list[float]:
        return [float(v) for v in np.asarray(values, dtype=np.float32)]

    for values in design(CochleaSpec()):
        listed = values.tolist() if isinstance(values, np.ndarray) else [values]
        assert as_float32(listed) == listed


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("channels", 1),
        ("channels", 65_537),
        ("lowest_hz", 10.0),
        ("highest_hz", 8_000.0),
        ("bandwidth_erb", 0.0),
        ("pre_emphasis", -0.1),
        ("level_floor", 0.0),
        ("smoothing_ms", float("nan")),
        ("adaptation", 1.5),
        ("threshold_spread", 2.0),
    ],
)
def test_values_out_of_range_are_refused_with_value_and_range(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{field} is {value}, expected"):
        CochleaSpec(**{field: value})  # type: ignore[arg-type]  # the field is a variable here


def test_channels_that_are_no_integer_are_refused() -> None:
    with pytest.raises(ValueError, match=r"channels is 70\.5, expected an integer"):
        CochleaSpec(channels=70.5)  # type: ignore[arg-type]  # an untyped caller


def test_a_lowest_frequency_above_the_highest_is_refused() -> None:
    with pytest.raises(ValueError, match="expected less than highest_hz"):
        CochleaSpec(lowest_hz=3000.0, highest_hz=2000.0)
