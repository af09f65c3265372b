"""A whole server without sockets, one message at a time, watched from the inside.

What is held against it after every message: no exception escapes and no defect is reported; a
message that is refused, or was sent before, leaves the session as it was to the last bit, its
number apart.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
from fastapi import FastAPI
from typing_extensions import override

from service.access.principals import SessionKey
from service.application import Service, create_app
from service.sessions.sessions import Session
from service.settings import Settings
from tests.end_to_end.conversation_partner import SMALL_OPEN, TIMEOUT_S, Heard
from tests.fuzz.message_maker import CLASSES, N_ADDRESSES, Raw

APPLIED_IN_PART = {"late_events", "snapshot_failed"}
"""Errors that tell of something else than a message that was refused as a whole."""

SECTIONS: dict[str, dict[str, object]] = {
    # small bounds, so that they are met
    "session": {
        "max_advance_ticks": 64,
        "kept_segments": 3,
        "kept_ticks": 200,
        "inbox_ticks": 128,
        "inbox_messages": 64,
    },
    # bad manners cost so many connections, and so many sessions, that the server would refuse some
    "quota": {"connections_per_minute": 1_000_000},
    "admission": {"new_load": 1e9, "known_load": 1e9},
}

OPENING = SMALL_OPEN | {
    "network": {"hidden": [4], "classes": CLASSES, "hyperparameters": {"threshold": 0.3}},
    "sensor": {"kind": "raw", "addresses": N_ADDRESSES},
    "report": {"every_ticks": 3},
}


class Complaints(logging.Handler):
    """Keeps what the server logs as a defect."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line with its exception."""
        self.told.append(self.format(record))


