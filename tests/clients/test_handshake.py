"""What a client makes of a handshake that is answered with an HTTP status."""

import json

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Response

from clients.connection_errors import ServerUnreachable, SessionRefused
from clients.handshake import refused_handshake
from clients.resumption import Farewell

URL = "ws://there/v1/stream"


def answered(
    status: int,
    *,
    url: str = URL,
    code: str | None = None,
    body: bytes = b"",
    retry_after: str | None = None,
    has_token: bool = True,
) -> Farewell:
    headers = Headers() if retry_after is None else Headers({"Retry-After": retry_after})
    if code is not None:
        body = json.dumps({"code": code, "detail": "because", "status": status}).encode()
    return refused_handshake(url, Response(status, "", headers, body), has_token=has_token)


@pytest.mark.parametrize(
    ("status", "code", "close_code"),
    [(400, "bad_message", 4400), (401, "unauthorized", 4401), (403, "unauthorized", 4401)],
)
def test_a_client_stays_away_after(status: int, code: str, close_code: int) -> None:
    failure = answered(status, code=code).failure

    assert isinstance(failure, SessionRefused)
    assert (failure.code, failure.close_code) == (code, close_code)
    assert str(failure) == f"{URL} answers HTTP {status}: because ({code})"


@pytest.mark.parametrize(
    ("status", "code", "at_least_s"), [(429, "quota", 5.0), (503, "overloaded", 1.0)]
)
def test_a_client_comes_back_later_after(status: int, code: str, at_least_s: float) -> None:
    told, untold = answered(status, code=code), answered(status)

    assert told.failure is untold.failure is None
    assert isinstance(told.refusal, SessionRefused)
    assert isinstance(untold.refusal, SessionRefused)
    assert told.refusal.code == untold.refusal.code == code
    assert told.retry_after_s == at_least_s


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("7", 7.0), ("999999999", 3600.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 5.0), ("-3", 5.0)],
)
def test_the_wait_that_a_refusal_asks_for_is_kept(retry_after: str, seconds: float) -> None:
    assert answered(429, code="quota", retry_after=retry_after).retry_after_s == seconds


@pytest.mark.parametrize("status", [302, 400, 404, 500, 502, 599])
def test_what_another_server_says_is_no_answer_of_ours(status: int) -> None:
    end = answered(status)

    assert end.failure is None
    assert isinstance(end.refusal, ServerUnreachable)
    assert str(end.refusal) == f"{URL} answers HTTP {status}"


@pytest.mark.parametrize("status", [403, 404])
def test_a_wrong_path_is_told_from_a_missing_credential(status: int) -> None:
    refusal = answered(status, url="ws://there/v1/steam").refusal

    assert isinstance(refusal, ServerUnreachable)
    assert str(refusal).endswith("no stream is there; this server's streams are at /v1/stream")


def test_a_refusal_with_a_reason_is_told_whatever_the_path() -> None:
    assert isinstance(answered(403, url="ws://there/", code="x").refusal, SessionRefused)


def test_a_server_behind_a_prefix_is_at_the_right_path() -> None:
    assert isinstance(answered(403, url="ws://there/tclif/v1/stream").refusal, SessionRefused)


@pytest.mark.parametrize(("has_token", "said"), [(True, False), (False, True)])
def test_a_token_that_is_missing_is_asked_for(
    has_token: bool,  # noqa: FBT001 - a parameter of pytest
    said: bool,  # noqa: FBT001 - a parameter of pytest
) -> None:
    refusal = answered(401, code="unauthorized", has_token=has_token).refusal

    assert ("TCLIF_TOKEN" in str(refusal)) == said


@pytest.mark.parametrize("body", [b"no\n", b"[]", b'{"code": 1, "detail": "x"}', b"{" * 9])
def test_a_body_of_another_form_gives_no_reason(body: bytes) -> None:
    assert str(answered(401, body=body).refusal) == f"{URL} answers HTTP 401 (unauthorized)"
