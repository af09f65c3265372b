"""Spike files that a small network learns in a few passes: low channels or high ones."""

from pathlib import Path

import numpy as np

from tests.clients.small_files import write_spike_file

CHANNELS = 12
SOURCE_OPTIONS = f"?channels={CHANNELS}"


def write_toy_spikes(
    path: Path, *, count: int = 24, speakers: bool = True, seed: int = 0, keys: int = 2
) -> str:
    """Write recordings of 60 to 100 ms by the speakers 2, 3 and 10; return them as a source."""
    generator = np.random.default_rng(seed)
    times, units, labels = [], [], []
    for number in range(count):
        label = number % 2
        n_events = int(generator.integers(60, 90))
        moments = np.sort(generator.uniform(0, generator.uniform(0.06, 0.1), n_events))
        times.append(moments.tolist())
        units.append(generator.integers(6 * label, 6 * label + 6, n_events).tolist())
        labels.append(label)
    said_by = [(2, 3, 10)[number // 2 % 3] for number in range(count)] if speakers else None
    names = [f"word-{number}".encode() for number in range(keys)]
    write_spike_file(path, times, units, labels, keys=names, speakers=said_by)
    return f"{path}{SOURCE_OPTIONS}"
