"""Sessions that leave memory while a connection is attached, and come back unnoticed."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from service.errors import Overloaded
from service.sessions.outbox import Outbox
from service.sessions.sessions import Session
from service.storage.snapshot_store import StoredSnapshot
from service.wire_protocol import Close, Goodbye, Learned, Prediction
from tests.service.household import TIMEOUT_S, Household, key

SLEEP_S = 60.0


async def asleep(house: Household, name: str = "s") -> tuple[Session, Outbox]:
    """Open a session that learns something and then says nothing, until it sleeps."""
    session, _, outbox = await house.open(name)
    await house.live(session, 0)
    await house.told(outbox)
    house.clock.advance(SLEEP_S)
    await house.registry.tend()
    assert session.is_dormant
    return session, outbox


async def goodbyes(house: Household, outbox: Outbox) -> list[str]:
    return [said.reason for said in await house.told(outbox) if isinstance(said, Goodbye)]


@pytest.fixture
def house(tmp_path: Path) -> Household:
    return Household(tmp_path / "data", sleep_after_s=SLEEP_S)


async def test_a_session_sleeps_exactly_when_its_connection_was_silent_for_so_long(
    house: Household,
) -> None:
    session, _, _ = await house.open()
    house.clock.advance(SLEEP_S - 1)
    await house.live(session, 0)
    house.clock.advance(SLEEP_S - 0.25)
    await house.registry.tend()
    assert len(house.registry) == 1
    house.clock.advance(0.25)
    await house.registry.tend()

    assert session.is_dormant
    assert (len(house.registry), house.registry.n_parked) == (0, 1)
    assert house.engine.n_closed == 1
    assert house.registry.bytes_used == 0
    assert house.applied() == [4, 4, 0]


async def test_a_connection_hears_nothing_of_its_sessions_sleep(house: Household) -> None:
    session, outbox = await asleep(house)

    await house.registry.rouse(session)

    assert not outbox.finished.is_set()
    assert len(outbox) == 0


async def test_a_session_goes_on_as_if_it_had_not_slept(house: Household) -> None:
    awake, _, _ = await house.open("awake")
    await house.live(awake, 0, 1)
    expected = await house.captured(awake)
    left, outbox = await asleep(house)

    session = await house.registry.rouse(left)
    await house.live(session, 1)

    assert (session.received, session.applied) == (8, 8)
    found = await house.captured(session)
    for name, row in expected["network"]["rows"].items():  # type: ignore[index]
        assert np.array_equal(row, found["network"]["rows"][name])  # type: ignore[index]
    told = await house.told(outbox)
    assert [type(message) for message in told[:2]] == [Prediction, Learned]


async def test_whoever_wakes_a_session_wakes_it_for_its_connection(house: Household) -> None:
    left, outbox = await asleep(house)

    async with house.registry.hold(key()) as session:
        assert session.is_attached

    assert await house.registry.rouse(left) is session
    left.detach(outbox)
    assert not session.is_attached


async def test_two_who_rouse_a_session_at_once_get_the_same_one(house: Household) -> None:
    left, _ = await asleep(house)

    one, other = await asyncio.gather(house.registry.rouse(left), house.registry.rouse(left))

    assert one is other
    assert house.engine.n_opened == 2


async def test_a_sleeping_connection_hears_of_a_take_over(house: Household) -> None:
    _, outbox = await asleep(house)

    session, opened, _ = await house.open()

    assert opened.resumed
    assert session.is_attached
    assert await goodbyes(house, outbox) == ["taken_over"]


async def test_a_sleeping_connection_hears_that_its_session_is_deleted(house: Household) -> None:
    _, outbox = await asleep(house)

    assert await house.registry.delete(key())

    assert await goodbyes(house, outbox) == ["deleted"]
    assert house.registry.n_parked == 0


async def test_a_sleeping_connection_hears_that_the_server_ends(house: Household) -> None:
    _, outbox = await asleep(house)

    async with asyncio.timeout(TIMEOUT_S):
        await house.registry.drain()

    assert await goodbyes(house, outbox) == ["draining"]


async def test_who_leaves_while_the_session_sleeps_was_there_until_then(house: Household) -> None:
    session, outbox = await asleep(house)
    house.clock.advance(1000.0)
    left_s = house.clock()

    session.detach(outbox)
    house.clock.advance(10.0)
    await house.registry.tend()

    [parked] = house.registry.parked_of("local")
    assert parked.used_s == left_s


async def test_a_session_whose_connection_sleeps_does_not_expire(tmp_path: Path) -> None:
    house = Household(tmp_path / "data", sleep_after_s=SLEEP_S, expire_after_s=500.0)
    await asleep(house)

    house.clock.advance(1000.0)
    await house.registry.tend()

    assert house.registry.n_parked == 1


async def test_a_session_that_slept_for_longer_than_others_live_goes_on(tmp_path: Path) -> None:
    house = Household(tmp_path / "data", sleep_after_s=SLEEP_S, expire_after_s=500.0)
    left, _ = await asleep(house)
    house.clock.advance(1000.0)

    session = await house.registry.rouse(left)

    assert (session.epoch, session.received) == (left.epoch, 4)


async def test_who_left_a_sleeping_session_just_now_may_resume_it(tmp_path: Path) -> None:
    house = Household(tmp_path / "data", sleep_after_s=SLEEP_S, expire_after_s=500.0)
    left, outbox = await asleep(house)
    house.clock.advance(1000.0)
    left.detach(outbox)

    _, opened, _ = await house.open()

    assert opened.resumed


async def test_a_session_whose_client_closes_while_it_is_stored_stays(
    house: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, _, _ = await house.open()
    store = house.keeper.store

    async def store_and_close(session: Session) -> StoredSnapshot:
        stored = await store(session)
        session.accept_close(Close(), 0.0)
        return stored

    monkeypatch.setattr(house.keeper, "store", store_and_close)
    house.clock.advance(SLEEP_S)
    await house.registry.tend()

    assert not session.is_dormant
    await asyncio.wait_for(session.backlog.wait_until_done(), TIMEOUT_S)


async def test_a_session_that_speaks_while_it_is_stored_stays(
    house: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, _, _ = await house.open()
    await house.live(session, 0)
    store = house.keeper.store

    async def store_and_speak(session: Session) -> StoredSnapshot:
        stored = await store(session)
        await house.live(session, 1)
        return stored

    monkeypatch.setattr(house.keeper, "store", store_and_speak)
    house.clock.advance(SLEEP_S)
    await house.registry.tend()

    assert not session.is_dormant
    assert house.registry.get(key()) is session


async def test_a_session_that_comes_back_older_than_it_left_has_to_be_resumed(
    house: Household,
) -> None:
    session, outbox = await asleep(house)
    for place in (0, 1):
        house.damage(place)

    with pytest.raises(Overloaded, match="expected a resume"):
        await house.registry.rouse(session)

    session.detach(outbox)
    await house.registry.tend()
