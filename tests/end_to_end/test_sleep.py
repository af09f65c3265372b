"""A session that leaves memory between two frames, over a socket."""

import asyncio

from tests.end_to_end.conftest import Serve
from tests.end_to_end.conversation_partner import connected, lessons
from tests.end_to_end.running_server import RunningServer, same_weights

TIMEOUT_S = 60.0


async def n_parked(server: RunningServer) -> int:
    """Ask how many sessions are stored and not in memory."""
    page = (await server.http.get("/metrics")).text
    [line] = [line for line in page.splitlines() if 'tclif_sessions{state="parked"}' in line]
    return int(float(line.split()[-1]))


async def test_a_session_that_slept_between_two_frames_equals_one_that_did_not(
    serve: Serve,
) -> None:
    async with serve() as server, connected(server.url) as partner:
        await partner.open(session="s")
        partner.fresh()
        await partner.send(*lessons(range(4)))
        expected, weights = await partner.settle(), await server.weights("s")

    async with serve(storage={"sleep_after_s": 0.0}) as server, connected(server.url) as partner:
        await partner.open(session="s")
        partner.fresh()
        await partner.send(*lessons(range(4))[:7])
        heard = await partner.settle()
        async with asyncio.timeout(TIMEOUT_S):
            while not await n_parked(server):  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0)
        await partner.send(*lessons(range(4))[7:])
        heard += await partner.settle()

        assert heard == expected
        assert same_weights(await server.weights("s"), weights)
