"""A client in a process of its own, driven line by line: the same words for every language.

A driver reads JSON objects from its input, one a line. The first says where to connect and what
to open; each further one names a call, which the driver answers with ``done`` once the client has
taken it. What the client hears is written down as it comes, in the names of the wire, and at last
how the client ended.
"""

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.end_to_end.conversation_partner import (
    SMALL_OPEN,
    TIMEOUT_S,
    Event,
    Heard,
    Message,
)

NODE = shutil.which("node")
_HERE = Path(__file__).parent
_LINE_BYTES = 1 << 24

COMMANDS: dict[str, list[str]] = {
    "python": [sys.executable, "-m", "tests.end_to_end.python_driver"],
    "javascript": [
        NODE or "node",
        "--experimental-websocket",
        "--no-warnings",
        str(_HERE / "javascript_driver.mjs"),
    ],
}


class DrivenClient:
    """The test's end of a driver.

    Attributes:
        heard: What the client has told its application, in its order.
        opened: What the server said at each attachment.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.heard: list[Heard] = []
        self.opened: list[Heard] = []
        self._process = process
        self._end: Heard | None = None

    async def call(self, name: str, **arguments: object) -> Heard:
        """Have the client do something, and wait until it has taken it."""
        await self._write({"call": name, **arguments})
        return await self._until("done")

    async def send(self, *messages: Message) -> None:
        """Say messages of the conversation partner through the client's own calls."""
        for message in messages:
            name, arguments = _as_call(message)
            await self.call(name, **arguments)

    async def settle(self) -> list[Heard]:
        """Wait until everything said is applied; return all that was heard so far."""
        await self.call("settle")
        return self.heard

    async def close(self) -> Heard:
        """Have the client end in order; return how it ended."""
        await self._write({"call": "close"})
        return await self.ended()

    async def ended(self) -> Heard:
        """Wait until the client has ended; return how."""
        return self._end or await self._until("ended")

    def pause(self) -> None:
        """Stop the client in its tracks: it reads nothing more."""
        self._process.send_signal(signal.SIGSTOP)

    def proceed(self) -> None:
        """Let the client go on after a pause."""
        self._process.send_signal(signal.SIGCONT)

    async def begin(self, url: str, request: dict[str, object], token: str | None) -> None:
        """Tell the client where to go, and wait until it is attached or has ended."""
        await self._write({"url": url, "request": request, "token": token})
        await self._until("opened", "ended")

    async def leave(self) -> None:
        """End the process, however it stands."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def _write(self, line: dict[str, object]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        await self._process.stdin.drain()

    async def _until(self, *names: str) -> Heard:
        assert self._process.stdout is not None
        while True:
            async with asyncio.timeout(TIMEOUT_S):
                text = await self._process.stdout.readline()
            assert text, f"the driver ended before it said one of {names}"
            [(name, value)] = json.loads(text).items()
            if name == "heard":
                self.heard.append(value)
            elif name == "opened":
                self.opened.append(value)
            elif name == "ended":
                self._end = value
            if name in names:
                told: Heard = value
                return told
            assert name != "ended", f"the client ended instead: {value}"


@asynccontextmanager
async def driven(
    language: str, url: str, fields: Mapping[str, object] | None = None, *, token: str | None = None
) -> AsyncIterator[DrivenClient]:
    """Run a client that opens the small session, with other or more fields."""
    process = await asyncio.create_subprocess_exec(
        *COMMANDS[language],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES,
        cwd=_HERE.parents[1],
    )
    client = DrivenClient(process)
    try:
        request = {
            name: v for name, v in (SMALL_OPEN | dict(fields or {})).items() if name != "type"
        }
        await client.begin(url, request, token)
        yield client
    finally:
        await client.leave()


def _as_call(message: Message) -> tuple[str, dict[str, object]]:
    if not isinstance(message, tuple):
        arguments = {name: value for name, value in message.items() if name != "type"}
        return str(message["type"]), arguments
    base_us, pairs = message
    if not pairs:
        return "advance", {"t_us": base_us}
    return "events", _columns(pairs)


def _columns(pairs: Sequence[Event]) -> dict[str, object]:
    return {
        "times_us": [t_us for t_us, _ in pairs],
        "addresses": [address for _, address in pairs],
    }
