"""A client and a server that is killed in mid-stream: nothing lost or doubled, bit for bit."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from clients.client_options import BackOff, ClientOptions
from clients.inbox import StreamMessage
from clients.sdk import StreamingClient
from service.wire_protocol import Learned, NetworkRequest, Open, Prediction, RawSensor
from tests.end_to_end.running_server import Weights, same_weights
from tests.faults.server_process import ServerProcess, server_process

N_SEGMENTS = 60
KILLED_AFTER = (17, 41)
REQUEST = Open(
    session="s",
    sensor=RawSensor(addresses=8),
    network=NetworkRequest(hidden=(12,), classes=3),
    seed=3,
)
# a snapshot holds some of what was sent, never all of it
STORAGE = {"tclif_storage__snapshot_every_s": "0.1"}


async def stream(client: StreamingClient, numbers: range) -> None:
    """Send a segment of 80 ms with two frames and its label, for each number."""
    for number in numbers:
        begin_us = number * 100_000
        generator = np.random.default_rng(number)
        times_us = begin_us + np.sort(generator.integers(0, 80_000, 40))
        addresses = generator.integers(0, 8, 40)
        await client.begin_segment(number, t_us=begin_us)
        await client.send_events(times_us[:20], addresses[:20])
        await client.send_events(times_us[20:], addresses[20:])
        await client.end_segment(number, t_us=begin_us + 80_000)
        await client.label(number, number % 3)


async def run(server: ServerProcess, killed_after: tuple[int, ...]) -> list[StreamMessage]:
    """Stream all segments while the server is killed now and then; return what was heard."""
    options = ClientOptions(back_off=BackOff(longest_s=0.5, attempts=600))
    heard: list[StreamMessage] = []

    async def listen(client: StreamingClient) -> None:
        heard.extend([message async for message in client])

    async with StreamingClient.open(server.url, REQUEST, options=options) as client:
        listening = asyncio.create_task(listen(client))
        first = 0
        for last in killed_after:
            await stream(client, range(first, last))
            # in the midst of what was sent: some of it is applied, less is durable
            await client._link.until(lambda: client._link.buffer.applied > 5 * (first + 2))  # noqa: B023, SLF001
            server.kill()
            await stream(client, range(last, last + 3))
            await server.start()
            first = last + 3
        await stream(client, range(first, N_SEGMENTS))
        await client.drain()
        await client.until_read()
        assert client.n_connections == len(killed_after) + 1
    await listening
    return heard


def told(heard: list[StreamMessage]) -> tuple[list[Prediction], list[Learned]]:
    """Pick the final predictions and the lessons."""
    finals = [m for m in heard if isinstance(m, Prediction) and m.final]
    return finals, [m for m in heard if isinstance(m, Learned)]


@pytest.mark.slow
async def test_a_server_killed_in_mid_stream_changes_nothing_that_is_learnt_or_heard(
    tmp_path: Path,
) -> None:
    outcomes: list[tuple[list[StreamMessage], Weights]] = []
    for name, killed_after in (("undisturbed", ()), ("killed", KILLED_AFTER)):
        folder = tmp_path / name
        folder.mkdir()
        async with server_process(folder, **STORAGE) as server:
            heard = await run(server, killed_after)
            outcomes.append((heard, await server.weights()))
            assert server.n_starts == len(killed_after) + 1

    (undisturbed, weights), (disturbed, weights_after) = outcomes
    finals, lessons = told(undisturbed)
    assert [message.segment for message in finals] == list(range(N_SEGMENTS))
    assert [message.segment for message in lessons] == list(range(N_SEGMENTS))
    assert told(disturbed) == (finals, lessons)
    assert same_weights(weights, weights_after)


@pytest.mark.slow
async def test_a_closed_session_is_all_on_disk(tmp_path: Path) -> None:
    # so rarely that only the end of the block stores it
    settings = {"tclif_storage__snapshot_every_s": "3600"}
    async with server_process(tmp_path, **settings) as server:
        async with StreamingClient.open(server.url, REQUEST) as client:
            await stream(client, range(3))
        assert client.durable == 15
        weights = await server.weights()
        server.kill()
        await server.start()
        weights_after = await server.weights()

    assert same_weights(weights, weights_after)
