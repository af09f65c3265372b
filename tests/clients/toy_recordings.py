"""A source of a few recordings that are made on the spot."""

from pathlib import Path

import numpy as np
from typing_extensions import override

from clients.optional_packages import import_optional
from clients.recordings import CochleaSensor, Recording, Source

CLASSES = ("zero", "one", "two")


class ToySource(Source):
    """Recordings of 100 ms with three events at 0, 45 and 99.999 ms; labels go round."""

    def __init__(self, count: int) -> None:
        super().__init__("toy", CochleaSensor(channels=700), CLASSES)
        self._count = count
        self.loaded: list[int] = []

    @override
    def __len__(self) -> int:
        return self._count

    @override
    def load(self, index: int) -> Recording:
        self.loaded.append(index)
        return Recording(
            times_us=np.array([0, 45_000, 99_999], np.int64),
            addresses=np.array([1, 2, 699], np.uint32),
            label=index % len(CLASSES),
            label_name=CLASSES[index % len(CLASSES)],
            duration_us=100_000,
            speaker=None,
            key=f"toy#{index}",
        )


def write_spike_file(
    path: Path, count: int, classes: tuple[str, ...] = CLASSES, *, first_s: float = 0.0
) -> str:
    """Write recordings of two events, at 0 and 50 ms, in the layout of SHD; return where."""
    h5py = import_optional("h5py", "to write a spike file")
    with h5py.File(path, "w") as file:
        times = file.create_dataset("spikes/times", (count,), h5py.vlen_dtype(np.float32))
        units = file.create_dataset("spikes/units", (count,), h5py.vlen_dtype(np.uint16))
        for index in range(count):
            times[index] = np.array([first_s, 0.05], np.float32)
            units[index] = np.array([3, 5], np.uint16)
        file["labels"] = np.arange(count) % len(classes)
        file["extra/keys"] = np.array([name.encode() for name in classes])
    return str(path)
