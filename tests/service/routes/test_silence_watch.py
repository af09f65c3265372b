"""A peer that is silent for too long: told once, by its limit, and only while it is waited for."""

import asyncio

from service.routes.silence_watch import SilenceWatch

SHORT_S = 0.01
TIMEOUT_S = 10.0


def waiting(limit_s: float) -> tuple[SilenceWatch, list[float]]:
    """Watch a wait that begins now; what it tells is in the list."""
    told: list[float] = []
    watch = SilenceWatch(limit_s, told.append)
    watch.wait()
    return watch, told


async def rung(seconds: float) -> None:
    """Wait until a timer rings that was armed now."""
    ringing = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, ringing.set)
    await ringing.wait()


async def test_a_wait_that_is_too_long_is_told_once_with_its_limit() -> None:
    heard = asyncio.Event()
    told: list[float] = []

    def tell(limit_s: float) -> None:
        told.append(limit_s)
        heard.set()

    watch = SilenceWatch(SHORT_S, tell)
    watch.wait()

    async with asyncio.timeout(TIMEOUT_S):
        await heard.wait()
        await rung(5 * SHORT_S)
    assert told == [SHORT_S]


async def test_what_takes_long_to_do_is_no_silence() -> None:
    watch, told = waiting(SHORT_S)
    watch.heard()

    await rung(5 * SHORT_S)

    assert told == []
    watch.stop()


async def test_another_limit_counts_from_the_last_message_on() -> None:
    watch, told = waiting(TIMEOUT_S)

    watch.limit(SHORT_S)

    await rung(5 * SHORT_S)
    assert told == [SHORT_S]


async def test_a_watch_that_is_stopped_tells_nothing() -> None:
    watch, told = waiting(SHORT_S)

    watch.stop()

    await rung(5 * SHORT_S)
    assert told == []
