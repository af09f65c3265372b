"""Changes of accuracy: when they are found, what is remembered, what a stored detector knows."""

import numpy as np
import pytest

from service.network.drift import HORIZON, SHOWN_OUTCOMES, DriftDetector


def outcomes(seed: int, *stretches: tuple[int, float]) -> list[bool]:
    """Draw outcomes: some with one share of right ones, then some with another."""
    generator = np.random.default_rng(seed)
    return [bool(generator.random() < share) for length, share in stretches for _ in range(length)]


def fed(*stretches: tuple[int, float], seed: int = 1) -> DriftDetector:
    detector = DriftDetector()
    for correct in outcomes(seed, *stretches):
        detector.take(correct=correct)
    return detector


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 1.0])
def test_an_accuracy_that_stays_is_no_drift(share: float) -> None:
    detector = fed((10_000, share))

    assert (detector.n_changes, detector.n_drops, detector.is_drifting) == (0, 0, False)


def test_a_drop_is_a_drift() -> None:
    detector = fed((1000, 0.9), (100, 0.4))

    assert (detector.n_changes, detector.n_drops, detector.is_drifting) == (1, 1, True)


def test_a_network_that_learns_changes_but_does_not_drift() -> None:
    detector = fed((1000, 0.1), (1000, 0.9))

    assert detector.n_changes >= 1
    assert (detector.n_drops, detector.is_drifting) == (0, False)


def test_a_drop_is_shown_for_200_outcomes() -> None:
    detector = fed((1000, 1.0))
    while not detector.is_drifting:
        detector.take(correct=False)

    shown = []
    for _ in range(SHOWN_OUTCOMES):
        detector.take(correct=False)
        shown.append(detector.is_drifting)

    assert shown == [True] * (SHOWN_OUTCOMES - 1) + [False]
    assert detector.n_drops == 1


@pytest.mark.parametrize(
    "before",
    # before and after a change, at the horizon, and just beside it
    [0, 1, 500, 1050, HORIZON - 1, HORIZON, HORIZON + 1, 5000],
)
def test_a_stored_detector_judges_every_later_outcome_alike(before: int) -> None:
    drawn = outcomes(3, (1000, 0.3), (4000, 0.9), (2000, 0.5))
    one = DriftDetector()
    for correct in drawn[:before]:
        one.take(correct=correct)
    other = DriftDetector()

    other.restore(one.capture())

    for correct in drawn[before:]:
        one.take(correct=correct)
        other.take(correct=correct)
        assert (one.n_changes, one.n_drops) == (other.n_changes, other.n_drops)
        assert one.is_drifting == other.is_drifting
    assert one.capture() == other.capture()
    assert one.n_drops >= 1


def test_what_a_detector_remembers_is_bounded() -> None:
    detector = fed((3 * HORIZON, 0.5))

    assert len(str(detector.capture()["outcomes"])) < HORIZON
