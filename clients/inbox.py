"""What the server said and the application has not read yet, each thing once.

After a lost connection the server repeats final predictions and `learned` messages that may have
been swallowed. Within one session (one epoch) a segment has one of each: a second one is a double.
"""

from collections import OrderedDict, deque

from service.wire_protocol import ErrorMessage, Learned, Prediction

StreamMessage = Prediction | Learned | ErrorMessage
"""What an application hears; an `ErrorMessage` here is never fatal."""

_Key = tuple[str, int | None, int | None]

# the server repeats the last 64 of each; more are remembered than it can repeat
_REMEMBERED = 1024


class Inbox:
    """A queue that refuses doubles and, when full, forgets its oldest message and counts it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._messages: deque[StreamMessage] = deque()
        self._seen: OrderedDict[_Key, None] = OrderedDict()
        self.n_missed = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: StreamMessage) -> bool:
        """Take one message; return whether it is new."""
        key = _key(message)
        if key is not None:
            if key in self._seen:
                return False
            self._seen[key] = None
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        if len(self._messages) == self._limit:
            self._messages.popleft()
            self.n_missed += 1
        self._messages.append(message)
        return True

    def take(self) -> StreamMessage:
        """Return the oldest message; there must be one."""
        return self._messages.popleft()


def _key(message: StreamMessage) -> _Key | None:
    """Return what a repetition of the message shares with it; None if it is never repeated."""
    if isinstance(message, Learned):
        first = message.from_us if message.segment is None else message.segment
        return "learned", first, message.to_us
    if isinstance(message, Prediction) and message.final:
        return "final", message.segment, None
    return None
