import gzip
import io

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.cochlea import Cochlea, Events
from clients.cochlea_design import CochleaSpec, erb_rate
from clients.sound_source import at_sample_rate
from tests.clients.cochlea_by_hand import spikes_by_hand
from tests.clients.small_files import SHARED_DATA, h5py, soundfile, tone

RATE = 16_000
SMALL = CochleaSpec(channels=24)


def noise(samples: int, level: float = 0.1, seed: int = 1) -> npt.NDArray[np.float64]:
    return np.asarray(level * np.random.default_rng(seed).standard_normal(samples))


def vowel(seconds: float, level: float = 0.1) -> npt.NDArray[np.float64]:
    """Harmonics of 120 Hz with two formants, as a steady voice has them."""
    moments = np.arange(round(seconds * RATE)) / RATE
    harmonics = 120.0 * np.arange(1, 40)
    weights = sum(1.0 / (1.0 + ((harmonics - f) / 100.0) ** 2) for f in (600.0, 1800.0))
    return np.asarray(level * weights @ np.sin(2 * np.pi * np.outer(harmonics, moments)))


def as_pairs(events: Events) -> list[tuple[int, int]]:
    return list(zip(events[0].tolist(), events[1].tolist(), strict=True))


def test_spikes_equal_those_of_the_equations_computed_by_hand() -> None:
    sound = np.concatenate([noise(800), np.zeros(8_000), vowel(0.1), tone(3000.0, 0.05, RATE)])
    cochlea = Cochlea(SMALL)

    events = as_pairs(cochlea.process(sound))

    assert len(events) > 200
    assert events == spikes_by_hand(sound.tolist(), cochlea.tables)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    level=st.sampled_from([1e-4, 0.01, 0.5]),
    cuts=st.lists(st.integers(0, 2_000), max_size=12),
)
def test_events_do_not_depend_on_how_the_sound_is_cut(
    seed: int, level: float, cuts: list[int]
) -> None:
    sound = noise(2_000, level, seed) + tone(500.0, 0.125, RATE, level)
    whole = Cochlea(SMALL).process(sound)
    cochlea = Cochlea(SMALL)

    parts = [cochlea.process(part) for part in np.split(sound, sorted(cuts))]

    assert as_pairs(whole) == [pair for part in parts for pair in as_pairs(part)]


def test_events_depend_on_nothing_that_comes_later() -> None:
    sound, other = noise(4_000, seed=1), noise(4_000, seed=2)
    changed = np.concatenate([sound[:2_000], other[2_000:]])

    events, events_changed = (as_pairs(Cochlea(SMALL).process(x)) for x in (sound, changed))

    # 2,000 samples are 125,000 us
    assert [e for e in events if e[0] <= 125_000] == [e for e in events_changed if e[0] <= 125_000]
    assert events != events_changed


def test_samples_of_single_precision_give_the_spikes_of_their_exact_values() -> None:
    single = noise(4_000).astype(np.float32)

    events, exact = (
        Cochlea(SMALL).process(single),
        Cochlea(SMALL).process(single.astype(np.float64)),
    )

    assert as_pairs(events) == as_pairs(exact)


def test_events_are_sorted_and_lie_on_half_milliseconds_of_the_stream() -> None:
    cochlea = Cochlea(SMALL)
    cochlea.process(noise(1_600))

    times_us, channels = cochlea.process(noise(1_600, seed=2))

    assert times_us.dtype == np.int64
    assert channels.dtype == np.uint32
    assert as_pairs((times_us, channels)) == sorted(as_pairs((times_us, channels)))
    # the second tenth of a second of the stream
    assert times_us.min() > 100_000
    assert times_us.max() <= 200_000
    assert np.all(times_us % 500 == 0)


def test_silence_gives_no_spikes() -> None:
    times_us, _ = Cochlea().process(np.zeros(RATE))

    assert times_us.size == 0


def test_noise_far_below_the_floor_gives_nearly_no_spikes() -> None:
    # 76 dB below full scale, as a quiet room is for a microphone set for speech
    times_us, _ = Cochlea().process(noise(RATE, level=10 ** (-76 / 20)))

    # speech brings some 30 a channel and second
    assert times_us.size < 0.05 * 700


def test_long_silence_leaves_no_denormal_numbers_behind() -> None:
    cochlea = Cochlea(SMALL)
    cochlea.process(noise(1_600))

    cochlea.process(np.zeros(20 * RATE))

    for memory in cochlea._state:  # noqa: SLF001 -- they would show in nothing but the time it takes
        assert np.all((memory == 0) | (np.abs(memory) >= np.finfo(np.float64).tiny))


