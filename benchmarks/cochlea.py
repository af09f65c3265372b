"""Speed and latency of the artificial cochlea, and the figures of docs/cochlea.md.

    python -m benchmarks.cochlea [--figures docs/figures]

Speed is sound heard per second of one core, for a whole recording and for live blocks of 10 ms, as
median and range of several runs. Latency is the model's own, in sensor time: from the first sample
of a tone to the first spike of the channel tuned to it, with the group delay of its filter beside
it.
"""

import argparse
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from clients.cochlea import Cochlea
from clients.cochlea_design import SAMPLE_RATE, CochleaTables
from clients.sound_source import at_sample_rate
from clients.speech_synthesis import Voice, synthesize

Float64Array = npt.NDArray[np.float64]

BANDS_HZ = (60, 150, 300, 600, 1200, 2400, 4800, 7000)
TONE_AMPLITUDE = 0.1
RUNS = 5


def main(arguments: list[str] | None = None) -> None:
    """Print speed and latency; draw the figures if a folder is given."""
    parser = argparse.ArgumentParser(description="Speed and latency of the artificial cochlea.")
    parser.add_argument("--figures", type=Path, help="folder to draw the figures into")
    chosen = parser.parse_args(arguments)
    sound = spoken_sentence()
    print_speed(sound)
    centers, delays, latencies = measure_latency()
    print_latency(centers, delays, latencies)
    if chosen.figures is not None:
        chosen.figures.mkdir(parents=True, exist_ok=True)
        draw_word(chosen.figures / "cochlea_word.png")
        draw_tuning(chosen.figures / "cochlea_tuning.png", centers, delays, latencies)


def spoken_sentence() -> npt.NDArray[np.float32]:
    """Return about ten seconds of synthesised speech at the cochlea's rate."""
    text = " ".join(["one two three four five six seven eight nine zero"] * 3)
    return at_sample_rate(*synthesize(text, Voice()))


def print_speed(sound: npt.NDArray[np.float32]) -> None:
    """Measure how much sound a second of one core hears, in one go and in live blocks."""
    seconds = len(sound) / SAMPLE_RATE
    begin = time.perf_counter()
    Cochlea().process(sound[:SAMPLE_RATE])
    print(f"warm-up (compilation or its cache): {time.perf_counter() - begin:.2f} s")
    block = SAMPLE_RATE // 100
    # interleaved, so that a neighbour's load on the machine meets both alike
    speeds: dict[str, list[float]] = {"whole recording": [], "blocks of 10 ms": []}
    for _ in range(RUNS):
        for name, size in (("whole recording", len(sound)), ("blocks of 10 ms", block)):
            cochlea = Cochlea()
            begin = time.perf_counter()
            for first in range(0, len(sound), size):
                cochlea.process(sound[first : first + size])
            speeds[name].append(seconds / (time.perf_counter() - begin))
    times_us, _ = Cochlea().process(sound)
    print(f"speech: {seconds:.1f} s, {len(times_us) / seconds:,.0f} events a second")
    for name, values in speeds.items():
        print(
            f"{name}: {median(values):.0f} times real time ({min(values):.0f} to {max(values):.0f})"
        )


