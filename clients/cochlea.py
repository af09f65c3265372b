"""A causal artificial cochlea: sound in, spike events on many channels out, block by block.

With x the samples, c a channel, n a sample, k a neuron step of eight samples:

    p[n]   = x[n] - 0.9 x[n-1]                               pre-emphasis                        (1)
    m[n]   = m[n-1] + attack (|p[n]| - m[n-1])               momentary loudness                  (2)
    L[n]   = max(release L[n-1], m[n], floor)                level: rises at once, falls slowly  (3)
    s_c    = H_c H_c (p / L)                                 two resonators (`cochlea_design`)   (4)
    h_c[k] = mean over the step of max(0, s_c)               half-wave rectification             (5)
    u_c[k] = u_c[k-1] + smoothing (h_c[k] + 1e-30 - u_c[k-1])    hair cell membrane              (6)
    e_c[k] = sqrt(u_c[k])                                    compression                         (7)
    d_c[k] = max(0, e_c[k] - inhibition mean_near_c(e[k]))   contrast to the neighbourhood       (8)
    i_c[k] = drive max(0, d_c[k] - adaptation w_c[k-1])      what is new                         (9)
    w_c[k] = w_c[k-1] + adapt (d_c[k] - w_c[k-1])            recent past                        (10)
    v_c[k] = v_c[k-1] + leak (i_c[k] - v_c[k-1])             neuron; v >= threshold_c spikes,   (11)
             sets v to zero and rests for the refractory steps

Where a tiny constant is added (6), and where filter states and loudness below 1e-30 become zero at
the end of each step, it is to keep silence out of the denormal numbers, in which processors are
slow. Only + - * / sqrt, max and comparisons of float64 are used, in a fixed order and without fused
operations, so any IEEE machine and language gives the same spikes. Steps lie at fixed samples of
the stream: the events do not depend on how the sound was cut into blocks, bit for bit.

The choice of stages is our own; their models are in docs/cochlea.md.
"""

from typing import Final, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from clients.cochlea_design import (
    SAMPLE_RATE,
    STEP_SAMPLES,
    STEP_US,
    CochleaSpec,
    CochleaTables,
    design,
)

Float64Array = npt.NDArray[np.float64]
Events = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]

_CHUNK_STEPS: Final = 32
"""Steps that run through one stage before the next one starts: their values fit the L2 cache."""

_TINY: Final = 1e-30


class _State(NamedTuple):
    """What the model remembers, written in place; ``[channels]`` float64 where not said."""

    front: Float64Array
    """``[5]``: x[n-1], the last two samples after the gain, loudness m, level L."""
    first: Float64Array
    """``[2, channels]``: the first resonators' last two outputs."""
    second: Float64Array
    """``[2, channels]``: the second resonators'."""
    hair_cell: Float64Array
    recent: Float64Array
    v_membrane: Float64Array
    rest: npt.NDArray[np.int64]
    """Steps that each neuron still rests."""


class Cochlea:
    """Turns a stream of samples into spike events; one object is one stream.

    The order of channels is that of the Heidelberg datasets: 0 is the highest frequency.
    """

    def __init__(self, spec: CochleaSpec | None = None, *, sample_rate: int = SAMPLE_RATE) -> None:
        """Build the filters; the stream starts in silence.

        Args:
            spec: The model's parameters; None means the defaults.
            sample_rate: Rate of the sound in Hz. The model works on 16,000 only: resample
                recordings with `clients.sound_folders.at_sample_rate`, and let a microphone
                deliver that rate.

        Raises:
            ValueError: Another sample rate.
        """
        if sample_rate != SAMPLE_RATE:
            raise ValueError(
                f"sample rate is {sample_rate} Hz, the cochlea expects {SAMPLE_RATE} Hz"
            )
        self.spec = CochleaSpec() if spec is None else spec
        self.tables = design(self.spec)
        self.reset()

    def reset(self) -> None:
        """Forget the stream: silence, time zero."""
        channels = self.spec.channels
        front = np.zeros(5)
        front[4] = self.tables.level_floor
        self._state = _State(
            front=front,
            first=np.zeros((2, channels)),
            second=np.zeros((2, channels)),
            hair_cell=np.zeros(channels),
            recent=np.zeros(channels),
            v_membrane=np.zeros(channels),
            rest=np.zeros(channels, dtype=np.int64),
        )
        self._pending = np.empty(0)
        self._n_steps = 0

    def process(self, samples: npt.NDArray[np.float32] | Float64Array) -> Events:
        """Hear the next samples of the stream.

        Args:
            samples: ``[n]`` float32 or float64, full scale is -1 to 1; any n, also 0. Left
                untouched.

        Returns:
            Times ``[events]`` int64 in microseconds from the start of the stream, never falling,
            and channels ``[events]`` uint32, rising among events of one time. A spike is timed at
            the end of its step, when the last sample that it depends on has been heard. Samples of
            a step that is not complete wait for the next call.

        Raises:
            ValueError: Not a vector of floats, or not finite; nothing was heard then.
        """
        waiting = np.concatenate([self._pending, _checked(samples)])
        n_steps = len(waiting) // STEP_SAMPLES
        times, channels = [np.empty(0, np.int64)], [np.empty(0, np.uint32)]
        for begin in range(0, n_steps, _CHUNK_STEPS):
            end = min(begin + _CHUNK_STEPS, n_steps)
            steps, fired = self._advance(waiting[begin * STEP_SAMPLES : end * STEP_SAMPLES])
            times.append((steps + 1) * STEP_US)
            channels.append(fired)
        self._pending = waiting[n_steps * STEP_SAMPLES :].copy()
        return np.concatenate(times), np.concatenate(channels)

    def _advance(self, samples: Float64Array) -> Events:
        """Run whole steps; return each spike's step number in the stream, and channel."""
        n_steps = len(samples) // STEP_SAMPLES
        rectified = np.empty((n_steps, self.spec.channels))
        _hear(samples, self.tables, self._state, rectified)
        steps = np.empty(rectified.size, dtype=np.int64)
        fired = np.empty(rectified.size, dtype=np.uint32)
        count = _fire(rectified, self.tables, self._state, steps, fired)
        self._n_steps += n_steps
        return steps[:count] + (self._n_steps - n_steps), fired[:count]


