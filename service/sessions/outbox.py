"""What one connection still has to be told: bounded, thinned for slow readers, acks gathered.

A reader is slow while its socket takes nothing more: then messages pile up here. Finals, lessons,
acks and errors are never left out. Non-final predictions are: the newest are kept, and the next
prediction says how many were skipped. Past the bound the connection ends with 1013.

An ack leaves with the next message, or alone after a moment: whoever is answered at once is not
sent anything else a moment later.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable

from service.errors import CloseCode, ServiceError, SlowReader
from service.settings import SocketSettings
from service.wire_protocol import Ack, ErrorMessage, Goodbye, Opened, Prediction, ServerMessage


class Outbox:
    """The outgoing queue of one connection; only the event loop touches it.

    Attributes:
        close_code: How the connection is to be closed, once it is to be closed.
        finished: Set once nothing more will be put in.
    """

    def __init__(self, settings: SocketSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._messages: deque[ServerMessage] = deque()
        # by a prediction among them, how many were left out just before it
        self._n_left_out: Counter[int] = Counter()
        # non-final predictions among them
        self._n_passing = 0
        self._wake = asyncio.Event()
        # whether the writer holds messages that its socket has not taken yet
        self._is_sending = False
        self._gives_way = False
        self._ack: Ack | None = None
        # how far the session has come that the client has not been told
        self._has_news = False
        self._ack_due_s = float("inf")
        # no ack leaves with a message before: a fast stream would get one for each
        self._ack_waits_until_s = -float("inf")
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_s = float("inf")
        self.close_code: CloseCode | None = None
        self.finished = asyncio.Event()

    def __len__(self) -> int:
        """How many messages wait, the gathered ack not counted."""
        return len(self._messages)

    def greet(self, opened: Opened, ack: Ack) -> None:
        """Begin with ``opened`` and the ack that follows it at once."""
        self._messages.extend((opened, ack))
        self._note_sent(ack)
        self._wake.set()

    def put(self, message: ServerMessage) -> None:
        """Queue a message; a reader that is too slow loses predictions, then the connection."""
        if self.finished.is_set():
            return
        self._messages.append(message)
        self._n_passing += _is_passing(message)
        # a writer that is not held up takes everything at its next turn, be it a great deal
        if self._is_sending:
            self._bound(message)
        self._wake.set()

    def acknowledge(self, ack: Ack) -> None:
        """Say how far the session has come; sent soon, after everything queued before."""
        known = self._ack
        # field by field: a model compares itself ten times more slowly, and every visit asks
        if known is not None and (ack.applied, ack.durable, ack.credit_ticks) == (
            known.applied,
            known.durable,
            known.credit_ticks,
        ):
            return
        self._ack = ack
        self.acknowledge_again()

    def acknowledge_again(self) -> None:
        """Send the last ack once more, soon: the client resent something."""
        self._has_news = True
        self._ack_due_s = min(self._ack_due_s, self._clock() + self._settings.ack_delay_ms / 1000)
        # a writer that is awake takes the ack along, or sets the alarm before it sleeps
        if not self._wake.is_set():
            self._set_alarm()

    def finish(self, code: CloseCode, *messages: ErrorMessage | Ack | Goodbye) -> None:
        """Queue the last messages and the close code; what comes later is dropped."""
        if self.finished.is_set():
            return
        self._messages.extend(messages)
        self.close_code = code
        self.finished.set()
        self._wake.set()

    def fail(self, error: ServiceError) -> None:
        """End the connection with a fatal error."""
        fatal = ErrorMessage(
            code=error.code,
            message=error.message,
            sequence=error.sequence,
            fatal=True,
            retry_after_ms=error.retry_after_ms,
        )
        self.finish(error.close_code, fatal)

    async def take(self) -> list[ServerMessage]:
        """Wait until something is due and take it; empty once everything is taken and finished."""
        self._is_sending = False
        while not (self._messages or self.finished.is_set() or self._clock() >= self._ack_due_s):
            self._wake.clear()
            self._set_alarm()
            await self._wake.wait()
        messages = [self._told(message) for message in self._messages]
        self._empty()
        if self._ack is not None and self._ack_leaves(has_company=bool(messages)):
            messages.append(self._ack)
            self._note_sent(self._ack)
        self._is_sending = True
        return messages

    async def give_way(self) -> None:
        """Let other connections have their turn; who does is not held up by its socket."""
        self._gives_way = True
        await asyncio.sleep(0)
        self._gives_way = False

    def _ack_leaves(self, *, has_company: bool) -> bool:
        now_s = self._clock()
        is_ready = has_company and self._has_news and now_s >= self._ack_waits_until_s
        return not self.close_code and (is_ready or now_s >= self._ack_due_s)

    def _note_sent(self, ack: Ack) -> None:
        self._ack, self._has_news = ack, False
        now_s = self._clock()
        self._ack_due_s = now_s + self._settings.ack_every_s
        self._ack_waits_until_s = now_s + self._settings.ack_delay_ms / 1000

    def _set_alarm(self) -> None:
        """Wake the writer when an ack is due; an alarm that rings before that is left alone."""
        if self._ack_due_s >= self._alarm_s or self.finished.is_set():
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_s = self._ack_due_s
        wait_s = self._alarm_s - self._clock()
        self._alarm = asyncio.get_running_loop().call_later(wait_s, self._ring)

    def _ring(self) -> None:
        self._alarm, self._alarm_s = None, float("inf")
        if self._clock() >= self._ack_due_s:
            self._wake.set()
        else:
            self._set_alarm()

    def _bound(self, newest: ServerMessage) -> None:
        most = self._settings.outbox_messages
        # predictions that came while others had their turn leave with the next one, if they fit
        is_slow = _is_passing(newest) and not self._gives_way
        if is_slow or len(self._messages) > most:
            while self._n_passing > self._settings.outbox_predictions:
                self._thin()
        n_messages = len(self._messages)
        if n_messages > most:
            self._empty()
            self.fail(
                SlowReader(f"{n_messages} messages wait to be read; expected a faster reader")
            )

    def _empty(self) -> None:
        self._messages.clear()
        # what is counted by identity may not outlive what it identifies
        self._n_left_out.clear()
        self._n_passing = 0

    def _thin(self) -> None:
        """Leave out the oldest non-final prediction; the one after it will say that it is missing.

        A flood of predictions comes by here: nothing is copied, and the look is from the front.
        """
        waiting = enumerate(self._messages)
        place = next(place for place, message in waiting if _is_passing(message))
        # the newest prediction is never the oldest, so one follows that can tell
        heir = next(message for _, message in waiting if isinstance(message, Prediction))
        oldest = self._messages[place]
        self._n_left_out[id(heir)] += self._n_left_out.pop(id(oldest), 0) + 1
        del self._messages[place]
        self._n_passing -= 1

    def _told(self, message: ServerMessage) -> ServerMessage:
        """Return a message as it is sent: with what was left out before it."""
        skipped = self._n_left_out.get(id(message))
        return message.model_copy(update={"skipped": skipped}) if skipped else message


def _is_passing(message: ServerMessage) -> bool:
    """Tell whether a message is a prediction that a later one makes needless."""
    return isinstance(message, Prediction) and not message.final
