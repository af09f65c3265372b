"""What a session's messages ask of the engine, in their order.

The event loop writes these into a session's inbox, the engine thread reads them. None of them can
be refused any more: refusals have become work of their own, so that the client hears everything in
sequence order.
"""

from collections.abc import Callable
from dataclasses import dataclass

from service.errors import Refusal
from service.event_binning import TickBlock
from service.kept_segments import Segment
from service.wire_protocol import ReportRequest


@dataclass(frozen=True, slots=True)
class BeginSegment:
    """Start a segment with the network at rest."""

    segment: Segment


@dataclass(frozen=True, slots=True)
class TeachAhead:
    """From here on the open segment learns this target while it runs."""

    target: int


@dataclass(frozen=True, slots=True)
class ComputeTicks:
    """Advance the open segment."""

    block: TickBlock


@dataclass(frozen=True, slots=True)
class EndSegment:
    """Tell the segment's final prediction."""

    segment: Segment


@dataclass(frozen=True, slots=True)
class Lesson:
    """Score a finished segment's prediction and, unless learning is off, learn its target."""

    segment: Segment
    target: int
    learns: bool


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


@dataclass(frozen=True, slots=True)
class Applied:
    """Everything that message ``sequence`` caused is done.

    Attributes:
        sequence: The message's number.
        arrived_s: When the server read it, on the monotonic clock.
    """

    sequence: int
    arrived_s: float


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
    | EndSegment
    | Lesson
    | ChangeRate
    | ChangeReport
    | Refuse
    | Applied
    | AtBoundary
)
