"""The server as a process of its own, on one port and one data folder; it may be killed."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import safetensors.numpy

from tests.end_to_end.running_server import START_TIMEOUT_S, Weights

_ASK_EVERY_S = 0.02
_STOP_S = 60.0

_WHOEVER_COMES = {"TCLIF_ADMISSION__NEW_LOAD": "1e9", "TCLIF_ADMISSION__KNOWN_LOAD": "1e9"}
"""However busy the machine is: with other things than this server, in tests."""


class ServerProcess:
    """A ``tclif-serve`` that may end at any moment.

    Attributes:
        port: Where it listens, in every life.
        url: Where streams begin.
        data: The folder that survives it.
        n_starts: How often it was started.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        """Prepare a server.

        Args:
            folder: Receives its log; its data lies in ``data`` beneath, a folder or a link to one.
            settings: Variables of its environment.
        """
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port: int = listener.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/v1/stream"
        self.data = folder / "data"
        self.n_starts = 0
        self._log_path = folder / "server.log"
        self._environment = os.environ | _WHOEVER_COMES | dict(settings)
        self._environment["TCLIF_STORAGE__URL"] = str(self.data)
        self._process: subprocess.Popen[bytes] | None = None
        self._http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", timeout=60, trust_env=False
        )

    @property
    def pid(self) -> int:
        """Its process number."""
        assert self._process is not None, "the server was started"
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything that it has logged, in all its lives."""
        return self._log_path.read_text()

    def spawn(self) -> None:
        """Start the process and wait for nothing."""
        command = [sys.executable, "-m", "service", "--port", str(self.port)]
        command += ["--log-level", "warning"]
        with self._log_path.open("a") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                command, stdout=log, stderr=log, env=self._environment
            )
        self.n_starts += 1

    async def start(self) -> None:
        """Start the process and wait until sessions can be opened."""
        self.spawn()
        async with asyncio.timeout(START_TIMEOUT_S):
            while not await self._is_ready():
                assert self._process is not None
                assert self._process.poll() is None, f"the server ended:\n{self.log}"
                await asyncio.sleep(_ASK_EVERY_S)

    def kill(self) -> None:
        """End it at once, as ``kill -9`` does."""
        assert self._process is not None, "the server was started"
        self._process.kill()
        self._process.wait()

    async def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        assert self._process is not None, "the server was started"
        self._process.terminate()
        await asyncio.to_thread(self._process.wait, _STOP_S)

    def pause(self) -> None:
        """Stop it in its tracks."""
        os.kill(self.pid, signal.SIGSTOP)

    def proceed(self) -> None:
        """Let it go on after a pause."""
        os.kill(self.pid, signal.SIGCONT)

    async def state(self, session: str = "s") -> dict[str, object]:
        """Return a session's state page."""
        answer = await self._http.get(f"/v1/sessions/{session}")
        assert answer.status_code == httpx.codes.OK, answer.text
        page: dict[str, object] = answer.json()
        return page

    async def weights(self, session: str = "s") -> Weights:
        """Download a session's weights."""
        answer = await self._http.get(f"/v1/sessions/{session}/weights")
        assert answer.status_code == httpx.codes.OK, answer.text
        return safetensors.numpy.load(answer.content)

    async def sessions(self) -> list[str]:
        """List the names of all sessions, parked ones included."""
        return [str(line["session"]) for line in await self._list()]

    async def count_sessions(self) -> tuple[int, int]:
        """Count those with a connection, and all."""
        lines = await self._list()
        return sum(bool(line.get("attached")) for line in lines), len(lines)

    async def _list(self) -> list[dict[str, object]]:
        lines: list[dict[str, object]] = []
        after: str | None = ""
        while after is not None:
            answer = await self._http.get("/v1/sessions", params={"after": after, "limit": 1000})
            assert answer.status_code == httpx.codes.OK, answer.text
            page = answer.json()
            lines += page["sessions"]
            after = page["next"]
        return lines

    async def close(self) -> None:
        """Leave nothing behind."""
        await self._http.aclose()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self.kill()

    async def _is_ready(self) -> bool:
        try:
            answer = await self._http.get("/health/ready")
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.OK


@asynccontextmanager
async def server_process(folder: Path, **settings: str) -> AsyncIterator[ServerProcess]:
    """Run a server; its data folder is ``folder / "data"``."""
    server = ServerProcess(folder, {name.upper(): value for name, value in settings.items()})
    try:
        await server.start()
        yield server
    finally:
        await server.close()
    assert "Traceback" not in server.log, server.log
