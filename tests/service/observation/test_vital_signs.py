"""What is read of the engine: which numbers, how often, and who waits for it."""

import asyncio

import pytest

from service.errors import InternalFailure
from service.observation.vital_signs import RECENT_TICKS, REFRESH_S, WEIGHT_CHANGE_S
from tests.service.ward import TIMEOUT_S, Ward


async def test_nothing_is_known_of_a_session_before_the_first_reading() -> None:
    ward = Ward()
    session = await ward.open("a")

    assert ward.reader.of(session) is None


async def test_a_session_without_ticks_has_no_rates_and_no_accuracy() -> None:
    ward = Ward()

    signs = await ward.signs(await ward.open("a"))

    assert (signs.firing_rates, signs.accuracy, signs.n_labelled) == ((), None, 0)
    assert not signs.is_drifting
    assert not signs.learning_stopped


async def test_firing_rates_are_those_of_the_last_ticks() -> None:
    ward = Ward()
    session = await ward.open("a")
    learner, slot = session.network.learner, session.network.slot
    ward.live(session, 0, RECENT_TICKS)
    await ward.signs(session)
    before, _ = learner.spike_counts(slot)

    ward.live(session, 1, RECENT_TICKS + 50)
    signs = await ward.signs(session)

    after, _ = learner.spike_counts(slot)
    assert (after > before).any(), "the network spikes"
    # layers of four and three neurons, 300 ticks
    assert signs.firing_rates == tuple((after - before) / ([4 * 300, 3 * 300]))


async def test_firing_rates_wait_for_enough_ticks() -> None:
    ward = Ward()
    session = await ward.open("a")
    ward.live(session, 0, RECENT_TICKS)
    first = await ward.signs(session)

    ward.live(session, 1, RECENT_TICKS - 1)

    assert (await ward.signs(session)).firing_rates == first.firing_rates


async def test_a_network_that_is_set_back_is_rated_from_its_first_tick() -> None:
    ward = Ward()
    session = await ward.open("a")
    learner, slot = session.network.learner, session.network.slot
    ward.live(session, 0, 40)
    young = learner.export(slot)
    ward.live(session, 1, RECENT_TICKS)
    await ward.signs(session)

    learner.replace(slot, young)
    signs = await ward.signs(session)

    counts, n_ticks = learner.spike_counts(slot)
    assert n_ticks == 40
    assert signs.firing_rates == tuple(counts / [4 * 40, 3 * 40])


async def test_labels_and_lessons_are_told() -> None:
    ward = Ward()
    session = await ward.open("a")
    ward.live(session, 0, 10, target=1)
    ward.live(session, 1, 10, target=1)
    # a segment without ticks has a uniform prediction, of which the first class is the largest
    ward.live(session, 2, 0, target=0)

    signs = await ward.signs(session)

    assert (signs.n_labelled, signs.n_lessons) == (3, 2)
    assert signs.accuracy == session.network.teaching.accuracy.windowed
    assert signs.accuracy >= 1 / 3


async def test_the_weight_change_is_told_after_a_lesson_and_is_that_of_the_learner() -> None:
    ward = Ward()
    session = await ward.open("a")
    ward.live(session, 0, 10, target=1)
    # worked out by one reading, told by the next
    await ward.signs(session)

    signs = await ward.signs(session)

    change = session.network.learner.weight_change(session.network.slot)
    assert signs.weight_change == tuple(change)
    assert all(part > 0 for part in change)


async def test_weight_changes_are_worked_out_one_a_reading_the_longest_unknown_first() -> None:
    ward = Ward()
    sessions = [await ward.open(name) for name in "abc"]
    for session in sessions:
        ward.live(session, 0, 10, target=1)

    known = []
    for _ in range(4):
        ward.clock.advance(REFRESH_S)
        await ward.reader.refresh()
        signs = [ward.reader.of(session) for session in sessions]
        known.append(sum(sign is not None and sign.weight_change is not None for sign in signs))

    assert known == [0, 1, 2, 3]
    # each is known now; it is worked out anew after a lesson, and not at once
    ward.live(sessions[0], 1, 10, target=1)
    ward.clock.advance(WEIGHT_CHANGE_S - 4 * REFRESH_S)
    await ward.reader.refresh()
    stale = ward.reader.of(sessions[0])
    assert stale is not None
    now = tuple(sessions[0].network.learner.weight_change(sessions[0].network.slot))
    assert stale.weight_change != now
    assert (await ward.signs(sessions[0])) is not None
    assert (await ward.signs(sessions[0])).weight_change == now


async def test_who_asks_again_at_once_gets_the_same_reading() -> None:
    ward = Ward()
    session = await ward.open("a")
    ward.live(session, 0, 10)
    first = await ward.signs(session)

    ward.live(session, 1, 10, target=1)
    await ward.reader.refresh()
    assert ward.reader.of(session) is first
    ward.clock.advance(REFRESH_S)
    await ward.reader.refresh()

    again = ward.reader.of(session)
    assert again is not None
    assert again.n_labelled == 1


async def test_a_busy_engine_is_asked_once_and_nobody_waits_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.observation.vital_signs.PATIENCE_S", 0.0)
    ward = Ward()
    session = await ward.open("a")
    ward.engine.holds_calls = True

    async with asyncio.timeout(TIMEOUT_S):
        for _ in range(5):
            ward.clock.advance(REFRESH_S)
            await ward.reader.refresh()

    assert len(ward.engine.waiting) == 1
    assert ward.reader.of(session) is None
    ward.engine.release()
    for _ in range(5):
        await asyncio.sleep(0)
    assert ward.reader.of(session) is not None


async def test_a_quarantined_session_is_not_read() -> None:
    ward = Ward()
    good, bad = await ward.open("good"), await ward.open("bad")
    bad.network.fail(InternalFailure("a defect"), bad.backlog.inbox)

    await ward.signs(good)

    assert ward.reader.of(bad) is None


async def test_a_session_deleted_while_a_reading_waits_is_not_read() -> None:
    ward = Ward()
    kept, deleted = await ward.open("kept"), await ward.open("deleted")
    ward.engine.holds_calls = True
    reading = asyncio.create_task(ward.reader.refresh())
    await asyncio.sleep(0)
    # the engine frees the slot before it comes to the reading
    ward.engine.close_network(deleted)

    ward.engine.release()
    async with asyncio.timeout(TIMEOUT_S):
        await reading

    assert ward.reader.of(kept) is not None
    assert ward.reader.of(deleted) is None


async def test_the_banks_are_measured() -> None:
    ward = Ward()

    await ward.signs(await ward.open("a"))

    assert ward.reader.bank_bytes == ward.engine.bank_bytes()
