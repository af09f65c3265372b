"""A wire between client and server that is slow, breaks messages into pieces, and gets cut."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

_CHUNK_BYTES = 4096


class UnsteadyProxy:
    """Passes bytes on, both ways, and cuts connections after a number of bytes.

    Attributes:
        n_cuts: Connections that were cut so far.
    """

    def __init__(
        self, target_port: int, generator: random.Random, quotas: Iterator[int], slow_chance: float
    ) -> None:
        """Prepare a wire.

        Args:
            target_port: Of the server, on this machine.
            generator: Of what is random.
            quotas: Bytes that each connection lives for, both directions together, be they in the
                middle of a frame; after the last of them connections live as long as they like.
            slow_chance: How likely a piece is held up for some milliseconds.
        """
        self.n_cuts = 0
        self._target_port = target_port
        self._random = generator
        self._quotas = quotas
        self._slow_chance = slow_chance

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until it ends or is cut."""
        try:
            to_server = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        quota = _Quota(next(self._quotas, None))
        carriers = [
            asyncio.create_task(self._carry(reader, to_server[1], quota)),
            asyncio.create_task(self._carry(to_server[0], writer, quota)),
        ]
        try:
            await asyncio.wait(carriers, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in carriers:
                task.cancel()
            await asyncio.gather(*carriers, return_exceptions=True)
            for end in (writer, to_server[1]):
                end.transport.abort()
        self.n_cuts += quota.is_spent

    async def _carry(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, quota: "_Quota"
    ) -> None:
        with suppress(OSError):
            while not quota.is_spent:
                piece = await source.read(self._random.randrange(1, _CHUNK_BYTES))
                if not piece:
                    # what was written already must arrive: the end of the stream is no cut
                    await sink.drain()
                    sink.write_eof()
                    await asyncio.sleep(0.05)
                    return
                if self._random.random() < self._slow_chance:
                    await asyncio.sleep(self._random.uniform(0, 0.005))
                sink.write(quota.take(piece))
                await sink.drain()


class _Quota:
    """Bytes that a connection may still carry."""

    def __init__(self, n_bytes: int | None) -> None:
        self._n_bytes = n_bytes

    @property
    def is_spent(self) -> bool:
        return self._n_bytes == 0

    def take(self, piece: bytes) -> bytes:
        """Return as much of a piece as may still pass."""
        if self._n_bytes is None:
            return piece
        passed = piece[: self._n_bytes]
        self._n_bytes -= len(passed)
        return passed


@asynccontextmanager
async def unsteady_proxy(
    target_port: int,
    generator: random.Random,
    quotas: Iterator[int] | None = None,
    *,
    slow_chance: float = 0.2,
) -> AsyncIterator[tuple[str, UnsteadyProxy]]:
    """Run a wire; yields the URL of the stream behind it."""
    proxy = UnsteadyProxy(target_port, generator, quotas or iter(()), slow_chance)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/v1/stream", proxy
