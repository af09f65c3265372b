"""A client of the streaming service that survives lost connections.

    request = Open(sensor=CochleaSensor(channels=700), network=NetworkRequest(classes=10))
    async with StreamingClient.open("ws://127.0.0.1:8700/v1/stream", request) as client:
        heard = await client.predict(times_us, addresses)
        await client.label(heard.segment, target=7)

Messages are numbered and kept until they are durable, so that a lost connection, and a server that
falls and is restarted, cost time and nothing else: the client comes back by itself, sends again
what the server does not have, and drops what the server tells twice. `send_buffer` says what is
kept, `resumption` when a client comes back, `session_link` does it.
"""

import time
from collections.abc import Iterable
from dataclasses import replace
from types import TracebackType
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from clients.client_options import ClientOptions
from clients.connection_errors import ClientClosed, MessageRefused
from clients.credentials import token_from_environment
from clients.event_slicing import FrameSlice, FrameSlicer, in_order
from clients.inbox import StreamMessage
from clients.session_link import SessionLink
from clients.session_view import SessionView
from service.wire_protocol import (
    AddClasses,
    Label,
    LearningChange,
    Open,
    Prediction,
    Segmentation,
    SegmentMark,
    encode,
    encode_event_frame,
)

_NO_EVENTS = np.empty(0, dtype=np.uint32)


