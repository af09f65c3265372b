"""What every source of recordings gives: labelled spike events of one sensor, one after the other.

A `Recording` is one utterance (or gesture) as address events with its label. A `Source` holds many
of them under numbers, loads each only when it is asked for, and hands them out in an order that a
seed decides. Where they come from (files, folders of sound, speech made on the spot) is the
business of the subclasses; `clients.datasets.open_source` picks one by a string.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt


class UnreadableSource(ValueError):
    """A file or folder is damaged or is not what its reader expects; the message says what."""


@dataclass(frozen=True, slots=True)
class CochleaSensor:
    """An artificial cochlea: event addresses are channel numbers below ``channels``."""

    channels: int
    kind: str = "cochlea"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCamera:
    """An event camera: addresses are ``(polarity * height + y) * width + x``, all inputs."""

    width: int
    height: int
    polarities: Literal[1, 2]
    kind: str = "dvs"

    @property
    def channels(self) -> int:
        """Addresses lie below it."""
        return self.polarities * self.height * self.width


Sensor: TypeAlias = CochleaSensor | EventCamera


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One labelled recording as events.

    Attributes:
        times_us: Event times ``[n]`` int64 in microseconds from the recording's start, never
            falling, all below ``duration_us``.
        addresses: Event addresses ``[n]`` uint32, below the sensor's number of addresses.
        label: Index of the class in ``Source.classes``.
        label_name: That class in words.
        duration_us: Length of the recording; silence after the last event belongs to it.
        speaker: Who spoke, where that is known.
        key: Names the recording within its source: equal keys mean the same recording.

    Raises:
        ValueError: Times and addresses differ in number, times fall or lie outside the duration.
    """

    times_us: npt.NDArray[np.int64]
    addresses: npt.NDArray[np.uint32]
    label: int
    label_name: str
    duration_us: int
    speaker: str | int | None
    key: str

    def __post_init__(self) -> None:
        if self.times_us.ndim != 1 or self.times_us.shape != self.addresses.shape:
            raise ValueError(
                f"recording {self.key}: times {self.times_us.shape} and addresses "
                f"{self.addresses.shape} should be vectors of equal length"
            )
        if self.times_us.dtype != np.int64 or self.addresses.dtype != np.uint32:
            raise ValueError(
                f"recording {self.key}: times {self.times_us.dtype} and addresses "
                f"{self.addresses.dtype} should be int64 and uint32"
            )
        if self.times_us.size == 0:
            return
        first, last = int(self.times_us[0]), int(self.times_us[-1])
        if np.any(np.diff(self.times_us) < 0) or first < 0 or last >= self.duration_us:
            raise ValueError(
                f"recording {self.key}: event times should rise within 0 to {self.duration_us} us "
                f"(not included); they run from {first} to {last}"
            )


class Source(ABC):
    """Labelled recordings of one sensor, loaded one by one when they are asked for.

    Attributes:
        name: What was opened, for messages and logs.
        sensor: What the event addresses mean.
        classes: Names of the classes; a recording's ``label`` is an index into them.
    """

    def __init__(self, name: str, sensor: Sensor, classes: Sequence[str]) -> None:
        self.name = name
        self.sensor = sensor
        self.classes = tuple(classes)

    @abstractmethod
    def __len__(self) -> int:
        """Number of recordings, known without loading any."""

    @abstractmethod
    def load(self, index: int) -> Recording:
        """Load one recording; the same index gives the same recording every time.

        Args:
            index: 0 to ``len(self) - 1``.

        Raises:
            IndexError: There is no recording of that number.
            UnreadableSource: The recording's data are damaged.
        """

    def recordings(self, shuffle_seed: int | Sequence[int] | None = None) -> Iterator[Recording]:
        """Iterate over all recordings once, loading each when its turn comes.

        Args:
            shuffle_seed: Decides the order; ``(seed, k)`` makes a fresh order for each pass k.
                None keeps the order of the source.
        """
        order = np.arange(len(self))
        if shuffle_seed is not None:
            order = np.random.default_rng(shuffle_seed).permutation(order)
        for index in order:
            yield self.load(int(index))

    def __iter__(self) -> Iterator[Recording]:
        return self.recordings()

    def check_index(self, index: int) -> None:
        """Refuse a number that no recording has.

        Raises:
            IndexError: ``index`` is negative or not below ``len(self)``.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"{self.name}: recording {index} of 0 to {len(self) - 1}")


def numbers_first(name: str) -> tuple[bool, int, str]:
    """Sort key for names of classes that puts 2 before 10, and numbers before words."""
    return (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)
