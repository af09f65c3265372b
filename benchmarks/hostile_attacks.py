"""Peers of bad will, against a server on this machine's loopback only; each ends by itself.

    python -m benchmarks.hostile_attacks NAME PORT SECONDS

A process of its own, so that it shares no event loop with the sessions whose lag is measured, and a
nice one, since in the world it would run on another machine. Prints what it did as JSON.
"""

import asyncio
import json
import os
import resource
import struct
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

IDLE_SOCKETS = 10_000
_SPARE_FILES = 100
_LOOPBACK = "127.0.0.1"

Did = Counter[str]
"""What an attack did, counted."""

Attack = Callable[[int, Did], Awaitable[None]]
"""Goes on until it is cancelled."""

HALF_REQUEST = b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: webso"

HANDSHAKE = (
    b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: tclif.v1\r\n\r\n"
)


def masked(opcode: int, payload: bytes) -> bytes:
    """Write a WebSocket frame of a client, with a key of zeros."""
    n_bytes = len(payload)
    if n_bytes < 126:  # noqa: PLR2004 - where the format of the length changes
        length = bytes([0x80 | n_bytes])
    elif n_bytes < 1 << 16:
        length = b"\xfe" + struct.pack(">H", n_bytes)
    else:
        length = b"\xff" + struct.pack(">Q", n_bytes)
    return bytes([opcode]) + length + bytes(4) + payload


def opening(session: str) -> bytes:
    """Write an ``open`` that asks for as many predictions as there are ticks."""
    request = {
        "type": "open",
        "session": session,
        "network": {"hidden": [16], "classes": 10},
        "sensor": {"kind": "raw", "addresses": 10},
        "tick_us": 1000,
        "report": {"every_ticks": 1, "probabilities": True},
    }
    return masked(0x81, json.dumps(request).encode())


class Peer:
    """One socket to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int) -> "Peer":
        """Connect and say nothing."""
        return cls(*await asyncio.open_connection(_LOOPBACK, port, limit=1 << 12))

    @classmethod
    async def shake_hands(cls, port: int) -> "Peer":
        """Connect as far as a WebSocket goes."""
        peer = await cls.connect(port)
        await peer.say(HANDSHAKE)
        await peer.reader.readuntil(b"\r\n\r\n")
        return peer

    @property
    def is_closed(self) -> bool:
        """Whether the server has closed it, in whatever way."""
        return self.reader.at_eof() or self.writer.is_closing()

    async def say(self, data: bytes) -> None:
        """Write, and wait until the system has taken it."""
        self.writer.write(data)
        await self.writer.drain()

    def vanish(self) -> None:
        """Leave without a word."""
        self.writer.transport.abort()


async def again(port: int, did: Did, once: Attack) -> None:
    """Do something again and again, whatever the server answers."""
    while True:
        with suppress(OSError, EOFError):
            await once(port, did)
        did["rounds"] += 1
        await asyncio.sleep(0)


def many(n: int, once: Attack) -> Attack:
    """Return an attack of so many peers at once."""

    async def attack(port: int, did: Did) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(n):
                group.create_task(again(port, did, once))

    return attack


async def flood(port: int, did: Did) -> None:
    """Shake hands and vanish."""
    peer = await Peer.connect(port)
    try:
        await peer.say(HANDSHAKE)
        if await peer.reader.read(12) == b"HTTP/1.1 101":
            did["handshakes"] += 1
    finally:
        peer.vanish()


async def drip_headers(port: int, did: Did) -> None:
    """Send a request's headers a byte at a time."""
    peer = await Peer.connect(port)
    did["connections"] += 1
    try:
        await peer.say(b"GET /v1/sessions HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        while not peer.reader.at_eof():
            await peer.say(b"a")
            did["bytes"] += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await peer.reader.read(1)
    finally:
        peer.vanish()


async def drip_fragments(port: int, did: Did) -> None:
    """Send a message a byte a fragment, and never end it."""
    peer = await Peer.shake_hands(port)
    did["handshakes"] += 1
    try:
        await peer.say(masked(0x01, b"{"))
        while not peer.reader.at_eof():
            await peer.say(masked(0x00, b" "))
            did["fragments"] += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await peer.reader.read(100)
    finally:
        peer.vanish()


async def claim_a_lot(port: int, did: Did) -> None:
    """Send messages too long to be taken, announced as such or in fragments."""
    peer = await Peer.shake_hands(port)
    try:
        if did["rounds"] % 2:
            await peer.say(bytes([0x82, 0xFF]) + struct.pack(">Q", 1 << 40) + bytes(4))
        piece = masked(0x02 if did["rounds"] % 4 else 0x82, bytes(1 << 19))
        for _ in range(40):
            await peer.say(piece)
            did["MiB"] += 1
            piece = masked(0x00, bytes(1 << 20))
    finally:
        peer.vanish()


async def ping_unread(port: int, did: Did) -> None:
    """Ask for pongs as fast as the server takes it, and read none."""
    peer = await Peer.shake_hands(port)
    try:
        while True:
            await peer.say(100 * masked(0x89, bytes(125)))
            did["pings"] += 100
    finally:
        peer.vanish()


async def read_nothing(port: int, did: Did) -> None:
    """Stream as fast as the server takes it, and read no prediction."""
    peer = await Peer.shake_hands(port)
    try:
        await peer.say(opening(f"slow-{did['sessions'] % 4}"))
        did["sessions"] += 1
        greeting = await peer.reader.readuntil(b'"next_sequence":')
        digits = await peer.reader.readuntil(b",")
        assert greeting
        sequence = int(digits[:-1])
        now_us = 1000 * sequence
        mark = {"type": "segment", "action": "begin", "segment": sequence, "t_us": now_us}
        await peer.say(masked(0x81, json.dumps(mark | {"sequence": sequence}).encode()))
        while True:
            sequence, now_us = sequence + 1, now_us + 50_000
            await peer.say(masked(0x82, struct.pack("<BBHIQQ", 1, 0, 0, 0, sequence, now_us)))
            did["messages"] += 1
    finally:
        peer.vanish()


async def hold_half_open(port: int, did: Did) -> None:
    """Open as many sockets as allowed, say half a request on each, and hold them."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    n_sockets = min(IDLE_SOCKETS, limit - _SPARE_FILES)
    peers: list[Peer] = []
    try:
        while True:
            with suppress(OSError):
                peers.append(await Peer.connect(port))
                did["opened"] += 1
                await peers[-1].say(HALF_REQUEST)
            if len(peers) >= n_sockets:
                # all are there: make anew what the server has closed
                await asyncio.sleep(0.5)
                peers = [peer for peer in peers if not peer.is_closed]
    finally:
        did["held at the end"] = sum(not peer.is_closed for peer in peers)
        for peer in peers:
            peer.vanish()


ATTACKS: dict[str, Attack] = {
    "slow readers": many(4, read_nothing),
    "flood of handshakes": many(50, flood),
    "half-open sockets": hold_half_open,
    "huge messages": many(4, claim_a_lot),
    "dripping headers": many(500, drip_headers),
    "dripping fragments": many(200, drip_fragments),
    "pings unread": many(4, ping_unread),
}


async def _run(attack: Attack, port: int, seconds: float) -> Did:
    did: Did = Counter()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await attack(port, did)
    return did


def main() -> int:
    """Attack for a while and say what was done."""
    name, port, seconds = sys.argv[1:]
    os.nice(10)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.stdout.write(json.dumps(asyncio.run(_run(ATTACKS[name], int(port), float(seconds)))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
