"""One session's connection, made again whenever it is lost.

    start() ─► connect ─► open ─► opened ─► write and read ─┬─► closed in order: end
                  ▲                                         ├─► a reason to stop: end with an error
                  └──────────── wait (BackOff) ◄────────────┘   anything else: come back

Everything runs on one event loop; whoever waits for a change waits `until` its condition holds.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from clients.client_options import ClientOptions
from clients.connection_errors import (
    ClientClosed,
    ClientError,
    ServerUnreachable,
    SessionLost,
    SessionRefused,
)
from clients.inbox import Inbox, StreamMessage
from clients.resumption import LOST, Farewell
from clients.send_buffer import Payload, SendBuffer
from service.wire_protocol import (
    MAX_SERVER_BYTES,
    SUBPROTOCOL,
    Ack,
    Close,
    ErrorMessage,
    Goodbye,
    Open,
    Opened,
    Prediction,
    ProtocolViolation,
    ServerMessage,
    decode_server_text,
    encode,
)

_LAGS_KEPT = 1 << 16
_NOT_ALLOWED = (401, 403)


class SessionLink:
    """Sends numbered messages and collects the answers, through as many connections as it takes.

    Attributes:
        opened: What the server said when the session was opened last; None before the first time.
        lags_s: Of the last segments: from the writing of a segment's end to its final prediction.
        n_connections: Connections on which the session was opened.
        inbox: What the application has not read yet.
        buffer: What the server may still need.
    """

    def __init__(self, url: str, request: Open, options: ClientOptions) -> None:
        self._url = url
        self._request = request
        self._options = options
        self._changed = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._error: ErrorMessage | None = None
        self._goodbye: Goodbye | None = None
        self._hanging_up = False
        # segments whose end waits to be written, by sequence number; when it was, by segment
        self._ends: dict[int, int] = {}
        self._ended_at_s: dict[int, float] = {}
        self.opened: Opened | None = None
        self.lags_s: deque[float] = deque(maxlen=_LAGS_KEPT)
        self.n_connections = 0
        self.inbox = Inbox(options.inbox_messages)
        self.buffer = SendBuffer(
            keep_bytes=options.keep_bytes,
            unapplied_bytes=options.unapplied_bytes,
            ticks_ahead=options.ticks_ahead,
        )

    async def start(self) -> None:
        """Connect and open the session; a first attempt that fails is not repeated.

        Raises:
            ServerUnreachable: No server of this protocol answers there.
            SessionRefused: The server refuses the session.
        """
        self._runner = asyncio.create_task(self._stay_connected())
        self._runner.add_done_callback(lambda _: self.notify())
        await self.until(lambda: self.opened is not None)

    async def submit(
        self, write: Callable[[int], Payload], *, ticks: int = 0, ends: int | None = None
    ) -> int:
        """Number a message and queue it; waits while too much is not applied yet.

        Args:
            write: Makes the message from its number.
            ticks: How many ticks the server will compute for it.
            ends: The segment that it ends, if it does.

        Returns:
            The message's number.

        Raises:
            ClientError: The session is over.
        """
        # lets the writer and the reader run while an application submits in a loop
        await asyncio.sleep(0)
        await self.until(lambda: self.buffer.has_room)
        self._check_not_over()
        sequence = self.buffer.append(write, ticks)
        if ends is not None:
            self._ends[sequence] = ends
        self.notify()
        return sequence

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition on the link holds.

        Raises:
            ClientError: The session is over and the condition does not hold.
        """
        while not condition():
            self._check_not_over()
            await self._changed.wait()

    def _check_not_over(self) -> None:
        if self._runner is None or self._runner.done():
            if self._runner is not None and not self._runner.cancelled():
                self._runner.result()
            raise ClientClosed("the client is closed")

    async def close(self) -> None:
        """End the connection in order, without waiting for messages that are not written yet."""
        if self._runner is None:
            return
        self._hanging_up = True
        self.notify()
        await asyncio.wait({self._runner}, timeout=self._options.close_timeout_s)
        self._runner.cancel()
        with contextlib.suppress(asyncio.CancelledError, ClientError):
            await self._runner

    def notify(self) -> None:
        """Have everybody who waits look at their condition again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _stay_connected(self) -> None:
        options, back_off = self._options, self._options.back_off
        attempt = 0
        while True:
            applied, since_s = self.buffer.applied, options.clock()
            farewell = await self._one_connection()
            if self._hanging_up:
                return
            if farewell.failure is not None:
                raise farewell.failure
            if self.opened is None:
                raise farewell.refusal
            if self.buffer.applied > applied or options.clock() - since_s > back_off.longest_s:
                attempt = 0
            if attempt == back_off.attempts:
                raise ServerUnreachable(f"gave up after {attempt} attempts: {farewell.refusal}")
            delay_s = back_off.delay_s(attempt, at_least_s=farewell.retry_after_s)
            await back_off.sleep(delay_s)
            attempt += 1

    async def _one_connection(self) -> Farewell:
        options = self._options
        try:
            # frames of events are dense already, and the server is usually too near for a proxy
            async with connect(
                self._url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                compression=None,
                max_size=MAX_SERVER_BYTES,
                open_timeout=options.open_timeout_s,
                close_timeout=options.close_timeout_s,
                proxy=None,
            ) as socket:
                return await self._converse(socket)
        except InvalidStatus as error:
            status = error.response.status_code
            sentence = f"{self._url} answers HTTP {status}"
            if status in _NOT_ALLOWED:
                raise SessionRefused("unauthorized", sentence, close_code=4401) from error
            return Farewell(unreachable=ServerUnreachable(sentence))
        except (OSError, InvalidHandshake, InvalidURI) as error:
            sentence = f"no server answers at {self._url}: {error}"
            return Farewell(unreachable=ServerUnreachable(sentence))

    async def _converse(self, socket: ClientConnection) -> Farewell:
        self._error = self._goodbye = None
        try:
            await socket.send(encode(self._request))
            async with asyncio.timeout(self._options.open_timeout_s):
                await self._attach(socket)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write(socket))
                tasks.create_task(self._read(socket))
        except* ConnectionClosed:
            # how it was closed is in the socket, why in what was read before
            pass
        except* ProtocolViolation as group:
            sentence = f"{self._url} does not speak {SUBPROTOCOL}: {group.exceptions[0]}"
            raise ServerUnreachable(sentence) from group
        code = socket.close_code
        return Farewell(LOST if code is None else code, self._error, self._goodbye)

    async def _attach(self, socket: ClientConnection) -> None:
        while not isinstance(message := await _receive(socket), Opened):
            self._take(message)
        if self.opened is not None and self.opened.epoch != message.epoch:
            raise SessionLost(f"session {message.session!r} is another one than before")
        self.buffer.attach(message.next_sequence, message.credit_ticks)
        # from now on the same session, not just one of the same name
        self._request = self._request.model_copy(
            update={"session": message.session, "epoch": message.epoch}
        )
        self.opened = message
        self.n_connections += 1
        self.notify()

    async def _write(self, socket: ClientConnection) -> None:
        while True:
            await self.until(lambda: self.buffer.is_due or self._hanging_up)
            if self._hanging_up:
                await socket.send(encode(Close()))
                return
            sequence, payload = self.buffer.take()
            await socket.send(payload)
            segment = self._ends.pop(sequence, None)
            if segment is not None:
                self._ended_at_s[segment] = self._options.clock()

    async def _read(self, socket: ClientConnection) -> None:
        while True:
            self._take(await _receive(socket))
            self.notify()

    def _take(self, message: ServerMessage) -> None:
        if isinstance(message, Ack):
            self.buffer.acknowledge(message)
        elif isinstance(message, Goodbye):
            self._goodbye = message
        elif isinstance(message, ErrorMessage) and message.fatal:
            self._error = message
        elif not isinstance(message, Opened) and self.inbox.put(message):
            self._note_lag(message)

    def _note_lag(self, message: StreamMessage) -> None:
        if isinstance(message, Prediction) and message.final:
            ended_at_s = self._ended_at_s.pop(message.segment, None)
            if ended_at_s is not None:
                self.lags_s.append(self._options.clock() - ended_at_s)


async def _receive(socket: ClientConnection) -> ServerMessage:
    text = await socket.recv()
    if isinstance(text, bytes):
        raise ProtocolViolation(f"a binary message of {len(text)} bytes came, text was expected")
    return decode_server_text(text)
