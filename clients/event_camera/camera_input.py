"""What every live event camera shares: where its events wait, what is lost, and when.

Events outside the picture, too late ones and those that find the buffer full are dropped and
counted: a stream in real time may not fall behind without end.
"""

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, fields
from typing import Final, NamedTuple, TypedDict

import numpy as np
from typing_extensions import Unpack, override

from clients.event_camera.arrival_clock import ArrivalClock
from clients.event_camera.camera_events import CameraEvents
from clients.event_camera.datagrams import StampedEvents

BLOCK_S: Final = 0.01
"""Time from one block of events to the next."""

BUFFERED_EVENTS: Final = 1 << 18
"""Events that may wait to be taken."""


WAIT_US: Final = 50_000
"""Time that a sender may take to gather events before it sends them."""


class NoCamera(OSError):
    """There is no camera, or it can't be used; the text says why."""


class Block(NamedTuple):
    """What came since the block before.

    Attributes:
        events: Their times count from the stream's begin.
        until_us: Events before it would be late from now on.
    """

    events: CameraEvents
    until_us: int


@dataclass(slots=True)
class Losses:
    """What did not become events of the stream.

    Attributes:
        malformed: Datagrams that are not of the layout.
        foreign: Datagrams of other senders.
        kernel: Datagrams that the system dropped, its buffer being full.
        outside: Events outside the picture.
        late: Events whose time was over when they came.
        overflow: Events that found our buffer full.
    """

    malformed: int = 0
    foreign: int = 0
    kernel: int = 0
    outside: int = 0
    late: int = 0
    overflow: int = 0

    @override
    def __str__(self) -> str:
        """Name what is not 0; empty for nothing."""
        counts = ((field.name, getattr(self, field.name)) for field in fields(self))
        return ", ".join(f"{_IN_WORDS[name].format(n)}" for name, n in counts if n)


_IN_WORDS: Final = {
    "malformed": "{:,} datagrams malformed",
    "foreign": "{:,} datagrams of others",
    "kernel": "{:,} datagrams dropped by the system",
    "outside": "{:,} events outside the picture",
    "late": "{:,} events too late",
    "overflow": "{:,} events found no room",
}


class Pace(TypedDict, total=False):
    """How a camera is taken in.

    Attributes:
        wait_us: How long after an event nothing is said of time, if no other comes: events that a
            sender has gathered that long are not late.
        buffered_events: How many may wait to be taken.
        clock: Seconds of a clock that never goes back.
        sleep: Lets time pass.
    """

    wait_us: int
    buffered_events: int
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]


class CameraInput(ABC):
    """A camera that is there, its events as they come.

    Attributes:
        size: Columns and rows.
        losses: What was lost so far.
        n_events: Events that came and were not lost.
    """

    def __init__(self, size: tuple[int, int], **pace: Unpack[Pace]) -> None:
        """Prepare to take events.

        Args:
            size: Columns and rows of the picture.
            pace: Where it differs from the usual one.
        """
        self.size = size
        self.losses = Losses()
        self.n_events = 0
        self._wait_us = pace.get("wait_us", WAIT_US)
        self._room = pace.get("buffered_events", BUFFERED_EVENTS)
        self._clock = pace.get("clock", time.monotonic)
        self._sleep = pace.get("sleep", asyncio.sleep)
        self._begin_s: float | None = None
        # so that no datagram's newest event is too late, whatever its sender's clock does
        self._places = ArrivalClock(self._wait_us)
        self._waiting: list[CameraEvents] = []
        # a stream begins with 0, and what is much older has no place in it
        self._told_us = -min(self._wait_us, WAIT_US)
        # a camera's own thread puts, the loop takes
        self._lock = threading.Lock()

    def account(self) -> str:
        """Say what came and what of it was lost."""
        lost = str(self.losses)
        leaps = self._places.n_leaps
        leapt = f"; the camera's clock leapt {leaps:,} times" if leaps else ""
        return f"{self.n_events:,} events; {f'lost: {lost}' if lost else 'nothing lost'}{leapt}"

    @abstractmethod
    def close(self) -> None:
        """Let the camera go; more than once does no harm."""

    @abstractmethod
    def start(self) -> None:
        """Begin to take events."""

    @abstractmethod
    def has_ended(self) -> bool:
        """Tell whether nothing more will come.

        Raises:
            NoCamera: The camera broke.
        """

    async def blocks(self) -> AsyncIterator[Block]:
        """Give a block each `BLOCK_S`, with events or without, until the camera ends.

        Raises:
            NoCamera: The camera broke.
        """
        self.start()
        try:
            is_last = False
            while not is_last:
                await self._sleep(BLOCK_S)
                is_last = self.has_ended()
                yield self.take()
        finally:
            self.close()

    def put(self, came: StampedEvents) -> None:
        """Place events that come now, and keep them until they are taken; from any thread."""
        width, height = self.size
        inside = (came.x < width) & (came.y < height)
        with self._lock:
            n_outside = len(came) - int(np.count_nonzero(inside))
            self.losses.outside += n_outside
            if n_outside == len(came):
                return
            times_us = self._places.place(came.stamps, self._at_us())
            inside &= times_us >= self._told_us
            chosen = np.flatnonzero(inside)
            self.losses.late += len(came) - n_outside - len(chosen)
            self.losses.overflow += max(0, len(chosen) - self._room)
            chosen = chosen[: self._room]
            self._room -= len(chosen)
            self.n_events += len(chosen)
            if len(chosen):
                self._waiting.append(
                    CameraEvents(
                        times_us[chosen], came.x[chosen], came.y[chosen], came.polarity[chosen]
                    )
                )

    def take(self) -> Block:
        """Return what waits, and make room."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
            events = _joined(waiting)
            self._room += len(events)
            until_us = max(self._told_us, self._places.now(self._at_us()) - self._wait_us)
            if len(events):
                until_us = max(until_us, int(events.times_us.max()))
            self._told_us = until_us
            return Block(events, until_us)

    def _at_us(self) -> int:
        """Tell our clock from the first question on."""
        now_s = self._clock()
        if self._begin_s is None:
            self._begin_s = now_s
        return round((now_s - self._begin_s) * 1e6)


def _joined(parts: list[CameraEvents]) -> CameraEvents:
    return CameraEvents(
        times_us=np.concatenate([np.empty(0, np.int64), *(part.times_us for part in parts)]),
        x=np.concatenate([np.empty(0, np.uint16), *(part.x for part in parts)]),
        y=np.concatenate([np.empty(0, np.uint16), *(part.y for part in parts)]),
        polarity=np.concatenate([np.empty(0, np.uint8), *(part.polarity for part in parts)]),
    )
