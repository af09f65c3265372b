"""What the socket layer alone costs: an echo of the wire's message sizes, by implementation.

    python -m benchmarks.socket_ceiling [--rounds 5] [--frames 4000]

Connections send what `tclif-load` sends, 40 ms of events (3,624 bytes) and the closing frame (24
bytes); each closing frame is answered with two texts as long as a prediction and an ack. Nothing is
decoded, binned or computed. Counted is the CPU time of the server's process, so a busy machine
disturbs little; the implementations take turns. Writes ``benchmarks/results/socket_ceiling.json``.
"""

import argparse
import asyncio
import json
import multiprocessing
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from benchmarks.measured_on import facts
from clients.load_socket import LoadSocket, connect
from clients.load_task import Task
from service.access.bounded_web_socket import BoundedWebSocket
from service.wire_protocol import HEADER_BYTES, Ack, Prediction, encode

RESULTS = Path(__file__).parent / "results" / "socket_ceiling.json"
CONNECTIONS = 50
IN_FLIGHT = (1, 8)

_PREDICTION = encode(
    Prediction(
        segment=100,
        tick=120,
        t_us=100_000_000,
        index=12,
        label="12",
        confidence=0.123456789,
        final=False,
    )
)
_ACK = encode(Ack(applied=123_456, durable=123_456, credit_ticks=8192))


@dataclass(frozen=True, slots=True)
class Layer:
    """One way to serve sockets.

    Attributes:
        app: ``bare`` ASGI, or ``FastAPI``.
        sockets: Uvicorn's WebSocket implementation, or ``gated``: the service's own subclass.
    """

    app: str
    sockets: str


def layers() -> list[Layer]:
    """Return what is installed."""
    sockets = ["websockets-sansio", "websockets"]
    if find_spec("wsproto") is not None:
        sockets.append("wsproto")
    return [
        *(Layer(app, each) for each in sockets for app in ("bare", "FastAPI")),
        Layer("FastAPI", "gated"),
    ]


