"""The claim of docs/cochlea.md: from sound to event in under 20 ms above 300 Hz."""

import math

import numpy as np
import pytest

from benchmarks.cochlea_latency import Latencies, group_delay_ms, measure, slowest_ms
from clients.cochlea import Cochlea

BANDS_HZ = (300.0, 700.0, 1_800.0, 5_000.0)


def channel_at(hz: float) -> int:
    """The tuned channel; of two neighbours the one above."""
    return int(np.flatnonzero(Cochlea().tables.center_hz >= hz)[-1])


@pytest.fixture(scope="module")
def measured() -> Latencies:
    return measure(np.array([channel_at(hz) for hz in BANDS_HZ]))


@pytest.mark.parametrize("hz", [70.0, *BANDS_HZ])
def test_a_filter_delays_by_twice_the_time_constant_of_its_resonators(hz: float) -> None:
    # a resonator of half-width b rings with a time constant of 1 / (2 pi b), its delay at its
    # centre; b is 0.8 ERB of 24.7 (1 + 0.00437 f) Hz: at 300 Hz 45.7 Hz, so 2 x 3.5 ms
    by_hand_ms = 2e3 / (2 * math.pi * 0.8 * 24.7 * (1 + 0.00437 * hz))

    # the resonance's image at the negative frequency adds a little at the lowest ones
    assert group_delay_ms(Cochlea().tables, channel_at(hz)) == pytest.approx(by_hand_ms, rel=0.04)


def test_nothing_takes_twenty_milliseconds_above_300_hz(measured: Latencies) -> None:
    assert measured.center_hz.min() >= 300
    assert 0 < slowest_ms(measured, 300) < 20


@pytest.mark.parametrize("band", range(len(BANDS_HZ)))
def test_a_first_event_comes_after_its_sound_and_soon(measured: Latencies, band: int) -> None:
    # no sooner than the step of 0.5 ms in which it begins; no later than the filter's delay, the
    # time constants of hair cell (1 ms) and neuron (4 ms), and the step that it ends with
    latest_ms = measured.filter[band] + 1 + 4 + 0.5

    for first_ms in (measured.silence[band], measured.change[band]):
        assert 0.5 <= first_ms <= latest_ms


def test_events_follow_loudness_by_the_delay_of_the_filter(measured: Latencies) -> None:
    # adaptation leads, hair cell and neuron lag, each by less than 2 ms
    np.testing.assert_allclose(measured.loudness, measured.filter, atol=2)


def test_a_channel_that_never_answers_is_no_quick_one() -> None:
    hz, ms = np.array([100.0, 400.0]), np.array([1.0, 1.0])
    answers = Latencies(hz, ms, ms, ms, change=np.array([1.0, np.nan]))

    assert slowest_ms(answers, 300) == math.inf
