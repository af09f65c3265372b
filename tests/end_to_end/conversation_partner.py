"""A raw client: it writes JSON and bytes by the tables of the protocol and reads plain JSON.

It shares no encoder with the server, so that a mistake of both sides can't hide. Every wait is
bounded.
"""

import asyncio
import json
import ssl
import struct
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

TIMEOUT_S = 30.0
"""Longest wait for anything; reached only when something is wrong."""

TICK_US = 1000
N_ADDRESSES = 12
CLASSES = ["zero", "one", "two"]
SEGMENT_TICKS = 20
SEGMENT_SPACING_US = 100_000

SMALL_OPEN: dict[str, object] = {
    "type": "open",
    "session": "s",
    "network": {
        "hidden": [8, 6],
        "classes": CLASSES,
        # so few neurons fire only if they are easily excited, and silence would hide mistakes
        "hyperparameters": {"threshold": 0.3, "input_gain": 5},
    },
    "sensor": {"kind": "raw", "addresses": N_ADDRESSES},
    "tick_us": TICK_US,
    "learning": {"optimizer": "adam", "rate": 0.01},
    "report": {"every_ticks": 5, "probabilities": True},
    "seed": 4,
}

Heard = dict[str, object]
"""A message of the server."""

Event = tuple[int, int]
"""Time in microseconds, address."""

Events = tuple[int, Sequence[Event]]
"""An events message without its number: ``base_us`` and the events."""

Message = Events | dict[str, object]
"""A numbered message of the client, before it has its number."""


def frame(
    sequence: int,
    base_us: int,
    events: Sequence[Event],
    *,
    kind: int = 1,
    reserved: tuple[int, int] = (0, 0),
    count: int | None = None,
) -> bytes:
    """Write an events message by the table of the protocol, right or wrong."""
    n_events = len(events) if count is None else count
    header = struct.pack("<BBHIQQ", kind, *reserved, n_events, sequence, base_us)
    return header + b"".join(
        struct.pack("<II", t_us - base_us, address) for t_us, address in events
    )


def numbered(message: Message, sequence: int) -> str | bytes:
    """Write a message as it goes over the wire."""
    if isinstance(message, tuple):
        return frame(sequence, *message)
    return json.dumps(message | {"sequence": sequence})


def begin(segment: int, t_us: int) -> Message:
    """Begin a segment."""
    return {"type": "segment", "action": "begin", "segment": segment, "t_us": t_us}


def end(segment: int, t_us: int) -> Message:
    """End a segment."""
    return {"type": "segment", "action": "end", "segment": segment, "t_us": t_us}


def label(segment: int, target: int | str) -> Message:
    """Tell the truth about a segment."""
    return {"type": "label", "segment": segment, "target": target}


def learning(**changes: object) -> Message:
    """Change mode or rate."""
    return {"type": "learning", **changes}


def events(pairs: Iterable[Event]) -> Message:
    """Send events in one frame."""
    listed = list(pairs)
    return min(t_us for t_us, _ in listed), listed


def clock(t_us: int) -> Message:
    """Move the horizon without events."""
    return t_us, []


def begin_us(segment: int) -> int:
    """When a segment of these tests begins."""
    return segment * SEGMENT_SPACING_US


def spikes(segment: int, n_ticks: int = SEGMENT_TICKS) -> list[Event]:
    """Return a segment's events in order of time; they depend on its number alone."""
    generator = np.random.default_rng(segment)
    n_events = 6 * n_ticks
    times = begin_us(segment) + np.sort(generator.integers(0, n_ticks * TICK_US, n_events))
    addresses = generator.integers(0, N_ADDRESSES, n_events)
    return list(zip(times.tolist(), addresses.tolist(), strict=True))


def segment(number: int, target: int | None = None) -> list[Message]:
    """Return a whole segment in two frames of events, and its label if there is one."""
    pairs = spikes(number)
    half = len(pairs) // 2
    messages = [
        begin(number, begin_us(number)),
        events(pairs[:half]),
        events(pairs[half:]),
        end(number, begin_us(number) + SEGMENT_TICKS * TICK_US),
    ]
    return messages if target is None else [*messages, label(number, target)]


