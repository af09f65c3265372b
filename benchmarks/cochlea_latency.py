"""How long the artificial cochlea takes from sound to event, in each band of frequencies.

    python -m benchmarks.cochlea_latency

Four answers for every tenth channel, in sensor time, so no clock and no load play a part:

    filter      group delay of its two resonators at its centre frequency
    loudness    by how much the events of the channels around it lag behind the loudness of a tone
                that wavers at random, up to 30 Hz: where the correlation of both is greatest
    silence     from the first sample of a tone after silence to the channel's first event
    change      the same for a tone that takes the place of another, 5 ERB away, in mid-sound

The last two are the slowest of six phases and of two loudnesses, 20 dB apart. An event counts from
the end of its step of half a millisecond, when the last sample that it depends on has been heard.
Writes ``benchmarks/results/cochlea_latency.json`` and ``docs/figures/cochlea_latency.png``; exit
code 1 if anything above 300 Hz takes 20 ms or more.
"""

import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt

from benchmarks.measured_on import facts
from clients.cochlea import Cochlea
from clients.cochlea_design import (
    SAMPLE_RATE,
    STEP_SAMPLES,
    STEP_US,
    CochleaTables,
    erb_rate,
)

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "cochlea_latency.json"
FIGURE = ROOT / "docs" / "figures" / "cochlea_latency.png"

BANDS_HZ: Final = (60, 150, 300, 600, 1200, 2400, 4800, 7000)
AIM_ABOVE_HZ: Final = 300
AIM_MS: Final = 20.0

_LOUDNESSES: Final = (0.1, 0.01)
_N_PHASES: Final = 6
_BEFORE_S, _AFTER_S = 0.3, 0.1
_OTHER_TONE_ERB: Final = 5.0
_WAVERING_S, _WAVERING_HZ, _WAVERING_DEPTH = 8, 30.0, 0.5
_NEAR_CHANNELS: Final = 10
_LONGEST_LAG_STEPS: Final = 100

Float64Array = npt.NDArray[np.float64]


class Latencies(NamedTuple):
    """Milliseconds of some channels, each ``[n]``; not a number where no event came."""

    center_hz: Float64Array
    filter: Float64Array
    loudness: Float64Array
    silence: Float64Array
    change: Float64Array


MEANINGS: Final = {
    "filter": "group delay of the filter",
    "loudness": "events lag behind loudness",
    "silence": "first event of a tone after silence",
    "change": "first event of a tone in place of another",
}


def main() -> int:
    """Measure, print, write and draw."""
    channels = np.arange(0, Cochlea().spec.channels, 10)
    measured = measure(channels)
    bands = [_band(measured, low, high) for low, high in pairwise(BANDS_HZ)]
    slowest = slowest_ms(measured, AIM_ABOVE_HZ)
    written: dict[str, Any] = {
        **facts("python -m benchmarks.cochlea_latency"),
        "bands": bands,
        f"slowest_above_{AIM_ABOVE_HZ}_hz_ms": slowest,
        "channels": {"channel": channels.tolist()}
        | {name: np.round(values, 3).tolist() for name, values in measured._asdict().items()},
    }
    RESULTS.write_text(json.dumps(written, indent=1) + "\n")
    _print(bands)
    print(f"above {AIM_ABOVE_HZ} Hz nothing takes longer than {slowest:.1f} ms, aim {AIM_MS:g} ms")
    _draw(measured)
    return 0 if slowest < AIM_MS else 1


def measure(channels: npt.NDArray[np.int64]) -> Latencies:
    """Measure the latencies of some channels ``[n]`` of the default cochlea."""
    cochlea = Cochlea()
    rows = [
        (
            group_delay_ms(cochlea.tables, channel),
            _behind_loudness_ms(cochlea, channel),
            _first_event_ms(cochlea, channel, after_tone=False),
            _first_event_ms(cochlea, channel, after_tone=True),
        )
        for channel in channels.tolist()
    ]
    return Latencies(cochlea.tables.center_hz[channels], *np.array(rows).T)


def slowest_ms(measured: Latencies, above_hz: float) -> float:
    """Return the longest of all latencies above a frequency; infinite if an event never came."""
    above = measured.center_hz >= above_hz
    return float(np.nan_to_num(np.array(measured[1:])[:, above], nan=np.inf).max())


def response(
    tables: CochleaTables, channel: int, frequencies_hz: Float64Array
) -> npt.NDArray[np.complex128]:
    """Frequency response of one channel's two resonators ``[frequencies]``."""
    delay = np.exp(-2j * np.pi * frequencies_hz / SAMPLE_RATE)
    a1, a2 = tables.a1[channel], tables.a2[channel]
    resonator = tables.filter_gain[channel] * (1 - delay**2) / (1 + a1 * delay + a2 * delay**2)
    return np.asarray(resonator**2)


def group_delay_ms(tables: CochleaTables, channel: int) -> float:
    """Group delay of a channel's two resonators at its centre frequency."""
    step_hz = 0.01
    center = float(tables.center_hz[channel])
    near = np.array([center - step_hz, center + step_hz])
    phases = np.unwrap(np.angle(response(tables, channel, near)))
    return float(-(phases[1] - phases[0]) / (2 * np.pi * 2 * step_hz) * 1e3)


