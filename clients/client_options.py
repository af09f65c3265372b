"""How a client behaves where the protocol leaves it free: buffers, time limits, waits."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from clients.credentials import check_token


@dataclass(frozen=True, slots=True)
class BackOff:
    """How long to wait between attempts: exponential, with full jitter.

    Attributes:
        first_s: Longest wait before the first attempt.
        longest_s: Longest wait ever.
        attempts: Attempts in a row that may fail before the client gives up; the default ones take
            about five minutes.
        random: Draws from [0, 1).
        sleep: Waits for so many seconds.
    """

    first_s: float = 0.2
    longest_s: float = 10.0
    attempts: int = 60
    random: Callable[[], float] = secrets.SystemRandom().random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def delay_s(self, attempt: int, *, at_least_s: float = 0.0) -> float:
        """Draw the wait before an attempt.

        Args:
            attempt: 0 for the first one after a connection that worked.
            at_least_s: What the server asked for; the jitter comes on top of it.
        """
        return at_least_s + self.random() * min(self.longest_s, self.first_s * 2.0**attempt)


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How a client behaves where the protocol leaves it free.

    Attributes:
        keep_bytes: Messages that may wait to become durable before sending blocks; from half of it
            on the server is asked for a snapshot.
        keep_messages: The same by their number.
        unapplied_bytes: Messages that may wait to be applied before sending blocks.
        ticks_ahead: Ticks that the server may be asked for beyond what it has applied, if it gives
            credit for them. More don't make it faster, they only wait there instead of here.
        inbox_messages: Messages that may wait for the application; beyond it the oldest go.
        open_timeout_s: Longest wait for a connection, and then for ``opened``.
        close_timeout_s: Longest wait for the server's ``goodbye``; it stores the session first.
        token: Credential to show; it is never shown to anybody but the server.
        back_off: How a lost connection is tried again.
        clock: Seconds of a clock that never goes back.

    Raises:
        ValueError: The token can't be one, or a bound is below 1.
    """

    keep_bytes: int = 64 << 20
    keep_messages: int = 1 << 16
    unapplied_bytes: int = 4 << 20
    ticks_ahead: int = 1024
    inbox_messages: int = 1 << 16
    open_timeout_s: float = 30.0
    close_timeout_s: float = 30.0
    token: str | None = field(default=None, repr=False)
    back_off: BackOff = field(default_factory=BackOff)
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        for name in ("keep_bytes", "keep_messages", "unapplied_bytes", "inbox_messages"):
            bound: int = getattr(self, name)
            if bound < 1:
                raise ValueError(f"{name} is {bound}, a number above 0 was expected")
        if self.token is not None:
            object.__setattr__(self, "token", check_token(self.token, "the token given"))