@pytest.mark.parametrize("hz", [150.0, 500.0, 1500.0, 5000.0])
def test_a_tone_excites_the_channels_tuned_to_it(hz: float) -> None:
    cochlea = Cochlea()

    times_us, channels = cochlea.process(tone(hz, 0.5, RATE))

    # after the onset, whose click every channel hears
    settled = channels[times_us > 100_000]
    rates = np.array([erb_rate(f) for f in cochlea.tables.center_hz[settled]])
    assert len(rates) > 100
    assert np.median(rates) == pytest.approx(erb_rate(hz), abs=0.5)
    assert np.percentile(np.abs(rates - np.median(rates)), 90) < 2.0


def test_loudness_hardly_changes_the_number_of_spikes() -> None:
    loud, quiet = (Cochlea().process(vowel(0.5, level))[0].size for level in (0.2, 0.02))

    assert quiet == pytest.approx(loud, rel=0.1)


@pytest.mark.parametrize("hz", [300.0, 1000.0, 4000.0])
def test_a_tone_is_heard_within_twenty_milliseconds(hz: float) -> None:
    cochlea = Cochlea()
    cochlea.process(np.zeros(RATE))

    times_us, channels = cochlea.process(tone(hz, 0.1, RATE))

    tuned = np.argmin(np.abs(cochlea.tables.center_hz - hz))
    near = np.abs(channels.astype(int) - tuned) < 10
    assert 0 < times_us[near].min() - 1_000_000 < 20_000


def test_a_neuron_rests_after_a_spike() -> None:
    spec = CochleaSpec(channels=24, drive=1_000.0, refractory_ms=3.0)

    times_us, channels = Cochlea(spec).process(noise(RATE // 2))

    gaps = [np.diff(times_us[channels == c]) for c in range(24)]
    # six steps of rest, then at least one step of integration: 3.5 ms
    assert min(gap.min() for gap in gaps if gap.size) == 3_500


def test_adaptation_answers_what_is_new() -> None:
    times_us, _ = Cochlea(SMALL).process(vowel(0.6))

    first, last = np.sum(times_us <= 100_000), np.sum(times_us > 500_000)
    assert first > 1.3 * last


def test_reset_starts_a_new_stream() -> None:
    sound = noise(1_603)
    cochlea = Cochlea(SMALL)
    first = as_pairs(cochlea.process(sound))

    cochlea.reset()

    assert as_pairs(cochlea.process(sound)) == first


def test_input_is_left_untouched() -> None:
    sound = noise(1_600)
    before = sound.copy()

    Cochlea(SMALL).process(sound)

    assert np.array_equal(sound, before)


def test_another_sample_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="sample rate is 44100 Hz, the cochlea expects 16000 Hz"):
        Cochlea(sample_rate=44_100)


@pytest.mark.parametrize(
    "samples",
    [np.zeros(16, dtype=np.int16), np.zeros((16, 2)), np.array([0.0, np.nan]), np.array([np.inf])],
)
def test_samples_that_are_no_sound_are_refused_and_not_heard(
    samples: npt.NDArray[np.float64],
) -> None:
    cochlea, undisturbed = Cochlea(SMALL), Cochlea(SMALL)
    cochlea.process(noise(1_000))
    undisturbed.process(noise(1_000))

    with pytest.raises(ValueError, match="samples"):
        cochlea.process(samples)

    following = noise(1_000, seed=2)
    assert as_pairs(cochlea.process(following)) == as_pairs(undisturbed.process(following))


@pytest.mark.dataset
def test_spikes_of_speech_are_as_many_as_those_of_the_heidelberg_cochlea() -> None:
    spikes, sounds = SHARED_DATA / "fsdd_spikes" / "test.h5.gz", SHARED_DATA / "fsdd"
    if not spikes.exists() or not sounds.exists():
        pytest.skip(f"no recordings in {SHARED_DATA}")
    with h5py.File(io.BytesIO(gzip.decompress(spikes.read_bytes()))) as file:
        theirs = np.mean([len(times) for times in file["spikes/times"]])
    cochlea = Cochlea()
    counts = []

    # the same test takes, 00 to 04 of every digit and speaker
    for path in sorted(sounds.glob("*/*_0[0-4].flac")):
        cochlea.reset()
        samples, sample_rate = soundfile.read(path, dtype="float32")
        counts.append(cochlea.process(at_sample_rate(samples, sample_rate))[0].size)

    assert len(counts) == 250
    assert np.mean(counts) == pytest.approx(theirs, rel=0.25)
