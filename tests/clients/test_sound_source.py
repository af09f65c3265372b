import numpy as np
import pytest
from typing_extensions import override

from clients import sound_source
from clients.cochlea import Cochlea
from clients.cochlea_design import CochleaSpec
from clients.sound_source import Sound, SoundSource, at_sample_rate
from tests.clients.small_files import tone

SPEC = CochleaSpec(channels=24)


class Tones(SoundSource):
    """Tones of 300 and 1,200 Hz, 0.1 s long; counts how often each is made."""

    def __init__(self, sample_rate: int = 16_000) -> None:
        super().__init__("tones", ["low", "high"], spec=SPEC)
        self.sample_rate = sample_rate
        self.made: list[int] = []

    @override
    def __len__(self) -> int:
        return 2

    @override
    def sound(self, index: int) -> Sound:
        self.check_index(index)
        self.made.append(index)
        samples = tone((300.0, 1200.0)[index], 0.1, self.sample_rate).astype(np.float32)
        return Sound(samples, self.sample_rate, index, "fork", f"tone{index}")


def test_a_recording_is_what_a_fresh_cochlea_hears() -> None:
    source = Tones()
    times_us, channels = Cochlea(SPEC).process(source.sound(1).samples)

    # the first must leave nothing behind in the second
    source.load(0)
    recording = source.load(1)

    assert recording.times_us.tolist() == times_us.tolist()
    assert recording.addresses.tolist() == channels.tolist()
    assert times_us.size > 0


def test_a_recording_knows_its_label_length_and_speaker() -> None:
    recording = Tones().load(1)

    assert (recording.label, recording.label_name) == (1, "high")
    assert (recording.speaker, recording.key) == ("fork", "tone1")
    # 0.1 s of sound and the step in which its last spike may be timed
    assert recording.duration_us == 100_500


def test_sound_of_another_rate_is_resampled() -> None:
    slow, fast = Tones(8_000).load(0), Tones(44_100).load(0)

    assert slow.duration_us == fast.duration_us == 100_500
    assert slow.times_us.size == pytest.approx(fast.times_us.size, rel=0.1)


def test_later_passes_do_not_make_the_sound_again() -> None:
    source = Tones()

    first = [recording.times_us for recording in source]
    second = [recording.times_us for recording in source]

    assert source.made == [0, 1]
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_what_does_not_fit_the_cache_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Tones()
    # room for the first recording: 12 bytes an event
    monkeypatch.setattr(sound_source, "CACHE_BYTES", 12 * source.load(0).times_us.size)

    for index in (1, 0, 1):
        source.load(index)

    assert source.made == [0, 1, 1]


def test_kept_events_cannot_be_changed_by_who_reads_them() -> None:
    recording = Tones().load(0)

    with pytest.raises(ValueError, match="read-only"):
        recording.times_us[0] = 0


def test_equal_rates_need_no_resampling() -> None:
    samples = tone(300.0, 0.1, 16_000).astype(np.float32)

    assert at_sample_rate(samples, 16_000) is samples


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_resampling_keeps_a_tone(sample_rate: int) -> None:
    resampled = at_sample_rate(tone(300.0, 0.5, sample_rate).astype(np.float32), sample_rate)

    assert resampled.dtype == np.float32
    assert len(resampled) == pytest.approx(8_000, abs=1)
    inner = slice(800, 7_200)  # away from the filter's edges
    expected = tone(300.0, 0.5, 16_000)
    assert resampled[inner] == pytest.approx(expected[inner], abs=3e-3)


def test_a_sample_rate_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="should be positive"):
        at_sample_rate(np.zeros(4, np.float32), 0)
