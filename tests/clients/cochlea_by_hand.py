"""The cochlea's equations in plain Python, one number at a time: the oracle of its tests.

Written from docs/cochlea.md; of the project only the table of coefficients is shared. Python's
floats are the same IEEE numbers, so the spikes must agree exactly.
"""

import math
from collections.abc import Sequence

from clients.cochlea_design import CochleaTables


def spikes_by_hand(samples: Sequence[float], tables: CochleaTables) -> list[tuple[int, int]]:
    """Return (time in microseconds, channel) of every spike."""
    drive = _normalised(samples, tables)
    channels = range(len(tables.a1))
    rectified = [_rectified(drive, tables, c) for c in channels]
    smooth, recent, membrane = ([0.0 for _ in channels] for _ in range(3))
    rest = [0 for _ in channels]
    spikes = []
    for k in range(len(samples) // 8):
        for c in channels:
            smooth[c] += tables.smoothing_rate * (rectified[c][k] + 1e-30 - smooth[c])
        loud = [math.sqrt(u) for u in smooth]
        running = [0.0]
        for e in loud:
            running.append(running[-1] + e)
        for c in channels:
            low = max(0, c - tables.inhibition_reach)
            high = min(len(loud), c + tables.inhibition_reach + 1)
            near = (running[high] - running[low]) / (high - low)
            contrast = max(0.0, loud[c] - tables.inhibition * near)
            current = tables.drive * max(0.0, contrast - tables.adaptation * recent[c])
            recent[c] += tables.adaptation_rate * (contrast - recent[c])
            if rest[c] > 0:
                rest[c] -= 1
                continue
            membrane[c] += tables.membrane_rate * (current - membrane[c])
            if membrane[c] >= tables.threshold[c]:
                membrane[c] = 0.0
                rest[c] = tables.refractory_steps
                spikes.append(((k + 1) * 500, c))
    return spikes


def _normalised(samples: Sequence[float], tables: CochleaTables) -> list[float]:
    """Pre-emphasis and gain."""
    before, loudness, level = 0.0, 0.0, tables.level_floor
    result = []
    for n, x in enumerate(samples, start=1):
        p = x - tables.pre_emphasis * before
        before = x
        loudness += tables.attack_rate * (abs(p) - loudness)
        level = max(tables.release_factor * level, loudness, tables.level_floor)
        result.append(p / level)
        if n % 8 == 0 and loudness < 1e-30:
            loudness = 0.0
    return result


def _rectified(drive: Sequence[float], tables: CochleaTables, c: int) -> list[float]:
    """Two resonators, half-wave rectified, mean of every eight samples."""
    a1, a2, gain = float(tables.a1[c]), float(tables.a2[c]), float(tables.filter_gain[c])
    x, y, s = [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]
    means, total = [], 0.0
    for n, p in enumerate(drive, start=1):
        first = gain * (p - x[1]) - a1 * y[0] - a2 * y[1]
        second = gain * (first - y[1]) - a1 * s[0] - a2 * s[1]
        x, y, s = [p, x[0]], [first, y[0]], [second, s[0]]
        total += max(0.0, second)
        if n % 8 == 0:
            means.append(total / 8)
            total = 0.0
            y = [v if abs(v) >= 1e-30 else 0.0 for v in y]
            s = [v if abs(v) >= 1e-30 else 0.0 for v in s]
    return means
