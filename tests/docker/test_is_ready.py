"""The health check of the images, against small servers of its own."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typing_extensions import override

CHECK = Path(__file__).parents[2] / "docker" / "is_ready.py"


@contextmanager
def answering(status: int, host: str = "127.0.0.1") -> Iterator[int]:
    """Run a server whose health is always this status to who asks this host; yields its port."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_allowed = self.headers.get_all("Host") == [host]
            known = status if self.path == "/health/ready" else 404
            self.send_response(known if is_allowed else 403)
            self.end_headers()

        @override
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Health)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def check(port: int, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, str(CHECK)],
        env={"TCLIF_LISTENER__PORT": str(port)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_ready_server_is_healthy() -> None:
    with answering(200) as port:
        outcome = check(port)

    assert (outcome.returncode, outcome.stderr) == (0, "")


@pytest.mark.parametrize(
    ("listens_on", "asked_for"), [("tclif.example.org", "tclif.example.org"), ("::", "[::]")]
)
def test_it_asks_for_the_host_that_is_allowed_whatever_the_list(
    listens_on: str, asked_for: str
) -> None:
    with answering(200, asked_for) as port:
        outcome = check(port, TCLIF_LISTENER__HOST=listens_on)

    assert (outcome.returncode, outcome.stderr) == (0, "")


@pytest.mark.parametrize("status", [503, 404, 301])
def test_a_server_that_is_not_ready_is_unhealthy(status: int) -> None:
    with answering(status) as port:
        outcome = check(port)

    assert outcome.returncode == 1
    assert f"answered {status}, 200 was expected" in outcome.stderr


def test_silence_is_unhealthy() -> None:
    with answering(200) as port:
        pass

    outcome = check(port)

    assert outcome.returncode == 1
    assert "no answer" in outcome.stderr