class Line:
    """One connection of the server, as its ASGI application sees it."""

    def __init__(self, app: FastAPI) -> None:
        self.heard: list[Heard] = []
        self.close_code: int | None = None
        self._incoming: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        self._reads = asyncio.Event()
        self._incoming.put_nowait({"type": "websocket.connect"})
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": "/v1/stream",
            "raw_path": b"/v1/stream",
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", b"localhost")],
            "subprotocols": ["tclif.v1"],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
            "state": {},
            "extensions": {"websocket.http.response": {}},
        }
        self._task: asyncio.Task[None] = asyncio.create_task(
            app(scope, self._receive, self._send)  # type: ignore[arg-type]
        )

    @property
    def is_over(self) -> bool:
        """Whether the server has ended the connection."""
        return self._task.done()

    async def say(self, raw: Raw) -> list[Heard]:
        """Send one message; return what was told until the server reads on or ends."""
        n_heard = len(self.heard)
        field = "bytes" if isinstance(raw, bytes) else "text"
        self._reads.clear()
        self._incoming.put_nowait({"type": "websocket.receive", field: raw})
        await self._until_read()
        return self.heard[n_heard:]

    async def leave(self) -> None:
        """Vanish."""
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1006})
        async with asyncio.timeout(TIMEOUT_S):
            await self._task

    async def _until_read(self) -> None:
        waiting = asyncio.ensure_future(self._reads.wait())
        async with asyncio.timeout(TIMEOUT_S):
            await asyncio.wait({waiting, self._task}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._task.done():
            self._task.result()

    async def _receive(self) -> dict[str, object]:
        if self._incoming.empty():
            self._reads.set()
        return await self._incoming.get()

    async def _send(self, message: dict[str, object]) -> None:
        if message["type"] == "websocket.send":
            texts = message["texts"]
            assert isinstance(texts, list)
            self.heard += [json.loads(text) for text in texts]
        elif message["type"] == "websocket.close":
            code = message["code"]
            assert isinstance(code, int)
            self.close_code = code


class FuzzedServer:
    """The server, and the session that is talked to.

    Attributes:
        complaints: What it logged as a defect.
    """

    def __init__(self, app: FastAPI) -> None:
        self.complaints = Complaints()
        self._app = app

    def session(self, name: str) -> Session:
        """Return a session of its registry."""
        service: Service = self._app.state.service
        session = service.registry.get(SessionKey("local", name))
        assert session is not None, f"session {name} is in memory"
        return session

    async def delete(self, name: str) -> None:
        """Forget a session."""
        await self._app.state.service.registry.delete(SessionKey("local", name))

    def connect(self) -> Line:
        """Begin a connection."""
        return Line(self._app)

    async def fingerprint(self, name: str) -> str:
        """Return all that a session is but its numbers; equal ones have the same future."""
        session = self.session(name)
        captured = session.intake.capture()
        network = session.network
        trees = await asyncio.wrap_future(
            session.at_boundary(lambda: [captured(), network.capture()])
        )
        return _digest(trees)


class FuzzedConversation:
    """One session, through as many connections as its bad manners cost.

    Attributes:
        n_messages: Messages that were sent.
        codes: How often each error was told.
    """

    def __init__(self, server: FuzzedServer, name: str, **opening: object) -> None:
        self.n_messages = 0
        self.codes: dict[str, int] = {}
        self._server = server
        self._name = name
        self._opening = OPENING | opening | {"session": name}
        self._line: Line | None = None
        self._due = 1
        # of the session as it is, if that is known
        self._fingerprint: str | None = None

    @property
    def due(self) -> int:
        """The number that the next message should have."""
        return self._due

    async def say(self, raw: Raw) -> None:
        """Send one message and hold the server to its word."""
        line = await self._attached()
        session = self._server.session(self._name)
        before = self._fingerprint or await self._server.fingerprint(self._name)

        heard = await line.say(raw)
        if not line.is_over:
            await session.backlog.wait_until_done()
            heard = await self._rest(line, heard)

        self.n_messages += 1
        received = session.received
        errors = [message for message in heard if message["type"] == "error"]
        for error in errors:
            self._note(error)
        was_consumed = received == self._due
        refused = [e for e in errors if e["code"] not in APPLIED_IN_PART]
        if refused or not was_consumed:
            after = await self._server.fingerprint(self._name)
            assert after == before, f"{raw!r} was answered {heard} and changed the session"
            self._fingerprint = after
        else:
            self._fingerprint = None
        if any(error["fatal"] for error in errors):
            assert not was_consumed, f"{raw!r} was answered {errors} and consumed its number"
        assert received in (self._due - 1, self._due), (
            f"{raw!r} moved {self._due - 1} to {received}"
        )
        assert session.failure is None, f"{raw!r} broke the session: {session.failure}"
        assert not self._server.complaints.told, self._server.complaints.told
        self._due = received + 1

    async def end(self) -> None:
        """Delete the session."""
        if self._line is not None and not self._line.is_over:
            await self._line.leave()
        await self._server.delete(self._name)

    async def _attached(self) -> Line:
        if self._line is None or self._line.is_over:
            self._line = self._server.connect()
            heard = await self._line.say(json.dumps(self._opening))
            heard = await self._rest(self._line, heard)
            opened = [m["next_sequence"] for m in heard if m["type"] == "opened"]
            assert opened == [self._due], f"an open was answered {heard}"
        return self._line

    async def _rest(self, line: Line, heard: list[Heard]) -> list[Heard]:
        """Let the writer say what it has; it needs nothing but a few turns of the loop."""
        n_before = len(line.heard) - len(heard)
        for _ in range(20):
            await asyncio.sleep(0)
        return line.heard[n_before:]

    def _note(self, error: Heard) -> None:
        code = error["code"]
        assert isinstance(code, str)
        assert code != "internal", f"a defect was told: {error}"
        self.codes[code] = self.codes.get(code, 0) + 1


def _digest(tree: object) -> str:
    digest = hashlib.sha256()
    _feed(digest, tree)
    return digest.hexdigest()


def _feed(digest: "hashlib._Hash", tree: object) -> None:
    """Hash a tree: its names in their order, its arrays byte by byte."""
    if isinstance(tree, dict):
        for name in sorted(tree):
            digest.update(f"{name}:".encode())
            _feed(digest, tree[name])
    elif isinstance(tree, list):
        digest.update(f"[{len(tree)}".encode())
        for item in tree:
            _feed(digest, item)
    elif isinstance(tree, np.ndarray):
        digest.update(f"{tree.dtype}{tree.shape}".encode())
        digest.update(tree.tobytes())
    else:
        digest.update(f"{tree!r};".encode())


@asynccontextmanager
async def fuzzed_server(folder: Path) -> AsyncIterator[FuzzedServer]:
    """Run a server without sockets.

    Args:
        folder: Empty; what the server stores lies here.
    """
    app = create_app(Settings.model_validate(SECTIONS | _storage(folder)))
    server = FuzzedServer(app)
    log = logging.getLogger("service")
    log.addHandler(server.complaints)
    try:
        async with app.router.lifespan_context(app):
            yield server
    finally:
        log.removeHandler(server.complaints)


def _storage(folder: Path) -> dict[str, dict[str, object]]:
    return {"storage": {"url": str(folder)}}
