"""What a server means that answers a handshake with an HTTP status instead of a WebSocket."""

import json
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from websockets.http11 import Response

from clients.connection_errors import ServerUnreachable
from clients.credentials import TOKEN_VARIABLE
from clients.resumption import Farewell
from service.wire_protocol import ErrorMessage

STREAM_PATH: Final = "/v1/stream"

# the close code that says the same once a connection is open
_CLOSE_CODES: Final[dict[int, int]] = {
    HTTPStatus.BAD_REQUEST: 4400,
    HTTPStatus.UNAUTHORIZED: 4401,
    HTTPStatus.FORBIDDEN: 4401,
    HTTPStatus.TOO_MANY_REQUESTS: 4429,
    HTTPStatus.SERVICE_UNAVAILABLE: 1013,
}
_CODES: Final = {4400: "bad_message", 4401: "unauthorized", 4429: "quota", 1013: "overloaded"}
_LONGEST_WAIT_S: Final = 3600.0


class _Problem(NamedTuple):
    code: str
    detail: str


def refused_handshake(url: str, response: Response, *, has_token: bool) -> Farewell:
    """Read a refusal: the protocol's own reasons, or a server that is none of ours.

    Args:
        url: Where the stream was expected.
        response: What came.
        has_token: Whether a token was shown.

    Returns:
        An end with the close code that means the same, so that the client comes back or does not.
    """
    status = response.status_code
    sentence = f"{url} answers HTTP {status}"
    problem = _problem(response)
    if problem is None and _is_elsewhere(url, status):
        # a server of this protocol says 403 without a word where it has no stream
        sentence += f": no stream is there; this server's streams are at {STREAM_PATH}"
        return Farewell(unreachable=ServerUnreachable(sentence))
    close_code = _CLOSE_CODES.get(status)
    if close_code is None or (problem is None and status == HTTPStatus.BAD_REQUEST):
        return Farewell(unreachable=ServerUnreachable(sentence))
    code = _CODES[close_code] if problem is None else problem.code
    if problem is not None:
        sentence += f": {problem.detail}"
    if status == HTTPStatus.UNAUTHORIZED and not has_token:
        sentence += f"; no token was given, {TOKEN_VARIABLE} or a token file can hold one"
    error = ErrorMessage(code=code, message=sentence, fatal=True)
    return Farewell(close_code, error=error, asked_s=_asked_s(response))


def _is_elsewhere(url: str, status: int) -> bool:
    path = urlsplit(url).path
    return status in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND) and not path.endswith(STREAM_PATH)


def _problem(response: Response) -> _Problem | None:
    """Read the body as ``application/problem+json`` with the protocol's code, if it is that."""
    try:
        fields = json.loads(response.body or b"")
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    code, detail = fields.get("code"), fields.get("detail")
    return _Problem(code, detail) if isinstance(code, str) and isinstance(detail, str) else None


def _asked_s(response: Response) -> float:
    """Read ``Retry-After`` in seconds; the form with a date is left to the back-off."""
    asked = response.headers.get("Retry-After", "")
    return min(float(asked), _LONGEST_WAIT_S) if asked.isdecimal() else 0.0
