"""The replay command against the real server."""

import asyncio
from pathlib import Path

import pytest

from clients import replay
from clients.datasets import open_source
from clients.replay_arguments import parse
from clients.sdk import StreamingClient
from tests.clients.toy_recordings import write_spike_file
from tests.end_to_end.running_server import RunningServer


async def run(server: RunningServer, source: str, *options: str) -> int:
    """Run the command on a thread, as it brings an event loop of its own."""
    command = [source, "--url", server.url, "--speed", "max", "--plain", "--seed", "1"]
    return await asyncio.to_thread(
        replay.main, [*command, "--hidden", "6", "--session", "toy", *options]
    )


async def test_every_recording_is_learnt_once_a_pass(
    server: RunningServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_spike_file(tmp_path / "train.h5", 4)

    assert await run(server, source, "--passes", "3", "--test", source) == 0

    state = await server.state("toy")
    assert state["segments"] == {"open": None, "kept": 4, "dropped": 0, "labelled": 12}
    assert "segments=12 " in capsys.readouterr().out


async def test_a_replay_goes_on_where_another_one_died_in_mid_segment(
    server: RunningServer, tmp_path: Path
) -> None:
    source = write_spike_file(tmp_path / "train.h5", 4)
    assert await run(server, source) == 0
    arguments = parse([source, "--hidden", "6", "--session", "toy"])
    request = arguments.request(open_source(source), with_picture=False)
    async with StreamingClient.open(server.url, request) as client:
        await client.begin_segment(1000, t_us=5_000_000)

    assert await run(server, source) == 0

    state = await server.state("toy")
    # the segment that was left open ended without a label
    assert state["segments"] == {"open": None, "kept": 1, "dropped": 0, "labelled": 8}


@pytest.mark.parametrize("segmentation", ["silence", "window", "none"])
async def test_a_stream_that_the_server_cuts_is_learnt_and_gone_on_with(
    server: RunningServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    segmentation: str,
) -> None:
    source = write_spike_file(tmp_path / "train.h5", 4)
    options = ("--segmentation", segmentation, "--gap-ms", "100", "--test", source)

    codes = [await run(server, source, *options) for _ in range(2)]

    # the second run goes on after the clock of the first one: nothing of it is late
    said = capsys.readouterr().out
    assert codes == [0, 0]
    assert "remarks" not in said
    assert said.count("segments=4 ") == 2
    assert said.count("test_segments=4") == 2
