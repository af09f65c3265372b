"""Recordings as examples: events counted by tick as a session's are, and who is held out."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np

from clients.recordings import Recording, Source, numbers_first
from tclif_core import EventBlock
from tclif_core.training.examples import Example

MAX_COUNT: Final = 255
"""Events of one channel in one tick beyond this many saturate, as they do in a session."""


class Division(NamedTuple):
    """Who learns and who judges.

    Attributes:
        training: What is learnt.
        validation: What is held out.
        held_out: Says in words what is.
    """

    training: list[Example]
    validation: list[Example]
    held_out: str


def check_same_kind(source: Source, test: Source) -> None:
    """Refuse a test that a network of the source could not answer.

    Raises:
        ValueError: Channels or classes differ.
    """
    if (source.sensor, source.classes) != (test.sensor, test.classes):
        raise ValueError(
            f"--test {test.name} has {test.sensor.channels} channels and the classes"
            f" {', '.join(test.classes)}; expected those of {source.name}:"
            f" {source.sensor.channels} channels and {', '.join(source.classes)}"
        )


def choose(n_recordings: int, limit: int | None, seed: int) -> list[int]:
    """Choose recordings of a source by number: all, or ``limit`` of them, drawn by the seed."""
    if limit is None or limit >= n_recordings:
        return list(range(n_recordings))
    return sorted(np.random.default_rng(seed).permutation(n_recordings)[:limit].tolist())


def load(
    source: Source, chosen: Iterable[int], tick_us: int, on_loaded: Callable[[], None]
) -> list[Example]:
    """Load recordings as examples.

    Args:
        source: Where they are.
        chosen: Their numbers.
        tick_us: Length of a tick.
        on_loaded: Called after each.

    Raises:
        UnreadableSource: A recording's data are damaged.
    """
    examples = []
    for index in chosen:
        recording = source.load(index)
        block = count_by_tick(recording, source.sensor.channels, tick_us)
        group = "" if recording.speaker is None else str(recording.speaker)
        examples.append(Example.of_class(block, recording.label, group=group))
        on_loaded()
    return examples


def count_by_tick(recording: Recording, n_channels: int, tick_us: int) -> EventBlock:
    """Count a recording's events by tick and channel.

    Tick k covers ``[k tick_us, (k + 1) tick_us)`` from the recording's begin; a partial last tick
    counts as one. A session that is sent the recording as a segment computes the same ticks.
    """
    n_ticks = max(1, -(-recording.duration_us // tick_us))
    keys = recording.times_us // tick_us * n_channels + recording.addresses
    places, counts = np.unique(keys, return_counts=True)
    bounds = np.searchsorted(places, np.arange(n_ticks + 1) * n_channels)
    return EventBlock(
        np.array([0, n_ticks]),
        bounds.astype(np.int64),
        (places % n_channels).astype(np.int32),
        np.minimum(counts, MAX_COUNT).astype(np.float32),
    )


def divide(
    examples: Sequence[Example], speakers: Sequence[str] | None, share: float, seed: int
) -> Division:
    """Hold examples out for validation.

    Args:
        examples: All of them; their group is the speaker.
        speakers: Whom to hold out; None: a share.
        share: Of the speakers, rounded, at least one, the last ones in order; or of the
            recordings, drawn by the seed, where not every speaker is known or there is only one.
        seed: Draws recordings.

    Raises:
        ValueError: There is no such speaker, or nobody is left to learn from.
    """
    known = sorted({example.group for example in examples}, key=numbers_first)
    if speakers is None and share == 0.0:
        return Division(list(examples), [], "nothing")
    if speakers is None and (len(known) == 1 or "" in known):
        return _divide_recordings(examples, share, seed)
    if speakers is None:
        speakers = known[-max(1, round(share * len(known))) :]
    _check_speakers(speakers, known)
    training = [example for example in examples if example.group not in speakers]
    validation = [example for example in examples if example.group in speakers]
    word = "speaker" if len(speakers) == 1 else "speakers"
    return Division(training, validation, f"{word} {', '.join(speakers)}")


def _check_speakers(speakers: Sequence[str], known: Sequence[str]) -> None:
    if known == [""]:
        raise ValueError(
            "--validate-speakers: the source does not say who speaks;"
            " --validate-share holds out recordings"
        )
    named = [name for name in known if name]
    unknown = [name for name in speakers if name not in named]
    if unknown:
        raise ValueError(
            f"--validate-speakers: nobody is called {', '.join(unknown)};"
            f" expected some of {', '.join(named)}"
        )
    if set(speakers) >= set(known):
        raise ValueError(
            f"all speakers ({', '.join(named)}) are held out for validation, nobody is left to"
            " learn from; --validate-share 0 goes without"
        )


def _divide_recordings(examples: Sequence[Example], share: float, seed: int) -> Division:
    n_held_out = max(1, round(share * len(examples)))
    if n_held_out >= len(examples):
        raise ValueError(
            f"{len(examples)} recordings can't be divided into training and validation;"
            " --validate-share 0 goes without"
        )
    drawn = set(np.random.default_rng(seed).permutation(len(examples))[:n_held_out].tolist())
    training = [example for place, example in enumerate(examples) if place not in drawn]
    validation = [example for place, example in enumerate(examples) if place in drawn]
    return Division(training, validation, f"{n_held_out} recordings")
