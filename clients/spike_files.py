"""Spike recordings in the HDF5 layout of the Heidelberg datasets (SHD, SSC).

    spikes/times   [n] vectors of float16 or float32: event times in seconds
    spikes/units   [n] vectors of integers: the channel of each event
    labels         [n] integers
    extra/keys     [classes] byte strings: the classes' names
    extra/speaker  [n] integers; absent in some files, then no speaker is known

Layout: Cramer, Stradmann, Schemmel, Zenke 2020, "The Heidelberg Spiking Data Sets for the
Systematic Evaluation of Spiking Neural Networks". The files do not say how many channels the
sensor had; it is 700 in both sets.
"""

import gzip
import shutil
import tempfile
import weakref
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from clients.optional_packages import import_optional
from clients.recordings import CochleaSensor, Recording, Source, UnreadableSource

REQUIRED: Final = ("spikes/times", "spikes/units", "labels", "extra/keys")

HEIDELBERG_SPLITS: Final = {"shd": ("train", "test"), "ssc": ("train", "valid", "test")}
"""The published sets and their parts."""

DOWNLOADS: Final = Path.home() / ".cache" / "tclif"
"""Where published sets are kept unless another folder is named."""


class SpikeFile(Source):
    """Recordings of one SHD-layout file, plain (`.h5`) or as distributed (`.h5.gz`).

    A compressed file is unpacked into a temporary file first, since HDF5 is read out of order. The
    file stays open for as long as the source lives.
    """

    def __init__(self, path: Path, *, channels: int = 700) -> None:
        """Open the file and check its layout; no event is read yet.

        Args:
            path: An existing file.
            channels: Number of channels of the sensor that recorded it.

        Raises:
            FileNotFoundError: There is no such file.
            UnreadableSource: The file is damaged or has another layout.
            ValueError: ``channels`` is not positive.
            MissingPackage: h5py is not installed.
        """
        if channels < 1:
            raise ValueError(f"channels is {channels}, expected at least 1")
        self._path = path
        with ExitStack() as stack:
            self._file = _open_layout(path, stack)
            self._labels = np.asarray(self._file["labels"][()]).astype(np.int64)
            speakers = self._file.get("extra/speaker")
            self._speakers = None if speakers is None else np.asarray(speakers[()])
            keys = self._file["extra/keys"][()]
            classes = [k.decode() if isinstance(k, bytes) else str(k) for k in keys]
            super().__init__(path.name, CochleaSensor(channels), classes)
            self._check_counts()
            # from here on the files live as long as the source
            weakref.finalize(self, stack.pop_all().close)

    @override
    def __len__(self) -> int:
        return len(self._labels)

    @override
    def load(self, index: int) -> Recording:
        self.check_index(index)
        key = f"{self.name}#{index}"
        try:
            seconds = np.asarray(self._file["spikes/times"][index], dtype=np.float64)
            units = np.asarray(self._file["spikes/units"][index], dtype=np.int64)
        except (OSError, RuntimeError) as error:
            raise UnreadableSource(f"{key}: its events can't be read: {error}") from error
        times_us, addresses = self._checked_events(key, seconds, units)
        return Recording(
            times_us=times_us,
            addresses=addresses,
            label=int(self._labels[index]),
            label_name=self.classes[self._labels[index]],
            # the layout stores no duration; a recording ends with its last event
            duration_us=int(times_us[-1]) + 1 if times_us.size else 1,
            speaker=None if self._speakers is None else int(self._speakers[index]),
            key=key,
        )

    def _check_counts(self) -> None:
        counts = {"labels": len(self._labels)}
        counts |= {name: len(self._file[name]) for name in ("spikes/times", "spikes/units")}
        if self._speakers is not None:
            counts["extra/speaker"] = len(self._speakers)
        if len(set(counts.values())) != 1:
            raise UnreadableSource(f"{self._path}: numbers of recordings disagree: {counts}")
        if np.any((self._labels < 0) | (self._labels >= len(self.classes))):
            raise UnreadableSource(
                f"{self._path}: labels run from {self._labels.min()} to {self._labels.max()}, "
                f"extra/keys names {len(self.classes)} classes"
            )

    def _checked_events(
        self, key: str, seconds: npt.NDArray[np.float64], units: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]:
        if seconds.shape != units.shape:
            raise UnreadableSource(f"{key}: {seconds.size} times for {units.size} units")
        if not np.all(np.isfinite(seconds) & (seconds >= 0)):
            raise UnreadableSource(f"{key}: a time is negative or not a number")
        if np.any((units < 0) | (units >= self.sensor.channels)):
            raise UnreadableSource(
                f"{key}: units run from {units.min()} to {units.max()}, "
                f"expected 0 to {self.sensor.channels - 1}"
            )
        times_us = np.rint(seconds * 1e6).astype(np.int64)
        # a stable sort keeps the file's order among events of the same moment
        order = np.argsort(times_us, kind="stable")
        return times_us[order], units[order].astype(np.uint32)


def open_heidelberg(name: str, split: str, folder: Path = DOWNLOADS) -> SpikeFile:
    """Open a published set, downloading it once with tonic.

    Args:
        name: ``"shd"`` (10 English and 10 German digits) or ``"ssc"`` (35 English words).
        split: One of `HEIDELBERG_SPLITS`.
        folder: Where the downloads are kept.

    Raises:
        ValueError: There is no such set or part.
        MissingPackage: tonic is not installed.
        UnreadableSource: The download failed or is damaged.
    """
    if split not in HEIDELBERG_SPLITS.get(name, ()):
        known = [f"{n}:{part}" for n, parts in HEIDELBERG_SPLITS.items() for part in parts]
        raise ValueError(f"no set {name}:{split}, expected one of {', '.join(known)}")
    tonic = import_optional("tonic.datasets", "to download SHD and SSC")
    try:
        if name == "shd":
            fetched = tonic.SHD(save_to=str(folder), train=split == "train")
        else:
            fetched = tonic.SSC(save_to=str(folder), split=split)
    except (OSError, RuntimeError) as error:
        raise UnreadableSource(
            f"{name}:{split} can't be fetched into {folder} (this needs the internet): {error}"
        ) from error
    # tonic opens the file anew for every recording; SpikeFile keeps it open and checks it
    return SpikeFile(Path(fetched.location_on_system) / fetched.data_filename)


def _open_layout(path: Path, stack: ExitStack) -> Any:  # noqa: ANN401 -- h5py has no types
    """Open a file for reading, to be closed by the stack, and see that the layout is in it."""
    h5py = import_optional("h5py", "to read SHD-layout files")
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        content = _unpacked(path, stack) if path.suffix == ".gz" else path
        file = stack.enter_context(h5py.File(content, "r"))
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableSource(f"{path}: damaged, or not an HDF5 file: {error}") from error
    missing = [name for name in REQUIRED if not isinstance(file.get(name), h5py.Dataset)]
    if missing:
        raise UnreadableSource(
            f"{path}: not in the layout of SHD, {', '.join(missing)} missing; "
            f"expected {', '.join(REQUIRED)}"
        )
    return file


def _unpacked(path: Path, stack: ExitStack) -> IO[bytes]:
    """Unpack a gzip file into a temporary file that vanishes when the stack closes it."""
    unpacked = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 -- the stack closes it
    with gzip.open(path) as packed:
        shutil.copyfileobj(packed, unpacked, 1 << 20)
    return unpacked