class StreamingClient(SessionView):
    """One session's stream: send segments, events and labels, iterate over what the server says.

    Iteration gives `Prediction`, `Learned` and non-fatal `ErrorMessage` objects, each once, and
    stops when the client is closed. Sending never fails because a connection is lost; it waits.
    Any method raises `ClientError` once the session can't go on: `ServerUnreachable` after the last
    attempt, `SessionRefused`, `TakenOver` or `SessionLost`.
    """

    def __init__(self, url: str, request: Open, options: ClientOptions) -> None:
        self._request = request
        super().__init__(SessionLink(url, request, options))
        # the newest number of a segment that was used or may have been
        self._last_segment: int | None = None
        self._unfinished: int | None = None  # of a `predict` that failed or was cancelled
        self._slicer: FrameSlicer | None = None
        # names of classes by the number of the message that added them
        self._added: dict[int, tuple[str, ...]] = {}

    @classmethod
    def open(
        cls,
        url: str,
        request: Open | None = None,
        *,
        options: ClientOptions | None = None,
        token: str | None = None,
        **fields: object,
    ) -> Self:
        """Describe a client; ``async with`` connects it and closes it in order.

        Args:
            url: Of the stream, such as ``ws://127.0.0.1:8700/v1/stream``.
            request: What to open; or its fields as further keywords.
            options: Buffer sizes, time limits, back-off.
            token: To show; by default that of the options, else of the variable ``TCLIF_TOKEN``.
            fields: Fields of an `Open`, where ``request`` is None.

        Raises:
            pydantic.ValidationError: The fields are not those of an `Open`.
            ValueError: The token can't be one.
        """
        if request is None:
            request = Open.model_validate(fields)
        elif fields:
            raise TypeError(f"either a request or fields are expected, both came: {list(fields)}")
        options = options or ClientOptions()
        token = token or options.token or token_from_environment()
        return cls(url, request, replace(options, token=token))

    async def __aenter__(self) -> Self:
        try:
            await self._link.start()
        except BaseException:
            # a cancelled or refused start leaves no connection behind
            await self._link.close(in_order=False)
            raise
        self._slicer = FrameSlicer.of_session(self._request, self.opened)
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close in order; after an orderly block everything sent is applied and stored first."""
        is_orderly = False
        try:
            if error_type is None:
                await self.drain()
                is_orderly = True
        finally:
            await self._link.close(in_order=is_orderly)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamMessage:
        try:
            await self._link.until(lambda: len(self._link.inbox) > 0)
        except ClientClosed:
            raise StopAsyncIteration from None
        message = self._link.inbox.take()
        self._link.notify()
        return message

    @property
    def segmentation(self) -> Segmentation:
        """Who cuts the stream, and how."""
        return self._request.segmentation

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes by index, with those that `add_classes` brought."""
        base = self.opened
        # a session from an older snapshot has them once it has seen the message again
        added = [names for n, names in self._added.items() if n >= base.next_sequence]
        return base.classes + tuple(name for names in added for name in names)

    async def begin_segment(self, segment: int, *, t_us: int) -> None:
        """Begin a segment; its number must be above all before it in this session."""
        await self._begin(segment, t_us)

    async def _begin(self, segment: int, t_us: int) -> int:
        self._frames.begin(t_us)
        self._last_segment = segment
        return await self._link.submit(
            lambda sequence: encode(
                SegmentMark(action="begin", segment=segment, t_us=t_us, sequence=sequence)
            )
        )

    async def end_segment(self, segment: int, *, t_us: int) -> None:
        """End the open segment; the server answers with its final prediction."""
        frames, ticks = self._frames.end(t_us)
        for frame in frames:
            await self._send_frame(frame)
        await self._link.submit(
            lambda sequence: encode(
                SegmentMark(action="end", segment=segment, t_us=t_us, sequence=sequence)
            ),
            ticks=ticks,
            ends=segment,
        )
        self._unfinished = None

    async def predict(
        self,
        times_us: npt.NDArray[np.integer],
        addresses: npt.NDArray[np.integer],
        *,
        duration_us: int | None = None,
    ) -> Prediction:
        """Send a whole segment, and wait for what the network takes it for.

        Iterating gives that prediction too. One call after the other: segments don't overlap.

        Args:
            times_us: Time of each event ``[n]`` in microseconds from the segment's begin.
            addresses: Address of each event ``[n]``.
            duration_us: Length of the segment; None for the end of its last event.

        Returns:
            The final prediction; its ``segment`` is what `label` needs.

        Raises:
            MessageRefused: The server takes no such segment.
            ValueError: The shapes differ, or a number is out of range; nothing is sent.
        """
        times_us, addresses = in_order(times_us, addresses)
        duration_us = int(times_us.max(initial=0)) + 1 if duration_us is None else duration_us
        segment = await self._next_segment()
        with self._link.awaited.await_final(segment):
            begin = await self._begin(segment, 0)
            self._unfinished = segment
            with self._link.awaited.await_refusal(begin):
                await self.send_events(times_us, addresses)
                await self.end_segment(segment, t_us=duration_us)
                await self.drain()
                refusal = self._link.awaited.refusal(begin)
            final = self._link.awaited.final(segment)
        if final is None:
            assert refusal is not None, "a segment that begins and ends is predicted"
            raise MessageRefused(refusal.code, refusal.message)
        return final

    async def _next_segment(self) -> int:
        """Return a number above all before it; end what an earlier client or call has left open."""
        opened = self.opened
        if self._unfinished is not None:
            await self.end_segment(self._unfinished, t_us=0)
        if self._last_segment is None and opened.resumed:
            if opened.open_segment is not None:
                await self.end_segment(opened.open_segment, t_us=opened.open_segment_t_us or 0)
            # which numbers an earlier client has used is not told; the time goes on like them
            return time.time_ns() // 1000
        return 0 if self._last_segment is None else self._last_segment + 1

    async def send_events(
        self, times_us: npt.NDArray[np.integer], addresses: npt.NDArray[np.integer]
    ) -> None:
        """Send events, in as many frames as the server's limits ask for.

        Args:
            times_us: Sensor time of each event ``[n]`` in microseconds, in any order.
            addresses: Address of each event ``[n]``, as the sensor counts them.

        Raises:
            ValueError: The shapes differ, or a number is out of range.
        """
        times, addresses = in_order(times_us, addresses)
        for frame in self._frames.slice_events(times):
            part = slice(frame.start, frame.stop)
            await self._send_frame(frame, times[part] - frame.base_us, addresses[part])

    async def advance_to(self, t_us: int) -> None:
        """Say that no event before ``t_us`` is to come, so that ticks until then are computed."""
        for frame in self._frames.advance(t_us):
            await self._send_frame(frame)

    async def label(self, segment: int, target: int | str) -> None:
        """Tell the truth about a segment: a class by its index or by its name."""
        await self._link.submit(
            lambda sequence: encode(Label(segment=segment, target=target, sequence=sequence))
        )

    async def label_interval(self, from_us: int, to_us: int, target: int | str) -> None:
        """Tell the truth about the ticks that begin in ``[from_us, to_us)``."""
        await self._link.submit(
            lambda sequence: encode(
                Label(from_us=from_us, to_us=to_us, target=target, sequence=sequence)
            )
        )

    async def change_learning(
        self,
        *,
        mode: Literal["off", "delayed", "ahead"] | None = None,
        rate: float | None = None,
    ) -> None:
        """Change the learning mode or rate from here on."""
        await self._link.submit(
            lambda sequence: encode(LearningChange(mode=mode, rate=rate, sequence=sequence))
        )

    async def add_classes(self, names: Iterable[str]) -> None:
        """Grow the readout by further classes and wait until it has them.

        Raises:
            MessageRefused: The server does not add them; the session is unchanged.
        """
        added = tuple(names)
        sequence = await self._link.submit(
            lambda sequence: encode(AddClasses(add=added, sequence=sequence))
        )
        if (refusal := await self._link.refusal(sequence)) is not None:
            raise MessageRefused(refusal.code, refusal.message)
        self._added[sequence] = added

    @property
    def _frames(self) -> FrameSlicer:
        if self._slicer is None:
            raise ClientClosed("the client is not open: use it in an 'async with' block")
        return self._slicer

    async def _send_frame(
        self,
        frame: FrameSlice,
        offsets_us: npt.NDArray[np.integer] = _NO_EVENTS,
        addresses: npt.NDArray[np.integer] = _NO_EVENTS,
    ) -> None:
        await self._link.submit(
            lambda sequence: encode_event_frame(sequence, frame.base_us, offsets_us, addresses),
            ticks=frame.ticks,
        )
