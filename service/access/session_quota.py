"""How many sessions and bytes there may be: each principal's, and all together.

What a principal has counts whether it is in memory or parked in storage; what the server has in
memory counts for all principals together. Everything is checked before it is allocated.
"""

from collections import Counter

from service.errors import MemoryFull, QuotaExceeded
from service.settings import QuotaSettings, SessionSettings


class SessionQuota:
    """Counts sessions and their learner memory; refuses what would be too much."""

    def __init__(self, settings: SessionSettings, quota: QuotaSettings) -> None:
        self._settings = settings
        self._quota = quota
        self._n_in_memory = 0
        self._bytes_in_memory = 0
        # everything that exists, parked or not
        self._n_owned: Counter[str] = Counter()
        self._bytes_owned: Counter[str] = Counter()

    @property
    def bytes_in_memory(self) -> int:
        """Learner memory of all sessions that are in memory."""
        return self._bytes_in_memory

    @property
    def is_overfull(self) -> bool:
        """Whether sessions that grew take more memory than there should be."""
        return self._bytes_in_memory > self._settings.max_total_bytes

    def reserve(self, principal: str, n_bytes: int) -> None:
        """Account for one more session of a principal, in memory.

        Raises:
            QuotaExceeded: It would be too much; nothing is accounted for.
        """
        self._check_owned(principal, n_bytes)
        self._check_size(n_bytes)
        self._check_memory(n_bytes)
        self._take_memory(n_bytes)
        self.adopt(principal, n_bytes)

    def adopt(self, principal: str, n_bytes: int) -> None:
        """Account for a parked session that is there already, whatever the quota."""
        self._n_owned[principal] += 1
        self._bytes_owned[principal] += n_bytes

    def release(self, principal: str, n_bytes: int) -> None:
        """Forget a session that was in memory and is no more."""
        self.park(n_bytes)
        self.disown(principal, n_bytes)

    def disown(self, principal: str, n_bytes: int) -> None:
        """Forget a parked session that is no more."""
        self._n_owned[principal] -= 1
        self._bytes_owned[principal] -= n_bytes
        if not self._n_owned[principal]:
            # who has nothing takes no room either
            del self._n_owned[principal], self._bytes_owned[principal]

    def park(self, n_bytes: int) -> None:
        """A session leaves memory and stays its principal's."""
        self._n_in_memory -= 1
        self._bytes_in_memory -= n_bytes

    def wake(self, n_bytes: int) -> None:
        """A parked session comes back into memory.

        Raises:
            QuotaExceeded: The server's memory is full; it stays parked.
        """
        self._check_memory(n_bytes)
        self._take_memory(n_bytes)

    def grow(self, principal: str, more_bytes: int) -> None:
        """Account for a session in memory that has become larger, whatever the quota.

        What others take may not decide it: the same messages, sent again after a crash, would
        find others. Memory that is too full by this is made room in afterwards.
        """
        self._bytes_in_memory += more_bytes
        self._bytes_owned[principal] += more_bytes

    def _take_memory(self, n_bytes: int) -> None:
        self._n_in_memory += 1
        self._bytes_in_memory += n_bytes

    def _check_size(self, n_bytes: int) -> None:
        if n_bytes > self._settings.max_session_bytes:
            raise QuotaExceeded(
                f"the network takes {n_bytes} bytes; expected at most"
                f" {self._settings.max_session_bytes}"
            )

    def _check_owned(self, principal: str, n_bytes: int) -> None:
        quota, n_owned, owned = self._quota, self._n_owned[principal], self._bytes_owned[principal]
        if n_owned >= quota.sessions:
            raise QuotaExceeded(
                f"principal {principal!r} has {n_owned} sessions; expected fewer than"
                f" {quota.sessions} before a new one"
            )
        if owned + n_bytes > quota.session_bytes:
            raise QuotaExceeded(
                f"the network takes {n_bytes} bytes more and all others of principal"
                f" {principal!r} {owned}; expected at most {quota.session_bytes} together"
            )

    def _check_memory(self, n_bytes: int) -> None:
        settings = self._settings
        if n_bytes > settings.max_total_bytes:
            # parking others would not help
            raise QuotaExceeded(
                f"the network alone takes {n_bytes} bytes; expected at most"
                f" {settings.max_total_bytes}, which is session.max_total_bytes"
            )
        if self._n_in_memory >= settings.max_sessions:
            raise MemoryFull(
                f"{self._n_in_memory} sessions exist; expected fewer than"
                f" {settings.max_sessions} before a new one"
            )
        if self._bytes_in_memory + n_bytes > settings.max_total_bytes:
            raise MemoryFull(
                f"the network takes {n_bytes} bytes and all others {self._bytes_in_memory};"
                f" expected at most {settings.max_total_bytes} together"
            )
