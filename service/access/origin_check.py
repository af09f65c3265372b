"""Who may talk to a server without credentials: only pages and programs of allowed hosts.

A web page elsewhere can make a browser connect to a server on loopback. Its requests carry the
page's ``Origin``, or, after DNS rebinding, a foreign ``Host``: both are held against an allow-list.
"""

from collections.abc import Iterable
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class OriginCheck:
    """ASGI middleware that answers 403 to requests from hosts that are not allowed."""

    def __init__(self, app: ASGIApp, allowed_hosts: Iterable[str]) -> None:
        self._app = app
        self._allowed_hosts = frozenset(host.lower() for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] in ("http", "websocket"):
            refusal = self._refuse(Headers(scope=scope))
            if refusal is not None:
                await problem(403, "unauthorized", refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refuse(self, headers: Headers) -> str | None:
        """Return why a request is refused, or None."""
        host = headers.get("host", "")
        if not self._allows(f"//{host}"):
            return f"Host {host!r} came; expected one of {sorted(self._allowed_hosts)}"
        origin = headers.get("origin")
        if origin is not None and not self._allows(origin):
            return f"Origin {origin!r} came; expected a host of {sorted(self._allowed_hosts)}"
        return None

    def _allows(self, address: str) -> bool:
        try:
            host = urlsplit(address).hostname
        except ValueError:
            return False
        return host is not None and host in self._allowed_hosts


class Problem(BaseModel):
    """An error answer, as the OpenAPI document describes it."""

    type: Literal["about:blank"]
    title: str
    status: int
    code: str
    detail: str


_DESCRIBED: dict[str, Any] = {
    "description": "A problem: what came and what was expected.",
    "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
}

PROBLEMS: dict[int | str, dict[str, Any]] = {"4XX": _DESCRIBED, "5XX": _DESCRIBED}
"""What every page may answer besides what it is asked for."""


def problem(status: int, code: str, detail: str) -> JSONResponse:
    """Return an error answer in the form of RFC 9457."""
    return JSONResponse(
        {"type": "about:blank", "title": code, "status": status, "code": code, "detail": detail},
        status_code=status,
        media_type="application/problem+json",
    )
