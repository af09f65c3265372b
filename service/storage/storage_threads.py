"""Threads that wait for disks and networks, so that neither the engine nor the event loop has to.

They are daemons of our own, not a pool of the library: a storage that never answers must not keep a
server that was told to end from ending.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from service.errors import StorageFailure

T = TypeVar("T")


class StorageThreads:
    """A few threads that run what blocks, in the order in which it was asked for."""

    def __init__(self, n_threads: int, timeout_s: float) -> None:
        """Start the threads.

        Args:
            n_threads: How many calls run at a time.
            timeout_s: How long a caller waits; what it asked for goes on in its thread.
        """
        self._timeout_s = timeout_s
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._n_threads = n_threads
        for number in range(n_threads):
            threading.Thread(target=self._run, name=f"storage-{number}", daemon=True).start()

    async def run(self, function: Callable[[], T]) -> T:
        """Run something on one of the threads; on the event loop.

        Raises:
            StorageFailure: It took too long, or it raised that.
        """
        outcome: Future[T] = Future()

        def settle() -> None:
            # a caller that gave up before its turn has cancelled it
            if not outcome.set_running_or_notify_cancel():
                return
            try:
                outcome.set_result(function())
            except BaseException as error:  # noqa: BLE001 - handed over to whoever waits
                outcome.set_exception(error)

        self._calls.put(settle)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.wrap_future(outcome)
        except TimeoutError:
            raise StorageFailure(
                f"the storage did not answer for {self._timeout_s:g} s; it may be full or gone"
            ) from None

    def stop(self) -> None:
        """Let each thread end after its call, without waiting for it."""
        for _ in range(self._n_threads):
            self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
