"""A wire between client and server that holds back what the server says while the test wants it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_FEW_BYTES = 4096


class HeldWire:
    """Passes bytes on, both ways; those to the client only while it is not held.

    Its buffers are small, so that little of what the server says gets lost from sight in them.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._is_free = asyncio.Event()
        self._is_free.set()

    def hold(self) -> None:
        """Let nothing through to the client from here on."""
        self._is_free.clear()

    def free(self) -> None:
        """Let everything through again."""
        self._is_free.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until one side ends it."""
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _FEW_BYTES)
        narrow.setblocking(False)  # noqa: FBT003 - the name of a method says what is true
        await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", self._target_port))
        from_server, to_server = await asyncio.open_connection(sock=narrow, limit=_FEW_BYTES)
        carriers = [
            asyncio.create_task(_carry(reader, to_server, None)),
            asyncio.create_task(_carry(from_server, writer, self._is_free)),
        ]
        await asyncio.wait(carriers, return_when=asyncio.FIRST_COMPLETED)
        for task in carriers:
            task.cancel()
        await asyncio.gather(*carriers, return_exceptions=True)
        for end in (writer, to_server):
            end.close()


async def _carry(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, is_free: asyncio.Event | None
) -> None:
    with suppress(OSError):
        while True:
            if is_free is not None:
                await is_free.wait()
            piece = await source.read(_FEW_BYTES)
            if not piece:
                return
            if is_free is not None:
                await is_free.wait()
            sink.write(piece)
            await sink.drain()


@asynccontextmanager
async def held_wire(target_port: int) -> AsyncIterator[tuple[str, HeldWire]]:
    """Run a wire; yields the URL of the stream behind it."""
    wire = HeldWire(target_port)
    listener = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/v1/stream", wire
