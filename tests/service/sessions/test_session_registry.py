"""Which sessions exist: open, resume, take over, quotas, delete."""

import asyncio

import pytest

from service import VERSION
from service.access.principals import SessionKey
from service.errors import (
    AtCapacity,
    CloseCode,
    ConfigMismatch,
    Draining,
    EpochMismatch,
    InternalFailure,
    OpenRefused,
    QuotaExceeded,
    UnknownSession,
)
from service.sessions.admission import Admission
from service.sessions.outbox import Outbox
from service.sessions.sessions import Session
from service.settings import AdmissionSettings, QuotaSettings, SessionSettings, SocketSettings
from service.wire_protocol import Ack, Goodbye, Opened, ServerMessage
from tclif_core import Learner, LearningSpec, NetworkSpec
from tests.service.client_messages import begin, end
from tests.service.fake_clock import FakeClock
from tests.service.hand_engine import HandEngine
from tests.service.open_requests import open_request
from tests.service.unstored import WHOEVER_COMES, unstored_registry

TIMEOUT_S = 10.0
# what the small network of these tests takes
NETWORK_BYTES = Learner.session_bytes(
    NetworkSpec(inputs=5, hidden=(4, 3), classes=3), LearningSpec()
)


class Reception:
    """A registry, its engine, and connections that ask it to open sessions."""

    def __init__(self, admission: AdmissionSettings = WHOEVER_COMES, **bounds: int) -> None:
        self.engine = HandEngine()
        settings = SessionSettings.model_validate(bounds)
        self.clock = FakeClock()
        self.admission = Admission(admission, self.clock)
        self.registry = unstored_registry(
            self.engine, settings, QuotaSettings(sessions=5), self.clock, self.admission
        )

    async def open(self, **fields: object) -> tuple[Session, Opened, Outbox]:
        """Open a session from a new connection of the principal ``p``."""
        return await self.open_as("p", **fields)

    async def open_as(self, principal: str, **fields: object) -> tuple[Session, Opened, Outbox]:
        """Open a session from a new connection."""
        outbox = Outbox(SocketSettings(), self.clock)
        async with asyncio.timeout(TIMEOUT_S):
            session = await self.registry.open(open_request(**fields), outbox, principal)
            opened, *_ = await outbox.take()
        assert isinstance(opened, Opened)
        return session, opened, outbox

    async def settle(self) -> None:
        """Let every task run until it waits."""
        for _ in range(10):
            await asyncio.sleep(0)


def refuse_memory(*_: object) -> None:
    raise ArithmeticError("no memory")


async def told(outbox: Outbox) -> list[ServerMessage]:
    async with asyncio.timeout(TIMEOUT_S):
        return await outbox.take()


# --- at capacity

FULL = AdmissionSettings(new_load=0.5, known_load=0.8)


def busy(reception: Reception, share: float) -> None:
    """Let sessions in real time take a share of the server's time for a while."""
    for _ in range(1000):
        reception.clock.advance(0.1)
        reception.admission.computed(share / 10, n_ticks=10_000, tick_bytes=0)


async def test_a_new_session_beyond_capacity_is_refused_before_anything_is_made() -> None:
    reception = Reception(FULL)
    busy(reception, 0.6)

    with pytest.raises(AtCapacity):
        await reception.open(session="new")

    assert (reception.engine.n_opened, len(reception.registry)) == (0, 0)
    assert reception.registry.bytes_used == 0


async def test_known_sessions_come_back_where_new_ones_are_refused() -> None:
    reception = Reception(FULL)
    session, _, outbox = await reception.open(session="known")
    session.detach(outbox)
    busy(reception, 0.6)

    session, opened, outbox = await reception.open(session="known")
    session.detach(outbox)
    busy(reception, 0.9)

    assert opened.resumed
    with pytest.raises(AtCapacity, match="known"):
        await reception.open(session="known")


async def test_who_streamed_a_moment_ago_is_let_in_however_full_it_is() -> None:
    reception = Reception(FULL)
    session, _, outbox = await reception.open(session="known")
    busy(reception, 0.9)
    session.accept(begin(1, 0, 0), reception.clock())
    reception.engine.compute(session)
    session.detach(outbox)

    _, opened, _ = await reception.open(session="known")

    assert opened.resumed


