"""Where ticks lie: with and without windows, by hand."""

import numpy as np
import pytest

from service.stream.compiled_binning import gather
from service.stream.tick_grid import TickGrid

# windows of 25 us from 100 on, ticks of 10: [100, 110) [110, 120) [120, 125) | [125, 135) ...
WINDOWS = TickGrid(100, 10, 25)
ENDLESS = TickGrid(100, 10)


def ticks_of(grid: TickGrid, times_us: list[int]) -> list[int]:
    """Return the ticks that the compiled loop puts events in."""
    none, times = np.empty(0, np.int64), np.array(times_us, np.int64)
    one_input = np.zeros(len(times), np.int64)
    window = grid.window_us or 0, grid.window_ticks or 0
    ticks, counts = np.empty_like(times), np.empty_like(times)
    n_ticks = gather(
        *(none, none, times, one_input, grid.begin_us, grid.tick_us, *window, 1, ticks, counts)
    )
    return np.repeat(ticks[:n_ticks], counts[:n_ticks]).tolist()


def test_a_window_ends_with_a_shorter_tick_and_the_next_begins_there() -> None:
    times = [100, 109, 110, 124, 125, 134, 135, 149, 150, 1100]

    # 1100 is 1000 after the begin: window 40 begins there, after 40 times 3 ticks
    assert ticks_of(WINDOWS, times) == [0, 0, 1, 2, 3, 3, 4, 5, 6, 120]
    assert WINDOWS.window_ticks == 3


def test_ticks_without_windows_have_one_length() -> None:
    times = [100, 109, 110, 125, 1100]

    assert ticks_of(ENDLESS, times) == [0, 0, 1, 2, 100]
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
        [tick] = ticks_of(grid, [time_us])
        assert grid.n_ended_by(time_us) == tick
        assert grid.n_begun_before(time_us + 1) == tick + 1
