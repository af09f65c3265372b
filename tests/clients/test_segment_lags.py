"""Lags run from the writing of a segment's end to its final prediction."""

from clients.segment_lags import SegmentLags


class Clock:
    """A clock that the test moves."""

    now_s = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


def test_a_lag_counts_from_the_first_writing_of_the_end() -> None:
    clock = Clock()
    lags = SegmentLags(clock)
    lags.queue(7, segment=3)

    clock.now_s = 101.0
    lags.write(7)
    # written again after a lost connection
    clock.now_s = 101.5
    lags.write(7)
    clock.now_s = 103.0
    lags.answer(3)
    lags.answer(3)

    assert list(lags.lags_s) == [2.0]


def test_a_prediction_of_a_segment_that_nobody_ended_has_no_lag() -> None:
    lags = SegmentLags(Clock())

    lags.write(1)
    lags.answer(1)

    assert not lags.lags_s


def test_ends_that_are_never_answered_are_forgotten() -> None:
    lags = SegmentLags(Clock())

    for number in range(4097):
        lags.queue(number, segment=number)
        lags.write(number)
    lags.answer(0)
    lags.answer(1)

    assert len(lags.lags_s) == 1
