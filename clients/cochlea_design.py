"""What the artificial cochlea is made of: its parameters, and the tables computed from them.

Channel c of C has the centre frequency f_c, equally spaced on the ERB-rate scale from the highest
(channel 0) to the lowest (channel C-1), the orientation of the Heidelberg datasets:

    E(f)   = 21.4 log10(1 + 0.00437 f)             ERB-rate of a frequency f in Hz              (1)
    ERB(f) = 24.7 (1 + 0.00437 f)                  equivalent rectangular bandwidth in Hz       (2)

Source of (1), (2): Glasberg and Moore 1990, "Derivation of auditory filter shapes from
notched-noise data". A channel's filter is two equal resonators in a row, each with zeros at 0 Hz
and at half the sample rate and unit gain at f_c (fs: sample rate, q: ``bandwidth_erb``):

    H(z)   = g (1 - z^-2) / (1 + a1 z^-1 + a2 z^-2)                                              (3)
    a1     = -2 r cos(2 pi f_c / fs),  a2 = r^2,  r = exp(-2 pi q ERB(f_c) / fs)                 (4)

and its neuron's threshold is spread around 1 by the golden ratio, so that neighbours, whose filters
overlap widely, answer different levels instead of all firing together:

    threshold_c = 1 + spread (frac(0.618... c) - 1/2)                                            (5)

Every table entry is rounded to float32 (and then used as float64): libraries of other languages
that compute cos and exp with another last digit still arrive at the same tables, so at the same
spikes. `clients.cochlea` runs the model; docs/cochlea.md explains it.
"""

import cmath
import math
from dataclasses import dataclass, fields
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

SAMPLE_RATE: Final = 16_000
"""Samples a second that the model works on."""

STEP_SAMPLES: Final = 8
"""Samples a neuron step: half a millisecond, the resolution of event times."""

STEP_US: Final = STEP_SAMPLES * 1_000_000 // SAMPLE_RATE

GOLDEN_RATIO: Final = 0.6180339887498949


@dataclass(frozen=True, slots=True, kw_only=True)
class CochleaSpec:
    """Parameters of the model; each is a sentence in docs/cochlea.md.

    Raises:
        ValueError: A value lies outside its range; the message gives both.
    """

    channels: int = 700
    """Number of channels, 2 to 65,536."""

    lowest_hz: float = 60.0
    """Centre frequency of the last channel, at least 20 Hz."""

    highest_hz: float = 7_000.0
    """Centre frequency of channel 0, above ``lowest_hz`` and at most 7,600 Hz."""

    bandwidth_erb: float = 0.8
    """Half-width of each resonator in ERB (equation 4), 0.2 to 4."""

    pre_emphasis: float = 0.9
    """How much of the previous sample is subtracted before anything else, 0 to 1."""

    gain_attack_ms: float = 4.0
    """How fast the level follows a rise of loudness, 0.5 to 100 ms."""

    gain_release_ms: float = 1_000.0
    """How slowly the level forgets loudness, 50 to 60,000 ms."""

    level_floor: float = 0.003
    """Level below which sound is no longer amplified, 1e-6 to 1; the scale of silence."""

    smoothing_ms: float = 1.0
    """Time constant of the hair cell's low-pass, 0.5 to 20 ms."""

    inhibition: float = 0.7
    """Share of the neighbourhood's mean that is subtracted from each channel, 0 to 1."""

    inhibition_erb: float = 5.0
    """How far the neighbourhood reaches to either side, 0 to 40 ERB."""

    adaptation: float = 0.7
    """Share of its own recent past that is subtracted from a channel, 0 to 1."""

    adaptation_ms: float = 60.0
    """Time constant of that past, 5 to 2,000 ms."""

    drive: float = 18.0
    """Factor from a channel's contrast to its neuron's input in thresholds, 0.01 to 1,000."""

    membrane_ms: float = 4.0
    """Time constant of the neuron, 0.5 to 100 ms."""

    refractory_ms: float = 1.0
    """Rest after a spike in which the neuron does not integrate, 0 to 100 ms."""

    threshold_spread: float = 0.5
    """Width of the band of thresholds around 1 (equation 5), 0 to 1.9."""

    def __post_init__(self) -> None:
        if not isinstance(self.channels, int):
            raise ValueError(f"channels is {self.channels!r}, expected an integer")  # noqa: TRY004 -- one error type for bad values
        for field in fields(self):
            value, (low, high) = getattr(self, field.name), RANGES[field.name]
            if not low <= value <= high:
                raise ValueError(f"{field.name} is {value}, expected {low} to {high}")
        if self.lowest_hz >= self.highest_hz:
            raise ValueError(
                f"lowest_hz is {self.lowest_hz}, expected less than highest_hz ({self.highest_hz})"
            )


