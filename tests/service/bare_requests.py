"""Requests for ASGI middleware, without a server."""

import json
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass
class Answer:
    """What came back.

    Attributes:
        status: Of the answer.
        headers: Their names in lower case.
        body: As JSON.
        scopes: What reached the application behind.
        close_code: Of a WebSocket that was accepted; ``body`` is then its last message.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, object] = field(default_factory=dict)
    scopes: list[Scope] = field(default_factory=list)
    close_code: int | None = None


class Behind:
    """An application that answers 200 and notes what it was asked."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the whole body and answer."""
        self.scopes.append(scope)
        if scope["type"] == "http":
            while (await receive()).get("more_body"):
                pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


async def ask(
    app: ASGIApp,
    behind: Behind,
    *,
    path: str = "/v1/sessions",
    method: str = "GET",
    scope_type: str = "http",
    subprotocols: tuple[str, ...] = (),
    headers: dict[str, str] | None = None,
    body: tuple[bytes, ...] = (b"",),
) -> Answer:
    """Send one request through ``app``."""
    answer = Answer(scopes=behind.scopes)
    chunks = list(body)

    async def receive() -> Message:
        if scope_type == "websocket":
            return {"type": "websocket.connect"}
        chunk = chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

    async def send(message: Message) -> None:
        if message["type"].endswith("response.start"):
            answer.status = message["status"]
            answer.headers = {k.decode().lower(): v.decode() for k, v in message["headers"]}
        elif message["type"] == "websocket.accept":
            answer.status = 101
        elif message["type"] == "websocket.close":
            answer.close_code = message["code"]
        else:
            answer.body = json.loads(message.get("body") or message["text"])

    named = {name.lower().encode(): value.encode() for name, value in (headers or {}).items()}
    scope: Scope = {
        "type": scope_type,
        "method": method,
        "path": path,
        "headers": list(named.items()),
        "subprotocols": list(subprotocols),
        "client": ("192.0.2.7", 5555),
        "extensions": {"websocket.http.response": {}},
    }
    await app(scope, receive, send)
    return answer
