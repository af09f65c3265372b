"""How often, and after how long, a client comes back."""

from collections.abc import Callable

from clients.client_options import BackOff
from clients.connection_errors import ServerUnreachable
from clients.resumption import Farewell


class Patience:
    """Counts the attempts in a row that were of no use.

    A connection was of use if the session came further on it, or if it held for longer than the
    longest wait; one that never came about is of none, however long it took.

    Attributes:
        attempt: Number of the attempt that is waited for; 0 before the first.
    """

    def __init__(self, back_off: BackOff, clock: Callable[[], float]) -> None:
        self._back_off = back_off
        self._clock = clock
        # how far the session was before the present connection, and how far and when it began
        self._applied_before = 0
        self._attached: tuple[int, float] | None = None
        self.attempt = 0

    def dial(self, applied: int) -> None:
        """Note that a connection is tried, and how far the session has come."""
        self._applied_before = applied
        self._attached = None

    def attach(self, applied: int) -> None:
        """Note that the session is open on it, and how far it is by what the server says."""
        self._attached = applied, self._clock()

    def delay_s(self, end: Farewell, applied: int) -> float:
        """Say how long to wait before the next attempt.

        Args:
            end: How the connection ended.
            applied: How far the session has come.

        Raises:
            ServerUnreachable: There was no progress for too long.
        """
        if self._made_progress(applied):
            self.attempt = 0
        if self.attempt == self._back_off.attempts:
            raise ServerUnreachable(f"gave up after {self.attempt} attempts: {end.refusal}")
        delay_s = self._back_off.delay_s(self.attempt, at_least_s=end.retry_after_s)
        self.attempt += 1
        return delay_s

    def describe(self, end: Farewell) -> str:
        """Say what the trouble is, and which attempt is next."""
        return f"{end.refusal}; attempt {self.attempt} of {self._back_off.attempts} follows"

    def _made_progress(self, applied: int) -> bool:
        if self._attached is None:
            return False
        # a server that was restarted may have begun further back than it was before
        applied_at_first, since_s = self._attached
        is_further = applied > min(self._applied_before, applied_at_first)
        return is_further or self._clock() - since_s > self._back_off.longest_s
