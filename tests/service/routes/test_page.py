"""The page's files: what is served, to whom, and how a browser is told to guard them."""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from service.access.principals import Role
from service.access.token_file import new_token, write_tokens
from service.routes.page import read_files
from tests.end_to_end.running_server import RunningServer, ServerThread, server_thread, visited

WEB = Path(__file__).parents[3] / "clients" / "web"
REFERENCES = re.compile(r"""(?:from|import\(|addModule\()\s*"(\.[^"]+)"|(?:src|href)="(/[^"]+)\"""")


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerThread]:
    tokens = tmp_path_factory.mktemp("tokens") / "tokens.json"
    _, entry = new_token("kitchen", Role.CLIENT, datetime(2026, 1, 1, tzinfo=UTC))
    write_tokens(tokens, (entry,))
    sections: dict[str, dict[str, object]] = {
        "engine": {"kernel": "reference"},
        "access": {"tokens_file": tokens},
    }
    with server_thread(sections) as running:
        yield running


@pytest.fixture
async def server(shared_server: ServerThread) -> AsyncIterator[RunningServer]:
    async with visited(shared_server) as running:
        yield running


async def test_the_page_needs_no_token_but_what_it_shows_does(server: RunningServer) -> None:
    page = await server.http.get("/")
    sessions = await server.http.get("/v1/sessions")

    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.text == (WEB / "page" / "index.html").read_text()
    assert sessions.status_code == 401


async def test_every_file_forbids_what_is_not_of_this_server(server: RunningServer) -> None:
    for path in read_files():
        answer = await server.http.get(path)

        rules = dict(
            rule.strip().split(" ", 1)
            for rule in answer.headers["content-security-policy"].split(";")
        )
        assert rules.pop("default-src") == "'none'"
        assert set(rules.values()) <= {"'self'", "'none'"}
        assert rules["frame-ancestors"] == "'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"


async def test_a_browser_that_has_a_file_is_not_sent_it_again(server: RunningServer) -> None:
    first = await server.http.get("/web/page/main.js")

    again = await server.http.get(
        "/web/page/main.js", headers={"If-None-Match": first.headers["etag"]}
    )

    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/web/page/../../sdk.py",
        "/web/page/%2e%2e/%2e%2e/sdk.py",
        "/web//etc/passwd",
        "/web/package.json",
        "/web/page/",
    ],
)
async def test_no_other_file_can_be_had(server: RunningServer, path: str) -> None:
    answer = await server.http.get(path)

    # what is not public asks for a token first
    assert answer.status_code == 401


async def test_a_page_elsewhere_reads_nothing(server: RunningServer) -> None:
    answer = await server.http.get("/", headers={"Origin": "https://elsewhere.example"})

    assert answer.status_code == 403


def test_every_file_that_another_one_names_is_served() -> None:
    files = read_files()
    missing = []
    for path, file in files.items():
        base = "/web/page/index.html" if path == "/" else path
        for relative, absolute in REFERENCES.findall(file.content.decode()):
            named = absolute or str(httpx.URL(f"http://page{base}").join(relative).path)
            if named not in files:
                missing.append((path, named))

    assert missing == []


async def test_a_server_may_do_without_the_page() -> None:
    sections: dict[str, dict[str, object]] = {
        "engine": {"kernel": "reference"},
        "listener": {"serves_page": False},
    }
    with server_thread(sections) as running:
        async with visited(running) as server:
            answer = await server.http.get("/")

    assert answer.status_code == httpx.codes.NOT_FOUND