def lessons(numbers: Iterable[int]) -> list[Message]:
    """Return labelled segments one after the other."""
    return [message for number in numbers for message in segment(number, number % len(CLASSES))]


class Partner:
    """One connection's client side.

    Attributes:
        socket: The connection.
        heard: Everything the server said, in its order.
        next_sequence: Number of the next message.
        applied: What the last ack said.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.heard: list[Heard] = []
        self.next_sequence = 1
        self.applied = 0
        self._n_returned = 0

    async def open(self, **fields: object) -> Heard:
        """Open the small session, with other or more fields; return ``opened``."""
        await self.say(SMALL_OPEN | fields)
        opened = await self.until("opened")
        await self.until("ack")
        self.next_sequence = _number(opened, "next_sequence")
        return opened

    async def say(self, message: dict[str, object] | str | bytes) -> None:
        """Send anything, without a number of its own."""
        raw = json.dumps(message) if isinstance(message, dict) else message
        async with asyncio.timeout(TIMEOUT_S):
            await self.socket.send(raw)

    async def send(self, *messages: Message) -> int:
        """Number messages and send them; return the last number."""
        for message in messages:
            await self.say(numbered(message, self.next_sequence))
            self.next_sequence += 1
        return self.next_sequence - 1

    async def receive(self) -> Heard:
        """Wait for the server's next message."""
        async with asyncio.timeout(TIMEOUT_S):
            text = await self.socket.recv()
        assert isinstance(text, str), "the server speaks JSON only"
        message: Heard = json.loads(text)
        self.heard.append(message)
        if message["type"] == "ack":
            self.applied = _number(message, "applied")
        return message

    async def until(self, kind: str, **fields: object) -> Heard:
        """Read until a message of a kind comes, with these values if any are given."""
        while True:
            message = await self.receive()
            if message["type"] == kind and message.items() >= fields.items():
                return message

    async def settle(self) -> list[Heard]:
        """Wait until all that was sent is applied; return what was said since the last time."""
        while self.applied < self.next_sequence - 1:
            await self.receive()
        return self.fresh()

    async def closed(self) -> int:
        """Read to the end; return the close code."""
        try:
            while True:
                await self.receive()
        except ConnectionClosed:
            code = self.socket.close_code
            assert code is not None
            return code

    def fresh(self) -> list[Heard]:
        """Return what was said since the last time, without acks."""
        fresh = self.heard[self._n_returned :]
        self._n_returned = len(self.heard)
        return [message for message in fresh if message["type"] != "ack"]

    def vanish(self) -> None:
        """Cut the connection without a word."""
        self.socket.transport.abort()


@asynccontextmanager
async def connected(
    url: str, *, token: str | None = None, trust: ssl.SSLContext | None = None
) -> AsyncIterator[Partner]:
    """Connect to a stream, with a token if one is given, and leave it at the end."""
    async with connect(
        url,
        subprotocols=[Subprotocol("tclif.v1")],
        additional_headers=None if token is None else {"Authorization": f"Bearer {token}"},
        ssl=trust,
        compression=None,
        open_timeout=TIMEOUT_S,
        close_timeout=1,
        proxy=None,
    ) as socket:
        yield Partner(socket)


async def converse(url: str, messages: Sequence[Message], **fields: object) -> list[Heard]:
    """Open a session, send messages, and return what was said until all are applied."""
    async with connected(url) as partner:
        await partner.open(**fields)
        partner.fresh()
        await partner.send(*messages)
        return await partner.settle()


def of_kind(kind: str, heard: Iterable[Heard]) -> list[Heard]:
    """Pick the messages of a kind."""
    return [message for message in heard if message["type"] == kind]


def codes(heard: Iterable[Heard]) -> list[object]:
    """Return the codes of errors, in their order."""
    return [message["code"] for message in of_kind("error", heard)]


def _number(message: Heard, field: str) -> int:
    value = message[field]
    assert isinstance(value, int)
    return value
