"""A real WebSocket server on loopback whose every move a test decides.

Each connection runs the next script of the list. `FaithfulSession` is a script that behaves as the
protocol says, with a network that always takes a segment for the class of its number; it can cut
its connections after any number of messages, and it remembers what it applied across them.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from service.wire_protocol import (
    SUBPROTOCOL,
    Ack,
    ClientMessage,
    Close,
    EventFrame,
    Goodbye,
    Label,
    Learned,
    Limits,
    Open,
    Opened,
    Prediction,
    SegmentMark,
    ServerMessage,
    SnapshotRequest,
    decode_binary,
    decode_client_text,
    encode,
)

LIMITS = Limits(
    max_message_bytes=1 << 20,
    max_advance_ticks=4096,
    kept_segments=64,
    kept_ticks=32768,
    idle_s=300.0,
)
GREETING = Opened(
    session="s-1",
    resumed=False,
    epoch=11,
    next_sequence=1,
    credit_ticks=8192,
    classes=("zero", "one", "two"),
    tick_us=4000,
    seed=7,
    kernel="none",
    limits=LIMITS,
    server="scripted",
)


class Peer:
    """The server's end of one connection."""

    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket

    async def receive(self) -> ClientMessage | EventFrame:
        """Return the client's next message."""
        data = await self._socket.recv()
        return decode_client_text(data) if isinstance(data, str) else decode_binary(data)

    async def receive_many(self, count: int) -> list[ClientMessage | EventFrame]:
        """Return the client's next messages."""
        return [await self.receive() for _ in range(count)]

    async def say(self, *messages: ServerMessage | str | bytes) -> None:
        """Send messages; text and bytes go as they are."""
        for message in messages:
            await self._socket.send(
                message if isinstance(message, str | bytes) else encode(message)
            )

    async def greet(self, **changes: object) -> Open:
        """Read ``open``, answer with the changed greeting, and return what was asked."""
        request = await self.receive()
        assert isinstance(request, Open)
        await self.say(GREETING.model_copy(update=changes))
        return request

    async def end_in_order(self) -> list[ClientMessage | EventFrame]:
        """Apply everything until ``close``, say goodbye, and return what was applied."""
        applied: list[ClientMessage | EventFrame] = []
        while not isinstance(message := await self.receive(), Close):
            applied.append(message)
            assert not isinstance(message, Open)
            await self.say(Ack(applied=message.sequence or 0, durable=0, credit_ticks=8192))
        await self.say(Goodbye(reason="closed", durable=0))
        return applied

    async def close(self, code: int) -> None:
        """Close with a code and wait for the client's answer."""
        await self._socket.close(code)

    def cut(self) -> None:
        """Break the connection without a close frame."""
        self._socket.transport.abort()


Script = Callable[[Peer], Coroutine[object, object, object]]


