"""What a request that changes something must look like: JSON, not too long, not too slow.

A page elsewhere can make a browser send forms and plain text to any server, but not JSON.
"""

import asyncio
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access.origin_check import problem
from service.settings import ListenerSettings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

CONTENT_TYPE = "application/json"


class RequestForm:
    """ASGI middleware that refuses bodies of another type with 415, long ones with 413."""

    def __init__(self, app: ASGIApp, settings: ListenerSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its body bounded, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if scope["method"] not in SAFE_METHODS and content_type != CONTENT_TYPE:
            refusal = f"Content-Type {content_type!r} came; expected {CONTENT_TYPE!r}"
            answer = problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "bad_message", refusal)
            await answer(scope, receive, send)
            return
        await self._app(scope, self._bounded(receive), send)

    def _bounded(self, receive: Receive) -> Receive:
        loop = asyncio.get_running_loop()
        due_s = loop.time() + self._settings.body_timeout_s
        n_bytes = 0
        is_whole = False

        async def receive_some() -> Message:
            nonlocal n_bytes, is_whole
            if is_whole:
                # what comes now is the end of the connection, and may take its time
                return await receive()
            try:
                async with asyncio.timeout_at(due_s):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(
                    HTTPStatus.REQUEST_TIMEOUT,
                    f"no whole body came in {self._settings.body_timeout_s:g} s; expected one",
                ) from None
            n_bytes += len(message.get("body", b""))
            if n_bytes > self._settings.max_body_bytes:
                raise HTTPException(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"{n_bytes} bytes of body came; expected at most"
                    f" {self._settings.max_body_bytes}",
                )
            is_whole = not message.get("more_body", False)
            return message

        return receive_some