async def test_a_take_over_is_let_in_however_full_it_is() -> None:
    reception = Reception(FULL)
    await reception.open(session="known")
    busy(reception, 0.9)

    _, opened, _ = await reception.open(session="known")

    assert opened.resumed


# --- new sessions


async def test_a_new_session_begins_at_one_and_is_told_all_it_needs() -> None:
    reception = Reception(kept_segments=3, kept_ticks=40, max_advance_ticks=50)

    session, opened, _ = await reception.open(session="kitchen", seed=7)

    assert (opened.session, opened.resumed, opened.next_sequence) == ("kitchen", False, 1)
    assert (opened.seed, opened.epoch, opened.server) == (7, session.epoch, VERSION)
    limits = opened.limits
    assert (limits.kept_segments, limits.kept_ticks, limits.max_advance_ticks) == (3, 40, 50)
    assert limits.max_message_bytes == SocketSettings().max_message_bytes
    assert limits.idle_s == SocketSettings().idle_s
    assert session.is_attached


async def test_what_the_client_leaves_open_the_server_chooses_and_tells() -> None:
    reception = Reception()

    _, one, _ = await reception.open(session=None)
    _, other, _ = await reception.open(session=None)

    assert one.session != other.session
    assert one.seed != other.seed
    assert one.epoch != other.epoch
    assert {session.name for session in reception.registry} == {one.session, other.session}


async def test_an_epoch_for_a_session_that_is_not_there_does_not_match() -> None:
    reception = Reception()

    with pytest.raises(EpochMismatch, match="epoch 4 came, but there is no session 's'"):
        await reception.open(epoch=4)

    assert len(reception.registry) == 0


async def test_an_open_that_asks_for_too_much_makes_nothing() -> None:
    reception = Reception()

    with pytest.raises(OpenRefused):
        await reception.open(segmentation={"by": "none"}, learning={"mode": "ahead"})

    assert (len(reception.registry), reception.engine.n_opened) == (0, 0)


async def test_sessions_are_walked_over_in_order_of_their_names() -> None:
    reception = Reception()
    for name in ("b", "a", "C", "10", "9"):
        await reception.open(session=name)

    assert [session.name for session in reception.registry] == ["10", "9", "C", "a", "b"]
    assert reception.registry.get(SessionKey("p", "nobody")) is None


# --- resuming and taking over


async def test_a_session_is_resumed_where_it_stands() -> None:
    reception = Reception()
    session, first, outbox = await reception.open()
    session.accept(begin(1, 0, 0), 0.0)
    reception.engine.compute(session)
    session.detach(outbox)

    again, opened, _ = await reception.open(epoch=first.epoch)

    assert again is session
    assert (opened.resumed, opened.next_sequence) == (True, 2)
    assert (opened.epoch, opened.seed) == (first.epoch, first.seed)
    assert reception.engine.n_opened == 1


@pytest.mark.parametrize(
    ("fields", "error"),
    [({"epoch": 1}, EpochMismatch), ({"tick_us": 5000}, ConfigMismatch)],
)
async def test_a_wrong_open_leaves_the_attached_connection_in_peace(
    fields: dict[str, object], error: type[OpenRefused]
) -> None:
    reception = Reception()
    session, _, outbox = await reception.open()

    with pytest.raises(error):
        await reception.open(**fields)

    assert session.is_attached
    assert not outbox.finished.is_set()


async def test_a_second_open_takes_over_and_the_first_is_told() -> None:
    reception = Reception()
    session, _, old = await reception.open()

    _, opened, _ = await reception.open()

    *_, goodbye = await told(old)
    assert goodbye == Goodbye(reason="taken_over", durable=0)
    assert old.close_code is CloseCode.ORDERLY
    assert opened.resumed
    assert session.is_attached


async def test_a_take_over_waits_until_what_was_read_is_applied() -> None:
    reception = Reception()
    session, _, old = await reception.open()
    session.accept(begin(1, 0, 0), 0.0)
    session.accept(end(2, 0, 9000), 0.0)

    opening = asyncio.create_task(reception.open())
    await reception.settle()
    assert old.finished.is_set()
    assert not opening.done()
    reception.engine.compute(session)
    _, opened, _ = await opening

    assert opened.next_sequence == 3


