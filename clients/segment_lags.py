"""How long final predictions take: from the writing of a segment's end to its answer."""

from collections import OrderedDict, deque
from collections.abc import Callable

_LAGS_KEPT = 1 << 16
# an end that the server refuses is never answered
_WAITING = 4096


class SegmentLags:
    """Lags of the segments that the client ends itself.

    Attributes:
        lags_s: The last 65,536, in seconds. An end that is written again after a lost connection
            counts from the first time.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # segments whose end waits to be written, by sequence number; when it was, by segment
        self._queued: dict[int, int] = {}
        self._written_at_s: OrderedDict[int, float] = OrderedDict()
        self.lags_s: deque[float] = deque(maxlen=_LAGS_KEPT)

    def queue(self, sequence: int, segment: int) -> None:
        """Note that a message will end a segment."""
        self._queued[sequence] = segment

    def write(self, sequence: int) -> None:
        """Note that a message goes to the server now."""
        segment = self._queued.pop(sequence, None)
        if segment is None:
            return
        self._written_at_s[segment] = self._clock()
        if len(self._written_at_s) > _WAITING:
            self._written_at_s.popitem(last=False)

    def answer(self, segment: int) -> None:
        """Note that a segment's final prediction came for the first time."""
        written_at_s = self._written_at_s.pop(segment, None)
        if written_at_s is not None:
            self.lags_s.append(self._clock() - written_at_s)
