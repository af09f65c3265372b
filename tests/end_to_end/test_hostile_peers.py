"""Peers that dawdle, flood or don't read at the level of sockets: they end, the others go on."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.end_to_end.conftest import Serve
from tests.end_to_end.conversation_partner import (
    SMALL_OPEN,
    TIMEOUT_S,
    connected,
    lessons,
    of_kind,
)
from tests.end_to_end.running_server import RunningServer

REQUEST = b"GET /v1/sessions HTTP/1.1\r\nHost: localhost\r\n"

HANDSHAKE = (
    b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: tclif.v1\r\n\r\n"
)


@asynccontextmanager
async def peer(
    server: RunningServer,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """Read until the server has closed the connection, in whatever way."""
    heard = b""
    async with asyncio.timeout(TIMEOUT_S):
        try:
            while piece := await reader.read(1 << 16):
                heard += piece
        except ConnectionError:
            pass
    return heard


def masked(opcode: int, payload: bytes = b"") -> bytes:
    short = len(payload) < 126
    length = bytes([0x80 | len(payload)]) if short else b"\xfe" + struct.pack(">H", len(payload))
    return bytes([opcode]) + length + bytes(4) + payload


@pytest.mark.parametrize("said", [b"", b"G", REQUEST])
async def test_half_a_request_is_closed_in_time(serve: Serve, said: bytes) -> None:
    async with (
        serve(listener={"request_timeout_s": 0.3}) as server,
        peer(server) as (reader, writer),
    ):
        writer.write(said)

        assert await until_closed(reader) == b""


async def test_the_second_request_of_a_connection_has_no_more_time(serve: Serve) -> None:
    async with (
        serve(listener={"request_timeout_s": 0.3}) as server,
        peer(server) as (reader, writer),
    ):
        writer.write(REQUEST + b"\r\n")
        await reader.readuntil(b'"next":null}')
        writer.write(REQUEST)

        assert await until_closed(reader) == b""


async def test_many_half_handshakes_close_the_oldest_and_hinder_nobody(serve: Serve) -> None:
    async with (
        serve(listener={"max_pending": 8, "handshakes_per_s": 2000}) as server,
        connected(server.url) as partner,
    ):
        await partner.open()
        half = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(60)]
        await partner.send(*lessons(range(3)))
        heard = await partner.settle()
        assert (await server.http.get("/health/live")).is_success

        # the last eight may still wait; those before them were closed for them
        closed = await asyncio.gather(*(until_closed(reader) for reader, _ in half[:52]))

        assert closed == [b""] * 52
        assert len(of_kind("learned", heard)) == 3
        for _, writer in half:
            writer.transport.abort()


async def test_headers_without_end_are_refused(server: RunningServer) -> None:
    async with peer(server) as (reader, writer):
        writer.write(REQUEST + b"X: " + b"a" * 20_000)

        assert (await until_closed(reader)).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "flood",
    [masked(0x89), masked(0x8A), masked(0x00)],
    ids=["pings", "pongs", "fragments"],
)
async def test_frames_that_are_no_message_end_the_connection(
    server: RunningServer, flood: bytes
) -> None:
    async with peer(server) as (reader, writer):
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        # a message that begins and never ends
        writer.write(masked(0x01, b"{") + 5000 * flood)

        await until_closed(reader)


async def test_a_frame_that_claims_to_be_huge_is_refused_unread(server: RunningServer) -> None:
    async with peer(server) as (reader, writer):
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(bytes([0x82, 0xFF]) + struct.pack(">Q", 1 << 40) + bytes(4))

        heard = await until_closed(reader)

    assert struct.unpack(">H", heard[2:4]) == (1009,)


async def test_more_connections_than_there_may_be_are_closed(serve: Serve) -> None:
    async with serve(listener={"max_connections": 4}) as server, connected(server.url) as partner:
        await partner.open()
        # the test's own HTTP client holds one, the stream another
        async with peer(server) as one, peer(server) as two, peer(server) as three:
            assert await until_closed(three[0]) == b""
            one[1].write(REQUEST + b"\r\n")
            assert (await one[0].read(100)).startswith(b"HTTP/1.1 200")
            two[1].write(REQUEST + b"\r\n")
            assert (await two[0].read(100)).startswith(b"HTTP/1.1 200")
            assert (await partner.send(*lessons(range(1)))) == 5
            assert len(of_kind("learned", await partner.settle())) == 1


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the server, whose loop is another one, has come so far."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110 - no event crosses to this loop
            await asyncio.sleep(0.02)


def read_no_more(writer: asyncio.StreamWriter) -> None:
    assert isinstance(writer.transport, asyncio.ReadTransport)
    writer.transport.pause_reading()


def mark(sequence: int) -> bytes:
    """Begin a segment with odd numbers, end it with even ones."""
    number = (sequence - 1) // 2
    message = {"type": "segment", "action": "begin" if sequence % 2 else "end", "segment": number}
    return masked(
        0x81, json.dumps(message | {"t_us": 1000 * sequence, "sequence": sequence}).encode()
    )


async def test_a_peer_that_reads_nothing_is_let_go(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.access.bounded_web_socket.LAST_WORDS_S", 0.1)
    monkeypatch.setattr("service.routes.connection.FLUSH_S", 0.1)
    async with (
        serve(socket={"outbox_messages": 128}) as server,
        peer(server) as (reader, writer),
    ):
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        read_no_more(writer)
        # answers of 4 KiB: two thousand fill every buffer between the two
        network = {"hidden": [4], "classes": 200}
        writer.write(masked(0x81, json.dumps(SMALL_OPEN | {"network": network}).encode()))
        for sequence in range(1, 6000):
            writer.write(mark(sequence))

        await server.http.aclose()
        await until(lambda: server.n_sockets == 0)


async def test_a_download_that_nobody_reads_is_given_up(serve: Serve) -> None:
    async with (
        serve(listener={"write_timeout_s": 0.3}) as server,
        connected(server.url) as partner,
        peer(server) as (_, writer),
    ):
        await partner.open(network={"hidden": [256, 256], "classes": 3})
        await server.http.aclose()
        await until(lambda: server.n_sockets == 2)
        read_no_more(writer)

        writer.write(20 * b"GET /v1/sessions/s/weights HTTP/1.1\r\nHost: localhost\r\n\r\n")

        await until(lambda: server.n_sockets == 1)
