"""Sound as it is heard now: blocks of samples at the cochlea's rate, from a microphone or a file.

What comes faster than it is taken is dropped a block at a time, and counted: a stream in real time
may not fall behind without end.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from clients.cochlea_design import SAMPLE_RATE
from clients.optional_packages import import_optional
from clients.sound_source import at_sample_rate

Samples = npt.NDArray[np.float32]

BLOCK_S: Final = 0.02
"""Length of a block: a fifth of what a person takes for at once."""

BLOCK_SAMPLES: Final = round(BLOCK_S * SAMPLE_RATE)

_QUEUED_BLOCKS: Final = 100


class NoSound(OSError):
    """There is no microphone, or it can't be used; the text says why."""


class SoundInput(ABC):
    """Where sound comes from.

    Attributes:
        n_lost: Blocks that came and were not taken in time.
    """

    def __init__(self) -> None:
        self.n_lost = 0

    @abstractmethod
    def blocks(self) -> AsyncIterator[Samples]:
        """Give block after block ``[n]`` float32 within -1 to 1, each when it is heard.

        Raises:
            NoSound: The microphone can't be used.
        """


class FileInput(SoundInput):
    """A recording, as if it were heard now."""

    def __init__(
        self,
        path: Path,
        *,
        is_paced: bool = True,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Read the whole of it.

        Args:
            path: A wav or flac file, of any rate and number of channels.
            is_paced: Whether a block takes as long as it lasts.
            sleep: Lets time pass.

        Raises:
            NoSound: It can't be read as sound.
            MissingPackage: soundfile or scipy is not installed.
        """
        super().__init__()
        soundfile = import_optional("soundfile", "to read sound files")
        if not path.is_file():
            raise NoSound(f"{path} is no file")
        try:
            samples, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            raise NoSound(f"{path}: damaged, or not a sound file: {error}") from error
        self._samples = at_sample_rate(samples.mean(axis=1, dtype=np.float32), sample_rate)
        self._pause_s = BLOCK_S if is_paced else 0.0
        self._sleep = sleep

    @override
    async def blocks(self) -> AsyncIterator[Samples]:
        for begin in range(0, len(self._samples), BLOCK_SAMPLES):
            await self._sleep(self._pause_s)
            yield self._samples[begin : begin + BLOCK_SAMPLES]


class MicrophoneInput(SoundInput):
    """A microphone, by PortAudio."""

    def __init__(self, device: int | str | None = None) -> None:
        """Choose a microphone; it is opened when blocks are asked for.

        Args:
            device: Its number or a part of its name, as `devices` lists them; None for the
                system's choice.

        Raises:
            NoSound: PortAudio is not on this system.
            MissingPackage: sounddevice is not installed.
        """
        super().__init__()
        self._sounddevice = _sounddevice()
        self._device = device

    @override
    async def blocks(self) -> AsyncIterator[Samples]:
        queue: asyncio.Queue[Samples] = asyncio.Queue(_QUEUED_BLOCKS)
        loop = asyncio.get_running_loop()

        def take(block: Samples) -> None:
            if queue.full():
                self.n_lost += 1
            else:
                queue.put_nowait(block)

        def heard(data: Samples, *_: object) -> None:
            # on PortAudio's thread, which uses the memory again
            loop.call_soon_threadsafe(take, data[:, 0].copy())

        try:
            stream = self._sounddevice.InputStream(
                samplerate=SAMPLE_RATE,
                blocksize=BLOCK_SAMPLES,
                channels=1,
                dtype="float32",
                device=self._device,
                callback=heard,
            )
        except (self._sounddevice.PortAudioError, ValueError) as error:
            chosen = "the microphone" if self._device is None else f"device {self._device!r}"
            raise NoSound(f"{chosen} can't be used: {error}") from error
        with stream:
            while True:
                yield await queue.get()


def devices() -> list[str]:
    """Return a line for each microphone: its number, its name and its own rate.

    Raises:
        NoSound: PortAudio is not on this system.
        MissingPackage: sounddevice is not installed.
    """
    return [
        f"{number}  {device['name']}  ({device['default_samplerate']:g} Hz)"
        for number, device in enumerate(_sounddevice().query_devices())
        if device["max_input_channels"] > 0
    ]


def _sounddevice() -> Any:  # noqa: ANN401 - a package without types
    try:
        return import_optional("sounddevice", "to hear a microphone", extra="microphone")
    except OSError as error:
        raise NoSound(
            f"PortAudio is not on this system ({error}); Debian's package is libportaudio2"
        ) from error
