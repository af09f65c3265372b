"""Decays over the ticks of a segment: a minimum, plus a gamma-shaped rise.

    f(t) = p(t + 1; k, s) / max p,  p the gamma density of shape k and scale s, t = 0, 1, ...    (1)
    a[t] = a_min + A f(t)                                                                        (2)

Source: Yin et al. 2024, eq. 32, which says only that the coefficients follow a gamma distribution
over time and that their minima are learnable; (1) is our reading. The maximum is that of the
density over all positive times, so f reaches 1 where (k - 1) s is a whole number of ticks.
"""

import math

from tclif_core.hyperparameters import DecayProfile


def gamma_profile(tick: int, shape: float, scale_ticks: float) -> float:
    """Return f(t) of eq. (1), in double precision whatever the network computes in.

    Args:
        tick: Ticks since the segment began, 0 or more.
        shape: k, at least 1.
        scale_ticks: s in ticks, positive.

    Returns:
        A number in [0, 1]; it underflows to 0 long after the peak.
    """
    time = tick + 1.0
    if shape == 1.0:
        return math.exp(-time / scale_ticks)
    peak = (shape - 1.0) * scale_ticks
    # the logarithm of the quotient: the density itself overflows for large shapes
    return math.exp((shape - 1.0) * math.log(time / peak) - (time - peak) / scale_ticks)


def decay_at(tick: int, minimum: float, amplitude: float, profile: DecayProfile) -> float:
    """Return the decay of eq. (2) at a tick of the segment.

    Args:
        tick: Ticks since the segment began, 0 or more.
        minimum: Where the decay settles, in [0, 1 - amplitude].
        amplitude: The rise at the peak; 0 for a compartment whose decay is constant.
        profile: Shape and scale of the rise.
    """
    return minimum + amplitude * gamma_profile(tick, profile.shape, profile.scale_ticks)
