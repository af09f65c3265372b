"""Plots of characters show the numbers they are given."""

import numpy as np
import pytest

from clients.terminal_plots import bar, curve, raster_levels


def levels(events: list[tuple[int, int]], *, rows: int = 2, columns: int = 4) -> list[list[int]]:
    """Fold (time, channel) pairs of a segment of 100 us on 10 channels."""
    times = np.array([time for time, _ in events], np.int64)
    addresses = np.array([address for _, address in events], np.uint32)
    grid = raster_levels(
        times, addresses, duration_us=100, n_channels=10, rows=rows, columns=columns
    )
    return [[int(level) for level in row] for row in grid]


def test_time_goes_right_and_channels_go_up() -> None:
    # 100 us in four columns, channels 0 to 4 below 5 to 9
    assert levels([(0, 0), (99, 9)]) == [[0, 0, 0, 4], [4, 0, 0, 0]]
    assert levels([(25, 4), (74, 5)]) == [[0, 0, 4, 0], [0, 4, 0, 0]]


def test_no_events_give_an_empty_grid() -> None:
    assert levels([]) == [[0, 0, 0, 0], [0, 0, 0, 0]]


def test_density_is_relative_to_the_fullest_places() -> None:
    events = [(0, 0)] * 16 + [(30, 0)] * 8 + [(60, 0)] * 4 + [(90, 0)]

    # the 95th percentile of 1, 4, 8, 16 is 14.8: 16 is full, 8 and 4 are 2.2 and 1.1 quarters
    assert levels(events, rows=1) == [[4, 2, 1, 0]]


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        (0.0, "    "),
        (1.0, "████"),
        (0.5, "██  "),
        # 4 columns have 32 eighths
        (1 / 32, "▏   "),
        (15 / 32, "█▉  "),
        (-1.0, "    "),
        (2.0, "████"),
    ],
)
def test_a_bar_is_exact_to_an_eighth(fraction: float, expected: str) -> None:
    assert bar(fraction, 4) == expected


def test_a_flat_curve_is_a_line_at_its_height() -> None:
    # dots 7 and 8 of ⠿ are the lowest of a character, 1 and 4 the highest
    assert curve([0.0, 0.0], rows=2, columns=3) == ["   ", "⣀⣀⣀"]
    assert curve([1.0, 1.0], rows=2, columns=3) == ["⠉⠉⠉", "   "]


def test_a_jump_is_a_line_and_not_a_gap() -> None:
    # one character has two columns of four dots: low, then from low to high
    assert curve([0.0, 1.0], rows=1, columns=1) == ["⣸"]


def test_a_curve_spreads_over_all_columns_with_the_newest_at_the_right() -> None:
    rising = curve([0.0, 1 / 3, 2 / 3, 1.0], rows=1, columns=2)

    # heights 0, 1, 2, 3: each column goes on from the dot before
    assert rising == ["⣠⠞"]


@pytest.mark.parametrize("values", [[], [0.5]])
def test_fewer_than_two_values_are_no_curve(values: list[float]) -> None:
    assert curve(values, rows=1, columns=2) == ["  "]


def test_values_outside_the_plot_stay_on_its_edge() -> None:
    assert curve([-1.0, -1.0], rows=1, columns=1) == ["⣀"]
    assert curve([2.0, 2.0], rows=1, columns=1) == ["⠉"]
