"""An amount that may be used up and comes back at a steady rate."""

from collections.abc import Callable


class Allowance:
    """So much a second, and at most a burst at once."""

    def __init__(self, per_s: float, burst: float, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._left = burst
        self._as_of_s = clock()

    def take(self, amount: float = 1.0) -> bool:
        """Use some of it up if that much is there; tell whether it was."""
        self._refill()
        if amount > self._left:
            return False
        self._left -= amount
        return True

    def owe(self, amount: float) -> float:
        """Use some of it up whether it is there or not; return the seconds until it came back."""
        self._refill()
        self._left -= amount
        return 0.0 if self._left >= 0 else -self._left / self._per_s

    def _refill(self) -> None:
        now_s = self._clock()
        self._left = min(self._burst, self._left + (now_s - self._as_of_s) * self._per_s)
        self._as_of_s = now_s
