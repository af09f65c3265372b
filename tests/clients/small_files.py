"""Small files that tests of the readers write themselves."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

h5py = pytest.importorskip("h5py")
soundfile = pytest.importorskip("soundfile")

SHARED_DATA = Path(__file__).parents[3] / "shared" / "data"
"""Recordings beside the repository, where there are any."""


def write_spike_file(
    path: Path,
    times_s: Sequence[Sequence[float]],
    units: Sequence[Sequence[int]],
    labels: Sequence[int],
    *,
    keys: Sequence[bytes] = (b"zero", b"one"),
    speakers: Sequence[int] | None = (3, 5),
    without: str = "",
) -> Path:
    """Write a file in the layout of SHD; ``without`` names a dataset to leave out."""
    rows: dict[str, tuple[Sequence[Sequence[float]], npt.DTypeLike]] = {
        "spikes/times": (times_s, np.float16),
        "spikes/units": (units, np.uint16),
    }
    with h5py.File(path, "w") as file:
        for name, (vectors, dtype) in rows.items():
            if name != without:
                made = file.create_dataset(name, (len(vectors),), dtype=h5py.vlen_dtype(dtype))
                for i, vector in enumerate(vectors):
                    made[i] = np.asarray(vector, dtype=dtype)
        plain = {"labels": np.asarray(labels, np.uint16), "extra/keys": np.asarray(keys)}
        if speakers is not None:
            plain["extra/speaker"] = np.asarray(speakers, np.uint16)
        for name, values in plain.items():
            if name != without:
                file[name] = values
    return path


def tone(
    hz: float, seconds: float, sample_rate: int, amplitude: float = 0.3
) -> npt.NDArray[np.float64]:
    """Return a sine wave that starts at zero."""
    moments = np.arange(round(seconds * sample_rate)) / sample_rate
    return np.asarray(amplitude * np.sin(2 * np.pi * hz * moments))


def write_sound(path: Path, samples: npt.NDArray[np.float64], sample_rate: int = 16_000) -> Path:
    """Write a sound file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, sample_rate)
    return path
