"""Sessions that stream in real time, each segment labelled, and what their predictions' lag is.

Every session begins, fills and ends a segment five times a second, on a schedule that does not
wait for answers; a lag is the time from writing a segment's end to reading its final prediction.
"""

import asyncio
from collections import deque
from typing import NamedTuple, Self

import numpy as np

from clients.client_options import ClientOptions
from clients.sdk import StreamingClient
from service.wire_protocol import CochleaSensor, NetworkRequest, Open

TICK_US = 4000
CHANNELS = 700
CLASSES = 10
SEGMENT_S = 0.2
EVENTS_A_SEGMENT = 500

REQUEST = Open(
    sensor=CochleaSensor(channels=CHANNELS),
    network=NetworkRequest(hidden=(128, 128), classes=CLASSES),
    tick_us=TICK_US,
)


class Lags(NamedTuple):
    """Lags of a stretch of time, in milliseconds.

    Attributes:
        n: How many predictions.
        median_ms: Half of them came sooner.
        p99_ms: Of a hundred, one came later.
        worst_ms: The latest.
    """

    n: int
    median_ms: float
    p99_ms: float
    worst_ms: float


def lags_of(lags_s: list[float]) -> Lags:
    """Sum lags up."""
    milliseconds = np.array(lags_s) * 1000
    median, p99 = np.percentile(milliseconds, (50, 99))
    return Lags(len(lags_s), float(median), float(p99), float(milliseconds.max()))


class SteadySessions:
    """A number of sessions, while the context lasts."""

    def __init__(self, url: str, n_sessions: int, options: ClientOptions | None = None) -> None:
        self._clients = [
            StreamingClient.open(
                url, REQUEST.model_copy(update={"session": f"steady-{n}"}), options=options
            )
            for n in range(n_sessions)
        ]
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Open the sessions and begin to stream."""
        for number, client in enumerate(self._clients):
            await client.__aenter__()
            self._tasks.append(asyncio.create_task(_read(client)))
            self._tasks.append(asyncio.create_task(_stream(client, number)))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop streaming and leave."""
        for task in self._tasks:
            task.cancel()
        outcomes = await asyncio.gather(*self._tasks, return_exceptions=True)
        for client in self._clients:
            await client.__aexit__(None, None, None)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    @property
    def n_connections(self) -> int:
        """Connections that were made so far, of all sessions together."""
        return sum(client.n_connections for client in self._clients)

    async def listen(self, seconds: float) -> list[float]:
        """Stream for a while; return the lags of the segments that ended meanwhile."""
        for client in self._clients:
            client.lags_s.clear()
        await asyncio.sleep(seconds)
        failed = [task.exception() for task in self._tasks if task.done()]
        if failed:
            raise RuntimeError("a steady session ended") from failed[0]
        return [lag for client in self._clients for lag in list(client.lags_s)]


async def _read(client: StreamingClient) -> None:
    # a deque of length 0 is the quickest way to forget
    forget: deque[object] = deque(maxlen=0)
    async for message in client:
        forget.append(message)


async def _stream(client: StreamingClient, seed: int) -> None:
    generator = np.random.default_rng(seed)
    loop = asyncio.get_running_loop()
    # spread over the segment's time, so that sessions do not end theirs all at once
    start_s = loop.time() + float(generator.uniform(0, SEGMENT_S))
    segment_us = round(SEGMENT_S * 1e6)
    number = 0
    while True:
        await asyncio.sleep(start_s + number * SEGMENT_S - loop.time())
        begin_us = number * segment_us
        times = np.sort(generator.integers(begin_us, begin_us + segment_us, EVENTS_A_SEGMENT))
        await client.begin_segment(number, t_us=begin_us)
        await client.send_events(times, generator.integers(0, CHANNELS, EVENTS_A_SEGMENT))
        await client.end_segment(number, t_us=begin_us + segment_us)
        await client.label(number, int(generator.integers(CLASSES)))
        number += 1
