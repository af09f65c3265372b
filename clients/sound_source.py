"""Sources whose recordings are sound: resampled, sent through the cochlea, and kept as events."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from clients.cochlea import Cochlea
from clients.cochlea_design import SAMPLE_RATE, STEP_US, CochleaSpec
from clients.optional_packages import import_optional
from clients.recordings import CochleaSensor, Recording, Source

CACHE_BYTES: Final = 512 << 20
"""Memory that a source may fill with events of recordings it has prepared."""


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """One labelled recording before the cochlea hears it.

    Attributes:
        samples: ``[n]`` float32, full scale is -1 to 1.
        sample_rate: In Hz.
        label: Index of the class in ``Source.classes``.
        speaker: Who spoke, where that is known.
        key: Names the recording within its source.
    """

    samples: npt.NDArray[np.float32]
    sample_rate: int
    label: int
    speaker: str | int | None
    key: str


def at_sample_rate(
    samples: npt.NDArray[np.float32], sample_rate: int, wanted_rate: int = SAMPLE_RATE
) -> npt.NDArray[np.float32]:
    """Resample a whole recording with a linear-phase low-pass (polyphase, Kaiser window).

    Args:
        samples: ``[n]``.
        sample_rate: Their rate in Hz.
        wanted_rate: The rate to return, in Hz.

    Returns:
        ``[ceil(n * wanted / had)]`` float32; the input itself where the rates are equal.

    Raises:
        ValueError: A rate is not positive.
        MissingPackage: scipy is not installed.
    """
    if min(sample_rate, wanted_rate) <= 0:
        raise ValueError(f"sample rates {sample_rate} and {wanted_rate} Hz should be positive")
    if sample_rate == wanted_rate:
        return samples
    signal = import_optional("scipy.signal", "to resample sound")
    resampled = signal.resample_poly(samples, wanted_rate, sample_rate)
    return np.asarray(resampled, dtype=np.float32)


class SoundSource(Source):
    """Recordings of sound as events of an artificial cochlea.

    What has been heard once is kept in memory (up to `CACHE_BYTES`; what does not fit is prepared
    again), so that later passes cost nothing. Not for several threads at once.
    """

    def __init__(
        self, name: str, classes: Sequence[str], *, spec: CochleaSpec | None = None
    ) -> None:
        """Build the cochlea; no sound is loaded yet.

        Args:
            name: What was opened.
            classes: Names of the classes.
            spec: The cochlea's parameters; None means the defaults.
        """
        self._cochlea = Cochlea(spec)
        super().__init__(name, CochleaSensor(self._cochlea.spec.channels), classes)
        self._cache: dict[int, Recording] = {}
        self._cached_bytes = 0

    @abstractmethod
    def sound(self, index: int) -> Sound:
        """Load or make one recording's sound; the same index gives the same sound every time.

        Args:
            index: 0 to ``len(self) - 1``.

        Raises:
            IndexError: There is no recording of that number.
            UnreadableSource: Its data are damaged.
        """

    @override
    def load(self, index: int) -> Recording:
        if index in self._cache:
            return self._cache[index]
        recording = self._heard(self.sound(index))
        size = recording.times_us.nbytes + recording.addresses.nbytes
        if self._cached_bytes + size <= CACHE_BYTES:
            self._cache[index] = recording
            self._cached_bytes += size
        return recording

    def _heard(self, sound: Sound) -> Recording:
        samples = at_sample_rate(sound.samples, sound.sample_rate)
        self._cochlea.reset()
        times_us, addresses = self._cochlea.process(samples)
        # shared by every later pass: nobody may change them
        times_us.flags.writeable = addresses.flags.writeable = False
        return Recording(
            times_us=times_us,
            addresses=addresses,
            label=sound.label,
            label_name=self.classes[sound.label],
            # a spike is timed at the end of its step, so the last one can lie at the sound's end
            duration_us=len(samples) * 1_000_000 // SAMPLE_RATE + STEP_US,
            speaker=sound.speaker,
            key=sound.key,
        )
