"""Host and Origin against the allow-list, on bare ASGI scopes."""

import json
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from service.access.origin_check import OriginCheck, problem

ALLOWED = ("localhost", "127.0.0.1", "::1")


async def status_for(scope_type: str = "http", **headers: str) -> tuple[int, dict[str, Any]]:
    """Send one request through the check; an application behind it answers 200."""
    sent: list[Message] = []

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": scope_type,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "extensions": {"websocket.http.response": {}},
    }
    await OriginCheck(application, ALLOWED)(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8700", "LOCALHOST", "127.0.0.1:1", "[::1]:8700"]
)
async def test_a_request_to_an_allowed_host_passes(host: str) -> None:
    status, _ = await status_for(host=host)

    assert status == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "evil.example:80#localhost",
        "[::1",
        "127.0.0.1.nip.example",
        "0.0.0.0",  # noqa: S104 - a foreign name here, not a bind
    ],
)
@pytest.mark.parametrize("scope_type", ["http", "websocket"])
async def test_a_request_to_a_foreign_host_is_refused(scope_type: str, host: str) -> None:
    status, body = await status_for(scope_type, host=host)

    assert status == 403
    assert body["code"] == "unauthorized"
    assert f"Host {host!r} came" in body["detail"]


async def test_a_request_without_a_host_is_refused() -> None:
    status, _ = await status_for()

    assert status == 403


@pytest.mark.parametrize(
    "origin", ["http://localhost", "http://localhost:3000", "https://127.0.0.1", "http://[::1]:9"]
)
async def test_a_page_of_an_allowed_host_passes(origin: str) -> None:
    status, _ = await status_for(host="localhost", origin=origin)

    assert status == 200


@pytest.mark.parametrize(
    "origin",
    ["null", "", "http://evil.example", "http://localhost.evil.example", "localhost", "http://["],
)
@pytest.mark.parametrize("scope_type", ["http", "websocket"])
async def test_a_page_from_elsewhere_is_refused(scope_type: str, origin: str) -> None:
    status, body = await status_for(scope_type, host="localhost", origin=origin)

    assert status == 403
    assert f"Origin {origin!r} came" in body["detail"]


async def test_the_lifespan_of_the_server_passes_unasked() -> None:
    status, _ = await status_for("lifespan")

    assert status == 200


def test_a_problem_has_the_form_of_its_media_type() -> None:
    response = problem(418, "bad_message", "a teapot came")

    assert response.media_type == "application/problem+json"
    assert json.loads(bytes(response.body)) == {
        "type": "about:blank",
        "title": "bad_message",
        "status": 418,
        "code": "bad_message",
        "detail": "a teapot came",
    }
