"""What a request that changes something must look like, on bare ASGI scopes."""

import asyncio

import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message

from service.access.request_form import RequestForm
from service.settings import ListenerSettings
from tests.service.bare_requests import Answer, Behind, ask

JSON = {"Content-Type": "application/json"}


async def send(
    method: str, headers: dict[str, str] | None = None, body: tuple[bytes, ...] = (b"",)
) -> Answer:
    behind = Behind()
    app = RequestForm(behind, ListenerSettings(max_body_bytes=1024))
    return await ask(app, behind, method=method, headers=headers, body=body)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_a_request_that_changes_nothing_needs_no_type(method: str) -> None:
    assert (await send(method)).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "STRANGE"])
@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/jso"]
)
async def test_a_request_that_changes_something_is_json(
    method: str, content_type: str | None
) -> None:
    answer = await send(method, {} if content_type is None else {"Content-Type": content_type})

    assert (answer.status, answer.body["code"]) == (415, "bad_message")
    assert "expected 'application/json'" in str(answer.body["detail"])
    assert answer.scopes == []


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8"])
async def test_json_passes_with_its_parameters(content_type: str) -> None:
    assert (await send("POST", {"Content-Type": content_type})).status == 200


async def test_a_body_up_to_the_limit_passes_in_pieces() -> None:
    assert (await send("POST", JSON, (b"x" * 1000, b"x" * 24))).status == 200


async def test_a_body_beyond_the_limit_is_read_no_further() -> None:
    with pytest.raises(HTTPException, match="1025 bytes of body came; expected at most 1024") as e:
        await send("POST", JSON, (b"x" * 1000, b"x" * 25, b"never read"))

    assert e.value.status_code == 413


async def test_a_body_that_never_ends_is_given_up() -> None:
    behind = Behind()
    app = RequestForm(behind, ListenerSettings(body_timeout_s=0.01))

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def ignore(message: Message) -> None:
        raise AssertionError(message)

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}
    with pytest.raises(HTTPException, match=r"no whole body came in 0\.01 s") as e:
        await app(scope, receive, ignore)

    assert e.value.status_code == 408


async def test_a_stream_is_none_of_its_business() -> None:
    behind = Behind()
    app = RequestForm(behind, ListenerSettings())

    assert (await ask(app, behind, scope_type="websocket")).status == 200
