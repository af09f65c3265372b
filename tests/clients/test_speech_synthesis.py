import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from clients.optional_packages import MissingPackage
from clients.speech_synthesis import (
    VARIANTS,
    SpeechFailed,
    Voice,
    choose_voices,
    synthesize,
)

espeakng_loader = pytest.importorskip("espeakng_loader")

# flutter and breath are where espeak-ng carries state from one text to the next
FLUTTERING = Voice(variant="f3")


def test_a_word_is_audible_and_within_full_scale() -> None:
    samples, sample_rate = synthesize("seven", Voice())

    assert sample_rate == 22_050
    assert samples.dtype == np.float32
    assert 0.3 < len(samples) / sample_rate < 1.0
    assert 0.1 < np.abs(samples).max() <= 1.0


def test_the_same_text_and_voice_give_the_same_samples_whatever_was_said_between() -> None:
    first, _ = synthesize("seven", FLUTTERING)
    synthesize("nine four", Voice(language="de", variant="m3"))

    again, _ = synthesize("seven", FLUTTERING)

    assert np.array_equal(first, again)


def test_many_threads_may_speak_at_once() -> None:
    alone, _ = synthesize("seven", FLUTTERING)

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: synthesize("seven", FLUTTERING)[0], range(8)))

    assert all(np.array_equal(alone, each) for each in together)


@pytest.mark.parametrize(
    "other",
    [
        Voice(variant="m3"),
        Voice(language="en-gb-scotland"),
        Voice(language="de"),
        Voice(pitch=80),
        Voice(pitch_range=99),
    ],
)
def test_every_setting_changes_the_sound(other: Voice) -> None:
    plain, _ = synthesize("seven", Voice())
    changed, _ = synthesize("seven", other)

    assert not np.array_equal(plain, changed)


def test_more_words_per_minute_take_less_time() -> None:
    slow, fast = (synthesize("seven", Voice(words_per_minute=speed))[0] for speed in (100, 300))

    assert len(fast) < 0.7 * len(slow)


def test_an_unknown_language_is_refused_with_espeaks_reason() -> None:
    with pytest.raises(
        SpeechFailed, match="can't say 'one' as 'xx': espeak-ng knows no voice 'xx'"
    ):
        synthesize("one", Voice(language="xx"))


def test_an_unknown_variant_is_refused_instead_of_ignored() -> None:
    with pytest.raises(ValueError, match="espeak-ng has no voice variant 'nobody'"):
        synthesize("one", Voice(variant="nobody"))


def test_a_text_with_a_zero_character_is_refused() -> None:
    with pytest.raises(ValueError, match="holds a zero character"):
        synthesize("one\0two", Voice())


@pytest.mark.parametrize(
    ("setting", "value"), [("words_per_minute", 79), ("pitch", 100), ("pitch_range", -1)]
)
def test_settings_out_of_range_are_refused(setting: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{setting} is {value}, expected"):
        Voice(**{setting: value})  # type: ignore[arg-type]  # the field is a variable here


def test_without_the_loader_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)

    with pytest.raises(MissingPackage, match=r"needed to synthesise speech .*tclif\[clients\]"):
        synthesize("one", Voice())


def test_every_listed_variant_is_one_of_espeaks() -> None:
    data = espeakng_loader.get_data_path()
    listed = subprocess.run(  # noqa: S603 -- a fixed program with fixed arguments
        [
            sys.executable,
            "-c",
            f"import os; print(*os.listdir({data + '/voices/!v'!r}), sep='\\n')",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()

    assert set(VARIANTS) <= set(listed)


def test_a_seed_gives_one_row_of_voices_however_it_is_cut() -> None:
    row = choose_voices(range(12), 7)

    assert choose_voices(range(8), 7) + choose_voices(range(8, 12), 7) == row
    assert choose_voices(range(12), 8) != row


def test_the_first_forty_voices_differ_in_variant() -> None:
    assert len({voice.variant for voice in choose_voices(range(40), 7)}) == 40


def test_negative_voice_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="should not be negative"):
        choose_voices([-1], 7)
