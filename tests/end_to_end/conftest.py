"""A server for all tests that need no particular one, and servers made to measure."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager

import pytest

from tests.end_to_end.running_server import (
    RunningServer,
    ServerThread,
    running_server,
    server_thread,
    visited,
)

Serve = Callable[..., AbstractAsyncContextManager[RunningServer]]


@pytest.fixture(scope="session")
def shared_server() -> Iterator[ServerThread]:
    with server_thread({}) as running:
        yield running


@pytest.fixture
async def server(shared_server: ServerThread) -> AsyncIterator[RunningServer]:
    """Visit the server that all tests share; each finds it without sessions and leaves it so."""
    async with visited(shared_server) as running:
        yield running
        await running.delete_all()


@pytest.fixture
def serve() -> Serve:
    """Give a function that starts a server with other settings than the default ones."""

    def start(**sections: dict[str, object]) -> AbstractAsyncContextManager[RunningServer]:
        return running_server(sections)

    return start
