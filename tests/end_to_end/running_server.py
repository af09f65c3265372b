"""A real server on a free port, built as the command builds it, on a thread of its own."""

import asyncio
import json
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple

import httpx
import numpy as np
import safetensors.numpy
from fastapi import FastAPI
from numpy.typing import NDArray

from service.__main__ import DrainingServer, build_server
from service.application import Service
from service.settings import Settings
from tests.end_to_end.conversation_partner import TIMEOUT_S

START_TIMEOUT_S = 300.0
"""Longest wait for a server to serve: the first one after a change compiles its kernel."""

Weights = dict[str, NDArray[np.floating]]
Sections = dict[str, dict[str, object]]


class ServerThread(NamedTuple):
    """A server that runs, and its ``host:port``."""

    server: DrainingServer
    host: str


class RunningServer:
    """A server as a test sees it.

    Attributes:
        host: Its ``host:port``.
        port: Its port.
        url: Where streams begin.
        http: A client for its pages.
    """

    def __init__(self, running: ServerThread, http: httpx.AsyncClient) -> None:
        self.host = running.host
        self.port = int(running.host.rpartition(":")[2])
        self.url = f"ws://{running.host}/v1/stream"
        self.http = http
        self._server = running.server

    @property
    def service(self) -> Service:
        """The server's rooms; they belong to its thread."""
        app = self._server.config.app
        assert isinstance(app, FastAPI)
        service = app.state.service
        assert isinstance(service, Service)
        return service

    @property
    def metrics_port(self) -> int:
        """Where its metrics have a listener of their own."""
        app = self._server.config.app
        assert isinstance(app, FastAPI)
        port: int = app.state.metrics.port
        return port

    @property
    def n_sockets(self) -> int:
        """Sockets that it has accepted and not let go, the tests' own ones included."""
        return len(self._server.server_state.connections)

    def stop(self) -> None:
        """Ask the server to end, as a signal would."""
        self._server.should_exit = True

    async def state(self, session: str = "s") -> dict[str, object]:
        """Return a session's state page, without who is attached and what is stored by now."""
        response = await self.http.get(f"/v1/sessions/{session}")
        assert response.status_code == httpx.codes.OK, response.text
        page: dict[str, object] = response.json()
        for passing in ("state", "attached", "durable", "last_snapshot"):
            del page[passing]
        return page

    async def weights(self, session: str = "s") -> Weights:
        """Download a session's weights."""
        response = await self.http.get(f"/v1/sessions/{session}/weights")
        assert response.status_code == httpx.codes.OK, response.text
        return safetensors.numpy.load(response.content)

    async def fingerprint(self, session: str = "s") -> str:
        """Return all that is to be known of a session: equal ones are the same to the last bit."""
        weights = await self.weights(session)
        return json.dumps(
            [
                await self.state(session),
                {name: weights[name].tobytes().hex() for name in sorted(weights)},
            ]
        )

    async def delete_all(self) -> None:
        """Leave no session behind."""
        while sessions := (await self.http.get("/v1/sessions")).json()["sessions"]:
            for session in sessions:
                await self.http.delete(f"/v1/sessions/{session['session']}")


@contextmanager
def server_thread(sections: Sections) -> Iterator[ServerThread]:
    """Run a server with other settings than the default ones, and stop it at the end."""
    with tempfile.TemporaryDirectory() as folder:
        storage: dict[str, object] = {"url": folder} | sections.get("storage", {})
        # a machine that runs tests is busy with other things than this server
        admission: dict[str, object] = {"new_load": 1e9, "known_load": 1e9}
        admission |= sections.get("admission", {})
        yield from _serving(sections | {"storage": storage, "admission": admission})


def _serving(sections: Sections) -> Iterator[ServerThread]:
    server = build_server(Settings.model_validate(sections), log_level="warning")
    # bound before the server starts: who connects early waits until it serves
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],), name="server")
    thread.start()
    try:
        yield ServerThread(server, f"127.0.0.1:{listener.getsockname()[1]}")
    finally:
        server.should_exit = True
        thread.join(TIMEOUT_S)
        assert not thread.is_alive(), "the server ends when it is asked to"


@asynccontextmanager
async def visited(running: ServerThread) -> AsyncIterator[RunningServer]:
    """Visit a server with an HTTP client once it is ready."""
    async with httpx.AsyncClient(
        base_url=f"http://{running.host}",
        # what every request that changes something must say
        headers={"Content-Type": "application/json"},
        timeout=TIMEOUT_S,
        trust_env=False,
    ) as http:
        await http.get("/health/ready", timeout=START_TIMEOUT_S)
        yield RunningServer(running, http)


@asynccontextmanager
async def running_server(sections: Sections) -> AsyncIterator[RunningServer]:
    """Run a server and visit it."""
    starting = server_thread(sections)
    running = starting.__enter__()
    try:
        async with visited(running) as server:
            yield server
    finally:
        # joins a thread: this loop must go on meanwhile, for clients that say goodbye
        await asyncio.to_thread(starting.__exit__, None, None, None)


def same_weights(one: Weights, other: Weights) -> bool:
    """Tell whether two networks are the same to the last bit."""
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and one[name].tobytes() == other[name].tobytes()
        for name in one
    )