def _first_event_ms(cochlea: Cochlea, channel: int, *, after_tone: bool) -> float:
    """Time from a tone's first sample to the channel's first event, the slowest of several tones.

    What is there before, silence or another tone, ends there; phases go on without a jump.
    """
    center = float(cochlea.tables.center_hz[channel])
    n_before, n_after = (_whole_steps(seconds) for seconds in (_BEFORE_S, _AFTER_S))
    other = _other_tone_hz(cochlea, center)
    per_sample = np.repeat([other, center], [n_before, n_after]) * 2 * np.pi / SAMPLE_RATE
    times = []
    for loudness in _LOUDNESSES:
        for phase in np.arange(_N_PHASES) * 2 * np.pi / _N_PHASES:
            sound = loudness * np.sin(phase + np.cumsum(per_sample))
            if not after_tone:
                sound[:n_before] = 0
            cochlea.reset()
            times_us, fired = cochlea.process(sound)
            begin_us = n_before * 1_000_000 // SAMPLE_RATE
            own = times_us[(fired == channel) & (times_us > begin_us)]
            times.append((own[0] - begin_us) / 1e3 if own.size else np.nan)
    return float(np.max(times))


def _other_tone_hz(cochlea: Cochlea, center_hz: float) -> float:
    """Frequency of a tone above, whose end is no onset, or below where there is none above."""
    highest = erb_rate(cochlea.spec.highest_hz)
    above = erb_rate(center_hz) + _OTHER_TONE_ERB
    rate = above if above <= highest else above - 2 * _OTHER_TONE_ERB
    return float((10.0 ** (rate / 21.4) - 1.0) / 0.00437)


def _behind_loudness_ms(cochlea: Cochlea, channel: int) -> float:
    """Lag at which events of the channels around this one follow a tone's loudness best."""
    n_steps = _whole_steps(_WAVERING_S) // STEP_SAMPLES
    loudness = _wavering(n_steps)
    moments = np.arange(n_steps * STEP_SAMPLES)
    at_samples = np.interp(moments / STEP_SAMPLES - 0.5, np.arange(n_steps), loudness)
    tone = np.sin(2 * np.pi * cochlea.tables.center_hz[channel] * moments / SAMPLE_RATE)
    cochlea.reset()
    times_us, fired = cochlea.process(_LOUDNESSES[0] * at_samples * tone)
    near = np.abs(fired.astype(np.int64) - channel) <= _NEAR_CHANNELS
    counts = np.bincount(times_us[near] // STEP_US - 1, minlength=n_steps)
    heard, answered = loudness - loudness.mean(), counts - counts.mean()
    correlations = [
        float(heard[: n_steps - lag] @ answered[lag:]) for lag in range(_LONGEST_LAG_STEPS)
    ]
    # events lie at the ends of steps, loudness in their middles
    return (int(np.argmax(correlations)) + 0.5) * STEP_US / 1e3


def _wavering(n_steps: int) -> Float64Array:
    """Loudness around 1 that wavers at random, all frequencies up to a limit alike ``[steps]``."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(n_steps))
    frequencies = np.fft.rfftfreq(n_steps, STEP_US / 1e6)
    spectrum[(frequencies > _WAVERING_HZ) | (frequencies == 0)] = 0
    wave = np.fft.irfft(spectrum, n_steps)
    return np.asarray(np.maximum(0.0, 1 + _WAVERING_DEPTH * wave / wave.std()))


def _whole_steps(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE) // STEP_SAMPLES * STEP_SAMPLES


def _band(measured: Latencies, low_hz: float, high_hz: float) -> dict[str, Any]:
    # centre frequencies at the ends of the range are rounded to float32
    inside = (measured.center_hz >= low_hz - 0.01) & (measured.center_hz < high_hz + 0.01)
    values = {name: getattr(measured, name)[inside] for name in MEANINGS}
    return {"low_hz": low_hz, "high_hz": high_hz, "n_channels": int(inside.sum())} | {
        name: {"median_ms": float(np.median(value)), "largest_ms": float(np.max(value))}
        for name, value in values.items()
    }


def _print(bands: list[dict[str, Any]]) -> None:
    print("from sound to event in ms, median (largest) of the band's channels")
    print("| band in Hz | " + " | ".join(MEANINGS.values()) + " |")
    print("|" + "---|" * (1 + len(MEANINGS)))
    for band in bands:
        cells = [
            f"{band[name]['median_ms']:.1f} ({band[name]['largest_ms']:.1f})" for name in MEANINGS
        ]
        print(f"| {band['low_hz']:,} to {band['high_hz']:,} | " + " | ".join(cells) + " |")


def _draw(measured: Latencies) -> None:
    figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    axes.axvspan(AIM_ABOVE_HZ, BANDS_HZ[-1], color="#e9f1f7", linewidth=0)
    axes.plot([AIM_ABOVE_HZ, BANDS_HZ[-1]], [AIM_MS, AIM_MS], color="#777777", linewidth=1)
    axes.annotate(f"aim above {AIM_ABOVE_HZ} Hz", (AIM_ABOVE_HZ * 1.05, AIM_MS - 0.9), va="top")
    looks = {"filter": "-", "loudness": "--", "silence": ".", "change": "+"}
    colours = {"filter": "#333333", "loudness": "#0072B2", "silence": "#009E73"}
    for name, look in looks.items():
        colour = colours.get(name, "#D55E00")
        label = MEANINGS[name]
        axes.plot(measured.center_hz, getattr(measured, name), look, color=colour, label=label)
    axes.set_ylim(0, AIM_MS + 1)
    axes.set_yticks(range(0, round(AIM_MS) + 1, 5))
    axes.set_ylabel("ms from sound to event")
    axes.set_xlabel("centre frequency of the channel in Hz")
    axes.set_xscale("log")
    axes.set_xticks([60, 100, 200, 300, 500, 1000, 2000, 5000])
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.minorticks_off()
    axes.set_xlim(55, BANDS_HZ[-1])
    axes.legend(frameon=False, fontsize="small", loc="upper right", bbox_to_anchor=(1, 0.93))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(FIGURE, dpi=120, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
