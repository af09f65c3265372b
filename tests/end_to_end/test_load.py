"""The load generator against the real server."""

import asyncio
import json
from pathlib import Path

import pytest

from clients import load
from tests.end_to_end.conftest import Serve
from tests.end_to_end.running_server import RunningServer

# all stream once a segment has passed; the deadline is one that no machine is too slow for
OPTIONS = ["--warm-up-s", "1.5", "--opens-per-s", "20", "--deadline-ms", "60000"]


async def run(server: RunningServer, *options: str) -> int:
    """Run the command on a thread, as it waits for processes of its own."""
    return await asyncio.to_thread(load.main, ["--url", server.url, *OPTIONS, *options])


async def test_sessions_of_several_processes_are_measured_and_leave_nothing_behind(
    server: RunningServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "load.json"

    assert await run(server, "--sessions", "3", "--seconds", "2", "--json", str(path)) == 0

    report = json.loads(path.read_text())
    assert report["sessions"] == {"asked": 3, "admitted": 3, "refused": {}, "reconnections": {}}
    # 25 frames a second and session; those at the edges may fall on either side
    assert 3 * 2 * 25 - 6 <= report["frames"]["sent"] <= 3 * 2 * 25 + 6
    assert report["frames"]["unanswered"] == 0
    assert report["lag_ms"]["p99"] > report["lag_ms"]["p50"] > 0
    assert report["server"]["ticks_per_s"] > 0
    assert report["server"]["dropped_events"] == 0
    assert report["broken"] == []
    assert "3 asked for, 3 admitted" in capsys.readouterr().out
    sessions = await server.http.get("/v1/sessions")
    assert sessions.json()["sessions"] == []


async def test_sessions_that_are_refused_are_told(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve(quota={"sessions": 1}) as server:
        await run(server, "--sessions", "2", "--seconds", "2", "--synchronised")

    assert "2 asked for, 1 admitted, refused: 1 quota" in capsys.readouterr().out


async def test_a_server_that_is_not_there_is_told_in_one_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert await asyncio.to_thread(load.main, ["--url", "ws://127.0.0.1:9/v1/stream"]) == 1

    assert capsys.readouterr().err.startswith(
        "tclif-load: no server answers at http://127.0.0.1:9/metrics: "
    )
