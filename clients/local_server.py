"""A server of one's own on loopback, for as long as it is needed."""

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from typing import IO

_START_S = 600.0
"""Long enough to compile the kernel on a machine that is busy with other things."""

_STOP_S = 15.0
_ASK_EVERY_S = 0.2


class ServerFailed(Exception):
    """The server did not come up."""


@contextlib.contextmanager
def local_server() -> Iterator[str]:
    """Run a server on a free port meanwhile; yields ``host:port`` once it is ready.

    The first start on a machine compiles the kernel and takes longer.

    Raises:
        ServerFailed: It ended, or was not ready in time.
    """
    port = _free_port()
    with tempfile.TemporaryFile("w+") as log, tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "service", "--port", str(port), "--data", data]
        command += ["--log-level", "warning"]
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - our own command
        try:
            _wait_until_ready(process, port, log)
            yield f"127.0.0.1:{port}"
        finally:
            _stop(process)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: IO[str]) -> None:
    deadline_s = time.monotonic() + _START_S
    while not _is_ready(port):
        if process.poll() is not None:
            log.seek(0)
            raise ServerFailed(f"the server ended with code {process.returncode}: {log.read()}")
        if time.monotonic() > deadline_s:
            raise ServerFailed(f"the server was not ready after {_START_S:g} s")
        time.sleep(_ASK_EVERY_S)


def _is_ready(port: int) -> bool:
    # a proxy of the environment would look for its own loopback
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
