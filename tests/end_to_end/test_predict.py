"""A whole segment in one call, and what a live sensor says in one loop, against a real server."""

from collections.abc import AsyncIterator

import numpy as np
import pytest

from clients.connection_errors import MessageRefused
from clients.live_moments import PAUSE_US, Moment, answers
from clients.sdk import StreamingClient
from tests.end_to_end.running_server import RunningServer, same_weights

TIMES_US = np.arange(0, 40_000, 1000)
ADDRESSES = np.arange(40) % 8


def opening(
    url: str, session: str = "s", segmentation: dict[str, object] | None = None
) -> StreamingClient:
    return StreamingClient.open(
        url,
        session=session,
        sensor={"kind": "raw", "addresses": 8},
        network={"hidden": [12], "classes": ["a", "b"]},
        segmentation=segmentation or {"by": "client"},
        seed=3,
    )


async def test_predicting_a_segment_is_sending_it_by_hand(server: RunningServer) -> None:
    async with opening(server.url, "by-hand") as client:
        await client.begin_segment(0, t_us=0)
        await client.send_events(TIMES_US, ADDRESSES)
        await client.end_segment(0, t_us=39_001)
        await client.label(0, "b")
        await client.drain()
        expected = await anext(client)
    async with opening(server.url) as client:
        found = await client.predict(TIMES_US, ADDRESSES)
        await client.label(found.segment, "b")
        await client.drain()
        # who iterates hears it too
        assert await anext(client) == found

    assert found == expected
    assert same_weights(await server.weights(), await server.weights("by-hand"))


async def test_numbers_rise_and_go_on_in_a_session_that_was_left_in_mid_segment(
    server: RunningServer,
) -> None:
    async with opening(server.url) as client:
        first = await client.predict(TIMES_US, ADDRESSES)
        await client.begin_segment(7, t_us=0)
    async with opening(server.url) as client:
        second = await client.predict(TIMES_US, ADDRESSES, duration_us=80_000)
        third = await client.predict(TIMES_US[:0], ADDRESSES[:0])

    assert first.segment == 0
    assert second.segment > 7
    assert third.segment == second.segment + 1
    # ticks of 4 ms: 39.001 ms begin 10 of them, 80 ms 20, an empty segment one
    assert (first.tick, second.tick, third.tick) == (10, 20, 1)


async def test_a_stream_that_the_server_cuts_takes_no_segments(server: RunningServer) -> None:
    cut: dict[str, object] = {"by": "silence", "gap_us": 20_000}
    async with opening(server.url, segmentation=cut) as client:
        with pytest.raises(MessageRefused, match="bad_segment"):
            await client.predict(TIMES_US, ADDRESSES)


async def moments(n: int) -> AsyncIterator[Moment]:
    """Give bursts of 10 ms with silences of 40 ms between."""
    for number in range(n):
        begin_us = number * 50_000
        yield Moment(begin_us + TIMES_US[:10], ADDRESSES[:10].astype(np.uint32), begin_us + 49_000)


@pytest.mark.parametrize(
    ("cut", "ends_us"),
    [
        # each begins with its first event; 20 ms after its last one it is over
        ({"by": "silence", "gap_us": 20_000}, [29_000, 79_000, 129_000]),
        # from the first event on
        ({"by": "window", "length_us": 60_000}, [60_000, 120_000, 180_000]),
    ],
)
async def test_answers_come_while_a_sensor_speaks_and_end_when_all_is_answered(
    server: RunningServer, cut: dict[str, object], ends_us: list[int]
) -> None:
    async with opening(server.url, segmentation=cut) as client:
        heard = [message async for message in answers(client, moments(3))]
    finals = [m for m in heard if m.type == "prediction" and m.final]

    assert [final.segment for final in finals] == [0, 1, 2]
    assert [final.t_us - PAUSE_US for final in finals] == ends_us

    async with opening(server.url, segmentation=cut) as client:
        again = [message async for message in answers(client, moments(1))]

    # windows have gone on meanwhile
    assert again[-1].type == "prediction"
    assert again[-1].segment > 2


async def test_a_sensor_that_breaks_is_told(server: RunningServer) -> None:
    async def broken() -> AsyncIterator[Moment]:
        async for moment in moments(1):
            yield moment
        raise OSError("the cable")

    async with opening(server.url, segmentation={"by": "none"}) as client:
        with pytest.raises(OSError, match="the cable"):
            async for _ in answers(client, broken()):
                pass
