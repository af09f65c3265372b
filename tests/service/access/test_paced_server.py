"""Taking connections: at a pace, on both event loops, whatever a peer gets wrong."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import cast

import pytest
import uvloop
from typing_extensions import override

from service.access.paced_server import AddressUnavailable, PacedListener, bind
from service.settings import ListenerSettings

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


class Greeter(asyncio.Protocol):
    """Says when it begins."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello."""
        # uvloop's own are no subclass of it
        cast("asyncio.WriteTransport", transport).write(b"hello")


@asynccontextmanager
async def listening(
    tls: ssl.SSLContext | None = None, **settings: float
) -> AsyncIterator[tuple[PacedListener, int]]:
    sockets = bind("127.0.0.1", 0)
    listener = PacedListener(sockets, Greeter, ListenerSettings.model_validate(settings), tls)
    port = sockets[0].getsockname()[1]
    listener.start()
    try:
        yield listener, port
    finally:
        listener.close()
        await listener.wait_closed()


async def greeted(port: int) -> float:
    """Connect, and return when the greeting came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await reader.readexactly(5) == b"hello"
    writer.close()
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("make_loop", LOOPS)
def test_connections_are_taken_at_a_pace(
    make_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def spread_s() -> float:
        # a tenth of a second's worth, one, comes at once
        async with listening(handshakes_per_s=10) as (_, port):
            times_s = await asyncio.gather(*(greeted(port) for _ in range(5)))
            return max(times_s) - min(times_s)

    with asyncio.Runner(loop_factory=make_loop) as runner:
        # so the fifth is three tenths behind, on no machine less; loops count milliseconds
        assert runner.run(spread_s()) >= 0.29


async def test_a_peer_that_spoils_its_tls_handshake_hinders_nobody() -> None:
    async with listening(
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), request_timeout_s=60, max_pending=2
    ) as (_, port):
        bad = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        # two wait for TLS to begin; there is no room for the third
        with suppress(ConnectionError):
            assert await bad[2][0].read() == b""
        bad[0][1].write(b"GET / HTTP/1.1\r\n\r\n")
        with suppress(ConnectionError):
            await bad[0][0].read()

        again = await asyncio.open_connection("127.0.0.1", port)
        again[1].write(b"no TLS either")

        # answered or cut, by the handshake: it had a place again
        with suppress(ConnectionError):
            assert await again[0].read() != b"hello"
        for _, writer in (*bad, again):
            writer.transport.abort()


async def test_no_file_left_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    accept = loop.sock_accept
    failures = [OSError(24, "Too many open files")]

    async def fail_once(listener: socket.socket) -> object:
        if failures:
            raise failures.pop()
        return await accept(listener)

    monkeypatch.setattr("service.access.paced_server.RETRY_S", 0.01)
    monkeypatch.setattr(loop, "sock_accept", fail_once)

    async with listening() as (_, port):
        await greeted(port)

    assert "can't take a connection: [Errno 24] Too many open files" in caplog.text


async def test_after_the_close_nobody_is_taken() -> None:
    async with listening() as (listener, port):
        await greeted(port)
        listener.close()
        await listener.wait_closed()

        with pytest.raises(ConnectionError):
            await greeted(port)


def test_a_port_that_another_one_has_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(AddressUnavailable, match=f"host '127.0.0.1' and port {port} came"):
            bind("127.0.0.1", port)


def test_a_host_that_there_is_not_is_refused() -> None:
    # TEST-NET-1 is nobody's address
    with pytest.raises(AddressUnavailable, match=r"host '192\.0\.2\.1' and port 0 came"):
        bind("192.0.2.1", 0)