RANGES: Final = {
    "channels": (2, 65_536),
    "lowest_hz": (20.0, 7_600.0),
    "highest_hz": (20.0, 7_600.0),
    "bandwidth_erb": (0.2, 4.0),
    "pre_emphasis": (0.0, 1.0),
    "gain_attack_ms": (0.5, 100.0),
    "gain_release_ms": (50.0, 60_000.0),
    "level_floor": (1e-6, 1.0),
    "smoothing_ms": (0.5, 20.0),
    "inhibition": (0.0, 1.0),
    "inhibition_erb": (0.0, 40.0),
    "adaptation": (0.0, 1.0),
    "adaptation_ms": (5.0, 2_000.0),
    "drive": (0.01, 1_000.0),
    "membrane_ms": (0.5, 100.0),
    "refractory_ms": (0.0, 100.0),
    "threshold_spread": (0.0, 1.9),
}


class CochleaTables(NamedTuple):
    """The spec as numbers that the kernel works with; arrays are ``[channels]`` float64.

    The three rates are the share of the remaining difference that a low-pass covers in one sample
    (``attack_rate``) or one neuron step (the others).
    """

    center_hz: npt.NDArray[np.float64]
    a1: npt.NDArray[np.float64]
    a2: npt.NDArray[np.float64]
    filter_gain: npt.NDArray[np.float64]
    threshold: npt.NDArray[np.float64]
    pre_emphasis: float
    attack_rate: float
    release_factor: float
    level_floor: float
    smoothing_rate: float
    inhibition: float
    inhibition_reach: int
    adaptation: float
    adaptation_rate: float
    drive: float
    membrane_rate: float
    refractory_steps: int


def erb_rate(frequency_hz: float) -> float:
    """ERB-rate of a frequency, equation (1)."""
    return 21.4 * math.log10(1.0 + 0.00437 * frequency_hz)


def erb_width_hz(frequency_hz: float) -> float:
    """Equivalent rectangular bandwidth at a frequency, equation (2)."""
    return 24.7 * (1.0 + 0.00437 * frequency_hz)


def center_frequencies_hz(spec: CochleaSpec) -> list[float]:
    """Centre frequencies of all channels, falling, equally spaced in ERB-rate."""
    top, bottom = erb_rate(spec.highest_hz), erb_rate(spec.lowest_hz)
    spacing = (top - bottom) / (spec.channels - 1)
    rates = (top - c * spacing for c in range(spec.channels))
    return [(10.0 ** (rate / 21.4) - 1.0) / 0.00437 for rate in rates]


def design(spec: CochleaSpec) -> CochleaTables:
    """Compute the tables of a spec, each entry rounded to float32."""
    centers = center_frequencies_hz(spec)
    resonators = [_resonator(f, spec.bandwidth_erb) for f in centers]
    phases = ((GOLDEN_RATIO * c) % 1.0 for c in range(spec.channels))
    thresholds = [1.0 + spec.threshold_spread * (phase - 0.5) for phase in phases]
    spacing = (erb_rate(spec.highest_hz) - erb_rate(spec.lowest_hz)) / (spec.channels - 1)
    sample_ms = 1_000.0 / SAMPLE_RATE
    step_ms = STEP_US / 1_000.0
    return CochleaTables(
        center_hz=_rounded(centers),
        a1=_rounded([a1 for a1, _, _ in resonators]),
        a2=_rounded([a2 for _, a2, _ in resonators]),
        filter_gain=_rounded([gain for _, _, gain in resonators]),
        threshold=_rounded(thresholds),
        pre_emphasis=_single(spec.pre_emphasis),
        attack_rate=_single(-math.expm1(-sample_ms / spec.gain_attack_ms)),
        release_factor=_single(math.exp(-sample_ms / spec.gain_release_ms)),
        level_floor=_single(spec.level_floor),
        smoothing_rate=_single(-math.expm1(-step_ms / spec.smoothing_ms)),
        inhibition=_single(spec.inhibition),
        inhibition_reach=round(spec.inhibition_erb / spacing),
        adaptation=_single(spec.adaptation),
        adaptation_rate=_single(-math.expm1(-step_ms / spec.adaptation_ms)),
        drive=_single(spec.drive),
        membrane_rate=_single(-math.expm1(-step_ms / spec.membrane_ms)),
        refractory_steps=round(spec.refractory_ms / step_ms),
    )


def _resonator(frequency_hz: float, bandwidth_erb: float) -> tuple[float, float, float]:
    """Coefficients a1, a2 and gain of one resonator, equations (3) and (4)."""
    angle = 2.0 * math.pi * frequency_hz / SAMPLE_RATE
    radius = math.exp(-2.0 * math.pi * bandwidth_erb * erb_width_hz(frequency_hz) / SAMPLE_RATE)
    a1, a2 = -2.0 * radius * math.cos(angle), radius * radius
    delay = cmath.exp(-1j * angle)
    gain = abs((1.0 + a1 * delay + a2 * delay * delay) / (1.0 - delay * delay))
    return a1, a2, gain


def _rounded(values: list[float]) -> npt.NDArray[np.float64]:
    return np.array(values, dtype=np.float32).astype(np.float64)


def _single(value: float) -> float:
    return float(np.float32(value))
