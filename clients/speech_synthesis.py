"""Speech made on the spot by espeak-ng: no recording, no download, no program to install.

The wheel of `espeakng_loader` brings the library and its voices. Every text is spoken by a short
process of its own (`clients.speech_worker`), for three reasons:

* espeak-ng keeps global state (the phase of its flutter) from one text to the next; in a fresh
  process, with its noise seeded, the sound is a function of text and voice alone;
* it is not safe to call from several threads;
* it is licensed under GPL-3, and stays a separate program that an optional extra installs.

That costs about 20 ms a word.
"""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from clients.optional_packages import import_optional

VARIANTS: Final = (
    "Alex", "Alicia", "Andrea", "Andy", "Annie", "Denis", "Lee", "Michael", "Mike", "Reed",
    "adam", "anika", "aunty", "belinda", "benjamin", "boris", "david", "edward", "f1", "f2", "f3",
    "f4", "f5", "grandma", "grandpa", "iven2", "linda", "m1", "m2", "m3", "m4", "m5", "m6", "m7",
    "m8", "norbert", "paul", "robert", "shelby", "steph",
)  # fmt: skip
"""Voice variants of espeak-ng that sound like people; robots and whispers are left out."""

DIALECTS: Final = ("en-us", "en-gb-x-rp", "en-gb-scotland", "en-029", "en-us-nyc")
"""English as spoken in several places."""

_WORKER: Final = Path(__file__).with_name("speech_worker.py")

_LONGEST_S: Final = 60.0
"""A process that speaks for longer than this has hung."""


class SpeechFailed(RuntimeError):
    """espeak-ng could not say a text; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """Who speaks.

    Raises:
        ValueError: A setting lies outside its range.
    """

    language: str = "en-us"
    """espeak-ng's name of a language or dialect."""

    variant: str | None = None
    """One of `VARIANTS` or another of espeak-ng's; None is its plain voice."""

    words_per_minute: int = 175
    """Speed, 80 to 450."""

    pitch: int = 50
    """Height of the voice, 0 to 99."""

    pitch_range: int = 50
    """How much the melody moves, 0 to 99."""

    def __post_init__(self) -> None:
        limits = {"words_per_minute": (80, 450), "pitch": (0, 99), "pitch_range": (0, 99)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}, expected {low} to {high}")


def synthesize(text: str, voice: Voice) -> tuple[npt.NDArray[np.float32], int]:
    """Say a text; the same text and voice give the same samples.

    Args:
        text: What to say, in the voice's language.
        voice: Who says it.

    Returns:
        Samples ``[n]`` within -1 to 1, and the sample rate in Hz (22,050).

    Raises:
        MissingPackage: espeakng_loader is not installed.
        ValueError: The text holds a zero character, or the variant does not exist.
        SpeechFailed: espeak-ng knows no such language, or its process failed.
    """
    if "\0" in text:
        raise ValueError(f"the text {text!r} holds a zero character")
    loader = import_optional("espeakng_loader", "to synthesise speech")
    library, data = Path(loader.get_library_path()), Path(loader.get_data_path())
    # espeak-ng itself falls back to its plain voice without a word
    if voice.variant is not None and not (data / "voices" / "!v" / voice.variant).is_file():
        raise ValueError(f"espeak-ng has no voice variant {voice.variant!r}")
    name = voice.language if voice.variant is None else f"{voice.language}+{voice.variant}"
    settings = (str(voice.words_per_minute), str(voice.pitch), str(voice.pitch_range))
    command = [sys.executable, "-I", "-S", str(_WORKER), str(library), str(data), name, *settings]
    spoken = subprocess.run(  # noqa: S603 -- our own program, arguments are not seen by a shell
        [*command, text], capture_output=True, timeout=_LONGEST_S, check=False
    )
    if spoken.returncode != 0:
        complaint = spoken.stderr.decode(errors="replace").strip()
        raise SpeechFailed(f"can't say {text!r} as {name!r}: {complaint}")
    samples = np.frombuffer(spoken.stdout, dtype="<i2", offset=4).astype(np.float32)
    return samples / np.float32(32768), int.from_bytes(spoken.stdout[:4], "little")


def choose_voices(numbers: Sequence[int], seed: int) -> tuple[Voice, ...]:
    """Choose English-speaking voices that differ in variant, dialect, speed and pitch.

    Args:
        numbers: Which voices of the seed's endless row: ``range(8)`` are eight, and
            ``range(8, 12)`` four others that share nothing with them but the seed. The first 40
            have different variants.
        seed: Decides the row.

    Raises:
        ValueError: A number is negative.
    """
    if any(number < 0 for number in numbers):
        raise ValueError(f"voice numbers {list(numbers)} should not be negative")
    order = np.random.default_rng(seed).permutation(len(VARIANTS))
    return tuple(_voice(number, VARIANTS[order[number % len(order)]], seed) for number in numbers)


def _voice(number: int, variant: str, seed: int) -> Voice:
    generator = np.random.default_rng((seed, number))
    return Voice(
        language=DIALECTS[generator.integers(len(DIALECTS))],
        variant=variant,
        words_per_minute=int(generator.integers(120, 211)),
        pitch=int(generator.integers(30, 71)),
        pitch_range=int(generator.integers(30, 71)),
    )