def _checked(samples: npt.NDArray[np.float32] | Float64Array) -> Float64Array:
    if samples.ndim != 1 or samples.dtype not in (np.float32, np.float64):
        raise ValueError(
            f"samples are {samples.dtype} of shape {samples.shape}, "
            "expected a vector of float32 or float64 within -1 to 1"
        )
    if not np.all(np.isfinite(samples)):
        raise ValueError("samples hold infinities or not-a-number")
    return samples.astype(np.float64)


@numba.njit(cache=True, nogil=True)
def _hear(
    samples: Float64Array, tables: CochleaTables, state: _State, rectified: Float64Array
) -> None:
    """Equations (1) to (5): write each step's mean rectified output ``[steps, channels]``."""
    a1, a2, gain = tables.a1, tables.a2, tables.filter_gain
    y1, y2, s1, s2 = state.first[0], state.first[1], state.second[0], state.second[1]
    x1, p1, p2, loudness, level = state.front
    channels = len(a1)
    for k in range(len(rectified)):
        total = rectified[k]
        total[:] = 0.0
        for n in range(k * STEP_SAMPLES, (k + 1) * STEP_SAMPLES):
            emphasised = samples[n] - tables.pre_emphasis * x1
            x1 = samples[n]
            loudness += tables.attack_rate * (abs(emphasised) - loudness)
            level = max(tables.release_factor * level, loudness, tables.level_floor)
            p = emphasised / level
            difference = p - p2
            p2, p1 = p1, p
            for c in range(channels):
                y = gain[c] * difference - a1[c] * y1[c] - a2[c] * y2[c]
                s = gain[c] * (y - y2[c]) - a1[c] * s1[c] - a2[c] * s2[c]
                y2[c], y1[c] = y1[c], y
                s2[c], s1[c] = s1[c], s
                total[c] += max(0.0, s)
        if loudness < _TINY:
            loudness = 0.0
        for c in range(channels):
            total[c] /= STEP_SAMPLES
        for memory in (y1, y2, s1, s2):
            _drop_tiny(memory)
    state.front[:] = (x1, p1, p2, loudness, level)


@numba.njit(cache=True, nogil=True)
def _drop_tiny(memory: Float64Array) -> None:
    for c in range(len(memory)):
        if abs(memory[c]) < _TINY:
            memory[c] = 0.0


@numba.njit(cache=True, nogil=True)
def _fire(
    rectified: Float64Array,
    tables: CochleaTables,
    state: _State,
    steps: npt.NDArray[np.int64],
    fired: npt.NDArray[np.uint32],
) -> int:
    """Equations (6) to (11): write each spike's step and channel; return how many there are."""
    n_steps, channels = rectified.shape
    hair_cell, recent, v_membrane, rest = state[3:]
    compressed = np.empty(channels)
    sum_below = np.zeros(channels + 1)
    reach = tables.inhibition_reach
    count = 0
    for k in range(n_steps):
        for c in range(channels):
            u = hair_cell[c]
            u += tables.smoothing_rate * (rectified[k, c] + _TINY - u)
            hair_cell[c] = u
            compressed[c] = np.sqrt(u)
        for c in range(channels):
            sum_below[c + 1] = sum_below[c] + compressed[c]
        for c in range(channels):
            low, high = max(0, c - reach), min(channels, c + reach + 1)
            near = (sum_below[high] - sum_below[low]) / (high - low)
            contrast = max(0.0, compressed[c] - tables.inhibition * near)
            new = tables.drive * max(0.0, contrast - tables.adaptation * recent[c])
            recent[c] += tables.adaptation_rate * (contrast - recent[c])
            v = v_membrane[c]
            v_membrane[c] = v if rest[c] > 0 else v + tables.membrane_rate * (new - v)
        for c in range(channels):
            rest[c] = max(0, rest[c] - 1)
            if v_membrane[c] >= tables.threshold[c]:
                v_membrane[c] = 0.0
                rest[c] = tables.refractory_steps
                steps[count] = k
                fired[count] = c
                count += 1
    return count
