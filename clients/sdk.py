"""A client of the streaming service that survives lost connections.

    request = Open(sensor=CochleaSensor(channels=700), network=NetworkRequest(classes=10))
    async with StreamingClient.open("ws://127.0.0.1:8700/v1/stream", request) as client:
        await client.begin_segment(0, t_us=0)
        await client.send_events(times_us, addresses)
        await client.end_segment(0, t_us=640_000)
        await client.label(0, target=7)
        await client.drain()
        print(await anext(client))

Messages are numbered and kept until they are durable, so that a lost connection, and a server that
falls and is restarted, cost time and nothing else: the client comes back by itself, sends again
what the server does not have, and drops what the server tells twice. `send_buffer` says what is
kept, `resumption` when a client comes back, `session_link` does it.
"""

from collections import deque
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
from service.wire_protocol import (
    AddClasses,
    Label,
    LearningChange,
    Open,
    Opened,
    SegmentMark,
    encode,
    encode_event_frame,
)

_NO_EVENTS = np.empty(0, dtype=np.uint32)


class StreamingClient:
    """One session's stream: send segments, events and labels, iterate over what the server says.

    Iteration gives `Prediction`, `Learned` and non-fatal `ErrorMessage` objects, each once, and
    stops when the client is closed. Sending never fails because a connection is lost; it waits.
    Any method raises `ClientError` once the session can't go on: `ServerUnreachable` after the last
    attempt, `SessionRefused`, `TakenOver` or `SessionLost`.
    """

    def __init__(self, url: str, request: Open, options: ClientOptions) -> None:
        self._request = request
        self._link = SessionLink(url, request, options)
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
            token: Credential to show; where neither it nor the options give one, that of the
                environment variable ``TCLIF_TOKEN``.
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
    def opened(self) -> Opened:
        """What the server said when the session was opened, the last time it was."""
        if self._link.opened is None:
            raise ClientClosed("the client is not open: use it in an 'async with' block")
        return self._link.opened

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes by index, with those that `add_classes` brought."""
        base = self.opened
        # a session from an older snapshot has them once it has seen the message again
        added = [names for n, names in self._added.items() if n >= base.next_sequence]
        return base.classes + tuple(name for names in added for name in names)

    @property
    def durable(self) -> int:
        """Number of the newest message that the server can't lose any more."""
        return self._link.buffer.durable

    @property
    def is_blocked(self) -> bool:
        """Whether sending waits because the server does not make durable what it has."""
        return self._link.buffer.is_full

    @property
    def trouble(self) -> str | None:
        """Why there is no connection just now, while the client tries to come back; else None."""
        return self._link.trouble

    @property
    def lags_s(self) -> deque[float]:
        """Seconds from the writing of a segment's end to its final prediction, last 65,536."""
        return self._link.lags.lags_s

    @property
    def n_connections(self) -> int:
        """Connections so far: 1, and one more for each time the client came back."""
        return self._link.n_connections

    @property
    def n_missed(self) -> int:
        """Messages that were forgotten because nobody iterated over them in time."""
        return self._link.inbox.n_missed

    async def begin_segment(self, segment: int, *, t_us: int) -> None:
        """Begin a segment; its number must be above all before it in this session."""
        self._frames.begin(t_us)
        await self._link.submit(
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

    async def send_events(
        self, times_us: npt.NDArray[np.integer], addresses: npt.NDArray[np.integer]
    ) -> None:
        """Send events, in as many frames as the server's limits ask for.

        Args:
            times_us: Sensor time of each event ``[n]`` in microseconds, in any order.
            addresses: Address of each event ``[n]``, as the sensor counts them.

        Raises:
            ValueError: The shapes differ.
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
        refusal = await self._link.refusal(sequence)
        if refusal is not None:
            raise MessageRefused(refusal.code, refusal.message)
        self._added[sequence] = added

    async def snapshot(self) -> None:
        """Have the session stored, and wait until everything sent so far is durable.

        A server that can't store it says so by `snapshot_failed` and tries again.
        """
        self._link.buffer.want_snapshot()
        self._link.notify()
        await self._link.until(lambda: not self._link.buffer.is_snapshot_awaited)

    async def drain(self) -> None:
        """Wait until everything sent is applied; what it caused has arrived by then."""
        newest = self._link.buffer.newest
        await self._link.until(lambda: self._link.buffer.applied >= newest)

    async def until_lost(self) -> None:
        """Wait until there is no connection; `trouble` says why."""
        await self._link.until(lambda: self._link.trouble is not None)

    async def until_read(self) -> None:
        """Wait until everything that has arrived was iterated over, by another task."""
        await self._link.until(lambda: len(self._link.inbox) == 0)

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
