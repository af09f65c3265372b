"""Who may come in: every request and handshake shows a token, or is refused before any route.

What is not public asks for credentials, so a page that somebody adds later is closed until somebody
opens it.
"""

import time
from collections.abc import Callable
from http import HTTPStatus

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from service.access.allowance import Allowance
from service.access.audit import Act, record
from service.access.origin_check import problem
from service.access.principals import LOCAL, Principal
from service.access.token_book import TokenBook
from service.access.traffic_quota import TrafficQuota
from service.errors import CloseCode, QuotaExceeded
from service.logs import LogSubject, begin_subject
from service.wire_protocol import SUBPROTOCOL, ErrorMessage, encode

PUBLIC_PATHS = frozenset({"/health/live", "/health/ready"})
"""Pages without credentials."""

METRICS_PATH = "/metrics"

SUBPROTOCOL_PREFIX = "bearer."
"""How a browser, whose WebSocket can't send a header, shows its token."""

EXPLAINED_REFUSALS_PER_S = 20.0
"""Refusals told by a close code. Each keeps a socket for some seconds if the peer does not read, so
more of them are told by an HTTP status, which keeps none."""

AUDITED_REFUSALS_PER_S = 10.0
"""Refusals that are written down one by one; of more than that only the number is."""


class AccessDenied(Exception):
    """Why somebody is not let in.

    Attributes:
        status: 401 without good credentials, 403 with some that don't reach so far.
    """

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class Access:
    """ASGI middleware that finds out who sends a request, and answers 401 or 403 to others."""

    def __init__(
        self,
        app: ASGIApp,
        tokens: TokenBook,
        traffic: TrafficQuota,
        clock: Callable[[], float] = time.monotonic,
        *,
        public_paths: frozenset[str] = PUBLIC_PATHS,
    ) -> None:
        self._app = app
        self._public_paths = public_paths
        self._tokens = tokens
        self._traffic = traffic
        self._audited = Allowance(AUDITED_REFUSALS_PER_S, AUDITED_REFUSALS_PER_S, clock)
        self._n_silent = 0
        self._explained = Allowance(EXPLAINED_REFUSALS_PER_S, EXPLAINED_REFUSALS_PER_S, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its principal, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        subject = begin_subject(peer=connection.client.host if connection.client else "-")
        refusal = None if scope["path"] in self._public_paths else self._refuse(connection, subject)
        await (refusal or self._app)(scope, receive, send)

    def _refuse(self, connection: HTTPConnection, subject: LogSubject) -> ASGIApp | None:
        """Note whose request it is and return None, or else the answer to somebody who may not."""
        path = connection.scope["path"]
        try:
            principal = self._recognise(connection)
            subject.principal = principal.name
            _check_role(principal, path)
            if connection.scope["type"] == "http":
                self._traffic.of(principal.name).ask()
        except AccessDenied as denied:
            self._write_down(denied, path)
            if _sees_no_status(connection) and self._explained.take():
                return _closed_with(denied)
            answer = problem(denied.status, "unauthorized", str(denied))
            if denied.status == HTTPStatus.UNAUTHORIZED:
                answer.headers["WWW-Authenticate"] = 'Bearer realm="tclif"'
            return answer
        except QuotaExceeded as error:
            answer = problem(error.http_status, error.code, error.message)
            answer.headers["Retry-After"] = "1"
            return answer
        connection.state.principal = principal
        return None

    def _recognise(self, connection: HTTPConnection) -> Principal:
        if not self._tokens.is_configured:
            return LOCAL
        credentials = connection.headers.get("authorization")
        if credentials is not None:
            scheme, _, token = credentials.partition(" ")
            if scheme.lower() != "bearer":
                # the scheme only: what follows it may be a secret
                raise _unauthorized("an Authorization header of another scheme")
            principal = self._tokens.recognise(token.strip())
        else:
            offered = connection.scope.get("subprotocols", ())
            shown = [s for s in offered if s.startswith(SUBPROTOCOL_PREFIX)]
            if not shown:
                raise _unauthorized("no token")
            principal = self._tokens.recognise_encoded(shown[0].removeprefix(SUBPROTOCOL_PREFIX))
        if principal is None:
            raise _unauthorized("a token that is not known, or no longer,")
        return principal

    def _write_down(self, denied: AccessDenied, path: str) -> None:
        # a flood of wrong tokens must not fill the disk with lines
        if self._audited.take():
            record(Act.REFUSE, path=path, reason=str(denied), not_written_before=self._n_silent)
            self._n_silent = 0
        else:
            self._n_silent += 1


def _sees_no_status(connection: HTTPConnection) -> bool:
    """Tell whether a stream is asked for as by a browser, whose pages see close codes only."""
    if connection.scope["type"] != "websocket" or "authorization" in connection.headers:
        return False
    offered = connection.scope.get("subprotocols", ())
    return SUBPROTOCOL in offered and any(s.startswith(SUBPROTOCOL_PREFIX) for s in offered)


def _closed_with(denied: AccessDenied) -> ASGIApp:
    """Return what takes a stream and closes it at once with the reason."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        await socket.accept(SUBPROTOCOL)
        last_words = ErrorMessage(code="unauthorized", message=str(denied), fatal=True)
        await socket.send_text(encode(last_words))
        await socket.close(CloseCode.UNAUTHORIZED)

    return answer


def _unauthorized(what: str) -> AccessDenied:
    return AccessDenied(
        HTTPStatus.UNAUTHORIZED,
        f"{what} came; expected `Authorization: Bearer` and a token of this server, or for a"
        f" stream the subprotocol `{SUBPROTOCOL_PREFIX}` and the token in base64url",
    )


def _check_role(principal: Principal, path: str) -> None:
    if path == METRICS_PATH:
        if not principal.may_read_metrics:
            raise AccessDenied(
                HTTPStatus.FORBIDDEN,
                f"a token of the role {principal.role} came; expected one of the roles"
                " administrator and metrics",
            )
    elif not principal.may_stream:
        raise AccessDenied(
            HTTPStatus.FORBIDDEN,
            f"a token of the role {principal.role} came; expected one of the roles client and"
            " administrator",
        )
