"""A peer that says nothing for too long, noticed with one timer for a whole connection.

To arm a timer for each message would cost more than to read it. So only the moment is noted, and
the timer looks at it when it could matter.
"""

import asyncio
import time
from collections.abc import Callable


class SilenceWatch:
    """Measures how long a message is waited for; to be made on the event loop."""

    def __init__(self, timeout_s: float, on_silence: Callable[[float], None]) -> None:
        """Begin while nothing is waited for.

        Args:
            timeout_s: Longest wait.
            on_silence: Is told that limit once, when a wait has become longer.
        """
        self._timeout_s = timeout_s
        self._on_silence = on_silence
        self._since_s: float | None = None
        self._timer = self._look_in(timeout_s)

    def wait(self) -> None:
        """Note that a message is waited for from now on."""
        self._since_s = time.monotonic()

    def heard(self) -> None:
        """Note that it came; what it takes to do it is nobody's silence."""
        self._since_s = None

    def limit(self, timeout_s: float) -> None:
        """Allow another time from now on."""
        self._timer.cancel()
        self._timeout_s = timeout_s
        self._timer = self._look_in(timeout_s)

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _look_in(self, seconds: float) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        silent_s = 0.0 if self._since_s is None else time.monotonic() - self._since_s
        if silent_s >= self._timeout_s:
            self._on_silence(self._timeout_s)
        else:
            self._timer = self._look_in(self._timeout_s - silent_s)