async def _bare(_: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        if len(message["bytes"]) == HEADER_BYTES:
            await send({"type": "websocket.send", "text": _PREDICTION})
            await send({"type": "websocket.send", "text": _ACK})


def _fastapi() -> FastAPI:
    app = FastAPI()

    @app.websocket("/v1/stream")
    async def stream(connection: WebSocket) -> None:
        await connection.accept()
        try:
            while True:
                if len(await connection.receive_bytes()) == HEADER_BYTES:
                    await connection.send_text(_PREDICTION)
                    await connection.send_text(_ACK)
        except WebSocketDisconnect:
            return

    return app


class _Told(uvicorn.Server):
    """A server that tells its port once it listens."""

    def __init__(self, config: uvicorn.Config, pipe: Connection) -> None:
        super().__init__(config)
        self._pipe = pipe

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._pipe.send(self.servers[0].sockets[0].getsockname()[1])


def _serve(layer: Layer, pipe: Connection) -> None:
    """Serve in a process of its own: tell the port, then the CPU time whenever it is asked for."""
    config = uvicorn.Config(
        _bare if layer.app == "bare" else _fastapi(),
        port=0,
        ws=BoundedWebSocket if layer.sockets == "gated" else layer.sockets,
        lifespan="off",
        log_level="error",
        access_log=False,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
    )

    async def serve() -> None:
        asyncio.get_running_loop().add_reader(pipe.fileno(), _tell_cpu_time, pipe)
        await _Told(config, pipe).serve()

    asyncio.Runner(loop_factory=config.get_loop_factory()).run(serve())


def _tell_cpu_time(pipe: Connection) -> None:
    pipe.recv()
    pipe.send(time.process_time())


class Caller:
    """One connection's other end; it keeps some frames in flight until its share is answered."""

    def __init__(self, n_frames: int, in_flight: int, frame: Sequence[bytes]) -> None:
        self._n_left = n_frames
        self._n_texts = 0
        self._in_flight = in_flight
        self._frame = frame
        self.socket: LoadSocket | None = None
        self.is_open, self.done = asyncio.Event(), asyncio.Event()

    def connected(self) -> None:
        """Note that frames can be sent."""
        self.is_open.set()

    def begin(self) -> None:
        """Send the first frames."""
        self._n_texts = -2 * self._n_left
        for _ in range(self._in_flight):
            self._send()

    def heard(self, texts: Sequence[bytes]) -> None:
        """Send a frame for each that was answered."""
        n_before = self._n_texts
        self._n_texts += len(texts)
        for _ in range(self._n_texts // 2 - n_before // 2):
            self._send()
        if not self._n_texts:
            self.done.set()

    def lost(self, close_code: int, reason: str) -> None:
        """Wait for nothing any more."""
        del close_code, reason
        self.done.set()

    def _send(self) -> None:
        if self._n_left:
            self._n_left -= 1
            assert self.socket is not None, "it is connected"
            self.socket.send(self._frame)


async def _call(port: int, n_frames: int, in_flight: int, pipe: Connection) -> float:
    """Return the server's CPU seconds for a frame."""
    task = Task()
    frame = [task.frame(0, 0, 0), task.close]
    callers = [Caller(n_frames // CONNECTIONS, in_flight, frame) for _ in range(CONNECTIONS)]
    url = f"ws://127.0.0.1:{port}/v1/stream"
    for caller in callers:
        caller.socket = LoadSocket(url, None, caller)
        await connect(caller.socket, url)
        await caller.is_open.wait()
    before_s = _cpu_s(pipe)
    for caller in callers:
        caller.begin()
    for caller in callers:
        await caller.done.wait()
    after_s = _cpu_s(pipe)
    for caller in callers:
        assert caller.socket is not None, "it is connected"
        caller.socket.abort()
    return (after_s - before_s) / (n_frames // CONNECTIONS * CONNECTIONS)


def _cpu_s(pipe: Connection) -> float:
    pipe.send(None)
    seconds: float = pipe.recv()
    return seconds


@contextmanager
def served(layer: Layer) -> Iterator[tuple[int, Connection]]:
    """Run a server meanwhile; yields its port and the way to it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(layer, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv(), ours
    finally:
        process.terminate()
        process.join()


def measure(n_rounds: int, n_frames: int) -> dict[tuple[Layer, int], list[float]]:
    """Return the microseconds of CPU a frame of each layer and number in flight, by round."""
    times: dict[tuple[Layer, int], list[float]] = {}
    with ExitStack() as stack:
        servers = [(layer, stack.enter_context(served(layer))) for layer in layers()]
        # the first round warms up
        for number in range(n_rounds + 1):
            for layer, (port, pipe) in servers:
                for in_flight in IN_FLIGHT:
                    seconds = asyncio.run(_call(port, n_frames, in_flight, pipe))
                    if number:
                        times.setdefault((layer, in_flight), []).append(seconds * 1e6)
    return times


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="What the socket layer alone costs.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=4000, help="of all connections together")
    options = parser.parse_args()
    times = measure(options.rounds, options.frames)
    print("| app | sockets | in flight | CPU µs a frame: median (least to most) |")
    print("|---|---|---|---|")
    for (layer, in_flight), rounds in times.items():
        spread = f"{median(rounds):.1f} ({min(rounds):.1f} to {max(rounds):.1f})"
        print(f"| {layer.app} | {layer.sockets} | {in_flight} | {spread} |")
    about = facts(f"python -m benchmarks.socket_ceiling --rounds {options.rounds}")
    lines = [
        {"app": layer.app, "sockets": layer.sockets, "in_flight": in_flight, "cpu_us": rounds}
        for (layer, in_flight), rounds in times.items()
    ]
    RESULTS.write_text(json.dumps(about | {"lines": lines}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
