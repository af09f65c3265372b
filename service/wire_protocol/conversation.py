"""When a message may come: the state machine of one connection, and its sequence numbers.

    AWAITING_OPEN ──open──► OPENING ──opened()──► ATTACHED ──close──► CLOSED
          └───────────────────┴──── a violation, or close() ────────────┘

A message is asked three things, in this order. *Form*: does it come in a state that allows it, and
do its addresses exist? If not it is fatal and nothing was applied. *Sequence*: is its number the
one that is due? A lower one is a resend, a higher one is fatal. *Meaning*: could any session take
its values? If not, it is refused as a whole but its number is consumed.
"""

from enum import Enum, auto

from service.errors import ProtocolViolation, SequenceGap
from service.wire_protocol.client_messages import (
    AddClasses,
    ClientMessage,
    Close,
    Label,
    LearningChange,
    Open,
    SegmentMark,
    SnapshotRequest,
)
from service.wire_protocol.event_frame import EventFrame

SequencedMessage = (
    SegmentMark | Label | LearningChange | AddClasses | SnapshotRequest | Close | EventFrame
)


class ConnectionState(Enum):
    """How far a connection has come."""

    AWAITING_OPEN = auto()
    OPENING = auto()
    """``open`` was read; the session is being found, made or taken over."""

    ATTACHED = auto()
    CLOSED = auto()


class Disposition(Enum):
    """What is to be done with a message."""

    OPEN = auto()
    """Look the session up, then call `Conversation.opened`."""

    APPLY = auto()
    """It is due: hand it to the session. After a ``close`` nothing more is taken."""

    RESEND = auto()
    """It was applied before: acknowledge it again and do nothing else."""

    DROP = auto()
    """The connection is over: forget it."""


class Conversation:
    """One connection, from its first message to its last; it holds no I/O and no session."""

    def __init__(self) -> None:
        self._state = ConnectionState.AWAITING_OPEN
        self._next_sequence = 0
        self._n_addresses = 0

    @property
    def state(self) -> ConnectionState:
        """How far the connection has come."""
        return self._state

    @property
    def next_sequence(self) -> int:
        """Number of the message that is due; meaningful once attached."""
        return self._next_sequence

    def is_due(self, sequence: int) -> bool:
        """Tell whether a message of that number is the one that is due."""
        return self._state is ConnectionState.ATTACHED and sequence == self._next_sequence

    def opened(self, *, next_sequence: int, n_addresses: int) -> None:
        """Note that the session is attached; ``opened`` may be sent.

        Args:
            next_sequence: Number of the message that is due, as told in ``opened``.
            n_addresses: Addresses of events lie in ``[0, n_addresses)``.

        Raises:
            RuntimeError: No ``open`` was received, or it was answered before.
        """
        if self._state is not ConnectionState.OPENING:
            raise RuntimeError(f"opened() was called while {self._state.name}")
        self._state = ConnectionState.ATTACHED
        self._next_sequence = next_sequence
        self._n_addresses = n_addresses

    def close(self) -> None:
        """Note that the connection is over, for whatever reason; later messages are dropped."""
        self._state = ConnectionState.CLOSED

    def receive(self, message: ClientMessage | EventFrame) -> Disposition:
        """Judge the connection's next message.

        Raises:
            ProtocolViolation: The message does not belong here, or a number was skipped
                (`SequenceGap`), or an address lies outside the sensor (`BadAddress`). The
                conversation is over.
            Refusal: No session could take its values. Its number is consumed.
        """
        if self._state is ConnectionState.CLOSED:
            return Disposition.DROP
        try:
            if isinstance(message, Open):
                self._check_open(message)
                self._state = ConnectionState.OPENING
                return Disposition.OPEN
            disposition = self._place(message)
        except ProtocolViolation:
            self.close()
            raise
        if disposition is Disposition.APPLY:
            self._accept(message)
        return disposition

    def _check_open(self, message: Open) -> None:
        if self._state is not ConnectionState.AWAITING_OPEN:
            raise _out_of_place(message, "it comes once, first")

    def _place(self, message: SequencedMessage) -> Disposition:
        """Check the form, then the sequence number."""
        if self._state is ConnectionState.AWAITING_OPEN:
            raise _out_of_place(message, "'open' was due first")
        if self._state is ConnectionState.OPENING:
            raise _out_of_place(message, "nothing was due before 'opened'")
        if isinstance(message, EventFrame):
            message.check_addresses(self._n_addresses)
        sequence = message.sequence
        if sequence is None or sequence == self._next_sequence:
            return Disposition.APPLY
        if sequence < self._next_sequence:
            return Disposition.RESEND
        raise SequenceGap(
            f"message {sequence} came, message {self._next_sequence} was due", sequence=sequence
        )

    def _accept(self, message: SequencedMessage) -> None:
        """Consume the number, then check the meaning."""
        if message.sequence is not None:
            self._next_sequence += 1
        if isinstance(message, Close):
            self.close()
        elif not isinstance(message, EventFrame | SnapshotRequest):
            message.check_values()


def _out_of_place(message: ClientMessage | EventFrame, expected: str) -> ProtocolViolation:
    kind = "events" if isinstance(message, EventFrame) else message.type
    sequence = None if isinstance(message, Open) else message.sequence
    return ProtocolViolation(f"a message '{kind}' came, {expected}", sequence=sequence)
