"""Short compiled loops over a row of numbers, which the loops of layers are made of."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tclif_core.compilation import inlined, reordered
from tclif_core.kernels.compiled_lanes import FEW, LANES, fetch, load, multiply_add, spread, total
from tclif_core.kernels.cpu_plan import Floats

TINY = np.float32(1e-18)
"""Below it a potential, trace or error counts as zero."""

ZERO, ONE = np.float32(0.0), np.float32(1.0)


@inlined
def fill(row: NDArray[Any], number: float | np.float32) -> None:
    """Write the same number everywhere.

    Assigning to a slice does too, but compiles an error that allocates.
    """
    for i in range(len(row)):
        row[i] = number


@inlined
def fetch_ahead(numbers: Floats) -> None:
    """Ask for numbers that will be needed soon."""
    for at in range(0, len(numbers), LANES):
        fetch(numbers, at)


@inlined
def highest(numbers: Floats) -> np.float32:
    """Return the largest of some numbers; a NaN among them may hide the others."""
    most: np.float32 = numbers[0]
    for number in numbers:
        most = max(most, number)
    return most


@inlined
def dot(one: Floats, other: Floats) -> np.float32:
    """Return the sum of products of two vectors of one length, in an order of its own."""
    tile, few, j = spread(ZERO, LANES), spread(ZERO, FEW), 0
    while j + LANES <= len(one):
        tile = multiply_add(load(one, j, LANES), load(other, j, LANES), tile)
        j += LANES
    while j + FEW <= len(one):
        few = multiply_add(load(one, j, FEW), load(other, j, FEW), few)
        j += FEW
    rest = ZERO
    for last in range(j, len(one)):
        rest += one[last] * other[last]
    whole: np.float32 = total(tile) + total(few) + rest
    return whole


@reordered
def length(numbers: Floats) -> float:
    """Return the Euclidean length of a row, summed in double precision."""
    total = 0.0
    for i in range(len(numbers)):
        wide = np.float64(numbers[i])
        total += wide * wide
    return math.sqrt(total)
