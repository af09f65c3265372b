"""A client that comes back whatever happens, leaves in rude ways, and checks each promise it gets.

It shares no code with the client of `clients.sdk`. Its whole stream is known beforehand, so that
resuming is nothing but going on from ``next_sequence``.
"""

import asyncio
import json
import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Literal, NamedTuple

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from tests.end_to_end.conversation_partner import TIMEOUT_S, Heard
from tests.faults.lesson_stream import LessonStream

Leave = Literal["abort", "mid_frame", "in_handshake", "in_open"]

_COME_BACK = {"draining", "overloaded", "slow_reader", "idle"}
"""Fatal errors after which a client is to resume."""

_LOST = (OSError, ConnectionClosed, InvalidHandshake)


class Visit(NamedTuple):
    """What a client does on one connection.

    Attributes:
        leave: How it leaves; None: only once everything is done.
        after: Messages that it writes before it leaves.
        overlaps: Whether the next connection is made while this one is still there.
    """

    leave: Leave | None = None
    after: int = 0
    overlaps: bool = False


def rude_visits(generator: random.Random, n_visits: int, longest: int) -> Iterator[Visit]:
    """Leave a number of connections, each in a way and at a moment drawn at random."""
    ways: list[Leave] = ["abort", "mid_frame", "in_handshake", "in_open"]
    for _ in range(n_visits):
        yield Visit(
            generator.choices(ways, (4, 3, 1, 2))[0],
            after=generator.randrange(longest),
            overlaps=generator.random() < 0.3,
        )


