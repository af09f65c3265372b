"""Speed of the artificial cochlea, and two figures of docs/cochlea.md.

    python -m benchmarks.cochlea [--figures docs/figures]

Speed is sound heard per second of one core, for a whole recording and for live blocks of 10 ms, as
median and range of several runs. The figures are a spoken word, and what each channel answers to
tones: its filter's gain, and its events. How long it takes is `cochlea_latency`'s business.
"""

import argparse
import time
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.cochlea_latency import response
from clients.cochlea import Cochlea
from clients.cochlea_design import SAMPLE_RATE
from clients.sound_source import at_sample_rate
from clients.speech_synthesis import Voice, synthesize

Float64Array = npt.NDArray[np.float64]

TONE_AMPLITUDE = 0.1
N_TONES = 200
RUNS = 5


def main(arguments: list[str] | None = None) -> None:
    """Print the speed; draw the figures if a folder is given."""
    parser = argparse.ArgumentParser(description="Speed of the artificial cochlea, and figures.")
    parser.add_argument("--figures", type=Path, help="folder to draw the figures into")
    chosen = parser.parse_args(arguments)
    sound = spoken_sentence()
    print_speed(sound)
    if chosen.figures is not None:
        chosen.figures.mkdir(parents=True, exist_ok=True)
        draw_word(chosen.figures / "cochlea_word.png")
        draw_tuning(chosen.figures / "cochlea_tuning.png")


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


def events_per_s(frequencies_hz: Float64Array) -> Float64Array:
    """Count what each channel answers to steady tones ``[channels, tones]``, onsets left out."""
    cochlea = Cochlea()
    settled_s, heard_s = 0.1, 0.4
    moments = np.arange(round((settled_s + heard_s) * SAMPLE_RATE)) / SAMPLE_RATE
    counts = []
    for frequency in frequencies_hz:
        cochlea.reset()
        tone = TONE_AMPLITUDE * np.sin(2 * np.pi * frequency * moments)
        times_us, fired = cochlea.process(tone)
        settled = fired[times_us > settled_s * 1e6]
        counts.append(np.bincount(settled, minlength=cochlea.spec.channels))
    return np.array(counts).T / heard_s


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


def draw_tuning(path: Path) -> None:
    """Draw the filters of some channels, and what all of them answer to tones."""
    tables = Cochlea().tables
    frequencies = np.geomspace(30, 7990, 1500)
    figure = Figure(figsize=(8, 7), layout="constrained")
    tuning, answers = figure.subplots(2, 1, sharex=True, height_ratios=[1, 1.3])
    for channel in range(49, len(tables.a1), 100):
        gain_db = 20 * np.log10(np.abs(response(tables, channel, frequencies)))
        tuning.plot(frequencies, gain_db, linewidth=1.2)
        tuning.annotate(f"{channel}", (tables.center_hz[channel], 2), ha="center", fontsize="small")
    tuning.set_ylim(-60, 9)
    tuning.set_ylabel("gain in dB")
    tuning.set_title("filters of every hundredth channel, and its number", loc="left")
    tones = np.geomspace(30, 7900, N_TONES)
    channels = np.arange(len(tables.a1))
    map_ = answers.pcolormesh(tones, channels, events_per_s(tones), cmap="Blues", rasterized=True)
    answers.plot(tables.center_hz, channels, color="#c1440e", linewidth=0.8, label="its centre")
    answers.set_ylim(len(tables.a1), -1)
    answers.set_ylabel("channel")
    answers.set_title("what every channel answers to a steady tone", loc="left")
    answers.legend(fontsize="small", loc="upper left")
    figure.colorbar(map_, ax=answers, label="events a second", pad=0.01)
    answers.set_xlabel("frequency in Hz")
    answers.set_xscale("log")
    answers.set_xticks([50, 100, 200, 500, 1000, 2000, 5000])
    answers.xaxis.set_major_formatter("{x:,.0f}")
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, without the date and versions that would change the file each time."""
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
