"""Segments whose ticks wait for a label: bounded, dropped oldest first, in sequence order alone."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import cast

import numpy as np
from numpy.typing import NDArray

from service.errors import Refusal
from service.event_binning import TickBlock
from service.settings import SessionSettings
from service.state_tree import (
    Tree,
    array,
    branch,
    listed,
    truth,
    whole,
    whole_or_none,
)


@dataclass(slots=True, eq=False)
class Segment:
    """One stretch of the stream: the unit of a prediction and of a label.

    Attributes:
        number: The client's number, rising.
        begin_us: Sensor time of the first tick's begin.
        end_us: Sensor time of the end, once it is known.
        blocks: The kept ticks, in order; empty once they are learnt or dropped.
        n_ticks: Ticks so far.
        n_inputs: Non-zero inputs of the kept ticks.
        target: Class that was told for it, if any.
        has_events: Whether an event belongs to it already.
        keeps_ticks: Whether its ticks are kept for a lesson; not when it learns while it runs, nor
            once it is dropped.
        learns_ahead: Whether it learns its target while it runs.
        start_state: Neuron state and traces at its begin, where they are carried; the engine's.
        final_index: The class that was predicted at its end, before its lesson; the engine's.
    """

    number: int
    begin_us: int
    end_us: int | None = None
    blocks: list[TickBlock] = field(default_factory=list)
    n_ticks: int = 0
    n_inputs: int = 0
    target: int | None = None
    has_events: bool = False
    keeps_ticks: bool = True
    learns_ahead: bool = False
    start_state: NDArray[np.floating] | None = None
    final_index: int | None = None

    def keep(self, block: TickBlock) -> None:
        """Take further ticks, and hold on to them if the segment keeps its ticks."""
        self.n_ticks += block.n_ticks
        if self.keeps_ticks and block.n_ticks:
            self.blocks.append(block)
            self.n_inputs += block.n_inputs

    def drop(self) -> None:
        """Let go of the ticks: the segment can't be learnt any more."""
        self.blocks.clear()
        self.n_inputs = 0
        self.keeps_ticks = False


def capture_segments(segments: Sequence[Segment]) -> Callable[[], Tree]:
    """Copy by reference what later messages change of some segments.

    Returns:
        What makes the tree, with what the engine owns; to be called on the engine thread.
    """
    copies = [replace(segment, blocks=[*segment.blocks]) for segment in segments]

    def finish() -> Tree:
        carried = [s.start_state for s in segments if s.start_state is not None]
        return {
            "segments": [
                {
                    "number": copy.number,
                    "begin_us": copy.begin_us,
                    "end_us": copy.end_us,
                    "n_ticks": copy.n_ticks,
                    "n_kept": sum(block.n_ticks for block in copy.blocks),
                    "target": copy.target,
                    "has_events": copy.has_events,
                    "keeps_ticks": copy.keeps_ticks,
                    "learns_ahead": copy.learns_ahead,
                    "carries": segment.start_state is not None,
                    "final_index": segment.final_index,
                }
                for copy, segment in zip(copies, segments, strict=True)
            ],
            "ticks": TickBlock.join([b for copy in copies for b in copy.blocks]).capture(),
            "start_states": np.stack(carried).astype(np.float32)
            if carried
            else np.zeros((0, 0), np.float32),
        }

    return finish


def restore_segments(tree: Tree) -> list[Segment]:
    """Return the segments that `capture_segments` described."""
    fields = [cast("Tree", fields) for fields in listed(tree, "segments")]
    ticks = TickBlock.restored(branch(tree, "ticks"))
    bounds = accumulate((whole(f, "n_kept") for f in fields), initial=0)
    carried = iter(array(tree, "start_states", np.float32))
    segments = []
    for f, (start, stop) in zip(fields, pairwise(bounds), strict=True):
        block = ticks.cut(start, stop)
        segments.append(
            Segment(
                whole(f, "number"),
                whole(f, "begin_us"),
                whole_or_none(f, "end_us"),
                [block] if block.n_ticks else [],
                whole(f, "n_ticks"),
                block.n_inputs,
                whole_or_none(f, "target"),
                has_events=truth(f, "has_events"),
                keeps_ticks=truth(f, "keeps_ticks"),
                learns_ahead=truth(f, "learns_ahead"),
                start_state=next(carried) if truth(f, "carries") else None,
                final_index=whole_or_none(f, "final_index"),
            )
        )
    return segments


