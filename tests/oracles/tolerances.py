"""How far a backend may be from the truth: one table, backend x quantity -> rtol, atol, and why.

A number may differ by ``atol + rtol * largest``, where ``largest`` is the largest magnitude in the
expected array: sums that cancel are as exact as their terms, not as their result.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Tolerance(NamedTuple):
    """What is allowed, and the reason for it."""

    rtol: float
    atol: float
    why: str

    def allowed(self, expected: ArrayLike) -> float:
        """Return the largest difference allowed to an expected array."""
        magnitudes = np.abs(np.asarray(expected, dtype=np.float64))
        return self.atol + self.rtol * float(magnitudes.max(initial=0.0))


_EXACT = Tolerance(0.0, 0.0, "spikes are 0 or 1")
_DOUBLE = Tolerance(1e-10, 1e-10, "the same sums in another order, in double precision")
_ONE_TICK = Tolerance(
    2e-6, 2e-6, "one tick from equal state: a sum over a layer's input lines, in float32"
)
_SLOPE = Tolerance(2e-6, 1e-5, "inherits the potential's absolute error, times 1 / width^2")
_TRACE = Tolerance(2e-5, 2e-6, "float32 recurrences over all ticks, with decays up to 1")
_SUM = Tolerance(1e-4, 2e-5, "a float32 sum over ticks of products of several such numbers")
_MOVED = Tolerance(2e-6, 2e-6, "a float32 weight after one small float32 step for each tick")

_FLOAT32 = {
    "dendrite": _ONE_TICK,
    "soma": _ONE_TICK,
    "spikes": _EXACT,
    "pseudo_derivative": _SLOPE,
    "logits": Tolerance(5e-6, 5e-6, "one tick from equal logits, weights that moved in float32"),
    "probabilities": Tolerance(5e-6, 5e-6, "inherits the logits' error"),
    "eligibility": _TRACE,
    "gradient": _SUM,
    "after": _MOVED,
}

FILTERED_TRACES = {
    "trace": _TRACE,
    "filtered": Tolerance(1e-4, 1e-5, "traces filtered once more, times the slope's error"),
}
"""Quantity -> tolerance in float32, of what the vector files do not hold."""

TOLERANCES: dict[str, dict[str, Tolerance]] = {
    "reference float64": dict.fromkeys(_FLOAT32, _DOUBLE) | {"spikes": _EXACT},
    "reference float32": _FLOAT32,
    "cpu float32": _FLOAT32,
    "cuda float32": _FLOAT32,
}
"""Backend and number type -> quantity -> tolerance."""

THRESHOLD_MARGIN = 1e-5
"""A soma this close to its threshold (times the potential's size, if above 1) may spike or not in
float32: rounding decides, so a differing spike there is counted and no error."""
