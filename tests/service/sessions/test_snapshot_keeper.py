"""When sessions are stored, and what is durable by it."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from service.errors import InternalFailure, NotStored, Refusal, SnapshotFailed, UnknownSession
from service.state_tree import branch
from service.storage.snapshot_store import folder_of
from service.wire_protocol import Ack, ErrorMessage
from tests.service.household import Household


async def test_a_new_session_is_in_two_snapshots_before_it_is_opened(tmp_path: Path) -> None:
    house = Household(tmp_path)

    session, _, _ = await house.open()

    assert house.applied() == [0, 0]
    assert session.durable == 0


async def test_stored_means_that_all_that_was_read_is_in_two_snapshots(tmp_path: Path) -> None:
    house = Household(tmp_path)
    session, _, outbox = await house.open()
    await house.live(session, 0, 1)

    stored = await house.keeper.store(session)

    assert stored.manifest.applied == session.durable == 8
    # the first one is kept to roll back to
    assert house.applied() == [8, 8, 0]
    assert (await house.told(outbox))[-1] == Ack(applied=8, durable=8, credit_ticks=8192)


async def test_what_is_stored_already_is_not_stored_again(tmp_path: Path) -> None:
    house = Household(tmp_path)
    session, _, _ = await house.open()
    await house.live(session, 0)
    await house.keeper.store(session)
    before = house.store.numbers(folder_of("local", "s"))

    await house.keeper.store(session)

    assert house.store.numbers(folder_of("local", "s")) == before


async def test_while_something_changes_a_snapshot_is_taken_every_few_seconds(
    tmp_path: Path,
) -> None:
    house = Household(tmp_path, snapshot_every_s=5.0)
    session, _, _ = await house.open()
    # the first wait is a random part of the rhythm, so that sessions do not stay together
    await house.until(lambda: len(house.sleep.asked_s) == 1)
    assert 0 <= house.sleep.asked_s[0] <= 5.0
    await house.live(session, 0)

    house.sleep.pass_time(5.0)
    await house.until(lambda: len(house.sleep.asked_s) == 2)
    # one copy holds it, the older of the two does not yet
    assert house.applied()[0] == 4
    assert session.durable == 0

    house.sleep.pass_time(5.0)
    await house.until(lambda: len(house.sleep.asked_s) == 3)
    assert house.applied()[:2] == [4, 4]
    assert session.durable == 4

    n_stored = len(house.applied())
    for n_asked in (4, 5):
        house.sleep.pass_time(5.0)
        await house.has_asked_for_sleep(n_asked)
    assert len(house.applied()) == n_stored


async def test_a_failure_is_told_and_tried_again_ever_later(tmp_path: Path) -> None:
    house = Household(tmp_path, snapshot_every_s=5.0, retry_at_most_s=30.0)
    session, _, outbox = await house.open()
    await house.until(lambda: len(house.sleep.asked_s) == 1)
    await house.live(session, 0)
    house.storage.is_full = True

    for n_asked in range(2, 6):
        house.sleep.pass_time(30.0)
        await house.has_asked_for_sleep(n_asked)

    assert house.sleep.asked_s[1:] == [10.0, 20.0, 30.0, 30.0]
    failures = [m for m in await house.told(outbox) if isinstance(m, ErrorMessage)]
    assert [(f.code, f.fatal) for f in failures] == [("snapshot_failed", False)] * 4
    assert "messages up to 0 are durable" in failures[0].message
    # where the folder lies is not the client's business
    assert str(tmp_path) not in failures[0].message
    assert session.durable == 0

    house.storage.is_full = False
    house.sleep.pass_time(30.0)
    await house.until(lambda: len(house.sleep.asked_s) == 6)
    assert house.sleep.asked_s[-1] == 5.0
    assert house.applied()[0] == 4


async def test_who_needs_a_session_stored_hears_that_it_could_not_be(tmp_path: Path) -> None:
    house = Household(tmp_path)
    session, _, _ = await house.open()
    await house.live(session, 0)
    house.storage.is_full = True

    with pytest.raises(SnapshotFailed, match="could not be stored"):
        await house.keeper.store(session)

    assert session.durable == 0
    house.storage.is_full = False
    await house.keeper.store(session)
    assert session.durable == 4


async def test_a_request_of_the_stream_is_answered_by_an_ack(tmp_path: Path) -> None:
    house = Household(tmp_path)
    session, _, outbox = await house.open()
    await house.live(session, 0)

    house.keeper.request(session)
    house.keeper.request(session)
    await house.until(lambda: session.durable == 4)

    assert (await house.told(outbox))[-1] == Ack(applied=4, durable=4, credit_ticks=8192)


async def test_requests_of_the_stream_push_out_nothing_to_roll_back_to(tmp_path: Path) -> None:
    house = Household(tmp_path, kept_requested=1, kept_periodic=0)
    session, _, _ = await house.open()
    await house.live(session, 0)
    asked_for = await house.keeper.store(session, requested=True)

    # as a client does that has much to keep
    for segment in range(1, 5):
        await house.live(session, segment)
        house.keeper.request(session)
        await house.until(lambda n=4 * segment + 4: session.durable == n)  # type: ignore[misc]
    await house.keeper.store(session)

    stored = house.store.manifests(folder_of("local", "s"))
    assert [s.manifest.applied for s in stored] == [20, 20, 4]
    assert [s.manifest.requested for s in stored] == [False, False, True]
    assert stored[-1].number == asked_for.number


async def test_a_request_that_fails_is_told(tmp_path: Path) -> None:
    house = Household(tmp_path)
    session, _, outbox = await house.open()
    await house.live(session, 0)
    await house.told(outbox)
    house.storage.is_full = True

    house.keeper.request(session)
    async with asyncio.timeout(10):
        [error] = await outbox.take()

    assert isinstance(error, ErrorMessage)
    assert error.code == "snapshot_failed"


async def test_a_session_that_left_or_failed_is_not_stored(tmp_path: Path) -> None:
    house = Household(tmp_path)
    session, _, _ = await house.open()
    other, _, _ = await house.open("other")
    await house.live(session, 0)
    await house.live(other, 0)

    session.network.fail(InternalFailure("not finite"), session.backlog.inbox)
    session.deliver(session.network.findings.collect())
    await house.keeper.forget(other)

    with pytest.raises(InternalFailure):
        await house.keeper.store(session)
    with pytest.raises(UnknownSession):
        await house.keeper.store(other)
    assert house.applied() == [0, 0]


# --- rollback


async def test_a_rollback_gives_weights_back_and_keeps_what_belongs_to_the_stream(
    tmp_path: Path,
) -> None:
    house = Household(tmp_path)
    session, _, _ = await house.open()
    await house.live(session, 0, 1, 2)
    then = await house.captured(session)
    snapshot = await house.keeper.store(session, requested=True)
    await house.live(session, 3, 4)
    before = await house.captured(session)

    await house.keeper.roll_back(session, snapshot.number)

    after = await house.captured(session)
    rows_then, rows_before, rows = (
        branch(branch(tree, "network"), "rows") for tree in (then, before, after)
    )
    for name in ("parameters", "first_moment", "second_moment", "updates", "rates"):
        assert np.array_equal(np.asarray(rows[name]), np.asarray(rows_then[name])), name
    assert not np.array_equal(np.asarray(rows["parameters"]), np.asarray(rows_before["parameters"]))
    for name in ("state", "sums", "counters", "seeds"):
        assert np.array_equal(np.asarray(rows[name]), np.asarray(rows_before[name])), name
    assert not np.asarray(rows["gradients"]).any()
    for room in ("session", "intake"):
        assert repr(after[room]) == repr(before[room])
    network, network_before = branch(after, "network"), branch(before, "network")
    assert network["n_labelled"] == network_before["n_labelled"] == 5
    # the two newest snapshots hold the old weights, so one damaged file does not undo it
    assert house.applied()[:2] == [20, 20]
    folder = folder_of("local", "s")
    for number in house.store.numbers(folder)[:2]:
        _, tree = house.store.read(folder, number)
        rows = branch(branch(tree, "network"), "rows")
        assert np.array_equal(np.asarray(rows["parameters"]), np.asarray(rows_then["parameters"]))


async def test_a_snapshot_that_is_not_there_rolls_nothing_back(tmp_path: Path) -> None:
    house = Household(tmp_path)
    session, _, _ = await house.open()
    await house.live(session, 0)
    before = repr(await house.captured(session))

    with pytest.raises(NotStored):
        await house.keeper.roll_back(session, 7)

    assert repr(await house.captured(session)) == before


async def test_the_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    house = Household(tmp_path)
    session, _, _ = await house.open()
    other, _, _ = await house.open("other", network={"hidden": [6], "classes": 3})
    tree = branch(await house.captured(other), "network")

    with pytest.raises(Refusal, match="does not fit the session"):
        session.network.roll_back(tree)
