"""What a session's network has come to since the engine last delivered."""

from service.errors import InternalFailure, Refusal
from service.network.retold_messages import RetoldMessages
from service.network.visit import Delivery, Row
from service.stream.work import Applied
from service.wire_protocol import ErrorMessage, Learned, Prediction
from tclif_core import Strand


class Findings:
    """Gathers messages and counts, visit by visit; only the engine thread fills it.

    Attributes:
        retold: What is told again after a lost connection.
    """

    def __init__(self) -> None:
        self.retold = RetoldMessages()
        self._delivery = Delivery()
        self._made_prediction = False

    def collect(self) -> Delivery:
        """Return what has come about since the last call."""
        delivery, self._delivery = self._delivery, Delivery()
        return delivery

    def computed(self, row: Row) -> None:
        """Count ticks that were computed."""
        if row.strand is Strand.LIVE:
            self._delivery.n_ticks += row.block.n_ticks
            self._delivery.n_inputs += row.block.n_inputs
        else:
            self._delivery.n_lesson_ticks += row.block.n_ticks

    def predicted(self, prediction: Prediction) -> None:
        """Tell a prediction."""
        self._made_prediction = True
        self._delivery.messages.append(prediction)
        self.retold.note(prediction)

    def updated(self) -> None:
        """Count a lesson that moved weights."""
        self._delivery.n_lessons += 1

    def learned(self, message: Learned) -> None:
        """Tell a lesson."""
        self._delivery.messages.append(message)
        self.retold.note(message)

    def refused(self, refusal: Refusal) -> None:
        """Tell that something is not done; the session goes on."""
        self._delivery.messages.append(
            ErrorMessage(
                code=refusal.code, message=refusal.message, sequence=refusal.sequence, fatal=False
            )
        )

    def applied(self, work: Applied) -> None:
        """Note that a message's effects are all done, and those of what came with it."""
        self._delivery.applied = work.sequence
        self._delivery.n_applied += work.n_messages
        if self._made_prediction:
            self._delivery.answered_s.append(work.arrived_s)
            self._made_prediction = False

    def failed(self, failure: InternalFailure) -> None:
        """Say why the session can't go on."""
        self._delivery.failure = failure
