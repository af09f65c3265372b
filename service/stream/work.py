"""What a session's messages ask of the engine, in their order.

The event loop writes these into a session's inbox, the engine thread reads them. None of them can
be refused any more: refusals have become work of their own, so that the client hears everything in
sequence order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from service.errors import Refusal
from service.stream.event_binning import TickBlock
from service.stream.segments import Passage, Segment, Stretch
from service.wire_protocol import ReportRequest


@dataclass(frozen=True, slots=True)
class BeginSegment:
    """Start a segment, with the network at rest unless state is carried."""

    segment: Segment


@dataclass(frozen=True, slots=True)
class TeachAhead:
    """From here on the open segment learns this target while it runs."""

    target: int


class ComputeTicks(NamedTuple):
    """Advance the open segment.

    Attributes:
        block: The ticks.
        stretch: Where to note which class each of them takes the input for, if anywhere.
    """

    block: TickBlock
    stretch: Stretch | None = None


@dataclass(frozen=True, slots=True)
class KeepState:
    """Keep the running state as what lessons of a stretch start from."""

    stretch: Stretch


@dataclass(frozen=True, slots=True)
class EndSegment:
    """Tell the segment's final prediction."""

    segment: Segment


@dataclass(frozen=True, slots=True)
class Interval:
    """Ticks that a label names by their time.

    Attributes:
        from_us: As the label says.
        to_us: Likewise.
        ticks: Where the votes of its ticks are: stretches, and which ticks of them.
    """

    from_us: int
    to_us: int
    ticks: tuple[tuple[Stretch, slice], ...]

    @property
    def name(self) -> str:
        """What a sentence calls it."""
        return f"the interval [{self.from_us}, {self.to_us})"

    def was_taken_for(self, target: int) -> bool:
        """Tell whether most of its ticks took the input for a class, the first of equals."""
        votes = [np.concatenate(stretch.votes)[part] for stretch, part in self.ticks]
        return int(np.bincount(np.concatenate(votes)).argmax()) == target


@dataclass(frozen=True, slots=True)
class Lesson:
    """Score what was predicted and, unless learning is off, learn what was told.

    Attributes:
        about: A finished segment, or an interval of complete ticks.
        target: Its class.
        learns: Whether weights move.
        course: The ticks to learn from, passage after passage, for one update.
    """

    about: Segment | Interval
    target: int
    learns: bool
    course: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class GrowClasses:
    """Add classes to the readout.

    Attributes:
        names: Of the new ones.
        stretches: Everything that is kept; their states grow with the network.
    """

    names: tuple[str, ...]
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True)
class ChangeRate:
    """Another learning rate from here on."""

    rate: float


@dataclass(frozen=True, slots=True)
class ChangeReport:
    """Another connection wants other predictions."""

    report: ReportRequest


@dataclass(frozen=True, slots=True)
class Refuse:
    """Tell the client that a message could not be done."""

    refusal: Refusal


class Applied(NamedTuple):
    """Everything that the messages up to ``sequence`` caused is done.

    Attributes:
        sequence: The number of the last of them.
        arrived_s: When the server read it, on the monotonic clock.
        n_messages: How many were taken in together.
    """

    sequence: int
    arrived_s: float
    n_messages: int = 1


@dataclass(frozen=True, slots=True)
class AtBoundary:
    """Run something that needs the session between two messages, on the engine thread.

    Attributes:
        run: Runs it and hands over what it returns.
        refuse: Hands over why it will never run.
    """

    run: Callable[[], None]
    refuse: Callable[[Exception], None]


Work = (
    BeginSegment
    | TeachAhead
    | ComputeTicks
    | KeepState
    | EndSegment
    | Lesson
    | GrowClasses
    | ChangeRate
    | ChangeReport
    | Refuse
    | Applied
    | AtBoundary
)
