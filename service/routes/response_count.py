"""Every HTTP answer, refused handshakes included, counted by its status."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_STARTS = ("http.response.start", "websocket.http.response.start")


class ResponseCount:
    """ASGI middleware outside all others: what they refuse is counted too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and count what it is answered."""

        async def count(message: Message) -> None:
            if message["type"] in _STARTS:
                scope["app"].state.service.telemetry.answered(message["status"])
            await send(message)

        await self._app(scope, receive, count)