class ResumingClient:
    """Streams until everything is applied, through as many connections as it takes.

    Attributes:
        applied: What the last ack said.
        farthest: The highest that any ack said.
        durable: What the last ack called safe. After a death and a damaged file it may have to say
            less than it did, until there are two sound files again.
        safest: The highest that was ever called safe: no server may ask for it again.
        finals: Final predictions by segment; the same one may come twice, another one may not.
        learned: Lessons likewise.
        refused: Codes of refused messages by sequence number.
        storage_complaints: How often the server said that it could not store a snapshot.
        ceiling: Last message that may be sent for now; None: any.
        n_connections: Connections on which the session was opened.
        n_times_set_back: How many of them began before what had been applied: a server had died.
    """

    def __init__(
        self,
        url: str,
        stream: LessonStream,
        *,
        session: str = "s",
        generator: random.Random | None = None,
        visits: Iterator[Visit] | None = None,
        resend_chance: float = 0.0,
        delay_chance: float = 0.0,
        window: int = 150,
        silence_s: float = 10.0,
        until_durable: bool = False,
    ) -> None:
        """Describe a client.

        Args:
            url: Of the stream.
            stream: What to say.
            session: The session's name.
            generator: Of what is random.
            visits: How connections go; after the last of them each goes on until it is lost.
            resend_chance: How likely a message is followed by some that were sent before.
            delay_chance: How likely a message is held back for some milliseconds.
            window: Messages that may be written beyond the applied ones.
            silence_s: A server that says nothing for so long is given up, and called again.
            until_durable: Whether to stay until everything is safe, too.
        """
        self.url = url
        self.applied = self.farthest = self.durable = self.safest = 0
        self.finals: dict[object, Heard] = {}
        self.learned: dict[object, Heard] = {}
        self.refused: dict[object, object] = {}
        self.storage_complaints = 0
        self.ceiling: int | None = None
        self.n_connections = 0
        self.n_times_set_back = 0
        self._stream = stream
        self._session = session
        self._random = generator or random.Random(0)
        self._visits = visits or iter(())
        self._resend_chance = resend_chance
        self._delay_chance = delay_chance
        self._window = window
        self._silence_s = silence_s
        self._until_durable = until_durable
        self._epoch: object = None
        self._written = 0
        self._progress = asyncio.Event()
        self._left_behind: list[ClientConnection] = []

    @property
    def n_messages(self) -> int:
        """How many messages there are."""
        return len(self._stream.messages)

    @property
    def is_done(self) -> bool:
        """Whether the server has everything, and all its answers came."""
        is_durable = not self._until_durable or self.durable == self.n_messages
        n_answers = len(self.finals) + len(self.learned)
        has_heard = n_answers == len(self._stream.answers)
        return self.applied == self.n_messages and has_heard and is_durable

    async def run(self) -> None:
        """Stream everything."""
        try:
            while not self.is_done:
                with suppress(*_LOST):
                    await self._visit(next(self._visits, Visit()))
                await asyncio.sleep(self._random.uniform(0, 0.02))
        finally:
            for socket in self._left_behind:
                socket.transport.abort()

    async def reached(self, sequence: int) -> None:
        """Wait until a message was applied, be it lost again later."""
        while self.farthest < sequence:
            await self._wait_for_progress()

    def _tell_of_progress(self) -> None:
        # a fresh one each time: several may wait
        self._progress.set()
        self._progress = asyncio.Event()

    async def stored(self, sequence: int) -> None:
        """Wait until a message is durable."""
        while self.durable < sequence:
            await self._wait_for_progress()

    async def connected_more_often_than(self, n: int) -> None:
        """Wait until the session was opened on one more connection."""
        while self.n_connections <= n:
            await self._wait_for_progress()

    async def heard_complaints(self, n: int) -> None:
        """Wait until the server has said so often that it could not store a snapshot."""
        while self.storage_complaints < n:
            await self._wait_for_progress()

    async def _wait_for_progress(self) -> None:
        await self._progress.wait()

    async def _visit(self, visit: Visit) -> None:
        socket = await connect(
            self.url,
            subprotocols=[Subprotocol("tclif.v1")],
            compression=None,
            ping_interval=None,
            open_timeout=self._silence_s,
            close_timeout=1,
            proxy=None,
        )
        try:
            if visit.leave == "in_handshake":
                return
            await socket.send(json.dumps(self._opening()))
            if visit.leave == "in_open":
                return
            await self._converse(socket, visit)
        finally:
            if visit.overlaps:
                self._left_behind.append(socket)
            else:
                socket.transport.abort()

    def _opening(self) -> dict[str, object]:
        opening = self._stream.opening | {"session": self._session}
        return opening if self._epoch is None else opening | {"epoch": self._epoch}

    async def _converse(self, socket: ClientConnection, visit: Visit) -> None:
        next_sequence = await self._attach(socket)
        writer = asyncio.create_task(self._write(socket, visit, next_sequence))
        reader = asyncio.create_task(self._read(socket))
        try:
            await asyncio.wait({writer, reader}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            writer.cancel()
            reader.cancel()
            outcomes = await asyncio.gather(writer, reader, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(
                outcome, asyncio.CancelledError
            ):
                raise outcome

    async def _attach(self, socket: ClientConnection) -> int:
        while (opened := await self._hear(socket))["type"] != "opened":
            self._take(opened)
        next_sequence = opened["next_sequence"]
        assert isinstance(next_sequence, int)
        assert self.safest < next_sequence <= self._written + 1, (
            f"{self.safest} was durable and {self._written} was sent, {next_sequence} is next"
        )
        assert self._epoch in (None, opened["epoch"]), "the session is the same as before"
        self._epoch = opened["epoch"]
        self.applied, self.durable = next_sequence - 1, 0
        self.n_connections += 1
        self._tell_of_progress()
        self.n_times_set_back += next_sequence <= self.farthest
        return next_sequence

    async def _write(self, socket: ClientConnection, visit: Visit, next_sequence: int) -> None:
        await self._hear_answers_to(next_sequence - 1)
        messages = self._stream.messages
        leave_at = next_sequence + visit.after if visit.leave else len(messages) + 1
        for sequence in range(next_sequence, min(leave_at, len(messages) + 1)):
            while sequence > self.applied + self._window or self._is_above(sequence):
                await self._wait_for_progress()
            if self._random.random() < self._delay_chance:
                await asyncio.sleep(self._random.uniform(0, 0.02))
            await socket.send(messages[sequence - 1])
            self._written = max(self._written, sequence)
            if self._random.random() < self._resend_chance:
                await self._resend(socket, sequence)
        if visit.leave == "mid_frame" and leave_at <= len(messages):
            self._begin_frame(socket, messages[leave_at - 1])
        if not visit.leave:
            await asyncio.Event().wait()

    async def _hear_answers_to(self, applied: int) -> None:
        """Wait for the finals and lessons of all that is applied.

        A server says again only the last of them: who lost some and sends on may lose them for
        good, on a wire that is cut again and again.
        """
        async with asyncio.timeout(TIMEOUT_S):
            while not all(
                number in (self.finals if kind == "final" else self.learned)
                for sequence, kind, number in self._stream.answers
                if sequence <= applied
            ):
                await self._wait_for_progress()

    def _is_above(self, sequence: int) -> bool:
        return self.ceiling is not None and sequence > self.ceiling

    def let_send_until(self, ceiling: int | None) -> None:
        """Set the last message that may be sent for now."""
        self.ceiling = ceiling
        self._tell_of_progress()

    async def _resend(self, socket: ClientConnection, newest: int) -> None:
        """Say again what was said before, any of it, some of it twice, in any order."""
        for _ in range(self._random.randrange(1, 6)):
            await socket.send(self._stream.messages[self._random.randrange(newest)])

    def _begin_frame(self, socket: ClientConnection, message: str | bytes) -> None:
        """Write a part of a WebSocket frame, masked with zeros; the rest never comes."""
        opcode = 1 if isinstance(message, str) else 2
        payload = message.encode() if isinstance(message, str) else message
        head = bytes([0x80 | opcode, 0x80 | 126]) + len(payload).to_bytes(2) + bytes(4)
        whole = head + payload
        socket.transport.write(whole[: self._random.randrange(1, len(whole))])

    async def _read(self, socket: ClientConnection) -> None:
        while not self.is_done:
            self._take(await self._hear(socket))

    async def _hear(self, socket: ClientConnection) -> Heard:
        async with asyncio.timeout(self._silence_s):
            message: Heard = json.loads(await socket.recv())
        return message

    def _take(self, message: Heard) -> None:
        match message["type"]:
            case "prediction" if message["final"]:
                self._note(self.finals, {**message, "skipped": 0})
                self._tell_of_progress()
            case "learned":
                self._note(self.learned, message)
                self._tell_of_progress()
            case "ack":
                self._acknowledge(message)
            case "error":
                self._complain(message)

    def _acknowledge(self, ack: Heard) -> None:
        applied, durable = ack["applied"], ack["durable"]
        assert isinstance(applied, int)
        assert isinstance(durable, int)
        assert self.applied <= applied <= self._written, f"{self._written} was sent, {ack} came"
        assert self.durable <= durable <= applied, f"{self.durable} was safe, {ack} came"
        self.applied, self.durable = applied, durable
        self.safest = max(self.safest, durable)
        self.farthest = max(self.farthest, applied)
        self._tell_of_progress()

    def _complain(self, error: Heard) -> None:
        if error["code"] == "snapshot_failed":
            self.storage_complaints += 1
            self._tell_of_progress()
        elif error["fatal"]:
            assert error["code"] in _COME_BACK, f"{error} came"
        else:
            self.refused[error["sequence"]] = error["code"]

    def _note(self, told: dict[object, Heard], message: Heard) -> None:
        before = told.setdefault(message["segment"], message)
        assert before == message, f"{before} was told, then {message}"
