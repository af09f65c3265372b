"""Whether a session streams in real time, or ahead of it: a replay, or one that catches up.

A sensor's time passes as fast as the clock on the wall. Who sends more of it than passes gets a
lead, which melts as time goes by; beyond a slack the session is no sensor's live stream, and nobody
waits for its predictions at a moment of their own.
"""

TOLERATED_SPEED = 1.1
"""How much faster than the wall's a sensor's clock may run without ever getting ahead."""

LONGEST_LEAD = 2.0
"""What a lead grows to at most, in slacks: a replay that slows down is soon in real time again."""


class StreamPace:
    """How far one session's sensor time is ahead; the event loop moves it.

    Attributes:
        is_ahead: Whether it was ahead of real time with its last message.
    """

    def __init__(self, slack_s: float) -> None:
        """Begin without a lead.

        Args:
            slack_s: How far ahead a stream in real time may be: sensors send in pieces.
        """
        self._slack_s = slack_s
        self._lead_s = 0.0
        self._as_of_s = float("-inf")
        self.is_ahead = False

    def take(self, sensor_s: float, now_s: float) -> None:
        """Take in what one message brought.

        Args:
            sensor_s: Sensor time of the ticks that it completed.
            now_s: When it was read, on the monotonic clock.
        """
        passed_s = max(0.0, now_s - self._as_of_s)
        left_s = max(0.0, self._lead_s - TOLERATED_SPEED * passed_s)
        self._lead_s = min(left_s + sensor_s, LONGEST_LEAD * self._slack_s)
        self._as_of_s = now_s
        self.is_ahead = self._lead_s > self._slack_s
