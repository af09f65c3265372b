"""docker-compose.yml, for real: it comes up, it learns, it is watched, it is contained."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.compose.conftest import wait_until_healthy
from tests.compose.engine import PORTS, ROOT, CommandFailed, Engine, state, wait_for
from tests.docker.dashboard import Panel, read_panels

SERVER = f"http://127.0.0.1:{PORTS['SERVER_PORT']}"
PROMETHEUS = f"http://127.0.0.1:{PORTS['PROMETHEUS_PORT']}"
JSON = {"Content-Type": "application/json"}
JsonObject = dict[str, object]


@pytest.fixture(scope="session")
def token(engine: Engine) -> str:
    return engine.execute("replay", "cat", "/run/tclif/replay/token").strip()


@pytest.fixture
def client(token: str) -> Iterator[httpx.Client]:
    shown = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=SERVER, headers=shown, timeout=30) as client:
        yield client


def lessons(client: httpx.Client, session: str, at_least: int) -> JsonObject | None:
    """Return a session's state once it has had so many lessons."""
    try:
        answer = client.get(f"/v1/sessions/{session}")
    except httpx.TransportError:
        return None
    if answer.status_code != httpx.codes.OK:
        return None
    state: JsonObject = answer.json()
    learning = state["learning"]
    assert isinstance(learning, dict)
    return state if learning["lessons"] >= at_least else None


def ask_prometheus(query: str) -> list[JsonObject]:
    """Return the series of a query's present answer."""
    answer = httpx.get(f"{PROMETHEUS}/api/v1/query", params={"query": query}, timeout=30)
    answer.raise_for_status()
    series: list[JsonObject] = answer.json()["data"]["result"]
    return series


@pytest.mark.parametrize("session", ["english", "german"])
def test_each_replay_has_a_session_that_learns(client: httpx.Client, session: str) -> None:
    wait_for(f"20 lessons of {session}", lambda: lessons(client, session, 20))


def test_prometheus_scrapes_the_server_with_its_own_token(engine: Engine) -> None:
    assert engine
    wait_for("up", lambda: ask_prometheus('up{job="tclif"} == 1') or None)
    wait_for("lessons", lambda: ask_prometheus("rate(tclif_lessons_total[1m]) > 0") or None)


@pytest.mark.parametrize("panel", read_panels(), ids=lambda panel: f"{panel.row}, {panel.title}")
def test_a_panel_of_the_dashboard_has_something_to_show(engine: Engine, panel: Panel) -> None:
    assert engine
    wait_for("an answer", lambda: first_answer(panel))


def first_answer(panel: Panel) -> list[JsonObject] | None:
    """Return what one of a panel's queries brings, or None if none brings anything."""
    return next(filter(None, (ask_prometheus(query.expression) for query in panel.queries)), None)


def test_strangers_see_nothing(engine: Engine, token: str) -> None:
    assert engine
    with_token = {"Authorization": f"Bearer {token}"}

    assert httpx.get(f"{SERVER}/v1/sessions").status_code == httpx.codes.UNAUTHORIZED
    assert httpx.get(f"{SERVER}/metrics").status_code == httpx.codes.UNAUTHORIZED
    # the replay's token is for streams
    assert httpx.get(f"{SERVER}/metrics", headers=with_token).status_code == httpx.codes.FORBIDDEN


def test_tokens_stay_in_their_volumes(engine: Engine, token: str) -> None:
    for service in engine.services:
        assert token not in json.dumps(engine.inspect(service))
        assert token not in engine.stack("logs", service)


def test_a_second_start_keeps_the_tokens(engine: Engine, token: str) -> None:
    engine.stack("up", "--detach", "tokens")
    wait_for("the end", lambda: state(engine.inspect("tokens"))["Status"] == "exited" or None)

    assert engine.execute("replay", "cat", "/run/tclif/replay/token").strip() == token


