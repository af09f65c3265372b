"""Recordings as live input: a segment each, by the clock or as fast as the server takes them.

At a finite speed a recording is cut into frames of 40 ms of sensor time. Each goes when its last
event could have happened, followed by a frame without events, so that the server computes up to
there and predicts while the recording goes on. Without a speed limit a recording is sent whole, and
the next ones follow without waiting for its prediction; the server's credit is the only brake.

A recording is a segment if the client cuts the stream. Otherwise it is an interval of one stream:
cut by silence, each segment within it is labelled once its number is known, which is when its final
prediction comes; in windows, or uncut, its interval is labelled.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from clients.connection_errors import ClientError
from clients.recordings import Recording, Source
from clients.replay_progress import Phase, ReplayProgress, SentSegment
from clients.sdk import StreamingClient
from service.wire_protocol import (
    ErrorMessage,
    Prediction,
    SegmentedByClient,
    SegmentedBySilence,
)

FRAME_US = 40_000
GAP_US = 200_000
"""Silence between two recordings."""


class SegmentRefused(ClientError):
    """The server does not take the replay's segments, so nothing can be learnt."""


@dataclass(slots=True)
class Pace:
    """Sensor time by the clock on the wall.

    Attributes:
        speed: Seconds of sensor time in a second; None: no waiting.
        clock: Seconds of a clock that never goes back.
        sleep: Waits for so many seconds.
    """

    speed: float | None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _begin_s: float | None = None

    async def until(self, t_us: int) -> None:
        """Wait until a sensor time has come; the clock starts at the first call."""
        if self.speed is None:
            return
        due_s = t_us / 1e6 / self.speed
        if self._begin_s is None:
            self._begin_s = self.clock() - due_s
        delay_s = self._begin_s + due_s - self.clock()
        if delay_s > 0:
            await self.sleep(delay_s)


