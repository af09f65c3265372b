import numpy as np
import pytest

from benchmarks.resampling import accuracy_interval, difference_interval

ONE_EACH = np.ones(1000, np.int64)


def _right(n: int) -> np.ndarray:
    return (np.arange(1000) < n).astype(np.int64)


def test_accuracy_has_the_width_of_a_binomial() -> None:
    interval = accuracy_interval(_right(800), ONE_EACH)

    # 1.96 sqrt(0.8 x 0.2 / 1000) = 0.0248
    assert interval.mean == 0.8
    assert interval.low == pytest.approx(0.8 - 0.0248, abs=0.002)
    assert interval.high == pytest.approx(0.8 + 0.0248, abs=0.002)


def test_a_recording_counts_by_its_scored_answers() -> None:
    # 3 of 4 and 90 of 100 make 93 of 104
    interval = accuracy_interval(np.array([3, 90]), np.array([4, 100]))

    assert interval.mean == pytest.approx(93 / 104)
    assert (interval.low, interval.high) == (0.75, 0.9)


def test_a_difference_is_narrower_where_both_methods_fail_on_the_same_recordings() -> None:
    # right where the other is right, but for ten recordings
    one, other = _right(800), _right(790)

    paired = difference_interval(one, other, ONE_EACH)
    unpaired = difference_interval(one, np.roll(other, 400), ONE_EACH)

    # sqrt(0.01 x 0.99 / 1000) = 0.00315; times 1.96 is 0.0062
    assert paired.mean == pytest.approx(0.01)
    assert paired.high - paired.low == pytest.approx(2 * 0.0062, abs=0.001)
    assert unpaired.high - unpaired.low > 4 * (paired.high - paired.low)


def test_methods_with_other_recordings_are_not_paired() -> None:
    with pytest.raises(ValueError, match="can't be paired"):
        difference_interval(_right(3), np.ones(4, np.int64), ONE_EACH)