async def test_a_session_that_fails_during_a_take_over_is_not_opened() -> None:
    reception = Reception()
    session, _, _ = await reception.open()
    session.accept(begin(1, 0, 0), 0.0)

    opening = asyncio.create_task(reception.open())
    await reception.settle()
    session.network.fail(InternalFailure("not finite"), session.backlog.inbox)
    session.deliver(session.network.findings.collect())

    with pytest.raises(InternalFailure, match="not finite"):
        await opening


async def test_a_quarantined_session_is_not_opened_but_can_be_deleted_and_begun_anew() -> None:
    reception = Reception()
    session, first, _ = await reception.open()
    session.network.fail(InternalFailure("not finite"), session.backlog.inbox)
    session.deliver(session.network.findings.collect())

    with pytest.raises(InternalFailure, match="not finite"):
        await reception.open()
    assert await reception.registry.delete(SessionKey("p", "s"))
    _, opened, _ = await reception.open()

    assert not opened.resumed
    assert opened.epoch != first.epoch


async def test_opens_of_one_name_at_once_make_one_session() -> None:
    reception = Reception()
    reception.engine.holds_calls = True
    openings = [asyncio.create_task(reception.open()) for _ in range(3)]
    await reception.settle()

    reception.engine.holds_calls = False
    reception.engine.release()
    results = await asyncio.gather(*openings)

    assert reception.engine.n_opened == len(reception.registry) == 1
    assert {id(session) for session, _, _ in results} == {
        id(reception.registry.get(SessionKey("p", "s")))
    }
    assert [opened.resumed for _, opened, _ in results] == [False, True, True]
    assert [outbox.finished.is_set() for _, _, outbox in results] == [True, True, False]


async def test_opens_of_one_name_stay_one_at_a_time_after_one_of_them_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reception = Reception()
    reception.engine.holds_calls = True
    first = asyncio.create_task(reception.open())
    second = asyncio.create_task(reception.open())
    await reception.settle()

    # the first fails, so the second is at work when the third comes
    with monkeypatch.context() as patch:
        patch.setattr(reception.engine, "open_network", refuse_memory)
        reception.engine.release()
        with pytest.raises(ArithmeticError):
            await first
    await reception.settle()
    third = asyncio.create_task(reception.open())
    await reception.settle()
    reception.engine.holds_calls = False
    reception.engine.release()

    (one, _, _), (other, _, _) = await asyncio.gather(second, third)
    assert one is other
    assert reception.engine.n_opened == 1


# --- principals


async def test_two_principals_have_a_session_each_of_the_same_name() -> None:
    reception = Reception()
    one, opened, outbox = await reception.open_as("alice")

    other, opened_too, _ = await reception.open_as("bob")

    assert one is not other
    assert (opened.resumed, opened_too.resumed) == (False, False)
    assert not outbox.finished.is_set()
    assert [s.principal for s in reception.registry] == ["alice", "bob"]
    assert reception.registry.sessions_of("bob") == [other]


async def test_nobody_resumes_or_finds_or_deletes_the_session_of_another() -> None:
    reception = Reception()
    session, opened, _ = await reception.open_as("alice", session="kitchen")

    # the same words as for a session that nobody has
    with pytest.raises(EpochMismatch, match="there is no session 'kitchen'"):
        await reception.open_as("bob", session="kitchen", epoch=opened.epoch)
    with pytest.raises(UnknownSession, match="session 'kitchen' came"):
        reception.registry.check_exists(SessionKey("bob", "kitchen"))
    assert not await reception.registry.delete(SessionKey("bob", "kitchen"))

    assert reception.registry.get(SessionKey("alice", "kitchen")) is session
    assert reception.registry.sessions_of("bob") == []
    assert session.is_attached


# --- quotas


async def test_more_sessions_than_allowed_are_refused_and_resuming_still_works() -> None:
    reception = Reception(max_sessions=2)
    await reception.open(session="a")
    await reception.open(session="b")

    with pytest.raises(QuotaExceeded, match="2 sessions exist") as refusal:
        await reception.open(session="c")
    _, opened, _ = await reception.open(session="a")

    assert refusal.value.close_code is CloseCode.QUOTA
    assert opened.resumed