def test_processes_have_no_rights(engine: Engine) -> None:
    for service in engine.services:
        status = engine.execute(service, "cat", "/proc/1/status")
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)

        assert facts["Uid"].split()[1] != "0", service
        assert int(facts["CapEff"], 16) == 0, service
        assert int(facts["CapBnd"], 16) == 0, service
        assert facts["NoNewPrivs"] == "1", service


def test_images_can_not_be_changed_from_inside(engine: Engine) -> None:
    for service in engine.services:
        for place in ("/", "/usr/bin", "/opt/tclif/bin" if "tclif" in service else "/etc"):
            with pytest.raises(CommandFailed, match=r"[Rr]ead-only file system"):
                engine.docker(
                    *("exec", "--user", "0", engine.container(service)),
                    *("sh", "-c", f"echo 1 > {place}/written"),
                )


def test_ports_are_on_loopback(engine: Engine) -> None:
    for service in engine.services:
        settings = engine.inspect(service)["NetworkSettings"]
        assert isinstance(settings, dict)
        published = [port for ports in settings["Ports"].values() for port in ports or ()]

        assert all(port["HostIp"] == "127.0.0.1" for port in published), service


@pytest.mark.parametrize("signal", ["KILL", "TERM"])
def test_a_server_that_ends_in_mid_stream_loses_no_lesson(
    engine: Engine, client: httpx.Client, signal: str
) -> None:
    before = wait_for("lessons", lambda: lessons(client, "english", 20))
    replay = state(engine.inspect("replay"))["StartedAt"]
    assert isinstance(before["learning"], dict)
    n_before: int = before["learning"]["lessons"]

    engine.docker("kill", "--signal", signal, engine.container("server"))
    wait_for("the end", lambda: state(engine.inspect("server"))["Status"] == "exited" or None)
    engine.stack("up", "--detach", "server")
    wait_until_healthy(engine, "server")
    wait_for("20 more lessons", lambda: lessons(client, "english", n_before + 20))
    after = wait_for("a lesson for each word", lambda: all_words_learnt(engine, client))

    assert after["epoch"] == before["epoch"]
    # the same replay, which resumed by itself
    assert state(engine.inspect("replay"))["StartedAt"] == replay


def all_words_learnt(engine: Engine, client: httpx.Client) -> JsonObject | None:
    """Hold the replay still; return the session's state if every word that ended was learnt once.

    A fresh replay counts its words from 0 on and labels each: with word n open, n were learnt. Held
    between a word and its label it is a lesson short, and has to be looked at again.
    """
    engine.stack("pause", "replay")
    try:
        state = wait_for("nothing waits", lambda: quiet(client, "english"))
    finally:
        engine.stack("unpause", "replay")
    segments, learning = state["segments"], state["learning"]
    assert isinstance(segments, dict)
    assert isinstance(learning, dict)
    n_learnt = segments["labelled"]
    assert n_learnt == learning["lessons"]
    assert segments["open"] is None or segments["open"] >= n_learnt, "a word was learnt twice"
    return state if segments["open"] == n_learnt else None


def quiet(client: httpx.Client, session: str) -> JsonObject | None:
    """Return a session's state once all that came is done."""
    state = lessons(client, session, 0)
    return state if state is not None and state["applied"] == state["received"] else None


def test_what_the_operations_page_says_of_backups_works(
    engine: Engine, client: httpx.Client, tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.partition("## Backup and restore")[2].partition("\n## ")[0]
    copy, restore = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    wait_for("lessons", lambda: lessons(client, "german", 20))
    engine.stack("stop", "replay-german", "replay")
    before = wait_for("the session", lambda: lessons(client, "german", 20))

    engine.shell(copy, tmp_path / "tclif.tar")
    client.request("DELETE", "/v1/sessions/german", headers=JSON).raise_for_status()
    engine.shell(restore, tmp_path / "tclif.tar")
    wait_until_healthy(engine, "server")
    engine.stack("start", "replay-german")
    after = wait_for("the session", lambda: lessons(client, "german", 20))

    assert after["epoch"] == before["epoch"]