class KeptSegments:
    """Finished segments without a label, and what became of the others.

    Attributes:
        n_dropped: Segments whose ticks were dropped before their label came.
    """

    def __init__(self, settings: SessionSettings) -> None:
        self._settings = settings
        # oldest first
        self._waiting: OrderedDict[int, Segment] = OrderedDict()
        # numbers that wait no more: True for labelled, False for dropped; bounded, and older
        # numbers count as dropped
        self._gone: OrderedDict[int, bool] = OrderedDict()
        self._forgotten_until: int | None = None
        self.n_dropped = 0

    def __len__(self) -> int:
        """How many segments wait for a label."""
        return len(self._waiting)

    def n_bytes(self, open_segment: Segment | None) -> int:
        """Memory of the kept ticks, the open segment's included."""
        segments = self._holders(open_segment)
        return sum(8 * segment.n_inputs + 8 * segment.n_ticks for segment in segments)

    def finish(self, segment: Segment) -> None:
        """Take in a segment that has ended, with or without a label, kept or not."""
        if segment.target is None and segment.keeps_ticks:
            self._waiting[segment.number] = segment
            self.hold_bounds(None)
        else:
            self._remember(segment.number, labelled=segment.target is not None)

    def find(self, number: int) -> Segment | None:
        """Return the segment that waits under that number, if one does."""
        return self._waiting.get(number)

    def label(self, segment: Segment, target: int) -> None:
        """Give a waiting segment its label; it waits no more."""
        segment.target = target
        del self._waiting[segment.number]
        self._remember(segment.number, labelled=True)

    def refuse(self, number: int, last_number: int | None) -> Refusal:
        """Say why a number that does not wait takes no label."""
        labelled = self._gone.get(number)
        if labelled:
            return Refusal("label_duplicate", f"segment {number} has a label already")
        too_old = self._forgotten_until is not None and number <= self._forgotten_until
        if labelled is False or too_old:
            return Refusal(
                "label_too_late",
                f"the ticks of segment {number} are dropped; the server keeps"
                f" {self._settings.kept_segments} segments and {self._settings.kept_ticks} ticks",
            )
        last = "none yet" if last_number is None else f"the last one was {last_number}"
        return Refusal("unknown_segment", f"segment {number} was never begun; {last}")

    def hold_bounds(self, open_segment: Segment | None) -> None:
        """Drop kept ticks, oldest segment first, until the bounds hold."""
        while self._waiting and self._is_over_bounds(open_segment):
            number, segment = self._waiting.popitem(last=False)
            self._drop(segment)
            self._remember(number, labelled=False)
        # an open segment that alone is longer than the bounds can't be learnt any more
        if open_segment is not None and self._is_over_bounds(open_segment):
            self._drop(open_segment)

    def capture(self) -> Callable[[], Tree]:
        """Copy what later messages change; the returned function adds what the engine owns."""
        waiting = capture_segments([*self._waiting.values()])
        tree: Tree = {
            "gone": np.array([*self._gone], np.int64),
            "labelled": np.array([*self._gone.values()], np.int64),
            "forgotten_until": self._forgotten_until,
            "n_dropped": self.n_dropped,
        }
        return lambda: tree | {"waiting": waiting()}

    def restore(self, tree: Tree) -> None:
        """Go on from what `capture` described."""
        self._waiting.clear()
        self._waiting.update((s.number, s) for s in restore_segments(branch(tree, "waiting")))
        gone, labelled = array(tree, "gone", np.int64), array(tree, "labelled", np.int64)
        self._gone = OrderedDict(zip(gone.tolist(), (labelled != 0).tolist(), strict=True))
        self._forgotten_until = whole_or_none(tree, "forgotten_until")
        self.n_dropped = whole(tree, "n_dropped")

    def _holders(self, open_segment: Segment | None) -> list[Segment]:
        waiting = list(self._waiting.values())
        return waiting if open_segment is None else [*waiting, open_segment]

    def _is_over_bounds(self, open_segment: Segment | None) -> bool:
        holders = self._holders(open_segment)
        return (
            len(self._waiting) > self._settings.kept_segments
            or sum(s.n_ticks for s in holders if s.keeps_ticks) > self._settings.kept_ticks
            or sum(s.n_inputs for s in holders) > self._settings.kept_inputs
        )

    def _drop(self, segment: Segment) -> None:
        segment.drop()
        self.n_dropped += 1

    def _remember(self, number: int, *, labelled: bool) -> None:
        self._gone[number] = labelled
        while len(self._gone) > 64 * self._settings.kept_segments:
            number, _ = self._gone.popitem(last=False)
            # labels may come in any order, so what is forgotten need not rise
            self._forgotten_until = max(number, self._forgotten_until or 0)