async def test_sessions_that_are_being_made_count_too() -> None:
    reception = Reception(max_sessions=1)
    reception.engine.holds_calls = True
    first = asyncio.create_task(reception.open(session="a"))
    await reception.settle()

    with pytest.raises(QuotaExceeded):
        await reception.open(session="b")

    reception.engine.release()
    await first


async def test_a_network_beyond_the_bytes_of_one_session_is_never_made() -> None:
    reception = Reception(max_session_bytes=NETWORK_BYTES - 1)

    with pytest.raises(QuotaExceeded, match=f"takes {NETWORK_BYTES} bytes"):
        await reception.open()

    assert reception.engine.n_opened == 0


async def test_networks_beyond_the_bytes_of_all_together_are_never_made() -> None:
    reception = Reception(max_total_bytes=2 * NETWORK_BYTES)
    await reception.open(session="a")
    await reception.open(session="b")

    with pytest.raises(QuotaExceeded, match="together"):
        await reception.open(session="c")

    assert reception.engine.n_opened == 2


async def test_a_deleted_session_makes_room_for_another() -> None:
    reception = Reception(max_sessions=1, max_total_bytes=NETWORK_BYTES)
    await reception.open(session="a")

    await reception.registry.delete(SessionKey("p", "a"))

    await reception.open(session="b")
    assert len(reception.registry) == 1


async def test_a_session_that_could_not_be_made_takes_no_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reception = Reception(max_sessions=1, max_total_bytes=NETWORK_BYTES)

    with monkeypatch.context() as patch:
        patch.setattr(reception.engine, "open_network", refuse_memory)
        with pytest.raises(ArithmeticError):
            await reception.open()
    await reception.open()

    assert len(reception.registry) == 1


async def test_a_principal_with_many_sessions_takes_none_from_another() -> None:
    reception = Reception()
    for name in "abcde":
        await reception.open_as("alice", session=name)

    with pytest.raises(QuotaExceeded, match="'alice' has 5 sessions; expected fewer than 5"):
        await reception.open_as("alice", session="f")
    await reception.open_as("bob", session="f")

    assert len(reception.registry) == 6


# --- the end of sessions


async def test_deleting_says_goodbye_and_frees_the_network() -> None:
    reception = Reception()
    _, _, outbox = await reception.open()

    assert await reception.registry.delete(SessionKey("p", "s"))

    assert (await told(outbox))[-1] == Goodbye(reason="deleted", durable=0)
    assert outbox.close_code is CloseCode.DELETED
    assert (len(reception.registry), reception.engine.n_closed) == (0, 1)


async def test_deleting_a_stranger_tells_so() -> None:
    assert not await Reception().registry.delete(SessionKey("p", "nobody"))


async def test_a_session_that_is_deleted_and_reopened_has_another_epoch() -> None:
    reception = Reception()
    _, first, _ = await reception.open(seed=1)
    await reception.registry.delete(SessionKey("p", "s"))

    with pytest.raises(EpochMismatch):
        await reception.open(epoch=first.epoch)
    _, opened, _ = await reception.open(seed=1)

    assert (opened.resumed, opened.next_sequence) == (False, 1)
    assert opened.epoch != first.epoch


async def test_a_session_deleted_while_another_takes_it_over_is_gone() -> None:
    reception = Reception()
    session, _, _ = await reception.open()
    session.accept(begin(1, 0, 0), 0.0)
    opening = asyncio.create_task(reception.open())
    await reception.settle()

    await reception.registry.delete(SessionKey("p", "s"))

    with pytest.raises(InternalFailure, match="deleted"):
        await opening


async def test_nothing_is_opened_while_the_server_drains() -> None:
    reception = Reception()
    reception.registry.is_draining = True

    with pytest.raises(Draining):
        await reception.open()

    assert len(reception.registry) == 0


async def test_the_ack_of_a_resumed_session_follows_opened_at_once() -> None:
    reception = Reception()
    outbox = Outbox(SocketSettings(), reception.clock)

    await reception.registry.open(open_request(), outbox, "p")

    assert (await told(outbox))[1] == Ack(applied=0, durable=0, credit_ticks=8192)
