"""The messages that may still be needed: numbered, kept until they are safe, written in order.

A message goes through four states: waiting to be written, written, applied by the server, durable.
Only durable ones are forgotten: a server that restarts goes on from a snapshot and asks for all
after it. What is kept is bounded, and once the bound is reached no further message is taken, so
that nothing is ever forgotten that a server may ask for. Messages that are not applied have a
narrower bound of their own.

Servers store sessions every few seconds. A stream that fills half of the buffer meanwhile asks for
a snapshot, so that it need not stop.
"""

from collections.abc import Callable
from dataclasses import dataclass

from clients.connection_errors import SessionLost
from service.wire_protocol import Ack

Payload = str | bytes


@dataclass(frozen=True, slots=True)
class _Kept:
    payload: Payload
    n_bytes: int
    ticks_until: int
    """Ticks that this message and all before it cause."""


class SendBuffer:
    """Numbered messages of one session; pure bookkeeping."""

    def __init__(
        self, *, keep_bytes: int, keep_messages: int, unapplied_bytes: int, ticks_ahead: int
    ) -> None:
        self._ticks_ahead = ticks_ahead
        self._keep_bytes = keep_bytes
        self._keep_messages = keep_messages
        self._unapplied_limit = unapplied_bytes
        # by number, without gaps: from the oldest that is not durable to the newest
        self._kept: dict[int, _Kept] = {}
        self._oldest = 1
        self._next_sequence: int | None = None
        self._next_written = 1
        self._applied = 0
        self._kept_total = 0
        self._unapplied_total = 0
        self._credit_ticks = 0
        # ticks that all messages up to one of them cause
        self._ticks_until_forgotten = 0
        self._ticks_until_applied = 0
        self._ticks_until_newest = 0
        # up to which message somebody wants a snapshot that was not asked for yet; up to which this
        # connection was asked for one; up to which somebody waits for it
        self._wanted: int | None = None
        self._asked_for = 0
        self._awaited = 0

    @property
    def applied(self) -> int:
        """Number of the newest message that the server has applied."""
        return self._applied

    @property
    def durable(self) -> int:
        """Number of the newest message that the server can't lose any more."""
        return self._oldest - 1

    @property
    def newest(self) -> int:
        """Number of the newest message; 0 before the session is attached."""
        return 0 if self._next_sequence is None else self._next_sequence - 1

    @property
    def written(self) -> int:
        """Number of the newest message that was written to the present connection."""
        return self._next_written - 1

    @property
    def has_room(self) -> bool:
        """Whether one more message may be appended; it may go beyond a bound by its own size."""
        return (
            self._next_sequence is not None
            and self._unapplied_total < self._unapplied_limit
            and not self.is_full
        )

    @property
    def is_full(self) -> bool:
        """Whether as much waits to become durable as may."""
        return self._holds(self._keep_bytes, self._keep_messages)

    def _holds(self, n_bytes: int, n_messages: int) -> bool:
        return self._kept_total >= n_bytes or len(self._kept) >= n_messages

    @property
    def is_written(self) -> bool:
        """Whether every message was written to the present connection."""
        return self._next_sequence is None or self._next_written == self._next_sequence

    @property
    def is_due(self) -> bool:
        """Whether the next message may be written now.

        Server's credit and ``ticks_ahead`` count what is computed beyond the applied messages. With
        none of them under way one may always go, or a message larger than all credit would wait
        for ever.
        """
        if self.is_written:
            return False
        nothing_under_way = self._next_written == self._applied + 1
        ticks = self._kept[self._next_written].ticks_until - self._ticks_until_applied
        return nothing_under_way or ticks <= min(self._credit_ticks, self._ticks_ahead)

    @property
    def is_snapshot_due(self) -> bool:
        """Whether the server should be asked to store what was written."""
        if self._wanted is not None:
            return self.written >= self._wanted
        is_filling = self._holds(self._keep_bytes // 2, self._keep_messages // 2)
        # one at a time, and each must bring something
        return is_filling and self._asked_for <= self.durable < self.written

    @property
    def is_snapshot_awaited(self) -> bool:
        """Whether a snapshot that somebody wants is not asked for or not stored yet."""
        return self._wanted is not None or self._awaited > self.durable

    def want_snapshot(self) -> None:
        """Have the server asked for a snapshot of all messages so far; again, if it is lost."""
        self._wanted = self._awaited = self.newest

    def note_snapshot_asked(self) -> None:
        """Note that the server was asked to store everything written so far."""
        self._asked_for = self.written
        self._wanted = None

    def attach(self, next_sequence: int, credit_ticks: int) -> None:
        """Begin to write to a new connection, from the message that the server expects.

        After a lost connection that is the one after the last applied one; a server that was
        restarted may expect an earlier one, but none that it called durable.

        Raises:
            SessionLost: That message was durable, or was never sent by this client.
        """
        if self._next_sequence is None:
            self._next_sequence = self._oldest = next_sequence
        if not self._oldest <= next_sequence <= self._next_sequence:
            raise SessionLost(
                f"the server expects message {next_sequence}; this client can send "
                f"{self._oldest} to {self._next_sequence}"
            )
        self._next_written = next_sequence
        self._asked_for = 0
        if self._awaited > self.durable:
            self._wanted = self._awaited
        self._applied = next_sequence - 1
        self._credit_ticks = credit_ticks
        waiting = [self._kept[n] for n in range(next_sequence, self._next_sequence)]
        self._unapplied_total = sum(kept.n_bytes for kept in waiting)
        before = self._kept.get(next_sequence - 1)
        self._ticks_until_applied = (
            self._ticks_until_forgotten if before is None else before.ticks_until
        )

    def append(self, write: Callable[[int], Payload], ticks: int) -> int:
        """Number one more message and keep it; the session must be attached.

        Args:
            write: Makes the message from its number.
            ticks: How many ticks the server will compute for it.

        Returns:
            The message's number.
        """
        if self._next_sequence is None:
            raise RuntimeError("no session is attached yet")
        sequence = self._next_sequence
        payload = write(sequence)
        n_bytes = len(payload)
        self._ticks_until_newest += ticks
        self._kept[sequence] = _Kept(payload, n_bytes, self._ticks_until_newest)
        self._next_sequence += 1
        self._kept_total += n_bytes
        self._unapplied_total += n_bytes
        return sequence

    def take(self) -> tuple[int, Payload]:
        """Return the message that is due, with its number, and count it as written."""
        sequence = self._next_written
        self._next_written += 1
        return sequence, self._kept[sequence].payload

    def acknowledge(self, ack: Ack) -> None:
        """Note how far the server has come, and forget what is durable."""
        self._credit_ticks = ack.credit_ticks
        for sequence in range(self._applied + 1, min(ack.applied, self.newest) + 1):
            kept = self._kept[sequence]
            self._unapplied_total -= kept.n_bytes
            self._ticks_until_applied = kept.ticks_until
            self._applied = sequence
        self.note_durable(ack.durable)

    def note_durable(self, durable: int) -> None:
        """Forget the messages that the server can't lose any more."""
        while self._oldest <= min(durable, self._applied):
            forgotten = self._kept.pop(self._oldest)
            self._kept_total -= forgotten.n_bytes
            self._ticks_until_forgotten = forgotten.ticks_until
            self._oldest += 1
