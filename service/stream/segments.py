"""What a stream is cut into: segments, and within them stretches that lessons start from."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import cast

import numpy as np
from numpy.typing import NDArray

from service.state_tree import Tree, array, branch, listed, truth, whole, whole_or_none
from service.stream.event_binning import TickBlock


@dataclass(slots=True, eq=False)
class Stretch:
    """Consecutive kept ticks of a segment, and the state that a lesson of them starts from.

    Attributes:
        first_tick: Its first tick, counted in the segment.
        blocks: The ticks, in order.
        n_ticks: How many.
        n_inputs: Their non-zero inputs.
        state: Neuron state and traces before its first tick, None for a network at rest; the
            engine's.
        votes: Class that each tick took the input for, ``[T]`` int64 in pieces, where intervals
            may be labelled; the engine's.
    """

    first_tick: int
    blocks: list[TickBlock] = field(default_factory=list)
    n_ticks: int = 0
    n_inputs: int = 0
    state: NDArray[np.floating] | None = None
    votes: list[NDArray[np.int64]] = field(default_factory=list)

    @property
    def stop_tick(self) -> int:
        """The tick after its last one, counted in the segment."""
        return self.first_tick + self.n_ticks

    def keep(self, block: TickBlock) -> None:
        """Take in the next ticks."""
        if block.n_ticks:
            self.blocks.append(block)
            self.n_ticks += block.n_ticks
            self.n_inputs += block.n_inputs


@dataclass(slots=True, eq=False)
class Segment:
    """One part of the stream: the unit of a prediction and of a label.

    Attributes:
        number: The client's number or the server's, rising.
        begin_us: Sensor time of the first tick's begin.
        end_us: Sensor time of the end, once it is known.
        stretches: Its kept ticks, oldest first; what is dropped is dropped from the front.
        n_ticks: Ticks so far, kept or not.
        n_kept_ticks: How many are kept.
        n_kept_inputs: How many non-zero inputs they have.
        target: Class that was told for it, if any.
        has_events: Whether an event belongs to it already.
        learns_ahead: Whether it learns its target while it runs; then no ticks are kept.
        final_index: The class that was predicted at its end, before its lesson; the engine's.
    """

    number: int
    begin_us: int
    end_us: int | None = None
    stretches: list[Stretch] = field(default_factory=list)
    n_ticks: int = 0
    target: int | None = None
    has_events: bool = False
    learns_ahead: bool = False
    final_index: int | None = None
    n_kept_ticks: int = field(init=False)
    n_kept_inputs: int = field(init=False)

    def __post_init__(self) -> None:
        """Count once; every frame asks whether bounds hold."""
        self.n_kept_ticks = sum(stretch.n_ticks for stretch in self.stretches)
        self.n_kept_inputs = sum(stretch.n_inputs for stretch in self.stretches)

    @property
    def is_whole(self) -> bool:
        """Whether all its ticks so far are kept, so that it can be learnt as a whole."""
        return bool(self.stretches) and self.stretches[0].first_tick == 0

    @property
    def name(self) -> str:
        """What a sentence calls it."""
        return f"segment {self.number}"

    def was_taken_for(self, target: int) -> bool:
        """Tell whether its final prediction was a class; once it is made."""
        return self.final_index == target

    def start_stretch(self) -> Stretch:
        """Keep what comes next as a stretch of its own."""
        stretch = Stretch(self.n_ticks)
        self.stretches.append(stretch)
        return stretch

    def keep(self, block: TickBlock) -> None:
        """Count further ticks, and hold on to them if the stretch that they continue is kept."""
        n_ticks = block.n_ticks
        if self.stretches:
            self.stretches[-1].keep(block)
            self.n_kept_ticks += n_ticks
            self.n_kept_inputs += block.n_inputs
        self.n_ticks += n_ticks

    def drop_oldest(self) -> None:
        """Let go of the oldest kept ticks."""
        dropped = self.stretches.pop(0)
        self.n_kept_ticks -= dropped.n_ticks
        self.n_kept_inputs -= dropped.n_inputs

    def drop_all(self) -> None:
        """Let go of all kept ticks, and keep none from now on."""
        self.stretches.clear()
        self.n_kept_ticks = self.n_kept_inputs = 0

    def ticks_between(self, first_tick: int, stop_tick: int) -> list[tuple[Stretch, slice]]:
        """Return which ticks of which kept stretches lie between two ticks of the segment."""
        return [
            (
                s,
                slice(
                    max(first_tick - s.first_tick, 0), min(stop_tick, s.stop_tick) - s.first_tick
                ),
            )
            for s in self.stretches
            if s.first_tick < stop_tick and first_tick < s.stop_tick
        ]


@dataclass(frozen=True, slots=True)
class Passage:
    """Ticks that a lesson goes through without a break.

    Attributes:
        start: Whose state it starts from; None: it begins the segment after the passage before.
        blocks: The ticks, in order.
        n_lead: How many of them come before what is taught.
    """

    start: Stretch | None
    blocks: tuple[TickBlock, ...]
    n_lead: int = 0


def passage_through(segment: Segment, first_tick: int, stop_tick: int, *, opens: bool) -> Passage:
    """Return the way to and through some kept ticks of a segment.

    Args:
        segment: It keeps a stretch that begins at or before ``first_tick``, and all later ones.
        first_tick: The first one taught.
        stop_tick: The one after the last, ``first_tick`` or later.
        opens: Whether the lesson starts here; else it comes from the segment before.
    """
    starts = [n for n, s in enumerate(segment.stretches) if s.first_tick <= first_tick]
    stretches = segment.stretches[starts[-1] if opens else 0 :]
    start, room = stretches[0], stop_tick - stretches[0].first_tick
    blocks: list[TickBlock] = []
    for block in (block for stretch in stretches for block in stretch.blocks):
        taken = min(room, block.n_ticks)
        if taken:
            blocks.append(block.cut(0, taken))
        room -= taken
    return Passage(start if opens else None, tuple(blocks), first_tick - start.first_tick)


def capture_segments(segments: Sequence[Segment]) -> Callable[[], Tree]:
    """Copy by reference what later messages change of some segments.

    Returns:
        What makes the tree, with what the engine owns; to be called on the engine thread.
    """
    told = [
        {
            "number": segment.number,
            "begin_us": segment.begin_us,
            "end_us": segment.end_us,
            "n_ticks": segment.n_ticks,
            "target": segment.target,
            "has_events": segment.has_events,
            "learns_ahead": segment.learns_ahead,
            "stretches": [[s.first_tick, s.n_ticks] for s in segment.stretches],
        }
        for segment in segments
    ]
    stretches = [stretch for segment in segments for stretch in segment.stretches]
    blocks = [block for stretch in stretches for block in stretch.blocks]

    def finish() -> Tree:
        states = [stretch.state for stretch in stretches if stretch.state is not None]
        votes = [votes for stretch in stretches for votes in stretch.votes]
        return {
            "segments": told,
            "final_indices": [segment.final_index for segment in segments],
            "ticks": TickBlock.join(blocks).capture(),
            "has_state": [stretch.state is not None for stretch in stretches],
            "states": np.stack(states).astype(np.float32) if states else _NO_STATES,
            "n_votes": [sum(map(len, stretch.votes)) for stretch in stretches],
            "votes": np.concatenate([*votes, np.zeros(0, np.int64)]),
        }

    return finish


_NO_STATES = np.zeros((0, 0), np.float32)


def restore_segments(tree: Tree) -> list[Segment]:
    """Return the segments that `capture_segments` described.

    Raises:
        ValueError: The tree does not fit.
    """
    stretches = _restored_stretches(tree)
    finals = listed(tree, "final_indices")
    segments = []
    for fields, final in zip(_trees(listed(tree, "segments")), finals, strict=True):
        segments.append(
            Segment(
                number=whole(fields, "number"),
                begin_us=whole(fields, "begin_us"),
                end_us=whole_or_none(fields, "end_us"),
                stretches=[next(stretches) for _ in listed(fields, "stretches")],
                n_ticks=whole(fields, "n_ticks"),
                target=whole_or_none(fields, "target"),
                has_events=truth(fields, "has_events"),
                learns_ahead=truth(fields, "learns_ahead"),
                final_index=whole_or_none({"final_index": final}, "final_index"),
            )
        )
    return segments


def _restored_stretches(tree: Tree) -> Iterator[Stretch]:
    ticks = TickBlock.restored(branch(tree, "ticks"))
    states, votes = iter(array(tree, "states", np.float32)), array(tree, "votes", np.int64)
    spans = [
        cast("tuple[int, int]", span)
        for fields in _trees(listed(tree, "segments"))
        for span in listed(fields, "stretches")
    ]
    bounds = accumulate((n_ticks for _, n_ticks in spans), initial=0)
    n_votes = cast("list[int]", listed(tree, "n_votes"))
    for (first, _), (start, stop), has_state, (low, high) in zip(
        spans,
        pairwise(bounds),
        listed(tree, "has_state"),
        pairwise(accumulate(n_votes, initial=0)),
        strict=True,
    ):
        stretch = Stretch(first)
        stretch.keep(ticks.cut(start, stop))
        stretch.state = next(states) if has_state else None
        stretch.votes = [votes[low:high]] if low < high else []
        yield stretch


def _trees(values: list[object]) -> list[Tree]:
    return [cast("Tree", value) for value in values]
