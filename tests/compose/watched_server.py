"""A server under live load, watched by a real Prometheus, without containers.

The server runs on a thread of this process, two replays and Debian's ``prometheus`` beside it.
"""

import asyncio
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import yaml

from tests.compose.dashboard_data import TIMEOUT_S, without_data
from tests.docker.dashboard import GRAFANA
from tests.end_to_end.conversation_partner import SMALL_OPEN, connected, label
from tests.end_to_end.running_server import server_thread

PATIENCE_S = 300.0
"""Longest wait for a picture; a server that has never run compiles its kernel first."""

LOOK_EVERY_S = 1.0
ROOT = Path(__file__).resolve().parents[2]
REPLAY = "import sys; from clients.replay import main; sys.exit(main())"


class NoPrometheus(Exception):
    """The program ``prometheus`` is not installed."""


class Watched(NamedTuple):
    """Where the two can be asked, and since when they run."""

    server: str
    prometheus: str
    since_s: float


@contextmanager
def watched_server(folder: Path) -> Iterator[Watched]:
    """Run everything until the caller is done.

    Args:
        folder: Where the sessions and Prometheus' data may lie.

    Raises:
        NoPrometheus: It can't be run here.
    """
    program = shutil.which("prometheus")
    if program is None:
        raise NoPrometheus("the program prometheus is not installed")
    storage: dict[str, object] = {"url": str(folder / "data"), "snapshot_every_s": 2.0}
    with ExitStack() as running:
        server = running.enter_context(server_thread({"storage": storage})).host
        port = _free_port()
        (folder / "prometheus.yml").write_text(_configuration(server), encoding="utf-8")
        arguments = [
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ]
        running.enter_context(_beside([program, *arguments]))
        watched = Watched(server, f"http://127.0.0.1:{port}", time.time())
        _wait_until_ready(f"http://{server}/health/ready")
        _wait_until_ready(f"{watched.prometheus}/-/ready")
        for language in ("english", "german"):
            replay = [sys.executable, "-c", REPLAY, f"digits:{language}", "--forever", "--plain"]
            where = [f"--url=ws://{server}/v1/stream", f"--session={language}", "--speed=5"]
            running.enter_context(_beside([*replay, *where]))
        _wait_until_scraped(watched.prometheus)
        asyncio.run(_be_refused(f"ws://{server}/v1/stream"))
        yield watched


def wait_for_every_panel(watched: Watched) -> list[tuple[str, str]]:
    """Wait until every query of the dashboard has data; return those that have none in the end."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        empty = without_data(watched.prometheus, start_s=watched.since_s, end_s=time.time())
        if not empty or time.monotonic() > deadline_s:
            return empty
        time.sleep(LOOK_EVERY_S)


def _configuration(server: str) -> str:
    """Return the stack's configuration with another address and no token."""
    folder = GRAFANA.parent / "prometheus"
    stack = yaml.safe_load((folder / "prometheus.yml").read_text(encoding="utf-8"))
    [job] = stack["scrape_configs"]
    job.pop("authorization", None)
    job["static_configs"] = [{"targets": [server]}]
    stack["rule_files"] = [str(folder / name) for name in stack["rule_files"]]
    return str(yaml.safe_dump(stack))


@contextmanager
def _beside(command: list[str]) -> Iterator[None]:
    """Run a program beside this one, and end it."""
    process = subprocess.Popen(  # noqa: S603 - our own commands
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)


def _wait_until_ready(url: str) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        try:
            if httpx.get(url, timeout=PATIENCE_S, trust_env=False).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(LOOK_EVERY_S)
    raise AssertionError(f"{url} is not ready")


def _wait_until_scraped(prometheus: str) -> None:
    """Wait for the first look: what is counted before it never rises, and so is no rate."""
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        answer = httpx.get(
            f"{prometheus}/api/v1/query",
            params={"query": "tclif_ready"},
            timeout=TIMEOUT_S,
            trust_env=False,
        )
        if answer.json()["data"]["result"]:
            return
        time.sleep(LOOK_EVERY_S)
    raise AssertionError(f"{prometheus} scrapes nothing")


async def _be_refused(url: str) -> None:
    """Label a segment that never was, and ask for too much: errors and refusals have data."""
    async with connected(url) as partner:
        await partner.open(session="rude")
        await partner.send(label(9, 0))
        await partner.settle()
    async with connected(url) as partner:
        huge = {"hidden": [2048, 2048], "classes": 2}
        await partner.say(SMALL_OPEN | {"session": "huge", "network": huge})
        await partner.closed()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