class ScriptedServer:
    """Runs one script for each connection, in order; leaving it raises what went wrong in a script.

    Attributes:
        refuse_with: HTTP status for handshakes, where they are to fail.
        shown: The ``Authorization`` of each handshake.
    """

    def __init__(self, *scripts: Script) -> None:
        self._scripts = list(scripts)
        self._runs: list[asyncio.Task[object]] = []
        self._server: Server | None = None
        self.refuse_with: int | None = None
        self.shown: list[str | None] = []

    @property
    def url(self) -> str:
        """Where the server listens."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"ws://{host}:{port}/v1/stream"

    @property
    def n_connections(self) -> int:
        """Connections so far."""
        return len(self._runs)

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._run,
            "127.0.0.1",
            0,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            process_request=self._check,
        )
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()
        if error is None:
            for run in self._runs:
                # a client that leaves is no mistake of the script
                with contextlib.suppress(ConnectionClosed):
                    run.result()

    def _check(self, socket: ServerConnection, request: Request) -> Response | None:
        self.shown.append(request.headers.get("Authorization"))
        if self.refuse_with is None:
            return None
        return socket.respond(HTTPStatus(self.refuse_with), "no\n")

    async def _run(self, socket: ServerConnection) -> None:
        run = asyncio.ensure_future(self._scripts[len(self._runs)](Peer(socket)))
        self._runs.append(run)
        await asyncio.wait({run})


@dataclass
class FaithfulSession:
    """A session that does what the protocol says, over all connections that run it as their script.

    Attributes:
        cuts: For each connection, after how many messages it is cut; further ones stay.
        applied: Every message that was applied, in order.
        requests: Every ``open``.
        retold: What is said again on each connection.
        stored_every: After how many messages a snapshot is taken by itself; None: never.
        snapshots: How many messages each snapshot holds, the last ones last.
        falls_back: For each cut which snapshot it goes back to, as if the server were killed: 1 the
            newest, 2 the one before it, as if the newest were damaged; further cuts leave the
            session alive.
    """

    cuts: list[int] = field(default_factory=list)
    applied: list[ClientMessage | EventFrame] = field(default_factory=list)
    requests: list[Open] = field(default_factory=list)
    retold: list[ServerMessage] = field(default_factory=list)
    stored_every: int | None = None
    snapshots: list[int] = field(default_factory=lambda: [0])
    falls_back: list[int] = field(default_factory=list)

    @property
    def durable(self) -> int:
        """What the older of the two newest snapshots holds."""
        return self.snapshots[-2] if len(self.snapshots) > 1 else 0

    async def __call__(self, peer: Peer) -> None:
        """Run one connection."""
        n_left = self.cuts.pop(0) if self.cuts else None
        self.requests.append(
            await peer.greet(resumed=bool(self.requests), next_sequence=len(self.applied) + 1)
        )
        await peer.say(self._ack(), *self.retold)
        while n_left != 0:
            message = await peer.receive()
            if isinstance(message, Close):
                self._store_all()
                await peer.say(self._ack(), Goodbye(reason="closed", durable=self.durable))
                return
            if isinstance(message, SnapshotRequest):
                self._store_all()
                await peer.say(self._ack())
                continue
            assert not isinstance(message, Open)
            assert message.sequence == len(self.applied) + 1
            self.applied.append(message)
            answers = self.answers(message)
            self.retold.extend(answers)
            if self.stored_every and len(self.applied) % self.stored_every == 0:
                self.snapshots.append(len(self.applied))
            if n_left is not None:
                n_left -= 1
            if n_left != 0:
                await peer.say(*answers, self._ack())
        # the answers to the last message are swallowed
        if self.falls_back:
            del self.snapshots[max(1, len(self.snapshots) + 1 - self.falls_back.pop(0)) :]
            del self.applied[self.snapshots[-1] :]
            self.retold = [answer for message in self.applied for answer in self.answers(message)]
        peer.cut()

    def _store_all(self) -> None:
        self.snapshots += [len(self.applied)] * 2

    def _ack(self) -> Ack:
        return Ack(applied=len(self.applied), durable=self.durable, credit_ticks=8192)

    @staticmethod
    def answers(message: ClientMessage | EventFrame) -> list[ServerMessage]:
        """Say what a message causes."""
        n_classes = len(GREETING.classes)
        if isinstance(message, SegmentMark) and message.action == "end":
            index = message.segment % n_classes
            return [
                Prediction(
                    segment=message.segment,
                    tick=1,
                    t_us=message.t_us,
                    index=index,
                    label=GREETING.classes[index],
                    confidence=1.0,
                    final=True,
                )
            ]
        if isinstance(message, Label) and message.segment is not None:
            target = message.target
            assert isinstance(target, int)
            return [
                Learned(
                    segment=message.segment,
                    target=target,
                    correct=target == message.segment % n_classes,
                    loss=0.0,
                    prequential_accuracy=1.0,
                    segments_labelled=message.segment + 1,
                )
            ]
        return []