class RecordingStream:
    """Streams recordings into one session and keeps its progress up to date."""

    def __init__(
        self,
        client: StreamingClient,
        progress: ReplayProgress,
        *,
        pace: Pace,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._progress = progress
        self._pace = pace
        self._clock = clock
        self._segmentation = progress.segmentation
        # silence must be longer than the one that ends a segment
        self._pause_us = GAP_US
        if isinstance(self._segmentation, SegmentedBySilence):
            self._pause_us += self._segmentation.gap_us
        elif not isinstance(self._segmentation, SegmentedByClient):
            # the last tick that begins in an interval may end so much after it
            self._pause_us += client.opened.tick_us
        self._stopping = asyncio.Event()
        self._answering = asyncio.Lock()
        self._refusal: ErrorMessage | None = None
        # a replay used fewer segments than messages, so this number is above all of its own
        left_open = client.opened.open_segment
        above_open = 0 if left_open is None else left_open + 1
        is_fresh = not client.opened.resumed
        self._next_segment = 0 if is_fresh else max(client.opened.next_sequence, above_open)
        self._t_us = 0
        if not isinstance(self._segmentation, SegmentedByClient) and client.opened.resumed:
            # the session's clock does not go back
            self._t_us = (client.opened.horizon_us or 0) + self._pause_us
        progress.session = client.opened.session
        progress.lags_s = client.lags_s

    @property
    def is_stopping(self) -> bool:
        """Whether somebody wants the stream to end early."""
        return self._stopping.is_set()

    async def until_stopped(self) -> None:
        """Wait until somebody wants the stream to end early."""
        await self._stopping.wait()

    def stop(self) -> None:
        """Let the present frame be the last one; its segment is ended without a label."""
        self._stopping.set()

    async def listen(self) -> None:
        """Note everything that the server says, until the client is closed."""
        began_s = self._clock()
        async for message in self._client:
            async with self._answering:
                segment = self._progress.hear(message)
                if segment is not None and isinstance(message, Prediction):
                    await self._label_numbered(message, segment)
            if self._progress.phase is Phase.LEARNING:
                self._progress.elapsed_s = self._clock() - began_s
            if isinstance(message, ErrorMessage) and message.code == "bad_segment":
                self._refusal = message

    async def learn(
        self, source: Source, orders: Iterable[Sequence[int]], tell: Callable[[Recording], int]
    ) -> None:
        """Stream passes over a source; the label follows each segment's end.

        Args:
            source: Where the recordings are.
            orders: For each pass the numbers of its recordings, in order.
            tell: Which class to tell the server for a recording.

        Raises:
            SegmentRefused: The server refuses the segments.
            ClientError: The session is over.
            UnreadableSource: A recording's data are damaged.
        """
        for pass_index, order in enumerate(orders):
            if self.is_stopping:
                break
            await self._stream(source, order, pass_index, tell)
        await self._settle()

    async def test(self, source: Source) -> None:
        """Stream a source once with learning off, as fast as it is taken.

        Intervals are labelled even so: without lessons, the answer tells whether they were heard
        right.
        """
        await self._client.change_learning(mode="off")
        self._progress.phase = Phase.TESTING
        self._pace = Pace(None)
        tell = _truth if self._has_intervals else None
        await self._stream(source, range(len(source)), None, tell)
        # the session may be resumed: it should learn then
        await self._client.change_learning(mode="delayed")
        await self._settle()

    async def _stream(
        self,
        source: Source,
        order: Sequence[int],
        pass_index: int | None,
        tell: Callable[[Recording], int] | None,
    ) -> None:
        for index in order:
            if self.is_stopping:
                return
            # loading may mean decoding or synthesis, which must not hold the connection up
            recording = await asyncio.to_thread(source.load, index)
            tick_us = self._client.opened.tick_us
            segment = SentSegment(
                key=self._next_segment if self._by_client else self._t_us,
                pass_index=pass_index,
                label=recording.label,
                told=None if tell is None else tell(recording),
                begin_us=self._t_us,
                times_us=recording.times_us,
                addresses=recording.addresses,
                duration_us=recording.duration_us,
                n_ticks=-(-recording.duration_us // tick_us),
            )
            self._next_segment += 1
            await self._pace.until(self._t_us)
            self._progress.send(segment)
            if self._by_client:
                await self._send_segment(segment)
            else:
                await self._send_interval(segment)
            if self._refusal is not None:
                raise SegmentRefused(
                    f"session {self._client.opened.session!r} refuses a segment: "
                    f"{self._refusal.message}"
                )

    @property
    def _by_client(self) -> bool:
        return isinstance(self._segmentation, SegmentedByClient)

    @property
    def _has_intervals(self) -> bool:
        return not isinstance(self._segmentation, SegmentedByClient | SegmentedBySilence)

    async def _send_segment(self, segment: SentSegment) -> None:
        await self._client.begin_segment(segment.key, t_us=segment.begin_us)
        end_us = segment.begin_us + await self._send_events(segment)
        await self._client.end_segment(segment.key, t_us=end_us)
        self._t_us = end_us + GAP_US
        if segment.told is not None and not self.is_stopping:
            await self._client.label(segment.key, segment.told)

    async def _send_interval(self, segment: SentSegment) -> None:
        end_us = segment.begin_us + await self._send_events(segment)
        self._t_us = end_us + self._pause_us
        # completes the interval's ticks, and ends a segment that silence ends
        quiet_us = self._t_us - GAP_US
        await self._pace.until(quiet_us)
        await self._client.advance_to(quiet_us)
        if self._has_intervals and segment.told is not None and not self.is_stopping:
            await self._client.label_interval(segment.begin_us, end_us, segment.told)

    async def _label_numbered(self, prediction: Prediction, segment: SentSegment) -> None:
        """Label a segment that the server has numbered, now that it has told the number."""
        by_silence = isinstance(self._segmentation, SegmentedBySilence)
        if by_silence and prediction.final and segment.told is not None:
            await self._client.label(prediction.segment, segment.told)

    async def _send_events(self, segment: SentSegment) -> int:
        """Send the segment's events; return the time after its begin at which it ends."""
        frame_us = segment.duration_us if self._pace.speed is None else FRAME_US
        end_us = 0
        while end_us < segment.duration_us and not (end_us and self.is_stopping):
            if end_us:
                await self._client.advance_to(self._t_us + end_us)
            begin_us, end_us = end_us, min(end_us + frame_us, segment.duration_us)
            first, last = np.searchsorted(segment.times_us, [begin_us, end_us])
            await self._pace.until(self._t_us + end_us)
            await self._client.send_events(
                segment.times_us[first:last] + self._t_us, segment.addresses[first:last]
            )
            if segment.pass_index is not None:
                self._progress.n_events += int(last - first)
        return end_us

    async def _settle(self) -> None:
        """Wait until everything sent is answered and every answer is noted."""
        # what is read last may be a prediction that a label answers
        for _ in range(2):
            await self._client.drain()
            await self._client.until_read()
            async with self._answering:
                pass


def _truth(recording: Recording) -> int:
    return recording.label
