import http.server
import socket
import threading

import pytest
from typing_extensions import override

from clients.connection_errors import ServerUnreachable
from clients.load_metrics import read_metrics


class Refusing(http.server.BaseHTTPRequestHandler):
    """Asks everybody for a token."""

    def do_GET(self) -> None:
        """Answer 401 and nothing else."""
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    @override
    def log_message(self, format: str, *args: object) -> None: ...


@pytest.mark.parametrize(
    ("token", "said"), [(None, "no token was given"), ("abc", "the token shown may not read them")]
)
def test_a_server_that_wants_a_token_is_told_as_such(token: str | None, said: str) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/metrics"

        with pytest.raises(ServerUnreachable, match=f"HTTP 401; {said}.*TCLIF_TOKEN"):
            read_metrics(url, token)
        thread.join()


def test_a_server_that_is_not_there_is_told_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(ServerUnreachable, match=r"no server answers at .*: .*refused"):
        read_metrics(f"http://127.0.0.1:{port}/metrics", None)
