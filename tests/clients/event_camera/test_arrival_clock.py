import numpy as np
import numpy.typing as npt

from clients.event_camera.arrival_clock import ArrivalClock
from clients.event_camera.datagrams import NO_STAMP

LEAP_US = 100_000


def stamps(*numbers: int) -> npt.NDArray[np.int64]:
    return np.array(numbers, np.int64)


def test_events_without_a_time_happened_when_they_came() -> None:
    clock = ArrivalClock(LEAP_US)

    first = clock.place(stamps(NO_STAMP, NO_STAMP), 40)
    second = clock.place(stamps(NO_STAMP), 700)

    assert (first.tolist(), second.tolist()) == ([40, 40], [700])


def test_times_keep_their_distances_whatever_the_delay() -> None:
    clock = ArrivalClock(LEAP_US)

    # the first newest one happened now, at 1000; the second is 15 us earlier than it came
    first = clock.place(stamps(5_000_070, 5_000_100), 1000)
    second = clock.place(stamps(5_000_200), 1115)

    assert (first.tolist(), second.tolist()) == ([970, 1000], [1100])
    assert clock.now(1125) == 1110


def test_events_may_come_out_of_order() -> None:
    clock = ArrivalClock(LEAP_US)
    clock.place(stamps(1000), 0)

    assert clock.place(stamps(900), 5).tolist() == [-100]
    # the newest one is that of before
    assert clock.now(7) == 7
    assert clock.n_leaps == 0


def test_a_counter_that_overflows_goes_on() -> None:
    clock = ArrivalClock(LEAP_US)
    clock.place(stamps(2**32 - 10), 100)

    assert clock.place(stamps(2**32 - 4, 6), 116).tolist() == [106, 116]
    assert clock.n_leaps == 0


def test_clocks_that_run_apart_do_not_matter_while_events_come() -> None:
    clock = ArrivalClock(LEAP_US)

    # one percent fast: after 100 s it is a whole second ahead
    placed = [clock.place(stamps(n * 10_100), n * 10_000).tolist() for n in range(10_000)]

    assert placed[-1] == [9_999 * 10_100]
    assert clock.n_leaps == 0


def test_a_clock_that_begins_anew_is_set_to_now() -> None:
    clock = ArrivalClock(LEAP_US)
    clock.place(stamps(90_000_000), 0)

    assert clock.place(stamps(20, 50), 10_000).tolist() == [9_970, 10_000]
    assert clock.place(stamps(60), 10_020).tolist() == [10_010]
    assert clock.n_leaps == 1


def test_a_difference_as_long_as_a_delay_is_no_leap() -> None:
    clock = ArrivalClock(LEAP_US)
    clock.place(stamps(0), 0)

    assert clock.place(stamps(5), 5 + LEAP_US).tolist() == [5]
    assert clock.n_leaps == 0


def test_events_with_and_without_a_time_may_come_together() -> None:
    clock = ArrivalClock(LEAP_US)
    clock.place(stamps(1000), 0)

    assert clock.place(stamps(1030, NO_STAMP), 50).tolist() == [30, 50]
