"""Where ticks lie: with and without windows, by hand."""

import numpy as np
import pytest

from service.stream.tick_grid import TickGrid

# windows of 25 us from 100 on, ticks of 10: [100, 110) [110, 120) [120, 125) | [125, 135) ...
WINDOWS = TickGrid(100, 10, 25)
ENDLESS = TickGrid(100, 10)


def test_a_window_ends_with_a_shorter_tick_and_the_next_begins_there() -> None:
    times = np.array([100, 109, 110, 124, 125, 134, 135, 149, 150, 1100], np.int64)

    # 1100 is 1000 after the begin: window 40 begins there, after 40 times 3 ticks
    assert WINDOWS.tick_of(times).tolist() == [0, 0, 1, 2, 3, 3, 4, 5, 6, 120]
    assert WINDOWS.window_ticks == 3


def test_ticks_without_windows_have_one_length() -> None:
    times = np.array([100, 109, 110, 125, 1100], np.int64)

    assert ENDLESS.tick_of(times).tolist() == [0, 0, 1, 2, 100]
    assert ENDLESS.window_ticks is None


@pytest.mark.parametrize(
    ("time_us", "ended", "begun"),
    [(0, 0, 0), (100, 0, 0), (101, 0, 1), (110, 1, 1), (124, 2, 3), (125, 3, 3), (126, 3, 4)],
)
def test_a_tick_is_over_at_its_end_and_begun_after_its_begin(
    time_us: int, ended: int, begun: int
) -> None:
    assert WINDOWS.n_ended_by(time_us) == ended
    assert WINDOWS.n_begun_before(time_us) == begun


@pytest.mark.parametrize("grid", [WINDOWS, ENDLESS, TickGrid(7, 4, 8)])
def test_every_time_lies_in_the_tick_that_has_begun_and_has_not_ended(grid: TickGrid) -> None:
    for time_us in range(grid.begin_us, grid.begin_us + 200):
        [tick] = grid.tick_of(np.array([time_us], np.int64)).tolist()
        assert grid.n_ended_by(time_us) == tick
        assert grid.n_begun_before(time_us + 1) == tick + 1
