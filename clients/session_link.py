"""One session's connection, made again whenever it is lost.

    start() ─► connect ─► open ─► opened ─► write and read ─┬─► closed in order: end
                  ▲                                         ├─► a reason to stop: end with an error
                  └──────────── wait (BackOff) ◄────────────┘   anything else: come back

Everything runs on one event loop; whoever waits for a change waits `until` its condition holds.
"""

import asyncio
import logging
from collections.abc import Callable
from enum import Enum, auto

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from clients.awaited_answers import AwaitedAnswers
from clients.client_options import ClientOptions
from clients.connection_errors import ClientClosed, ClientError, ServerUnreachable, SessionLost
from clients.inbox import Inbox
from clients.patience import Patience
from clients.resumption import LOST, Farewell
from clients.segment_lags import SegmentLags
from clients.send_buffer import Payload, SendBuffer
from clients.stream_socket import NOT_CONNECTED, dial, farewell, receive
from service.wire_protocol import (
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
    SnapshotRequest,
    encode,
)

_log = logging.getLogger(__name__)


class _Leaving(Enum):
    """How the application ends the link."""

    NO = auto()
    IN_ORDER = auto()
    """Not before everything is stored, if need be after coming back."""

    AT_ONCE = auto()
    """With a word if the server hears it, and never coming back."""


