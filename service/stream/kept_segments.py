"""Segments whose ticks wait for a label: bounded, dropped oldest first, in sequence order alone."""

from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from service.errors import Refusal
from service.settings import SessionSettings
from service.state_tree import Tree, array, branch, whole, whole_or_none
from service.stream.segments import Segment, Stretch, capture_segments, restore_segments


class KeptSegments:
    """Finished segments without a label, and what became of the others.

    Attributes:
        n_dropped: Segments whose ticks were dropped before their label came.
    """

    def __init__(self, settings: SessionSettings) -> None:
        self._settings = settings
        # oldest first
        self._waiting: OrderedDict[int, Segment] = OrderedDict()
        # of those that wait, which grow no more: every frame asks whether the bounds hold
        self._n_ticks = 0
        self._n_inputs = 0
        # numbers that wait no more: True for labelled, False for dropped; bounded, and older
        # numbers count as dropped
        self._gone: OrderedDict[int, bool] = OrderedDict()
        self._forgotten_until: int | None = None
        self.n_dropped = 0

    def __len__(self) -> int:
        """How many segments wait for a label."""
        return len(self._waiting)

    def n_bytes(self, open_segment: Segment | None) -> int:
        """Memory of the kept ticks and states, the open segment's included."""
        segments = self._holders(open_segment)
        n_ticks_bytes = sum(8 * (s.n_kept_inputs + s.n_kept_ticks) for s in segments)
        return n_ticks_bytes + self.n_state_bytes(open_segment)

    def n_state_bytes(self, open_segment: Segment | None) -> int:
        """Memory of the states alone that lessons start from."""
        segments = self._holders(open_segment)
        states = (stretch.state for segment in segments for stretch in segment.stretches)
        return sum(state.nbytes for state in states if state is not None)

    def finish(self, segment: Segment) -> None:
        """Take in a segment that has ended, with or without a label, kept or not."""
        if segment.target is None and segment.stretches:
            self._hold(segment)
            self.hold_bounds(None)
        else:
            self._remember(segment.number, labelled=segment.target is not None)

    @property
    def oldest(self) -> Segment | None:
        """The segment that has waited longest."""
        return next(iter(self._waiting.values()), None)

    def find(self, number: int) -> Segment | None:
        """Return the segment that waits under that number, if one does."""
        return self._waiting.get(number)

    def label(self, segment: Segment, target: int) -> None:
        """Give a waiting segment its label; it waits no more."""
        segment.target = target
        self._let_go(segment, labelled=True)

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

    def stretches(self, open_segment: Segment | None) -> list[Stretch]:
        """List everything that is kept, the open segment's included."""
        return [s for segment in self._holders(open_segment) for s in segment.stretches]

    def hold_bounds(self, open_segment: Segment | None) -> None:
        """Drop kept ticks, oldest segment first, until the bounds hold."""
        while self._is_over_bounds(open_segment):
            if self._waiting:
                segment = next(iter(self._waiting.values()))
                self.n_dropped += segment.is_whole
                self._let_go(segment, labelled=False)
            else:
                # an open segment that alone is longer than the bounds lets go of its oldest
                # stretches; it can't be learnt as a whole any more
                assert open_segment is not None, "something is over the bounds"
                self.n_dropped += open_segment.is_whole
                open_segment.drop_oldest()

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
        """Go on from what `capture` described; for one that keeps nothing yet."""
        for segment in restore_segments(branch(tree, "waiting")):
            self._hold(segment)
        gone, labelled = array(tree, "gone", np.int64), array(tree, "labelled", np.int64)
        self._gone = OrderedDict(zip(gone.tolist(), (labelled != 0).tolist(), strict=True))
        self._forgotten_until = whole_or_none(tree, "forgotten_until")
        self.n_dropped = whole(tree, "n_dropped")

    def _holders(self, open_segment: Segment | None) -> list[Segment]:
        waiting = list(self._waiting.values())
        return waiting if open_segment is None else [*waiting, open_segment]

    def _is_over_bounds(self, open_segment: Segment | None) -> bool:
        n_ticks, n_inputs = self._n_ticks, self._n_inputs
        if open_segment is not None:
            n_ticks += open_segment.n_kept_ticks
            n_inputs += open_segment.n_kept_inputs
        return (
            len(self._waiting) > self._settings.kept_segments
            or n_ticks > self._settings.kept_ticks
            or n_inputs > self._settings.kept_inputs
        )

    def _hold(self, segment: Segment) -> None:
        self._waiting[segment.number] = segment
        self._n_ticks += segment.n_kept_ticks
        self._n_inputs += segment.n_kept_inputs

    def _let_go(self, segment: Segment, *, labelled: bool) -> None:
        del self._waiting[segment.number]
        self._n_ticks -= segment.n_kept_ticks
        self._n_inputs -= segment.n_kept_inputs
        self._remember(segment.number, labelled=labelled)

    def _remember(self, number: int, *, labelled: bool) -> None:
        self._gone[number] = labelled
        while len(self._gone) > 64 * self._settings.kept_segments:
            number, _ = self._gone.popitem(last=False)
            # labels may come in any order, so what is forgotten need not rise
            self._forgotten_until = max(number, self._forgotten_until or 0)


def after_first_event(number: int) -> Refusal:
    """Say why a segment that has events can't be taught ahead."""
    return Refusal(
        "label_too_late",
        f"the label for segment {number} came after its first event;"
        " learning ahead expects it before",
    )


def too_long(segment: Segment) -> Refusal:
    """Say why a segment can't be taught whose first ticks are gone."""
    return Refusal(
        "label_too_late",
        f"segment {segment.number} is longer than the server keeps; its first ticks are gone",
    )
