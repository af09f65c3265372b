"""Snapshots over HTTP and the stream: taken, listed, rolled back to, and there after a restart."""

import asyncio
from pathlib import Path

import pytest

from tests.end_to_end.conversation_partner import connected, lessons, segment
from tests.end_to_end.running_server import RunningServer, running_server, same_weights


def sections(folder: Path, **storage: object) -> dict[str, dict[str, object]]:
    return {"engine": {"kernel": "reference"}, "storage": {"url": str(folder)} | storage}


async def listed(server: RunningServer, session: str = "s") -> list[dict[str, object]]:
    """Return the lines of a session's snapshots."""
    answer = await server.http.get(f"/v1/sessions/{session}/snapshots")
    lines: list[dict[str, object]] = answer.json()["snapshots"]
    return lines


async def test_a_rollback_undoes_lessons_and_the_stream_goes_on(tmp_path: Path) -> None:
    async with running_server(sections(tmp_path)) as server, connected(server.url) as partner:
        await partner.open()
        await partner.send(*lessons(range(2)))
        await partner.settle()
        taken = (await server.http.post("/v1/sessions/s/snapshot")).json()
        then = await server.weights()
        await partner.send(*lessons(range(2, 4)))
        await partner.settle()
        assert not same_weights(await server.weights(), then)

        answer = await server.http.post(
            "/v1/sessions/s/rollback", json={"snapshot": taken["snapshot"]}
        )
        after = await server.weights()
        state = await server.state()
        await partner.send(*segment(4, 1))
        heard = await partner.settle()

    assert (taken["applied"], taken["durable"], taken["requested"]) == (10, 10, True)
    assert answer.json() == {"snapshot": taken["snapshot"], "applied": 20, "durable": 20}
    assert same_weights(after, then)
    segments = state["segments"]
    assert isinstance(segments, dict)
    assert (state["applied"], state["ticks"], segments["labelled"]) == (20, 80, 4)
    assert [m["segments_labelled"] for m in heard if m["type"] == "learned"] == [5]


async def test_the_list_tells_what_there_is(tmp_path: Path) -> None:
    async with running_server(sections(tmp_path)) as server, connected(server.url) as partner:
        await partner.open()
        await partner.send(*segment(0, 1))
        await partner.settle()
        await server.http.post("/v1/sessions/s/snapshot")
        lines = await listed(server)
        newest = (await server.http.get("/v1/sessions/s")).json()["last_snapshot"]

    assert newest == lines[0]
    assert lines[0].keys() == {"snapshot", "applied", "ticks", "taken", "bytes", "requested"}
    assert (lines[0]["applied"], lines[0]["ticks"]) == (5, 20)
    assert [line["snapshot"] for line in lines] == sorted(
        (line["snapshot"] for line in lines), key=str, reverse=True
    )


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"snapshot": "0" * 20}, 409, "not_found"),
        ({"snapshot": "../../etc/passwd"}, 422, "bad_message"),
        ({"snapshot": 7}, 422, "bad_message"),
        ({}, 422, "bad_message"),
        ({"snapshot": "0" * 20, "more": 1}, 422, "bad_message"),
    ],
)
async def test_a_rollback_to_nothing_is_refused(
    tmp_path: Path, body: dict[str, object], status: int, code: str
) -> None:
    async with running_server(sections(tmp_path)) as server, connected(server.url) as partner:
        await partner.open()
        answer = await server.http.post("/v1/sessions/s/rollback", json=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_pages_of_snapshots_need_a_session(tmp_path: Path) -> None:
    async with running_server(sections(tmp_path)) as server:
        answers = [
            await server.http.get("/v1/sessions/nobody/snapshots"),
            await server.http.post("/v1/sessions/nobody/snapshot"),
            await server.http.post("/v1/sessions/nobody/rollback", json={"snapshot": "0" * 20}),
        ]

    assert [(a.status_code, a.json()["code"]) for a in answers] == [(404, "not_found")] * 3


async def test_a_drained_server_s_sessions_are_listed_and_shown_by_the_next(
    tmp_path: Path,
) -> None:
    async with running_server(sections(tmp_path)) as server, connected(server.url) as partner:
        await partner.open()
        await partner.send(*lessons(range(2)))
        await partner.settle()
        weights, state = await server.weights(), await server.state()
        server.stop()
        async with asyncio.timeout(30):
            assert await partner.closed() == 1012
    assert partner.heard[-1]["durable"] == 10

    async with running_server(sections(tmp_path)) as server:
        [line] = (await server.http.get("/v1/sessions")).json()["sessions"]
        assert (line["session"], line["state"], line["applied"]) == ("s", "parked", 10)
        assert len(await listed(server)) == 3
        # listing brings nothing back
        assert (await server.http.get("/v1/sessions")).json()["sessions"] == [line]

        assert same_weights(await server.weights(), weights)
        assert await server.state() == state
        [line] = (await server.http.get("/v1/sessions")).json()["sessions"]
        assert line["state"] == "detached"
        assert (await server.http.delete("/v1/sessions/s")).status_code == 204
        assert (await server.http.get("/v1/sessions")).json()["sessions"] == []


async def test_a_snapshot_message_is_followed_by_an_ack_that_all_is_durable(
    tmp_path: Path,
) -> None:
    settings = sections(tmp_path, snapshot_every_s=3600)
    async with running_server(settings) as server, connected(server.url) as partner:
        await partner.open()
        await partner.send(*segment(0, 1))
        await partner.settle()
        assert partner.heard[-1]["durable"] == 0

        await partner.send({"type": "snapshot"})
        await partner.until("ack", applied=6, durable=6)
