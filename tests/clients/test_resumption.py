"""When a client comes back."""

import pytest

from clients.connection_errors import (
    ClientError,
    ServerUnreachable,
    SessionLost,
    SessionRefused,
    TakenOver,
)
from clients.resumption import LOST, Farewell
from service.wire_protocol import ErrorMessage, Goodbye, GoodbyeReason


@pytest.mark.parametrize("code", [LOST, 1001, 1011, 1012, 1013, 4408, 4429, 4500])
def test_a_client_comes_back_after(code: int) -> None:
    assert Farewell(code).failure is None


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1000, SessionLost),
        (1007, SessionRefused),
        (1009, SessionRefused),
        (4400, SessionRefused),
        (4401, SessionRefused),
        (4404, SessionLost),
    ],
)
def test_a_client_stays_away_after(code: int, kind: type[ClientError]) -> None:
    assert isinstance(Farewell(code).failure, kind)


@pytest.mark.parametrize(
    ("reason", "code", "kind"),
    [
        ("taken_over", 1000, TakenOver),
        ("taken_over", LOST, TakenOver),
        ("deleted", 4404, SessionLost),
        ("draining", 1012, None),
        ("idle", 4408, None),
        ("quota", 4429, None),
    ],
)
def test_the_reason_of_a_goodbye_decides(
    reason: GoodbyeReason, code: int, kind: type[ClientError] | None
) -> None:
    failure = Farewell(code, goodbye=Goodbye(reason=reason, durable=0)).failure

    assert failure is None if kind is None else isinstance(failure, kind)


def test_a_refusal_speaks_in_the_servers_words() -> None:
    told = ErrorMessage(code="bad_address", message="address 700 came", fatal=True)

    refusal = Farewell(4400, error=told).failure

    assert isinstance(refusal, SessionRefused)
    assert (refusal.code, refusal.close_code) == ("bad_address", 4400)
    assert str(refusal) == "address 700 came (bad_address)"


@pytest.mark.parametrize(
    ("code", "name"), [(1009, "frame_too_large"), (4429, "quota"), (LOST, "connection_lost")]
)
def test_a_refusal_without_words_is_named_after_its_close_code(code: int, name: str) -> None:
    refusal = Farewell(code).refusal

    assert isinstance(refusal, SessionRefused)
    assert refusal.code == name


def test_a_server_that_was_never_reached_says_why() -> None:
    nobody = ServerUnreachable("nobody there")

    assert Farewell(unreachable=nobody).refusal is nobody
    assert Farewell(unreachable=nobody).failure is None


def test_the_server_says_how_long_to_wait() -> None:
    goodbye = Goodbye(reason="draining", durable=0, retry_after_ms=1500)
    full = ErrorMessage(code="overloaded", message="full", fatal=True, retry_after_ms=5000)

    assert Farewell(1013, error=full).retry_after_s == 5.0
    assert Farewell(1012, error=full, goodbye=goodbye).retry_after_s == 5.0
    assert Farewell(1012, goodbye=goodbye).retry_after_s == 1.5
    assert Farewell(1012).retry_after_s == Farewell(1013).retry_after_s == 1.0
    assert Farewell().retry_after_s == 0.0
