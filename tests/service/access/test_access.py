"""Who is let in, on bare ASGI scopes; what the log says of those who are not."""

import base64
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.access.access import AUDITED_REFUSALS_PER_S, EXPLAINED_REFUSALS_PER_S, Access
from service.access.principals import LOCAL, Principal, Role
from service.access.token_book import TokenBook
from service.access.token_file import new_token, write_tokens
from service.access.traffic_quota import TrafficQuota
from service.settings import QuotaSettings
from tests.service.bare_requests import Answer, Behind, ask
from tests.service.fake_clock import FakeClock

MADE = datetime(2026, 1, 2, tzinfo=UTC)


class Door:
    """An access check with one token of each role."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        made = {role: new_token(f"the-{role}", role, MADE) for role in Role}
        self.tokens = {role: token for role, (token, _) in made.items()}
        self.entries = {role: entry for role, (_, entry) in made.items()}
        path = folder / "tokens.json"
        write_tokens(path, tuple(self.entries.values()))
        self.behind = Behind()
        self.app = Access(
            self.behind,
            TokenBook(path),
            TrafficQuota(QuotaSettings(requests_per_s=50.0), clock),
            clock,
        )

    async def ask(self, path: str = "/v1/sessions", token: str | None = None) -> Answer:
        """Ask for a page with a token in the header."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return await ask(self.app, self.behind, path=path, headers=headers)

    async def stream(self, *subprotocols: str, header: str | None = None) -> Answer:
        """Ask for a stream."""
        headers = {} if header is None else {"Authorization": header}
        return await ask(
            self.app,
            self.behind,
            path="/v1/stream",
            scope_type="websocket",
            subprotocols=subprotocols,
            headers=headers,
        )

    def principal(self, role: Role) -> Principal:
        """Who the bearer of a token is."""
        return Principal(f"the-{role}", role, self.entries[role].id)


@pytest.fixture
def door(tmp_path: Path, clock: FakeClock) -> Door:
    return Door(tmp_path, clock)


def let_in(answer: Answer) -> object:
    [scope] = answer.scopes
    return scope["state"]["principal"]


async def test_a_token_in_the_header_lets_its_principal_in(door: Door) -> None:
    answer = await door.ask(token=door.tokens[Role.CLIENT])

    assert answer.status == 200
    assert let_in(answer) == door.principal(Role.CLIENT)


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
async def test_the_scheme_is_read_whatever_its_case(door: Door, scheme: str) -> None:
    answer = await door.stream("tclif.v1", header=f"{scheme}  {door.tokens[Role.CLIENT]} ")

    assert let_in(answer) == door.principal(Role.CLIENT)


async def test_a_browser_shows_its_token_as_a_subprotocol(door: Door) -> None:
    token = base64.urlsafe_b64encode(door.tokens[Role.CLIENT].encode()).decode().rstrip("=")

    answer = await door.stream("tclif.v1", f"bearer.{token}")

    assert let_in(answer) == door.principal(Role.CLIENT)


async def test_the_header_comes_before_the_subprotocol(door: Door) -> None:
    answer = await door.stream(
        "tclif.v1", f"bearer.{door.tokens[Role.CLIENT]}", header="Bearer wrong"
    )

    assert answer.status == 401


