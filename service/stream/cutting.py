"""What the kinds of segmentation are told and tell: the stream's form, what one frame did to it."""

from dataclasses import dataclass
from typing import NamedTuple

from service.stream.event_binning import BinnedFrame
from service.stream.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamForm:
    """What a session's creation says of its stream.

    Attributes:
        tick_us: Length of a tick.
        late_us: How late events may come.
        n_inputs: Input lines of the network.
        carry_state: Whether a segment goes on from the state that the one before left.
    """

    tick_us: int
    late_us: int
    n_inputs: int
    carry_state: bool = False


@dataclass(frozen=True, slots=True)
class Counters:
    """Events that were dropped, by reason; for the session's state page."""

    n_outside: int = 0
    n_late: int = 0
    n_saturated: int = 0

    def plus(self, frame: BinnedFrame) -> "Counters":
        """Return the counters with one more frame in them, the same ones if it dropped nothing."""
        if not (frame.n_outside or frame.n_late or frame.n_saturated):
            return self
        return Counters(
            self.n_outside + frame.n_outside,
            self.n_late + frame.n_late,
            self.n_saturated + frame.n_saturated,
        )


class Cutting(NamedTuple):
    """What one frame did.

    Attributes:
        work: Ticks it completed, segments it began and ended, in order.
        n_late: Events that came too late and were dropped.
    """

    work: list[Work]
    n_late: int = 0
