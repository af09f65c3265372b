"""One visit of a session to the engine: the ticks it brings, and what it takes away."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.errors import InternalFailure
from service.stream.event_binning import TickBlock
from service.wire_protocol import ErrorMessage, Learned, Prediction
from tclif_core import Strand

NO_TARGET = -1


class Row(NamedTuple):
    """Ticks of one session for the next batch.

    Attributes:
        strand: Whether they belong to the running segment or to a lesson.
        learns: Whether eligibility and weights move with them.
        target: Class of every tick, or ``NO_TARGET``.
        block: The ticks.
    """

    strand: Strand
    learns: bool
    target: int
    block: TickBlock


class Answer(NamedTuple):
    """What the batch computed for a row.

    Attributes:
        mean_probabilities: The segment's prediction after each tick, ``[T, C]`` float32.
        logits: Of each tick, ``[T, C]`` float32.
    """

    mean_probabilities: NDArray[np.float32]
    logits: NDArray[np.float32]


@dataclass(slots=True)
class Delivery:
    """What a session's visit brought, for the event loop.

    Attributes:
        messages: For the client, in order.
        applied: Number of the last message that is done, 0 for none in this visit.
        n_applied: How many messages are done.
        n_ticks: Ticks inside segments that were computed.
        n_inputs: Their non-zero inputs.
        n_lessons: Lessons that were learnt.
        n_lesson_ticks: Ticks that lessons computed.
        answered_s: When the messages that caused a prediction were read.
        failure: Why the session can't go on, if so.
    """

    messages: list[Prediction | Learned | ErrorMessage] = field(default_factory=list)
    applied: int = 0
    n_applied: int = 0
    n_ticks: int = 0
    n_inputs: int = 0
    n_lessons: int = 0
    n_lesson_ticks: int = 0
    answered_s: list[float] = field(default_factory=list)
    failure: InternalFailure | None = None
