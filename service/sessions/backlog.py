"""What a session has taken in and the engine has not done yet, bounded by not reading on."""

import asyncio
from collections import deque
from collections.abc import Sequence

from service.network.visit import Delivery
from service.settings import SessionSettings
from service.stream.work import Applied, ComputeTicks, Work


class Backlog:
    """Work of one session on its way; the event loop fills the inbox, the engine empties it.

    Attributes:
        inbox: Work that the engine has not begun.
        n_messages: Messages, numbered or not, whose effects are not all done.
        n_ticks: Ticks inside segments that wait to be computed.
        n_inputs: Their non-zero inputs.
    """

    def __init__(self, settings: SessionSettings) -> None:
        self._settings = settings
        self.inbox: deque[Work] = deque()
        self.n_messages = 0
        self.n_ticks = 0
        self.n_inputs = 0
        self._is_given_up = False
        self._progress = asyncio.Event()

    @property
    def has_room(self) -> bool:
        """Whether the next message may be read."""
        return (
            self.n_messages < self._settings.inbox_messages
            and self.n_ticks < self._settings.inbox_ticks
            and self.n_inputs < self._settings.inbox_inputs
        )

    def put(self, work: Sequence[Work], mark: Applied | None = None) -> int:
        """Queue work, and the end of the message that it belongs to; return how many ticks it has.

        Args:
            work: In order; of one message, or of those that are taken in together.
            mark: The end of them; None for what no message asks for.
        """
        n_before = self.n_ticks
        for part in work:
            if isinstance(part, ComputeTicks):
                self.n_ticks += part.block.n_ticks
                self.n_inputs += part.block.n_inputs
            self.inbox.append(part)
        if mark is not None:
            self.n_messages += mark.n_messages
            self.inbox.append(mark)
        return self.n_ticks - n_before

    def settle(self, delivery: Delivery) -> None:
        """Count what a visit has done."""
        self.n_messages -= delivery.n_applied
        self.n_ticks -= delivery.n_ticks
        self.n_inputs -= delivery.n_inputs
        self._progress.set()

    def give_up(self) -> None:
        """Let nobody wait any more: nothing further is computed."""
        self._is_given_up = True
        self._progress.set()

    async def wait_for_room(self) -> None:
        """Wait until the next message may be read, or the backlog is given up."""
        while not (self.has_room or self._is_given_up):
            await self._wait()

    async def wait_until_done(self) -> None:
        """Wait until every message that was taken in is applied, or the backlog is given up."""
        while self.n_messages and not self._is_given_up:
            await self._wait()

    async def _wait(self) -> None:
        self._progress.clear()
        await self._progress.wait()
