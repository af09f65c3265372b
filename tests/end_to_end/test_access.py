"""Tokens and principals at a running server: who sees what, and what a revoked token ends."""

import asyncio
import base64
import json
import re
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from service.access.principals import Principal, Role
from service.access.token_file import new_token, write_tokens
from tests.end_to_end.conversation_partner import (
    SMALL_OPEN,
    TIMEOUT_S,
    Heard,
    Partner,
    connected,
    lessons,
)
from tests.end_to_end.running_server import (
    RunningServer,
    ServerThread,
    running_server,
    server_thread,
    visited,
)

REPOSITORY = Path(__file__).parents[2]
START_TIMEOUT_S = 120.0
MADE = datetime(2026, 1, 2, tzinfo=UTC)


class Keys:
    """A file of tokens: Alice, who is an administrator, and Bob, who has two."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.alice, self._alice = new_token("alice", Role.ADMINISTRATOR, MADE)
        self.bob, self._bob = new_token("bob", Role.CLIENT, MADE)
        self.bob_again, self._bob_again = new_token("bob", Role.CLIENT, MADE)
        write_tokens(path, (self._alice, self._bob, self._bob_again))

    def revoke_bob(self) -> None:
        """Take away the first of Bob's tokens."""
        write_tokens(self.path, (self._alice, self._bob_again))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys") / "tokens.json")


@pytest.fixture(scope="module")
def guarded_server(keys: Keys) -> Iterator[ServerThread]:
    with server_thread(
        {"engine": {"kernel": "reference"}, "access": {"tokens_file": str(keys.path)}}
    ) as running:
        yield running


