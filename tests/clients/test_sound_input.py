"""Sound by blocks, from files and from a microphone that is played here."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Self

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]  # no stubs exist

from clients.sound_input import BLOCK_SAMPLES, FileInput, MicrophoneInput, NoSound, devices


class PortAudioError(Exception):
    """As sounddevice's."""


class Stream:
    """A microphone's stream; `play` is what its thread does."""

    def __init__(self, callback: Callable[..., None], **options: object) -> None:
        if options["device"] == "broken":
            raise PortAudioError("Invalid sample rate")
        self.options = options
        self.play = callback
        self.is_open = False

    def __enter__(self) -> Self:
        self.is_open = True
        return self

    def __exit__(self, *_: object) -> None:
        self.is_open = False


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> list[Stream]:
    made: list[Stream] = []

    def make(callback: Callable[..., None], **options: object) -> Stream:
        made.append(Stream(callback, **options))
        return made[-1]

    listed = [
        {"name": "speakers", "max_input_channels": 0, "default_samplerate": 48000.0},
        {"name": "headset", "max_input_channels": 1, "default_samplerate": 44100.0},
    ]
    fake = SimpleNamespace(
        InputStream=make, PortAudioError=PortAudioError, query_devices=lambda: listed
    )
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return made


async def test_a_file_is_heard_whole_block_by_block_at_the_pace_that_it_lasts(
    tmp_path: Path,
) -> None:
    # 50 ms at the cochlea's rate: blocks of 20, 20 and 10 ms
    samples = np.linspace(-0.5, 0.5, 800, dtype=np.float32)
    soundfile.write(tmp_path / "s.wav", samples, 16_000, subtype="FLOAT")
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    blocks = [block async for block in FileInput(tmp_path / "s.wav", sleep=sleep).blocks()]

    assert [len(block) for block in blocks] == [320, 320, 160]
    assert np.array_equal(np.concatenate(blocks), samples)
    assert slept == [0.02, 0.02, 0.02]


async def test_channels_are_averaged_and_other_rates_resampled(tmp_path: Path) -> None:
    # one channel loud, one silent: the mean is half; 8 kHz gives twice the samples
    stereo = np.stack([np.full(400, 0.5, np.float32), np.zeros(400, np.float32)], axis=1)
    soundfile.write(tmp_path / "s.wav", stereo, 8_000, subtype="FLOAT")

    blocks = [b async for b in FileInput(tmp_path / "s.wav", is_paced=False).blocks()]

    heard = np.concatenate(blocks)
    assert len(heard) == 800
    assert heard[200:600] == pytest.approx(0.25, abs=0.01)


def test_what_is_no_sound_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "no.wav").write_bytes(b"not sound")

    with pytest.raises(NoSound, match=r"no\.wav: damaged, or not a sound file"):
        FileInput(tmp_path / "no.wav")
    with pytest.raises(NoSound, match=r"none\.wav is no file"):
        FileInput(tmp_path / "none.wav")


async def test_blocks_of_a_microphone_come_in_their_order_as_copies(streams: list[Stream]) -> None:
    microphone = MicrophoneInput(3)
    blocks = microphone.blocks()
    first = asyncio.ensure_future(anext(blocks))
    await asyncio.sleep(0)
    memory = np.full((BLOCK_SAMPLES, 1), 0.25, np.float32)

    streams[0].play(memory, BLOCK_SAMPLES, None, None)
    memory[:] = 0.5
    streams[0].play(memory, BLOCK_SAMPLES, None, None)

    assert (await first).tolist() == [0.25] * BLOCK_SAMPLES
    assert (await anext(blocks)).tolist() == [0.5] * BLOCK_SAMPLES
    assert streams[0].options == {
        "samplerate": 16_000,
        "blocksize": 320,
        "channels": 1,
        "dtype": "float32",
        "device": 3,
    }
    await blocks.aclose()  # type: ignore[attr-defined]  # an asynchronous generator
    assert not streams[0].is_open


async def test_blocks_that_nobody_takes_are_dropped_and_counted(streams: list[Stream]) -> None:
    microphone = MicrophoneInput()
    first = asyncio.ensure_future(anext(microphone.blocks()))
    await asyncio.sleep(0)
    memory = np.zeros((BLOCK_SAMPLES, 1), np.float32)

    # one goes to who waits once it is its turn, a hundred wait
    for _ in range(103):
        streams[0].play(memory, BLOCK_SAMPLES, None, None)
    await first

    assert microphone.n_lost == 3


async def test_a_microphone_that_cannot_be_used_is_told_with_the_reason(
    streams: list[Stream],
) -> None:
    with pytest.raises(NoSound, match="device 'broken' can't be used: Invalid sample rate"):
        await anext(MicrophoneInput("broken").blocks())
    assert streams == []


@pytest.mark.usefixtures("streams")
def test_only_devices_that_hear_are_listed() -> None:
    assert devices() == ["1  headset  (44100 Hz)"]
