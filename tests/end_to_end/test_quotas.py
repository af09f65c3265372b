"""What one principal may have and send, at a running server."""

import json

from tests.end_to_end.conftest import Serve
from tests.end_to_end.conversation_partner import (
    SMALL_OPEN,
    codes,
    connected,
    converse,
    lessons,
    of_kind,
)
from tests.end_to_end.running_server import same_weights

ENGINE: dict[str, object] = {"kernel": "reference"}


async def test_one_connection_too_many_hears_quota(serve: Serve) -> None:
    async with (
        serve(engine=ENGINE, quota={"connections": 1}) as server,
        connected(server.url) as first,
    ):
        await first.open()
        async with connected(server.url) as second:
            code = await second.closed()
        await first.send(*lessons(range(1)))
        heard = await first.settle()

    assert (codes(second.heard), code) == (["quota"], 4429)
    assert of_kind("learned", heard)


async def test_who_connects_too_often_hears_quota(serve: Serve) -> None:
    async with serve(engine=ENGINE, quota={"connections_per_minute": 2}) as server:
        for _ in range(2):
            await converse(server.url, [])
        async with connected(server.url) as third:
            code = await third.closed()

    assert (codes(third.heard), code) == (["quota"], 4429)


async def test_one_session_too_many_hears_quota(serve: Serve) -> None:
    async with serve(engine=ENGINE, quota={"sessions": 1}) as server:
        await converse(server.url, [], session="a")
        async with connected(server.url) as other:
            await other.say(json.dumps(SMALL_OPEN | {"session": "b"}))
            code = await other.closed()

    assert (codes(other.heard), code) == (["quota"], 4429)


async def test_who_sends_too_fast_is_read_slowly_and_loses_nothing(serve: Serve) -> None:
    messages = lessons(range(2))
    # 240 events in four frames: a second's worth is there at once, the rest takes 0.2 s
    async with (
        serve(engine=ENGINE, quota={"events_per_s": 200}) as slow,
        serve(engine=ENGINE) as fast,
    ):
        heard_slowly = await converse(slow.url, messages)
        heard_fast = await converse(fast.url, messages)
        paced = (await slow.http.get("/metrics")).text
        is_same = same_weights(await slow.weights(), await fast.weights())

    assert heard_slowly == heard_fast
    assert is_same
    [line] = [line for line in paced.splitlines() if line.startswith("tclif_paced_seconds_total")]
    assert float(line.split()[1]) > 0.1
