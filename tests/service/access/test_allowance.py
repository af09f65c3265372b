"""What may be used up and comes back."""

from service.access.allowance import Allowance
from tests.service.fake_clock import FakeClock


def test_a_burst_is_there_at_once_and_no_more(clock: FakeClock) -> None:
    allowance = Allowance(2.0, 3.0, clock)

    assert [allowance.take() for _ in range(4)] == [True, True, True, False]


def test_it_comes_back_at_its_rate_up_to_the_burst(clock: FakeClock) -> None:
    allowance = Allowance(2.0, 3.0, clock)
    for _ in range(3):
        allowance.take()

    clock.advance(0.5)
    assert [allowance.take(), allowance.take()] == [True, False]
    clock.advance(100.0)

    assert [allowance.take() for _ in range(4)] == [True, True, True, False]


def test_what_is_owed_takes_its_time(clock: FakeClock) -> None:
    allowance = Allowance(10.0, 10.0, clock)

    # 10 are there; of 25 more, 15 are missing after the first 20, at 10 a second
    assert allowance.owe(10) == 0.0
    assert allowance.owe(25) == 2.5
    clock.advance(1.0)
    assert allowance.owe(5) == 2.0
