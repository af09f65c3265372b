# ruff: noqa: PLR0917 - compiled functions take positions; groups would hide shapes
"""The loops of event binning, compiled: every event of every session comes through here.

They keep the interpreter lock: they last some microseconds, and to ask for the lock again would
cost more. Arrays are made by who calls: one that comes out of a compiled function costs Python more
than the loop.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

Int64s = NDArray[np.int64]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _compiled(function: _Function) -> _Function:
    loop: Any = numba.njit(function)
    try:
        loop.enable_caching()
    except RuntimeError:
        # neither the package's folder nor the user's can be written: compiled at each start
        return loop  # type: ignore[no-any-return]  # a dispatcher is called like its function
    return loop  # type: ignore[no-any-return]  # as above


@_compiled
def gather(
    keys: Int64s,
    counts: Int64s,
    times_us: Int64s,
    inputs: Int64s,
    begin_us: int,
    tick_us: int,
    window_us: int,
    window_ticks: int,
    n_inputs: int,
    all_keys: Int64s,
    all_counts: Int64s,
) -> int:
    """Add events to those that wait, counted by tick and input.

    Args:
        keys: What waits, ``tick * n_inputs + input`` rising, ``[W]``.
        counts: How many events of each, ``[W]``.
        times_us: Times of the new events, none before the grid's begin, ``[E]``.
        inputs: Their inputs ``[E]``.
        begin_us: Of the grid.
        tick_us: Of the grid.
        window_us: Of the grid, 0 for one without windows.
        window_ticks: Of the grid, 0 for one without windows.
        n_inputs: Of the network.
        all_keys: Written: the keys of all, at most ``[W + E]``.
        all_counts: Written: their counts, likewise.

    Returns:
        How many keys there are.
    """
    n_new = len(times_us)
    new = np.empty(n_new, np.int64)
    for i in range(n_new):
        since = times_us[i] - begin_us
        tick = np.int64(0)
        if window_us:
            tick = since // window_us * window_ticks
            since %= window_us
        new[i] = (tick + since // tick_us) * n_inputs + inputs[i]
    new.sort()
    n_old, old_at, n_all = len(keys), 0, 0
    for i in range(n_new):
        key = new[i]
        while old_at < n_old and keys[old_at] <= key:
            all_keys[n_all], all_counts[n_all] = keys[old_at], counts[old_at]
            n_all, old_at = n_all + 1, old_at + 1
        if n_all and all_keys[n_all - 1] == key:
            all_counts[n_all - 1] += 1
        else:
            all_keys[n_all], all_counts[n_all] = key, 1
            n_all += 1
    while old_at < n_old:
        all_keys[n_all], all_counts[n_all] = keys[old_at], counts[old_at]
        n_all, old_at = n_all + 1, old_at + 1
    return n_all


@_compiled
def n_below(keys: Int64s, key: int) -> int:
    """Return how many of some rising keys are below one; few are not, as a rule."""
    n = len(keys)
    while n and keys[n - 1] >= key:
        n -= 1
    return n


@_compiled
def divide(
    keys: Int64s,
    counts: Int64s,
    first_tick: int,
    n_inputs: int,
    most: int,
    sizes: Int64s,
    channels: NDArray[np.int32],
    values: NDArray[np.float32],
) -> int:
    """Turn what waited into the inputs of the ticks that are complete.

    Args:
        keys: Of those ticks, as in `gather`, ``[E]``.
        counts: How many events of each.
        first_tick: The first of the ticks.
        n_inputs: Of the network.
        most: A count beyond it saturates.
        sizes: Written: how many inputs each tick has, ``[T]``.
        channels: Written: the inputs, ``[E]``.
        values: Written: their counts, ``[E]``.

    Returns:
        How many events were beyond ``most``.
    """
    sizes[:] = 0
    tick, begin, n_beyond = 0, first_tick * n_inputs, 0
    for i in range(len(keys)):
        while keys[i] - begin >= n_inputs:
            begin += n_inputs
            tick += 1
        sizes[tick] += 1
        channels[i] = keys[i] - begin
        values[i] = min(counts[i], most)
        n_beyond += max(counts[i] - most, 0)
    return n_beyond


def warm_up() -> None:
    """Compile the loops, or load them from disk, so that no stream waits for it."""
    none, one = np.empty(0, np.int64), np.zeros(1, np.int64)
    keys, counts = np.empty(1, np.int64), np.empty(1, np.int64)
    gather(none, none, one, one, 0, 1, 0, 0, 1, keys, counts)
    n_below(keys, 1)
    divide(keys, counts, 0, 1, 1, one, np.empty(1, np.int32), np.empty(1, np.float32))
