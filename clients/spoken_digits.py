"""Spoken digits that nobody recorded: as many as wanted, in as many voices, from a seed.

Recording i of a source is a function of its settings and i alone: its word, voice, speed, pitch,
loudness and the noise behind it come from generators seeded with the seed and i. Every run of as
many recordings as there are words holds each word once, in a shuffled order.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from clients.cochlea_design import CochleaSpec
from clients.sound_source import Sound, SoundSource
from clients.speech_synthesis import Voice, choose_voices, synthesize

ENGLISH: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
)  # fmt: skip
GERMAN: Final = (
    "null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun",
)  # fmt: skip

WORDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"english": ENGLISH, "german": GERMAN, "shd": ENGLISH + GERMAN}
)
"""Words of each language by label; ``shd`` has the twenty classes of the Heidelberg digits."""

QUIETEST_DB: Final = -120.0
"""Noise further down could not be told from none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """How much one voice differs from word to word; all zero is the same sound every time.

    Raises:
        ValueError: A value lies outside its range.
    """

    speed: float = 0.12
    """Greatest relative change of the voice's speed, 0 to 0.5."""

    pitch: int = 8
    """Greatest change of the voice's pitch in espeak-ng's units, 0 to 30."""

    loudness_db: float = 12.0
    """Greatest attenuation in decibels, 0 to 40."""

    lead_s: float = 0.05
    """Longest silence before the word, in seconds, 0 to 5."""

    noise_db: float | None = -60.0
    """Level of white noise in decibels below full scale, -120 to 0; None for none."""

    def __post_init__(self) -> None:
        limits = {"speed": (0, 0.5), "pitch": (0, 30), "loudness_db": (0, 40), "lead_s": (0, 5)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}, expected {low} to {high}")
        if self.noise_db is not None and not QUIETEST_DB <= self.noise_db <= 0:
            raise ValueError(f"noise_db is {self.noise_db}, expected {QUIETEST_DB} to 0, or None")


class SpokenDigits(SoundSource):
    """Synthesised digits as a source; a word is spoken when its recording is asked for."""

    def __init__(
        self,
        language: str,
        *,
        n: int = 600,
        voices: Sequence[int] = range(8),
        seed: int = 7,
        variation: Variation | None = None,
        spec: CochleaSpec | None = None,
    ) -> None:
        """Choose the voices; no word is spoken yet.

        Args:
            language: ``"english"``, ``"german"`` or ``"shd"``.
            n: Number of recordings, at least 1.
            voices: Which voices of the seed's row speak (`speech_synthesis.choose_voices`); two
                sources with the same seed and disjoint voices are a clean train and test split.
            seed: Decides voices, order and variation.
            variation: How much a voice varies; None means the defaults.
            spec: The cochlea's parameters; None means the defaults.

        Raises:
            ValueError: The language is unknown, ``n`` is not positive, or ``voices`` is empty.
        """
        if language not in WORDS:
            raise ValueError(f"language is {language!r}, expected one of {', '.join(WORDS)}")
        if n < 1:
            raise ValueError(f"n is {n}, expected at least 1 recording")
        if len(voices) == 0:
            raise ValueError("no voices: expected at least one number")
        super().__init__(f"digits:{language}", WORDS[language], spec=spec)
        self._n = n
        self._seed = seed
        self._numbers = tuple(voices)
        self._voices = choose_voices(voices, seed)
        self._variation = Variation() if variation is None else variation

    @override
    def __len__(self) -> int:
        return self._n

    @override
    def sound(self, index: int) -> Sound:
        """Speak one recording.

        Args:
            index: 0 to ``len(self) - 1``.

        Raises:
            IndexError: There is no recording of that number.
            MissingPackage: espeakng_loader is not installed.
            SpeechFailed: espeak-ng failed.
        """
        self.check_index(index)
        label = self._label(index)
        # the first voice takes part, so that train and test voices do not share their variation
        generator = np.random.default_rng((self._seed, 1, self._numbers[0], index))
        speaker = int(generator.integers(len(self._voices)))
        voice = _varied(self._voices[speaker], self._variation, generator)
        if self.classes[label] in GERMAN:
            voice = replace(voice, language="de")
        word, sample_rate = synthesize(self.classes[label], voice)
        return Sound(
            samples=_recorded(word, sample_rate, self._variation, generator),
            sample_rate=sample_rate,
            label=label,
            speaker=self._numbers[speaker],
            key=f"{self.name}#{self._seed}.{self._numbers[speaker]}.{index}",
        )

    def _label(self, index: int) -> int:
        run, place = divmod(index, len(self.classes))
        order = np.random.default_rng((self._seed, 0, run)).permutation(len(self.classes))
        return int(order[place])


def digit_recordings(
    n: int, seed: int, *, language: str = "english", voices: Sequence[int] = range(8)
) -> Iterator[Sound]:
    """Iterate over the sound of synthesised digits, before any cochlea.

    Args:
        n: Number of recordings.
        seed: Decides voices, order and variation.
        language: ``"english"``, ``"german"`` or ``"shd"``.
        voices: Which voices of the seed's row speak.

    Raises:
        ValueError: See `SpokenDigits`.
    """
    source = SpokenDigits(language, n=n, seed=seed, voices=voices)
    return (source.sound(index) for index in range(n))


def _varied(voice: Voice, variation: Variation, generator: np.random.Generator) -> Voice:
    """Vary speed and pitch as a speaker does from word to word."""
    speed = 1.0 + variation.speed * generator.uniform(-1.0, 1.0)
    shift = int(generator.integers(-variation.pitch, variation.pitch + 1))
    return replace(
        voice,
        words_per_minute=min(450, max(80, round(voice.words_per_minute * speed))),
        pitch=min(99, max(0, voice.pitch + shift)),
    )


def _recorded(
    word: npt.NDArray[np.float32],
    sample_rate: int,
    variation: Variation,
    generator: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """Record a word: silence before it, another loudness, noise behind it."""
    silence = np.zeros(int(generator.uniform(0.0, variation.lead_s) * sample_rate))
    loudness = 10.0 ** (generator.uniform(-variation.loudness_db, 0.0) / 20.0)
    heard = np.concatenate([silence, word * loudness])
    if variation.noise_db is not None:
        heard += 10.0 ** (variation.noise_db / 20.0) * generator.standard_normal(len(heard))
    return heard.astype(np.float32)
