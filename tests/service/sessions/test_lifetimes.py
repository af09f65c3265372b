"""Sessions that are parked, come back, expire, survive a crash and lose files."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from service.configuration.configuration import SessionConfiguration
from service.errors import CloseCode, ConfigMismatch, EpochMismatch, Overloaded, QuotaExceeded
from service.settings import SessionSettings
from service.state_tree import Tree
from service.storage.snapshot_store import folder_of
from service.wire_protocol import AddClasses, Close, ErrorMessage, Goodbye
from tests.service.household import NETWORK, Household, key
from tests.service.open_requests import open_request


def flattened(value: object) -> object:
    """Return a tree so that it can be compared to the last bit."""
    match value:
        case np.ndarray():
            return value.dtype.str, value.shape, value.tobytes()
        case dict():
            return {name: flattened(member) for name, member in value.items()}
        case list() | tuple():
            return [flattened(member) for member in value]
    return value


def same(one: Tree, other: Tree) -> bool:
    return flattened(one) == flattened(other)


# --- parking and expiry


async def test_a_session_is_parked_exactly_when_its_time_has_come(tmp_path: Path) -> None:
    house = Household(tmp_path, park_after_s=300.0)
    session, _, outbox = await house.open()
    await house.live(session, 0)
    session.detach(outbox)

    house.clock.advance(299.75)
    await house.registry.tend()
    assert len(house.registry) == 1
    house.clock.advance(0.25)
    await house.registry.tend()

    assert len(house.registry) == 0
    assert house.engine.n_closed == 1
    [parked] = house.registry.parked_of("local")
    assert (parked.session, parked.applied, parked.ticks) == ("s", 4, 10)
    assert house.applied() == [4, 4, 0]


async def test_who_is_attached_is_not_parked_for_that_time(tmp_path: Path) -> None:
    house = Household(tmp_path, park_after_s=1.0, expire_after_s=2.0, sleep_after_s=2000.0)
    await house.open()

    house.clock.advance(1000.0)
    await house.registry.tend()

    assert len(house.registry) == 1


async def test_a_parked_session_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    house = Household(tmp_path, park_after_s=1.0)
    session, opened, outbox = await house.open()
    await house.live(session, 0, 1, 2)
    before = await house.captured(session)
    session.detach(outbox)
    house.clock.advance(1.0)
    await house.registry.tend()

    again, resumed, _ = await house.open(epoch=opened.epoch)

    assert again is not session
    assert (resumed.resumed, resumed.next_sequence, resumed.epoch) == (True, 13, opened.epoch)
    assert again.durable == 12
    assert same(await house.captured(again), before)
    assert house.registry.parked_of("local") == []


async def test_a_parked_session_is_held_to_its_configuration(tmp_path: Path) -> None:
    house = Household(tmp_path, park_after_s=1.0)
    session, _, outbox = await house.open()
    session.detach(outbox)
    house.clock.advance(1.0)
    await house.registry.tend()

    with pytest.raises(ConfigMismatch, match="tick_us"):
        await house.open(tick_us=200)
    with pytest.raises(EpochMismatch):
        await house.open(epoch=1)


@pytest.mark.parametrize("is_parked", [True, False])
async def test_a_session_expires_exactly_when_its_time_has_come(
    tmp_path: Path,
    is_parked: bool,  # noqa: FBT001 - a parameter of pytest
) -> None:
    park_after_s = 10.0 if is_parked else 9999.0
    house = Household(tmp_path, park_after_s=park_after_s, expire_after_s=100.0)
    session, _, outbox = await house.open()
    session.detach(outbox)
    house.clock.advance(50.0)
    await house.registry.tend()
    assert len(house.registry) == (0 if is_parked else 1)

    house.clock.advance(49.75)
    await house.registry.tend()
    house.registry.check_exists(key())
    house.clock.advance(0.25)
    await house.registry.tend()

    assert (len(house.registry), house.registry.parked_of("local")) == (0, [])
    assert house.applied() == []


async def test_an_expired_session_is_gone_even_before_somebody_looks(tmp_path: Path) -> None:
    house = Household(tmp_path, park_after_s=10.0, expire_after_s=100.0)
    session, first, outbox = await house.open()
    session.detach(outbox)
    house.clock.advance(10.0)
    await house.registry.tend()

    house.clock.advance(90.0)
    _, opened, _ = await house.open()

    assert not opened.resumed
    assert opened.epoch != first.epoch


async def test_a_session_that_can_not_be_stored_stays_in_memory(tmp_path: Path) -> None:
    house = Household(tmp_path, park_after_s=1.0)
    session, _, outbox = await house.open()
    await house.live(session, 0)
    session.detach(outbox)
    house.clock.advance(1.0)
    house.storage.is_full = True

    await house.registry.tend()

    assert house.registry.get(key()) is session


async def test_full_memory_parks_the_session_that_was_left_longest_ago(tmp_path: Path) -> None:
    house = Household(tmp_path, session={"max_sessions": 2})
    left: list[str] = []
    for name in ("a", "b"):
        session, _, outbox = await house.open(name)
        session.detach(outbox)
        left.append(name)
        house.clock.advance(1.0)

    await house.open("c")
    assert [session.name for session in house.registry] == ["b", "c"]
    await house.open("a")
    assert [session.name for session in house.registry] == ["a", "c"]

    # both are attached now: there is nobody to park
    with pytest.raises(QuotaExceeded, match="2 sessions exist"):
        await house.open("b")


async def test_whoever_asks_for_a_session_while_it_is_parked_waits_and_finds_it(
    tmp_path: Path,
) -> None:
    house = Household(tmp_path, park_after_s=1.0)
    session, _, outbox = await house.open()
    session.detach(outbox)
    house.clock.advance(1.0)

    parking = asyncio.create_task(house.registry.tend())
    n_missed = 0
    while not parking.done():
        await asyncio.sleep(0)
        n_missed += house.registry.get(key()) is None and house.archive.parked(key()) is None
    await parking

    assert n_missed == 0
    async with house.registry.hold(key()) as again:
        assert again is not session


async def test_a_session_that_was_opened_meanwhile_is_not_parked_for_room(tmp_path: Path) -> None:
    house = Household(tmp_path, session={"max_sessions": 2})
    for name in ("a", "b"):
        session, _, outbox = await house.open(name)
        session.detach(outbox)
        if name == "a":
            await house.live(session, 0)
        house.clock.advance(1.0)
    house.storage.is_full = True

    # while room is looked for and "a" can't be stored, "b" gets its client back
    opening = asyncio.create_task(house.open("c"))
    await asyncio.sleep(0)
    session, _, _ = await house.open("b")

    with pytest.raises(QuotaExceeded, match="2 sessions exist"):
        await opening
    assert house.registry.get(key("b")) is session
    assert session.is_attached


# --- classes that need room


MORE = AddClasses(add=tuple(f"class {n}" for n in range(40)), sequence=1)
ROOM: dict[str, object] = {"max_sessions": 4}


def grown_bytes(n_classes: int) -> int:
    """Return what a session of these tests takes."""
    request = open_request(network=NETWORK, learning={"optimizer": "adam", "rate": 0.01})
    return SessionConfiguration.resolve(request, SessionSettings()).network_bytes(n_classes)


async def test_whether_classes_are_added_does_not_depend_on_what_others_take(
    tmp_path: Path,
) -> None:
    bounds = ROOM | {"max_total_bytes": 2 * grown_bytes(3)}
    house = Household(tmp_path, session=bounds)
    alone, _, _ = await house.open("alone")
    await house.open("other")

    alone.accept(MORE, 0.0)
    await asyncio.wait_for(alone.backlog.wait_until_done(), 20)

    assert len(alone.intake.class_names) == 43
    assert house.registry.bytes_used == grown_bytes(43) + grown_bytes(3)


async def test_the_bound_of_a_sessions_creation_decides_after_a_crash_too(tmp_path: Path) -> None:
    house = Household(tmp_path, session={"max_session_bytes": grown_bytes(42)})
    session, _, _ = await house.open()
    await house.keeper.store(session)
    session.accept(MORE, 0.0)
    assert len(session.intake.class_names) == 3

    # the next server would allow more
    house = await house.after_a_crash(tmp_path)
    session, opened, outbox = await house.open()
    session.accept(MORE, 0.0)
    told = await house.told(outbox)

    assert opened.next_sequence == 1
    assert len(session.intake.class_names) == 3
    [refusal] = [message for message in told if isinstance(message, ErrorMessage)]
    assert (refusal.code, refusal.sequence, refusal.fatal) == ("quota", 1, False)


async def test_a_session_that_grew_makes_others_leave_that_nobody_is_attached_to(
    tmp_path: Path,
) -> None:
    house = Household(tmp_path, session=ROOM | {"max_total_bytes": grown_bytes(43) + 100})
    session, _, outbox = await house.open("left")
    session.detach(outbox)
    session, _, _ = await house.open("grown")
    session.accept(MORE, 0.0)

    await house.registry.tend()

    assert [session.name for session in house.registry] == ["grown"]
    assert session.is_attached


async def test_without_such_the_largest_session_hears_goodbye_and_loses_nothing(
    tmp_path: Path,
) -> None:
    house = Household(tmp_path, session=ROOM | {"max_total_bytes": grown_bytes(43) + 100})
    other, _, other_outbox = await house.open("other")
    session, _, outbox = await house.open("grown")
    session.accept(MORE, 0.0)
    before = await house.captured(session)

    await house.registry.tend()

    assert (await house.told(outbox))[-1] == Goodbye(reason="quota", durable=0, retry_after_ms=1000)
    assert outbox.close_code is CloseCode.QUOTA
    assert [session.name for session in house.registry] == ["other"]
    with pytest.raises(QuotaExceeded):
        await house.open("grown")
    other.detach(other_outbox)
    session, opened, _ = await house.open("grown")
    assert opened.next_sequence == 2
    assert same(await house.captured(session), before)


# --- crashes and lost files


async def test_a_crashed_servers_sessions_are_found_and_go_on(tmp_path: Path) -> None:
    house = Household(tmp_path)
    session, opened, _ = await house.open()
    await house.live(session, 0, 1)
    await house.keeper.store(session)
    before = await house.captured(session)
    await house.live(session, 2)
    expected = await house.captured(session)

    house = await house.after_a_crash(tmp_path)
    [parked] = house.registry.parked_of("local")
    session, resumed, _ = await house.open(epoch=opened.epoch)

    assert parked.applied == 8
    assert (resumed.resumed, resumed.next_sequence) == (True, 9)
    assert same(await house.captured(session), before)
    await house.live(session, 2)
    assert same(await house.captured(session), expected)


async def test_a_damaged_newest_snapshot_is_healed_by_the_one_before(tmp_path: Path) -> None:
    house = Household(tmp_path)
    session, opened, _ = await house.open()
    await house.live(session, 0)
    await house.keeper.store(session)
    await house.live(session, 1)
    expected = await house.captured(session)
    durable = session.durable
    house.sleep.pass_time(5.0)
    await house.until(lambda: house.applied()[0] == 8)

    house.damage(0)
    house = await house.after_a_crash(tmp_path)
    session, resumed, _ = await house.open(epoch=opened.epoch)

    assert resumed.next_sequence == 5 == durable + 1
    await house.live(session, 1)
    assert same(await house.captured(session), expected)


async def test_what_healed_once_heals_again_before_its_client_sends_anything(
    tmp_path: Path,
) -> None:
    house = Household(tmp_path)
    session, opened, _ = await house.open()
    await house.live(session, 0)
    await house.keeper.store(session)
    expected = await house.captured(session)

    for _ in range(3):
        house.damage(0)
        house = await house.after_a_crash(tmp_path)
        session, resumed, _ = await house.open(epoch=opened.epoch)

        assert (resumed.next_sequence, session.durable) == (5, 4)
        assert same(await house.captured(session), expected)


async def test_without_a_sound_snapshot_the_session_begins_anew_and_says_so(
    tmp_path: Path,
) -> None:
    house = Household(tmp_path)
    session, first, _ = await house.open()
    await house.live(session, 0)
    await house.keeper.store(session)
    for place in range(len(house.applied())):
        house.damage(place)
    house = await house.after_a_crash(tmp_path)

    with pytest.raises(EpochMismatch, match="there is no session"):
        await house.open(epoch=first.epoch)
    _, opened, _ = await house.open()

    assert (opened.resumed, opened.next_sequence) == (False, 1)
    assert opened.epoch != first.epoch
    assert len(house.storage.folders("aside")) == 1
    assert house.applied() == [0, 0]


async def test_a_crash_while_it_is_stored_anew_and_another_damaged_file_heal_too(
    tmp_path: Path,
) -> None:
    house = Household(tmp_path)
    session, opened, _ = await house.open()
    await house.live(session, 0)
    await house.keeper.store(session)
    house.damage(0)
    house = await house.after_a_crash(tmp_path)
    await house.open(epoch=opened.epoch)

    # the sound one of before, and the first of its new copies
    folder = folder_of("local", "s")
    assert house.applied() == [4, 4, 0]
    assert house.storage.folders("aside") == [folder.rpartition("/")[2]]
    house.damage(0)
    house = await house.after_a_crash(tmp_path)
    _, resumed, _ = await house.open(epoch=opened.epoch)

    assert (resumed.resumed, resumed.next_sequence) == (True, 5)


async def test_no_older_snapshot_takes_the_place_of_what_was_durable(tmp_path: Path) -> None:
    house = Household(tmp_path)
    session, first, _ = await house.open()
    await house.live(session, 0)
    await house.keeper.store(session, requested=True)
    await house.live(session, 1)
    await house.keeper.store(session)
    assert house.applied()[:3] == [8, 8, 4]
    house.damage(0)
    house.damage(1)
    house = await house.after_a_crash(tmp_path)

    # the client was told that message 8 is durable, and may have forgotten what came after 4
    with pytest.raises(EpochMismatch, match="there is no session"):
        await house.open(epoch=first.epoch)
    _, opened, _ = await house.open()

    assert (opened.resumed, opened.next_sequence) == (False, 1)
    assert opened.epoch != first.epoch


@pytest.mark.parametrize(
    "learning",
    [
        {"optimizer": "adam", "rate": 0.01},
        {"optimizer": "adam", "rate": 0.01, "feedback": "broadcast"},
        {"optimizer": "rmsprop", "momentum": 0.5, "rate": 0.01},
        {"optimizer": "sgd", "rate": 0.05},
        {"optimizer": "sgd", "update": "tick", "rate": 0.01},
        {"optimizer": "rmsprop", "update": "tick", "rate": 0.01},
        {"mode": "off"},
    ],
    ids=lambda learning: "-".join(str(value) for value in learning.values()),
)
@pytest.mark.parametrize("carry_state", [False, True], ids=["fresh", "carried"])
async def test_every_kind_of_learning_goes_on_bit_for_bit(
    tmp_path: Path,
    learning: dict[str, object],
    carry_state: bool,  # noqa: FBT001 - a parameter of pytest
) -> None:
    house = Household(tmp_path)
    session, _, _ = await house.open(learning=learning, carry_state=carry_state)
    await house.live(session, 0, 1)
    await house.keeper.store(session)
    await house.live(session, 2, 3)
    expected = await house.captured(session)

    house = await house.after_a_crash(tmp_path)
    session, _, _ = await house.open(learning=learning, carry_state=carry_state)
    await house.live(session, 2, 3)

    assert same(await house.captured(session), expected)


async def test_a_session_keeps_the_kernel_of_its_creation(tmp_path: Path) -> None:
    house = Household(tmp_path)
    session, opened, _ = await house.open()

    state = (await house.captured(session))["session"]

    assert isinstance(state, dict)
    assert state["kernel"] == opened.kernel == "reference"


async def test_bounds_stay_those_of_the_creation(tmp_path: Path) -> None:
    house = Household(tmp_path, session={"kept_segments": 3})
    session, first, _ = await house.open()
    await house.keeper.store(session)
    house = await house.after_a_crash(tmp_path)

    _, opened, _ = await house.open()

    assert opened.limits.kept_segments == first.limits.kept_segments == 3


# --- stored before it is promised


async def test_a_new_session_that_can_not_be_stored_is_not_opened(tmp_path: Path) -> None:
    house = Household(tmp_path)
    house.storage.is_full = True

    with pytest.raises(Overloaded) as refusal:
        await house.open()

    assert refusal.value.close_code is CloseCode.TRY_AGAIN
    assert (len(house.registry), house.engine.n_opened, house.engine.n_closed) == (0, 1, 1)
    house.storage.is_full = False
    _, opened, _ = await house.open()
    assert not opened.resumed


async def test_a_take_over_stores_what_the_first_connection_sent(tmp_path: Path) -> None:
    house = Household(tmp_path)
    session, _, _ = await house.open()
    await house.live(session, 0)

    await house.open()

    assert session.durable == 4


async def test_a_take_over_goes_on_if_that_fails_and_says_so(tmp_path: Path) -> None:
    house = Household(tmp_path)
    session, _, _ = await house.open()
    await house.live(session, 0)
    house.storage.is_full = True

    _, opened, outbox = await house.open()

    assert opened.resumed
    assert session.durable == 0
    # what was told with `opened` is taken already
    assert outbox.close_code is None


async def test_deleting_erases_the_snapshots(tmp_path: Path) -> None:
    house = Household(tmp_path, park_after_s=1.0)
    session, _, outbox = await house.open("parked")
    session.detach(outbox)
    house.clock.advance(1.0)
    await house.registry.tend()
    await house.open("here")

    assert await house.registry.delete(key("parked"))
    assert await house.registry.delete(key("here"))
    assert not await house.registry.delete(key("here"))

    assert house.storage.folders("sessions") == []
    house = await house.after_a_crash(tmp_path)
    assert house.registry.parked_of("local") == []


# --- draining


async def test_a_server_that_ends_stores_everything_and_says_goodbye(tmp_path: Path) -> None:
    house = Household(tmp_path)
    session, _, outbox = await house.open()
    await house.live(session, 0)

    await house.registry.drain()

    goodbye = (await house.told(outbox))[-1]
    assert goodbye == Goodbye(reason="draining", durable=4, retry_after_ms=1000)
    assert outbox.close_code is CloseCode.DRAINING
    assert house.applied()[:2] == [4, 4]


async def test_a_storage_that_fails_does_not_keep_a_server_from_ending(tmp_path: Path) -> None:
    house = Household(tmp_path)
    session, _, outbox = await house.open()
    await house.live(session, 0)
    house.storage.is_full = True

    async with asyncio.timeout(20):
        await house.registry.drain()

    goodbye = (await house.told(outbox))[-1]
    assert goodbye == Goodbye(reason="draining", durable=0, retry_after_ms=1000)


async def test_an_engine_that_does_not_get_there_is_waited_for_in_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = Household(tmp_path, drain_timeout_s=0.05)
    session, _, outbox = await house.open()
    monkeypatch.setattr(house.engine, "notify", lambda _: None)
    session.accept_close(Close(), 0.0)

    async with asyncio.timeout(20):
        await house.registry.drain()

    assert (await house.told(outbox))[-1] == Goodbye(
        reason="draining", durable=0, retry_after_ms=1000
    )