@pytest.fixture
async def server(guarded_server: ServerThread, keys: Keys) -> AsyncIterator[RunningServer]:
    async with visited(guarded_server) as running:
        yield running
        for token in (keys.alice, keys.bob):
            running.http.headers["Authorization"] = f"Bearer {token}"
            await running.delete_all()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def refusal(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


async def teach(server: RunningServer, token: str, **fields: object) -> Heard:
    """Have a session learn two segments; return its ``opened``."""
    async with connected(server.url, token=token) as partner:
        opened = await partner.open(**fields)
        await partner.send(*lessons(range(2)))
        await partner.settle()
    return opened


# --- two principals


async def test_a_session_of_the_same_name_is_another_session(
    server: RunningServer, keys: Keys
) -> None:
    async with connected(server.url, token=keys.alice) as alice:
        first = await alice.open(session="kitchen")
        second = await teach(server, keys.bob, session="kitchen")
        # nobody took over: the first one goes on
        await alice.send(*lessons(range(1)))
        heard = await alice.settle()

    assert (first["resumed"], second["resumed"]) == (False, False)
    assert first["epoch"] != second["epoch"]
    assert [message["type"] for message in heard if message["type"] == "goodbye"] == []


async def test_two_tokens_of_one_principal_reach_the_same_session(
    server: RunningServer, keys: Keys
) -> None:
    first = await teach(server, keys.bob, session="kitchen")

    again = await teach(server, keys.bob_again, session="kitchen")

    assert (again["resumed"], again["epoch"]) == (True, first["epoch"])


async def test_nobody_sees_the_sessions_of_another_not_even_an_administrator(
    server: RunningServer, keys: Keys
) -> None:
    await teach(server, keys.bob, session="secret-garden")

    answers = [
        await server.http.request(method, path, headers=bearer(keys.alice))
        for method, path in (
            ("GET", "/v1/sessions/secret-garden"),
            ("GET", "/v1/sessions/secret-garden/weights"),
            ("DELETE", "/v1/sessions/secret-garden"),
        )
    ]
    nobody = await server.http.get("/v1/sessions/nobody", headers=bearer(keys.alice))
    listed = await server.http.get("/v1/sessions", headers=bearer(keys.alice))

    assert [refusal(answer) for answer in answers] == [(404, "not_found")] * 3
    # a name that somebody has and one that nobody has are answered in the same words
    assert answers[0].text == nobody.text.replace("nobody", "secret-garden")
    assert listed.json()["sessions"] == []
    mine = await server.http.get("/v1/sessions", headers=bearer(keys.bob))
    assert [line["session"] for line in mine.json()["sessions"]] == ["secret-garden"]


async def test_an_epoch_that_is_known_opens_nothing_of_another(
    server: RunningServer, keys: Keys
) -> None:
    opened = await teach(server, keys.bob, session="kitchen")

    async with connected(server.url, token=keys.alice) as alice:
        await alice.say(SMALL_OPEN | {"session": "kitchen", "epoch": opened["epoch"]})
        code = await alice.closed()

    assert (alice.heard[-1]["code"], code) == ("epoch_mismatch", 4400)
    assert "there is no session" in str(alice.heard[-1]["message"])


# --- the way in


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
@pytest.mark.parametrize("path", ["/v1/sessions", "/v1/sessions/s", "/metrics", "/openapi.json"])
async def test_every_page_asks_for_a_token(server: RunningServer, method: str, path: str) -> None:
    response = await server.http.request(method, path)

    assert refusal(response) == (401, "unauthorized")


async def test_health_asks_for_none(server: RunningServer) -> None:
    for kind in ("live", "ready"):
        assert (await server.http.get(f"/health/{kind}")).status_code == 200


async def test_metrics_are_for_administrators(server: RunningServer, keys: Keys) -> None:
    allowed = await server.http.get("/metrics", headers=bearer(keys.alice))
    refused = await server.http.get("/metrics", headers=bearer(keys.bob))

    assert allowed.status_code == 200
    assert refusal(refused) == (403, "unauthorized")


@pytest.mark.parametrize("token", [None, "wrong"])
async def test_a_stream_without_a_good_token_is_refused_at_the_handshake(
    server: RunningServer, token: str | None
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connected(server.url, token=token):
            pass

    response = refused.value.response
    assert response.status_code == 401
    assert json.loads(response.body)["code"] == "unauthorized"


async def test_a_browser_with_a_wrong_token_hears_4401(server: RunningServer) -> None:
    offered = [Subprotocol("tclif.v1"), Subprotocol("bearer.wrong")]

    async with connect(server.url, subprotocols=offered, proxy=None) as socket:
        partner = Partner(socket)
        code = await partner.closed()

    assert (partner.heard[-1]["code"], code) == ("unauthorized", 4401)


async def test_a_browsers_token_is_not_echoed(server: RunningServer, keys: Keys) -> None:
    encoded = base64.urlsafe_b64encode(keys.bob.encode()).decode().rstrip("=")
    offered = [Subprotocol("tclif.v1"), Subprotocol(f"bearer.{encoded}")]

    async with connect(server.url, subprotocols=offered, proxy=None) as socket:
        partner = Partner(socket)
        opened = await partner.open()

    assert socket.subprotocol == "tclif.v1"
    assert opened["resumed"] is False


async def test_a_handshake_that_is_refused_does_not_repeat_its_token(
    server: RunningServer, keys: Keys
) -> None:
    offered = [Subprotocol("tclif.v2"), Subprotocol(f"bearer.{keys.bob}")]

    with pytest.raises(InvalidStatus) as refused:
        await connect(server.url, subprotocols=offered, proxy=None)

    body = refused.value.response.body.decode()
    assert refused.value.response.status_code == 400
    assert "['tclif.v2'] came" in body
    assert keys.bob not in body


async def test_a_token_that_is_revoked_during_the_handshake_opens_nothing(
    server: RunningServer, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def revoked(token: str) -> Principal:
        return Principal("bob", Role.CLIENT, token[:12])

    monkeypatch.setattr(server.service.tokens, "recognise", revoked)
    async with connected(server.url, token=keys.bob) as bob:
        code = await bob.closed()

    assert (bob.heard[-1]["code"], code) == ("unauthorized", 4401)
    async with asyncio.timeout(TIMEOUT_S):
        while server.service.connections:
            await server.http.get("/health/live")
    assert server.service.traffic.of("bob").n_connections == 0


async def test_a_request_that_is_not_json_changes_nothing(
    server: RunningServer, keys: Keys
) -> None:
    await teach(server, keys.bob)

    response = await server.http.delete(
        "/v1/sessions/s", headers=bearer(keys.bob) | {"Content-Type": "text/plain"}
    )

    assert refusal(response) == (415, "bad_message")
    mine = await server.http.get("/v1/sessions/s", headers=bearer(keys.bob))
    assert mine.status_code == 200


# --- the command


class Command:
    """``tclif-serve`` as a process of its own.

    Attributes:
        url: Where its streams begin.
        told: Everything that it wrote to its log.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.url = ""
        self.told: list[str] = []

    async def read_until(self, pattern: str) -> re.Match[str]:
        """Read its log up to a line."""
        assert self._process.stderr is not None
        async with asyncio.timeout(START_TIMEOUT_S):
            while line := (await self._process.stderr.readline()).decode():
                self.told.append(line)
                if found := re.search(pattern, line):
                    return found
        raise AssertionError(f"no {pattern} in {self.told}")

    def reload(self) -> None:
        """Tell it to read its tokens again."""
        self._process.send_signal(signal.SIGHUP)

    async def end(self) -> None:
        """Ask it to end, and read the rest of its log."""
        self._process.send_signal(signal.SIGTERM)
        assert self._process.stderr is not None
        async with asyncio.timeout(START_TIMEOUT_S):
            self.told += (await self._process.stderr.read()).decode().splitlines(keepends=True)
            await self._process.wait()


@asynccontextmanager
async def command(tmp_path: Path, **environment: str) -> AsyncIterator[Command]:
    """Run the command with the most talkative log there is."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "service", "--port", "0", "--log-format", "json", "--log-level", "debug"),
        cwd=REPOSITORY,
        env={"TCLIF_ENGINE__KERNEL": "reference", "HOME": str(tmp_path)} | environment,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        running = Command(process)
        found = await running.read_until(r"listening on http(s?)://(127\.0\.0\.1:\d+)")
        running.url = f"ws{found[1]}://{found[2]}/v1/stream"
        yield running
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_revoked_token_ends_its_connections_at_the_next_sighup(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "tokens.json")
    async with (
        command(tmp_path, TCLIF_ACCESS__TOKENS_FILE=str(keys.path)) as running,
        connected(running.url, token=keys.bob) as bob,
        connected(running.url, token=keys.alice) as alice,
    ):
        await bob.open(session="kitchen")
        await alice.open(session="attic")
        keys.revoke_bob()
        running.reload()

        code = await bob.closed()
        async with connected(running.url, token=keys.bob_again) as again:
            opened = await again.open(session="kitchen")
        with pytest.raises(InvalidStatus) as refused:
            async with connected(running.url, token=keys.bob):
                pass
        # the others notice nothing
        await alice.send(*lessons(range(1)))
        await alice.settle()
        await running.end()

    assert (bob.heard[-1]["code"], bob.heard[-1]["fatal"], code) == ("unauthorized", True, 4401)
    assert opened["resumed"] is True
    assert refused.value.response.status_code == 401
    lines = [json.loads(line) for line in running.told]
    assert all(line.keys() >= {"time", "level", "principal", "session"} for line in lines)
    audit = [(line["act"], line["principal"]) for line in lines if line["logger"] == "tclif.audit"]
    assert audit == [
        ("session.open", "bob"),
        ("session.open", "alice"),
        ("tokens.reload", "-"),
        ("credentials.revoke", "bob"),
        ("session.open", "bob"),
        ("credentials.refuse", "-"),
    ]
    told = "".join(running.told)
    spelt = [base64.urlsafe_b64encode(t.encode()).decode().rstrip("=") for t in (keys.bob,)]
    assert not any(secret in told for secret in (keys.bob, keys.bob_again, keys.alice, *spelt))


async def test_a_file_of_tokens_that_broke_lets_the_server_go_on(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "tokens.json")
    async with command(tmp_path, TCLIF_ACCESS__TOKENS_FILE=str(keys.path)) as running:
        keys.path.write_text("{")
        running.reload()
        await running.read_until("the tokens stay as they were")

        async with connected(running.url, token=keys.bob) as bob:
            opened = await bob.open()

    assert opened["type"] == "opened"


# --- TLS


def certify(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that signs itself; return its file and that of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tclif test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_file, key_file


async def test_a_stream_goes_through_tls(tmp_path: Path) -> None:
    certificate_file, key_file = certify(tmp_path)
    trust = ssl.create_default_context(cafile=certificate_file)

    async with command(
        tmp_path,
        TCLIF_LISTENER__CERTIFICATE_FILE=str(certificate_file),
        TCLIF_LISTENER__KEY_FILE=str(key_file),
    ) as running:
        url = running.url.replace("127.0.0.1", "localhost")
        async with connected(url, trust=trust) as partner:
            await partner.open()
            await partner.send(*lessons(range(1)))
            await partner.settle()
        async with httpx.AsyncClient(verify=trust, timeout=TIMEOUT_S, trust_env=False) as http:
            page = url.replace("wss", "https").replace("/v1/stream", "/v1/sessions/s")
            applied = (await http.get(page)).json()["applied"]

    assert url.startswith("wss://")
    assert applied == 5


# --- a listener for metrics


async def test_metrics_have_a_listener_of_their_own_without_a_token(keys: Keys) -> None:
    sections: dict[str, dict[str, object]] = {
        "engine": {"kernel": "reference"},
        "access": {"tokens_file": str(keys.path)},
        "listener": {"metrics_port": 0},
    }
    async with running_server(sections) as server:
        page = f"http://127.0.0.1:{server.metrics_port}"
        async with httpx.AsyncClient(base_url=page, trust_env=False) as prometheus:
            metrics = await prometheus.get("/metrics")
            others = [await prometheus.get(path) for path in ("/v1/sessions", "/health/live")]
            foreign = await prometheus.get("/metrics", headers={"Host": "evil.example"})

    assert metrics.status_code == 200
    assert "\ntclif_sessions" in metrics.text
    assert [answer.status_code for answer in others] == [404, 404]
    assert foreign.status_code == 403
