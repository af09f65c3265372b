import numpy as np
import pytest

from benchmarks.resampling import accuracy_interval, difference_interval


def test_accuracy_has_the_width_of_a_binomial() -> None:
    correct = np.arange(1000) < 800

    interval = accuracy_interval(correct)

    # 1.96 sqrt(0.8 x 0.2 / 1000) = 0.0248
    assert interval.mean == 0.8
    assert interval.low == pytest.approx(0.8 - 0.0248, abs=0.002)
    assert interval.high == pytest.approx(0.8 + 0.0248, abs=0.002)


def test_a_difference_is_narrower_where_both_methods_fail_on_the_same_recordings() -> None:
    one = np.arange(1000) < 800
    # right where the other is right, but for ten recordings
    other = np.arange(1000) < 790
    elsewhere = np.roll(other, 400)

    paired, unpaired = difference_interval(one, other), difference_interval(one, elsewhere)

    # sqrt(0.01 x 0.99 / 1000) = 0.00315; times 1.96 is 0.0062
    assert paired.mean == pytest.approx(0.01)
    assert paired.high - paired.low == pytest.approx(2 * 0.0062, abs=0.001)
    assert unpaired.high - unpaired.low > 4 * (paired.high - paired.low)


def test_methods_with_other_recordings_are_not_paired() -> None:
    with pytest.raises(ValueError, match="can't be paired"):
        difference_interval(np.ones(3, np.bool_), np.ones(4, np.bool_))