@pytest.mark.parametrize("path", ["/v1/sessions", "/v1/nothing", "/metrics", "/openapi.json", "/"])
@pytest.mark.parametrize("token", [None, "", "wrong", "w" * 10_000])
async def test_nobody_comes_in_without_a_good_token(
    door: Door, path: str, token: str | None
) -> None:
    answer = await door.ask(path, token)

    assert (answer.status, answer.body["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.scopes == []


@pytest.mark.parametrize("subprotocols", [("tclif.v1",), ("tclif.v2", "bearer.d3Jvbmc")])
async def test_nobody_streams_without_a_good_token(
    door: Door, subprotocols: tuple[str, ...]
) -> None:
    answer = await door.stream(*subprotocols)

    assert (answer.status, answer.body["code"]) == (401, "unauthorized")


@pytest.mark.parametrize("role", [None, Role.METRICS])
async def test_who_sees_no_status_hears_a_close_code(door: Door, role: Role | None) -> None:
    token = "wrong" if role is None else door.tokens[role]

    answer = await door.stream("tclif.v1", f"bearer.{token}")

    assert (answer.status, answer.close_code) == (101, 4401)
    assert (answer.body["code"], answer.body["fatal"]) == ("unauthorized", True)
    assert token not in str(answer.body["message"]).split()
    assert answer.scopes == []


async def test_a_flood_of_such_refusals_keeps_no_sockets(door: Door, clock: FakeClock) -> None:
    n_explained = int(EXPLAINED_REFUSALS_PER_S)

    answers = [await door.stream("tclif.v1", "bearer.wrong") for _ in range(n_explained + 3)]
    clock.advance(1.0)
    later = await door.stream("tclif.v1", "bearer.wrong")

    assert [answer.status for answer in answers] == [101] * n_explained + [401] * 3
    assert later.close_code == 4401


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_health_is_public(door: Door, path: str) -> None:
    assert (await door.ask(path)).status == 200


@pytest.mark.parametrize(
    ("role", "path", "status"),
    [
        (Role.CLIENT, "/v1/models", 200),
        (Role.CLIENT, "/metrics", 403),
        (Role.ADMINISTRATOR, "/v1/models", 200),
        (Role.ADMINISTRATOR, "/metrics", 200),
        (Role.METRICS, "/v1/models", 403),
        (Role.METRICS, "/v1/stream", 403),
        (Role.METRICS, "/metrics", 200),
    ],
)
async def test_a_role_reaches_so_far(door: Door, role: Role, path: str, status: int) -> None:
    answer = await door.ask(path, door.tokens[role])

    assert answer.status == status
    assert answer.body.get("code") == ("unauthorized" if status == 403 else None)


async def test_without_tokens_everybody_is_local() -> None:
    behind = Behind()

    answer = await ask(
        Access(behind, TokenBook(None), TrafficQuota(QuotaSettings())), behind, path="/metrics"
    )

    assert let_in(answer) == LOCAL


async def test_the_lifespan_of_the_server_passes_unasked(door: Door) -> None:
    assert (await ask(door.app, door.behind, scope_type="lifespan")).status == 200


async def test_who_asks_too_often_is_told_to_come_back(door: Door, clock: FakeClock) -> None:
    token = door.tokens[Role.CLIENT]

    # ten seconds of 50 requests each may come at once
    answers = [await door.ask(token=token) for _ in range(501)]
    others = await door.ask(token=door.tokens[Role.ADMINISTRATOR])
    health = await door.ask("/health/live")
    clock.advance(1.0)
    later = await door.ask(token=token)

    assert [answer.status for answer in answers] == [200] * 500 + [429]
    assert answers[-1].body["code"] == "quota"
    assert answers[-1].headers["retry-after"] == "1"
    assert (others.status, health.status, later.status) == (200, 200, 200)


# --- what is written down


async def test_a_refusal_is_written_down_and_what_was_shown_is_not(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    answers = [
        await door.ask("/v1/sessions", "open-sesame"),
        await door.stream("tclif.v1", "bearer.b3Blbi1zZXNhbWU"),
        await door.stream("tclif.v1", header="Basic b3Blbi1zZXNhbWU6"),
        await door.ask("/metrics", door.tokens[Role.CLIENT]),
    ]

    assert [answer.status for answer in answers] == [401, 101, 401, 403]
    lines = [record for record in caplog.records if record.name == "tclif.audit"]
    assert [vars(line)["act"] for line in lines] == ["credentials.refuse"] * 4
    assert {vars(line)["peer"] for line in lines} == {"192.0.2.7"}
    assert vars(lines[-1])["principal"] == "the-client"
    told = str([vars(line) for line in lines]) + str([answer.body for answer in answers])
    secrets = ("sesame", "b3Blbi1zZXNhbWU", *door.tokens.values())
    assert [secret for secret in secrets if secret in told] == []


async def test_a_flood_of_refusals_is_counted_but_not_written_down(
    door: Door, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    for _ in range(100):
        await door.ask()
    clock.advance(1.0)
    await door.ask()

    lines = [vars(record) for record in caplog.records if record.name == "tclif.audit"]
    assert len(lines) == AUDITED_REFUSALS_PER_S + 1
    assert lines[-1]["not_written_before"] == 100 - AUDITED_REFUSALS_PER_S