def measure_latency() -> tuple[Float64Array, Float64Array, Float64Array]:
    """Sound a tone at every tenth channel's centre, after silence.

    Returns:
        Centre frequencies in Hz, group delays of the filters there in ms, and times from the
        tone's first sample to the channel's first spike in ms (not-a-number where none came).
    """
    cochlea = Cochlea()
    channels = np.arange(0, cochlea.spec.channels, 10)
    centers = cochlea.tables.center_hz[channels]
    silence = np.zeros(SAMPLE_RATE // 5)
    moments = np.arange(SAMPLE_RATE // 5) / SAMPLE_RATE
    latencies = np.full(len(channels), np.nan)
    for i, channel in enumerate(channels):
        cochlea.reset()
        cochlea.process(silence)
        tone = TONE_AMPLITUDE * np.sin(2 * np.pi * centers[i] * moments)
        times_us, fired = cochlea.process(tone)
        own = times_us[fired == channel]
        if own.size:
            latencies[i] = own[0] / 1e3 - 1e3 * len(silence) / SAMPLE_RATE
    return centers, group_delays_ms(cochlea.tables, channels), latencies


def group_delays_ms(tables: CochleaTables, channels: npt.NDArray[np.int64]) -> Float64Array:
    """Group delay of each channel's two resonators at its centre frequency, in milliseconds."""
    step_hz = 0.01
    delays = []
    for channel in channels:
        center = float(tables.center_hz[channel])
        near = np.array([center - step_hz, center + step_hz])
        phases = np.unwrap(np.angle(response(tables, int(channel), near)))
        delays.append(-(phases[1] - phases[0]) / (2 * np.pi * 2 * step_hz) * 1e3)
    return np.array(delays)


def response(
    tables: CochleaTables, channel: int, frequencies_hz: Float64Array
) -> npt.NDArray[np.complex128]:
    """Frequency response of one channel's two resonators ``[frequencies]``."""
    delay = np.exp(-2j * np.pi * frequencies_hz / SAMPLE_RATE)
    a1, a2 = tables.a1[channel], tables.a2[channel]
    resonator = tables.filter_gain[channel] * (1 - delay**2) / (1 + a1 * delay + a2 * delay**2)
    return np.asarray(resonator**2)


def print_latency(centers: Float64Array, delays: Float64Array, latencies: Float64Array) -> None:
    """Print latencies by band of centre frequency."""
    print(f"tones of amplitude {TONE_AMPLITUDE} after silence; ms, median (largest) of the band")
    print("band in Hz    filter's group delay    first spike in the tuned channel")
    for low, high in pairwise(BANDS_HZ):
        band = (centers >= low - 1) & (centers < high + 1)
        delay, latency = delays[band], latencies[band]
        silent = int(np.sum(np.isnan(latency)))
        note = f", {silent} channels without a spike" if silent else ""
        print(
            f"{low:>4} to {high:>4}    {np.median(delay):6.1f} ({delay.max():4.1f})"
            f"           {np.nanmedian(latency):6.1f} ({np.nanmax(latency):4.1f}){note}"
        )


def draw_word(path: Path) -> None:
    """Draw a spoken word as waveform and as spikes."""
    samples = at_sample_rate(*synthesize("seven", Voice(variant="f2", words_per_minute=150)))
    cochlea = Cochlea()
    times_us, channels = cochlea.process(samples)
    figure = Figure(figsize=(8, 6), layout="constrained")
    wave, raster = figure.subplots(2, 1, sharex=True, height_ratios=[1, 3.5])
    wave.plot(np.arange(len(samples)) / SAMPLE_RATE * 1e3, samples, color="#33658a", linewidth=0.5)
    wave.set_ylabel("amplitude")
    wave.set_title(f"“seven” by espeak-ng: {len(times_us):,} spikes", loc="left")
    raster.plot(times_us / 1e3, channels, ",", color="#222222")
    raster.set_ylim(cochlea.spec.channels, -1)
    raster.set_xlim(0, len(samples) / SAMPLE_RATE * 1e3)
    raster.set_xlabel("time in ms")
    raster.set_ylabel("channel")
    ticks = [7000, 4000, 2000, 1000, 500, 250, 100]
    places = [int(np.argmin(np.abs(cochlea.tables.center_hz - hz))) for hz in ticks]
    frequency = raster.secondary_yaxis("right")
    frequency.set_yticks(places, [f"{hz:,}" for hz in ticks])
    frequency.set_ylabel("centre frequency in Hz")
    save(figure, path)


def draw_tuning(
    path: Path, centers: Float64Array, delays: Float64Array, latencies: Float64Array
) -> None:
    """Draw the filters of some channels, and what they cost in time."""
    tables = Cochlea().tables
    frequencies = np.geomspace(30, 7990, 1500)
    figure = Figure(figsize=(8, 6), layout="constrained")
    tuning, timing = figure.subplots(2, 1, sharex=True)
    for channel in range(49, len(tables.a1), 100):
        gain_db = 20 * np.log10(np.abs(response(tables, channel, frequencies)))
        tuning.plot(frequencies, gain_db, linewidth=1.2)
        tuning.annotate(f"{channel}", (tables.center_hz[channel], 2), ha="center", fontsize="small")
    tuning.set_ylim(-60, 9)
    tuning.set_ylabel("gain in dB")
    tuning.set_title("filters of every hundredth channel, and its number", loc="left")
    timing.plot(centers, delays, color="#33658a", label="group delay of the filter")
    timing.plot(centers, latencies, ".", color="#c1440e", label="first spike after a tone begins")
    timing.set_ylim(0, 15)
    timing.set_ylabel("ms")
    timing.set_xlabel("frequency in Hz")
    timing.set_xscale("log")
    timing.set_xticks([50, 100, 200, 500, 1000, 2000, 5000])
    timing.xaxis.set_major_formatter("{x:,.0f}")
    timing.legend(fontsize="small", loc="upper right")
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, without the date and versions that would change the file each time."""
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
