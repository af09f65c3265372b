import numpy as np
import pytest

from clients.cochlea_design import CochleaSpec
from clients.spoken_digits import ENGLISH, GERMAN, SpokenDigits, Variation, digit_recordings

pytest.importorskip("espeakng_loader")

SPEC = CochleaSpec(channels=24)
STEADY = Variation(speed=0.0, pitch=0, loudness_db=0.0, lead_s=0.0, noise_db=None)


def test_twenty_classes_are_the_heidelberg_digits_in_their_order() -> None:
    source = SpokenDigits("shd", n=1, spec=SPEC)

    assert source.classes == ENGLISH + GERMAN
    assert (source.classes[0], source.classes[9]) == ("zero", "nine")
    assert (source.classes[10], source.classes[15], source.classes[19]) == ("null", "fünf", "neun")


def test_every_run_of_as_many_recordings_as_words_holds_each_word_once() -> None:
    source = SpokenDigits("english", n=30, voices=range(2), spec=SPEC)

    labels = [source.sound(i).label for i in range(30)]

    assert sorted(labels[:10]) == sorted(labels[10:20]) == list(range(10))
    assert labels[:10] != labels[10:20]


def test_a_recording_is_a_function_of_the_seed_and_its_number() -> None:
    source, again = (SpokenDigits("english", n=n, voices=range(3), spec=SPEC) for n in (4, 12))
    other = SpokenDigits("english", n=4, voices=range(3), seed=8, spec=SPEC)

    backwards = {i: again.sound(i) for i in reversed(range(4))}

    for i in range(4):
        sound = source.sound(i)
        assert np.array_equal(sound.samples, backwards[i].samples)
        assert (sound.label, sound.speaker) == (backwards[i].label, backwards[i].speaker)
    assert not np.array_equal(source.sound(0).samples, other.sound(0).samples)


def test_speakers_are_the_numbers_of_the_voices() -> None:
    source = SpokenDigits("english", n=12, voices=(4, 9), spec=SPEC)

    assert {source.sound(i).speaker for i in range(12)} == {4, 9}


def test_german_words_are_spoken_by_a_german_voice() -> None:
    german = SpokenDigits("german", n=10, voices=[0], variation=STEADY, spec=SPEC)
    shd = SpokenDigits("shd", n=20, voices=[0], variation=STEADY, spec=SPEC)

    def by_word(source: SpokenDigits) -> dict[str, list[float]]:
        sounds = (source.sound(i) for i in range(len(source)))
        return {source.classes[s.label]: s.samples.tolist() for s in sounds}

    # the same voice says the same words in both
    german_words, shd_words = by_word(german), by_word(shd)
    assert set(german_words) == set(GERMAN)
    assert all(shd_words[word] == samples for word, samples in german_words.items())


def test_variation_makes_two_recordings_of_a_word_differ() -> None:
    def words(variation: Variation) -> list[list[float]]:
        source = SpokenDigits("english", n=20, voices=[0], variation=variation, spec=SPEC)
        sounds = [source.sound(i) for i in range(20)]
        return [s.samples.tolist() for s in sounds if s.label == 0]

    steady, varied = words(STEADY), words(Variation())

    assert steady[0] == steady[1]
    assert varied[0] != varied[1]


def test_loudness_noise_and_lead_are_as_asked() -> None:
    variation = Variation(speed=0.0, pitch=0, loudness_db=0.0, lead_s=0.2, noise_db=-40.0)
    loud = SpokenDigits("english", n=10, voices=[0], variation=variation, spec=SPEC)
    plain = SpokenDigits("english", n=10, voices=[0], variation=STEADY, spec=SPEC)

    for i in range(10):
        noisy, clean = loud.sound(i), plain.sound(i)
        lead = len(noisy.samples) - len(clean.samples)
        assert 0 <= lead <= 0.2 * noisy.sample_rate
        left = noisy.samples.copy()
        left[lead:] -= clean.samples
        # 40 dB below full scale: 0.01
        assert left.std() == pytest.approx(0.01, rel=0.05)


def test_attenuation_stays_within_its_bound() -> None:
    quiet = Variation(speed=0.0, pitch=0, loudness_db=20.0, lead_s=0.0, noise_db=None)
    sources = [
        SpokenDigits("english", n=20, voices=[0], variation=v, spec=SPEC) for v in (STEADY, quiet)
    ]

    peaks = np.array([[np.abs(s.sound(i).samples).max() for i in range(20)] for s in sources])
    loss_db = 20 * np.log10(peaks[0] / peaks[1])

    # up to 20 dB; a peak of float32 has seven digits
    assert loss_db.min() >= -1e-4
    assert 10.0 < loss_db.max() <= 20.0 + 1e-4


def test_recordings_are_spikes_of_the_word() -> None:
    source = SpokenDigits("english", n=3, voices=[0], spec=SPEC)

    recordings = list(source)

    assert [r.label_name for r in recordings] == [
        source.classes[source.sound(i).label] for i in range(3)
    ]
    assert all(r.times_us.size > 100 for r in recordings)
    assert len({r.key for r in recordings}) == 3


def test_sounds_alone_can_be_had_without_a_cochlea() -> None:
    sounds = list(digit_recordings(3, 7, voices=range(3)))
    source = SpokenDigits("english", n=3, seed=7, voices=range(3), spec=SPEC)

    assert [s.label for s in sounds] == [source.sound(i).label for i in range(3)]
    assert np.array_equal(sounds[2].samples, source.sound(2).samples)


def test_an_unknown_language_is_refused_with_those_known() -> None:
    with pytest.raises(ValueError, match="'klingon', expected one of english, german, shd"):
        SpokenDigits("klingon")


def test_no_recordings_and_no_voices_are_refused() -> None:
    with pytest.raises(ValueError, match="n is 0, expected at least 1"):
        SpokenDigits("english", n=0)
    with pytest.raises(ValueError, match="expected at least one number"):
        SpokenDigits("english", voices=())


@pytest.mark.parametrize(
    ("field", "value"),
    [("speed", 0.6), ("pitch", -1), ("loudness_db", 50.0), ("lead_s", -0.1), ("noise_db", 3.0)],
)
def test_variation_out_of_range_is_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{field} is {value}, expected"):
        Variation(**{field: value})  # type: ignore[arg-type]  # the field is a variable here
