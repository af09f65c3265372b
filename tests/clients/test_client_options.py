"""How long a client waits before it comes back."""

import pytest

from clients.client_options import BackOff, ClientOptions


def test_the_longest_wait_doubles_up_to_its_bound() -> None:
    back_off = BackOff(first_s=0.5, longest_s=3.0, random=lambda: 1.0)

    assert [back_off.delay_s(attempt) for attempt in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_the_wait_is_drawn_from_all_of_its_range() -> None:
    assert BackOff(first_s=0.5, random=lambda: 0.0).delay_s(3) == 0.0
    # a quarter of 0.5 * 2**3
    assert BackOff(first_s=0.5, random=lambda: 0.25).delay_s(3) == 1.0


def test_jitter_comes_on_top_of_what_the_server_asks_for() -> None:
    assert BackOff(first_s=0.5, random=lambda: 0.5).delay_s(0, at_least_s=2.0) == 2.25


def test_a_wait_after_very_many_attempts_is_still_finite() -> None:
    assert BackOff(longest_s=10.0, random=lambda: 1.0).delay_s(1000) == 10.0


def test_a_bound_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="keep_messages is 0"):
        ClientOptions(keep_messages=0)