class SessionLink:
    """Sends numbered messages and collects the answers, through as many connections as it takes.

    Attributes:
        opened: What the server said when the session was opened last; None before the first time.
        trouble: Why no connection is attached just now, in one sentence; None while one is.
        n_connections: Connections on which the session was opened.
        inbox: What the application has not read yet.
        buffer: What the server may still need.
        lags: How long final predictions take.
        awaited: Answers that somebody waits for.
    """

    def __init__(self, url: str, request: Open, options: ClientOptions) -> None:
        self._url = url
        self._request = request
        self._options = options
        self._changed = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._error: ErrorMessage | None = None
        self._goodbye: Goodbye | None = None
        self._leaving = _Leaving.NO
        self._is_attached = False
        self._patience = Patience(options.back_off, options.clock)
        self.opened: Opened | None = None
        self.trouble: str | None = None
        self.n_connections = 0
        self.inbox = Inbox(options.inbox_messages, remembered=options.keep_messages)
        self.lags = SegmentLags(options.clock)
        self.awaited = AwaitedAnswers()
        self.buffer = SendBuffer(
            keep_bytes=options.keep_bytes,
            keep_messages=options.keep_messages,
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
        """Number a message and queue it; waits while too much is not applied or durable yet.

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
            self.lags.queue(sequence, ends)
        self.notify()
        return sequence

    async def refusal(self, sequence: int) -> ErrorMessage | None:
        """Wait until a message is applied; return why the server refused it, if it did.

        Raises:
            ClientError: The session is over before that.
        """
        with self.awaited.await_refusal(sequence):
            await self.until(lambda: self.buffer.applied >= sequence)
            return self.awaited.refusal(sequence)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition on the link holds; `ClientError` if the session is over first."""
        while not condition():
            self._check_not_over()
            await self._changed.wait()

    def _check_not_over(self) -> None:
        if self._runner is None or self._runner.done():
            if self._runner is not None and not self._runner.cancelled():
                self._runner.result()
            raise ClientClosed("the client is closed")

    async def close(self, *, in_order: bool) -> None:
        """End the connection, within `ClientOptions.close_timeout_s`.

        Args:
            in_order: Come back if the connection is lost before everything is stored. Otherwise
                messages that are not written yet are dropped, and without a connection nothing is
                waited for.
        """
        if self._runner is None:
            return
        self._leaving = _Leaving.IN_ORDER if in_order else _Leaving.AT_ONCE
        self.notify()
        if self._is_attached or (in_order and not self._is_all_durable):
            await asyncio.wait({self._runner}, timeout=self._options.close_timeout_s)
        self._runner.cancel()
        (end,) = await asyncio.gather(self._runner, return_exceptions=True)
        if isinstance(end, Exception) and not isinstance(end, ClientError):
            raise end
        if in_order and not self._is_all_durable:
            _log.warning("closed, but messages after %d are not durable", self.buffer.durable)

    def notify(self) -> None:
        """Have everybody who waits look at their condition again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _stay_connected(self) -> None:
        while True:
            self._patience.dial(self.buffer.applied)
            end = await self._one_connection()
            self._is_attached = False
            if self._has_left:
                return
            if end.failure is not None:
                raise end.failure
            if self.opened is None:
                raise end.refusal
            delay_s = self._patience.delay_s(end, self.buffer.applied)
            self.trouble = self._patience.describe(end)
            self.notify()
            _log.info("%s in %.1f s", self.trouble, delay_s)
            await self._options.back_off.sleep(delay_s)

    @property
    def _is_all_durable(self) -> bool:
        return self.buffer.durable == self.buffer.newest

    @property
    def _has_left(self) -> bool:
        """Whether nothing is left to be done for an application that leaves."""
        if self._leaving is _Leaving.IN_ORDER:
            goodbye = self._goodbye
            return self._is_all_durable or (goodbye is not None and goodbye.reason == "closed")
        return self._leaving is _Leaving.AT_ONCE

    async def _one_connection(self) -> Farewell:
        try:
            async with dial(self._url, self._options) as socket:
                return await self._converse(socket)
        except NOT_CONNECTED as error:
            return farewell(self._url, error, has_token=self._options.token is not None)

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
            pass  # how it was closed is in the socket, why in what was read before
        except* ProtocolViolation as group:
            sentence = f"{self._url} does not speak {SUBPROTOCOL}: {group.exceptions[0]}"
            raise ServerUnreachable(sentence) from group
        code = socket.close_code
        return Farewell(LOST if code is None else code, self._error, self._goodbye)

    async def _attach(self, socket: ClientConnection) -> None:
        while not isinstance(message := await receive(socket), Opened):
            self._take(message)
        if self.opened is not None and self.opened.epoch != message.epoch:
            raise SessionLost(f"session {message.session!r} is another one than before")
        self.buffer.attach(message.next_sequence, message.credit_ticks)
        # from now on the same session, not just one of the same name
        self._request = self._request.model_copy(
            update={"session": message.session, "epoch": message.epoch}
        )
        self.opened = message
        self._is_attached = True
        self._patience.attach(self.buffer.applied)
        self.trouble = None
        self.n_connections += 1
        self.notify()

    async def _write(self, socket: ClientConnection) -> None:
        while True:
            await self.until(
                lambda: self.buffer.is_snapshot_due or self.buffer.is_due or self._may_close
            )
            if self._may_close:
                await socket.send(encode(Close()))
                return
            if self.buffer.is_snapshot_due:
                # without a number it takes effect after everything written before
                await socket.send(encode(SnapshotRequest()))
                self.buffer.note_snapshot_asked()
                continue
            sequence, payload = self.buffer.take()
            await socket.send(payload)
            self.lags.write(sequence)

    @property
    def _may_close(self) -> bool:
        if self._leaving is _Leaving.IN_ORDER:
            return self.buffer.is_written
        return self._leaving is _Leaving.AT_ONCE

    async def _read(self, socket: ClientConnection) -> None:
        while True:
            self._take(await receive(socket))
            self.notify()

    def _take(self, message: ServerMessage) -> None:
        if isinstance(message, Ack):
            self.buffer.acknowledge(message)
            self.inbox.forget(message.durable)
        elif isinstance(message, Goodbye):
            self._goodbye = message
            self.buffer.note_durable(message.durable)
        elif isinstance(message, ErrorMessage) and message.fatal:
            self._error = message
        elif not isinstance(message, Opened) and self.inbox.put(
            message, newest=self.buffer.written
        ):
            self.awaited.note(message)
            if isinstance(message, Prediction) and message.final:
                self.lags.answer(message.segment)
