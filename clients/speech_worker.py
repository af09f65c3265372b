"""Speaks one text with espeak-ng and writes the samples to standard output; a program of its own.

    python -I -S speech_worker.py LIBRARY DATA VOICE WORDS_PER_MINUTE PITCH PITCH_RANGE TEXT

Output: the sample rate as 4 little-endian bytes, then 16-bit little-endian samples. Nothing but the
standard library is imported, so that it starts in about 10 ms. `clients.speech_synthesis` says why
each text gets a process.
"""

import array
import ctypes
import sys

# constants of espeak-ng's speak_lib.h
AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_DONT_EXIT = 0x8000
RATE, PITCH, RANGE = 1, 3, 4
POSITION_CHARACTER = 1
CHARACTERS_UTF8 = 1

NOISE_SEED = 1

CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


def speak(
    library: str, data: str, voice: str, settings: tuple[int, int, int], text: str
) -> tuple[int, bytes]:
    """Return the sample rate and the samples as 16-bit integers of this machine's byte order.

    Args:
        library: Path to libespeak-ng.
        data: Path to its voices and dictionaries.
        voice: Language and variant, such as ``"en-us+f3"``.
        settings: Words per minute, pitch and pitch range, in espeak-ng's units.
        text: What to say.

    Raises:
        ValueError: espeak-ng refuses the data, the voice or a setting.
    """
    espeak = ctypes.CDLL(library)
    samples = bytearray()

    def collect(wave: int | None, count: int, _events: int) -> int:
        if wave:
            samples.extend(ctypes.string_at(wave, 2 * count))
        return 0

    sample_rate = espeak.espeak_Initialize(
        AUDIO_OUTPUT_SYNCHRONOUS, 0, data.encode(), INITIALIZE_DONT_EXIT
    )
    if sample_rate <= 0:
        raise ValueError(f"espeak-ng finds no voices in {data!r}")
    # espeak-ng has seeded its noise with the time of day
    espeak.espeak_ng_SetRandSeed(ctypes.c_long(NOISE_SEED))
    # espeak-ng keeps the pointer only: the callback must outlive the synthesis
    callback = CALLBACK(collect)
    espeak.espeak_SetSynthCallback(callback)
    if espeak.espeak_SetVoiceByName(voice.encode()) != 0:
        raise ValueError(f"espeak-ng knows no voice {voice!r}")
    for parameter, value in zip((RATE, PITCH, RANGE), settings, strict=True):
        if espeak.espeak_SetParameter(parameter, value, 0) != 0:
            raise ValueError(f"espeak-ng refuses {value} for its parameter {parameter}")
    spoken = text.encode() + b"\0"
    size = ctypes.c_size_t(len(spoken))
    if (
        espeak.espeak_Synth(spoken, size, 0, POSITION_CHARACTER, 0, CHARACTERS_UTF8, None, None)
        != 0
    ):
        raise ValueError(f"espeak-ng can't say {text!r}")
    espeak.espeak_Terminate()
    return int(sample_rate), bytes(samples)


def main() -> None:
    """Speak what the command line says; exit with a sentence if that can't be done."""
    library, data, voice, words_per_minute, pitch, pitch_range, text = sys.argv[1:]
    settings = int(words_per_minute), int(pitch), int(pitch_range)
    try:
        sample_rate, raw = speak(library, data, voice, settings, text)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    samples = array.array("h", raw)
    if sys.byteorder == "big":
        samples.byteswap()
    sys.stdout.buffer.write(sample_rate.to_bytes(4, "little") + samples.tobytes())


if __name__ == "__main__":
    main()
