"""What the server said and the application has not read yet, each thing once.

After a lost connection the server repeats final predictions and `learned` messages that may have
been swallowed. After a crash it computes again what its snapshot did not hold, and says all of that
again: predictions on the way and refusals too. Within one session (one epoch) each is known:

* predictions by place, since they come in the order of segments and ticks;
* lessons by their segment or interval, refusals by their message's number and code.

A lesson or refusal can come again as long as the message that caused it is not durable; the last
ones are repeated even then. So many are remembered.
"""

from collections import OrderedDict, deque

from service.wire_protocol import ErrorMessage, Learned, Prediction

StreamMessage = Prediction | Learned | ErrorMessage
"""What an application hears; an `ErrorMessage` here is never fatal."""

_Key = tuple[str, int | None, int | None, str]

# the server repeats the last 64 whatever is durable
_REPEATED = 64


class Inbox:
    """A queue that refuses doubles and, when full, forgets its oldest message and counts it."""

    def __init__(self, limit: int, *, remembered: int) -> None:
        """Begin empty.

        Args:
            limit: Messages that may wait to be read.
            remembered: Lessons and refusals that are known again; as many as there may be messages
                that are not durable, since each causes one at most.
        """
        self._limit = limit
        self._remembered = remembered + _REPEATED
        self._messages: deque[StreamMessage] = deque()
        self._last_prediction = (-1, -1, False)
        # what was heard, and the newest message that may have caused it
        self._heard: OrderedDict[_Key, int] = OrderedDict()
        self.n_missed = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: StreamMessage, *, newest: int) -> bool:
        """Take one message.

        Args:
            message: What the server said.
            newest: Number of the newest message that was written to the server.

        Returns:
            Whether it is new.
        """
        if not self._is_new(message, newest):
            return False
        if len(self._messages) == self._limit:
            self._messages.popleft()
            self.n_missed += 1
        self._messages.append(message)
        return True

    def take(self) -> StreamMessage:
        """Return the oldest message; there must be one."""
        return self._messages.popleft()

    def forget(self, durable: int) -> None:
        """Forget what can't come again because its cause is durable."""
        while len(self._heard) > _REPEATED and next(iter(self._heard.values())) <= durable:
            self._heard.popitem(last=False)

    def _is_new(self, message: StreamMessage, newest: int) -> bool:
        if isinstance(message, Prediction):
            place = (message.segment, message.tick, message.final)
            is_new = place > self._last_prediction
            self._last_prediction = max(place, self._last_prediction)
            return is_new
        key = _key(message)
        if key is None:
            return True
        if key in self._heard:
            return False
        self._heard[key] = newest
        if len(self._heard) > self._remembered:
            self._heard.popitem(last=False)
        return True


def _key(message: Learned | ErrorMessage) -> _Key | None:
    """Return what a repetition of the message shares with it; None if it is never repeated."""
    if isinstance(message, Learned):
        first = message.from_us if message.segment is None else message.segment
        return "learned", first, message.to_us, ""
    if message.sequence is None:
        return None
    return "error", message.sequence, None, message.code
