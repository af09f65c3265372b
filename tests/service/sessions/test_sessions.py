"""A session between its connection and the engine: numbers, room, credit, what is told again."""

import asyncio

import pytest

from service import VERSION
from service.access.principals import SessionKey
from service.configuration.configuration import SessionConfiguration
from service.errors import CloseCode, InternalFailure, ProtocolViolation, Refusal
from service.network.retold_messages import RETOLD_MESSAGES
from service.sessions.greeting import greeting
from service.sessions.outbox import Outbox
from service.sessions.sessions import Session
from service.settings import SessionSettings, SocketSettings
from service.wire_protocol import (
    Ack,
    Close,
    ErrorMessage,
    Goodbye,
    Learned,
    Limits,
    Opened,
    Prediction,
    ReportRequest,
    ServerMessage,
    SnapshotRequest,
)
from tests.service.client_messages import begin, end, events, label
from tests.service.fake_clock import FakeClock
from tests.service.hand_engine import HandEngine
from tests.service.open_requests import open_request

TIMEOUT_S = 10.0
LIMITS = Limits(
    max_message_bytes=1 << 20,
    max_advance_ticks=4096,
    kept_segments=64,
    kept_ticks=32768,
    idle_s=300.0,
)
"""Those of the settings as they come."""
REPORT = ReportRequest(every_ticks=0)


class Stage:
    """A session, its engine, and a connection that is attached on request."""

    def __init__(self, **bounds: int) -> None:
        settings = SessionSettings.model_validate(bounds)
        request = open_request(tick_us=100, report={"every_ticks": 0})
        configuration = SessionConfiguration.resolve(request, settings)
        self.clock = FakeClock()
        self.engine = HandEngine()
        self.session = Session(
            SessionKey("local", "s"),
            epoch=5,
            seed=6,
            configuration=configuration,
            settings=settings,
            network=self.engine.open_network(configuration, 6, settings),
            notify=self.engine.notify,
        )

    def attach(self) -> Outbox:
        """Attach a new connection."""
        outbox = Outbox(SocketSettings(), self.clock)
        opened = greeting(self.session, SocketSettings(), resumed=True)
        self.session.attach(outbox, opened, REPORT)
        return outbox

    def compute(self) -> None:
        """Let the engine do all that waits."""
        self.engine.compute(self.session)

    async def told(self, outbox: Outbox) -> list[ServerMessage]:
        """Take everything that an outbox holds, the gathered ack included."""
        self.clock.advance(0.050)
        async with asyncio.timeout(TIMEOUT_S):
            return await outbox.take()


def kinds(messages: list[ServerMessage]) -> list[str]:
    return [message.type for message in messages]


async def is_waiting(task: asyncio.Task[None]) -> bool:
    for _ in range(3):
        await asyncio.sleep(0)
    return not task.done()


# --- sequence numbers


@pytest.mark.parametrize("closing_us", [400, 100 * 5000], ids=["near", "more ticks than one may"])
async def test_a_frame_with_the_empty_one_after_it_is_what_both_are_in_turn(
    closing_us: int,
) -> None:
    together, in_turn = Stage(), Stage()
    frame, closing = events(2, (10, 4), (130, 3)), events(3, base_us=closing_us)
    heard: list[tuple[object, ...]] = []
    for stage, at_one_go in ((together, True), (in_turn, False)):
        session, outcome = stage.session, "taken"
        session.accept(begin(1, 0, 0), 0.0)
        try:
            if at_one_go:
                session.accept_closed(frame, closing, 0.0)
            else:
                session.accept(frame, 0.0)
                session.accept(closing, 0.0)
        except ProtocolViolation as violation:
            outcome = violation.message
        waiting = session.backlog.n_messages, session.backlog.n_ticks, session.backlog.n_inputs
        stage.compute()
        left = session.backlog.n_messages, session.intake.n_events
        heard.append((outcome, session.received, waiting, session.applied, session.n_ticks, *left))

    assert heard[0] == heard[1]
    # near: the mark, the frame and the empty one; four ticks of 100 us
    assert closing_us != 400 or heard[0] == ("taken", 3, (3, 4, 2), 3, 4, 0, 2)


async def test_a_message_is_received_at_once_and_applied_when_it_is_computed() -> None:
    stage = Stage()
    session = stage.session

    session.accept(begin(1, 0, 0), 0.0)
    session.accept(events(2, base_us=500), 0.0)
    assert (session.received, session.applied) == (2, 0)
    assert stage.engine.notified == [session, session]
    stage.compute()

    assert (session.received, session.applied, session.n_ticks) == (2, 2, 5)


async def test_a_refused_message_is_consumed_like_any_other() -> None:
    stage = Stage()
    outbox = stage.attach()
    stage.session.accept(begin(1, 0, 0), 0.0, Refusal("bad_value", "no", sequence=1))
    stage.compute()

    *_, error, ack = await stage.told(outbox)
    assert isinstance(error, ErrorMessage)
    assert (error.code, error.sequence, error.fatal) == ("bad_value", 1, False)
    assert isinstance(ack, Ack)
    assert ack.applied == 1
    assert stage.session.intake.segmentation.open_segment is None


async def test_a_violation_leaves_the_session_as_it_was() -> None:
    stage = Stage(max_advance_ticks=4)
    session = stage.session
    session.accept(begin(1, 0, 0), 0.0)
    stage.compute()

    with pytest.raises(ProtocolViolation):
        session.accept(events(2, base_us=500), 0.0)

    assert (session.received, session.applied, session.backlog.n_ticks) == (1, 1, 0)
    assert not session.backlog.inbox
    session.accept(events(2, base_us=400), 0.0)
    stage.compute()
    assert session.applied == 2


async def test_durable_is_zero_while_nothing_is_stored() -> None:
    stage = Stage()
    stage.session.accept(begin(1, 0, 0), 0.0)
    stage.compute()

    assert stage.session.ack() == Ack(applied=1, durable=0, credit_ticks=8192)


# --- room and credit


async def test_credit_counts_from_the_applied_message_so_what_waits_does_not_lower_it() -> None:
    stage = Stage(inbox_ticks=10)
    session = stage.session
    session.accept(begin(1, 0, 0), 0.0)

    session.accept(events(2, base_us=700), 0.0)
    assert (session.ack().credit_ticks, session.backlog.has_room) == (10, True)
    session.accept(events(3, base_us=1500), 0.0)
    assert (session.ack().credit_ticks, session.backlog.has_room) == (10, False)

    stage.compute()
    assert (session.ack().credit_ticks, session.backlog.has_room) == (10, True)


async def test_a_reader_waits_while_too_many_inputs_are_queued() -> None:
    stage = Stage(inbox_inputs=2)
    session = stage.session
    session.accept(begin(1, 0, 0), 0.0)

    session.accept(events(2, (50, 1), (60, 2), (150, 3)), 0.0)
    # both events of the first tick wait to be computed, the third one waits for its tick's end
    assert (session.backlog.n_inputs, session.backlog.has_room) == (2, False)

    stage.compute()
    assert (session.backlog.n_inputs, session.backlog.has_room) == (0, True)


async def test_lessons_take_no_room() -> None:
    stage = Stage(inbox_ticks=10)
    session = stage.session
    for message in (begin(1, 0, 0), end(2, 0, 900)):
        session.accept(message, 0.0)
    stage.compute()

    session.accept(label(3, 0, 1), 0.0)

    assert session.backlog.n_ticks == 0
    stage.compute()
    assert (session.backlog.n_ticks, session.n_ticks) == (0, 9)


async def test_a_reader_waits_while_too_many_ticks_are_queued() -> None:
    stage = Stage(inbox_ticks=4)
    stage.session.accept(begin(1, 0, 0), 0.0)
    stage.session.accept(events(2, base_us=500), 0.0)

    reader = asyncio.create_task(stage.session.backlog.wait_for_room())
    assert await is_waiting(reader)
    stage.compute()

    await asyncio.wait_for(reader, TIMEOUT_S)


@pytest.mark.parametrize("is_numbered", [True, False])
async def test_a_reader_waits_while_too_many_messages_are_queued(
    is_numbered: bool,  # noqa: FBT001 - a parameter of pytest
) -> None:
    stage = Stage(inbox_messages=2)
    for sequence in (1, 2):
        stage.session.accept(SnapshotRequest(sequence=sequence if is_numbered else None), 0.0)

    reader = asyncio.create_task(stage.session.backlog.wait_for_room())
    assert await is_waiting(reader)
    stage.compute()

    await asyncio.wait_for(reader, TIMEOUT_S)


async def test_drained_means_that_messages_without_number_are_done_too() -> None:
    stage = Stage()
    outbox = stage.attach()
    stage.compute()
    await stage.told(outbox)
    stage.session.accept(SnapshotRequest(), 0.0)

    waiter = asyncio.create_task(stage.session.backlog.wait_until_done())
    assert await is_waiting(waiter)
    stage.compute()

    await asyncio.wait_for(waiter, TIMEOUT_S)


@pytest.mark.parametrize(("sequence", "received"), [(2, 2), (None, 1)])
async def test_a_close_consumes_its_number_if_it_has_one(
    sequence: int | None, received: int
) -> None:
    stage = Stage()
    stage.session.accept(begin(1, 0, 0), 0.0)

    stage.session.accept_close(Close(sequence=sequence), 0.0)
    stage.compute()

    assert (stage.session.received, stage.session.applied) == (received, received)


# --- connections


async def test_a_connection_is_greeted_and_then_told_what_it_may_have_missed() -> None:
    stage = Stage()
    for message in (begin(1, 3, 0), end(2, 3, 100), label(3, 3, 1), begin(4, 3, 0)):
        stage.session.accept(message, 0.0)
    stage.compute()

    told = await stage.told(stage.attach())

    opened, ack, final, learned = told
    assert isinstance(opened, Opened)
    assert (opened.session, opened.resumed, opened.epoch, opened.seed) == ("s", True, 5, 6)
    assert (opened.next_sequence, opened.credit_ticks, opened.tick_us) == (5, 8192, 100)
    assert (opened.classes, opened.kernel) == (("zero", "one", "two"), "reference")
    assert (opened.limits, opened.server) == (LIMITS, VERSION)
    assert ack == Ack(applied=4, durable=0, credit_ticks=8192)
    assert isinstance(final, Prediction)
    assert (final.segment, final.final) == (3, True)
    # the refused begin is told nobody again
    assert isinstance(learned, Learned)
    assert (learned.segment, learned.target) == (3, 1)


async def test_only_the_last_finals_and_lessons_are_told_again() -> None:
    stage = Stage()
    for number in range(RETOLD_MESSAGES + 6):
        stage.session.accept(begin(2 * number + 1, number, 0), 0.0)
        stage.session.accept(end(2 * number + 2, number, 0), 0.0)
    stage.compute()

    _, _, *retold = await stage.told(stage.attach())

    numbers = [message.segment for message in retold if isinstance(message, Prediction)]
    assert numbers == list(range(6, RETOLD_MESSAGES + 6))


async def test_an_attached_connection_hears_results_and_then_the_ack() -> None:
    stage = Stage()
    outbox = stage.attach()
    for message in (begin(1, 0, 0), end(2, 0, 100), label(3, 0, 1)):
        stage.session.accept(message, 0.0)
    stage.compute()

    assert kinds(await stage.told(outbox)) == ["opened", "ack", "prediction", "learned", "ack"]


async def test_a_session_computes_on_without_a_connection() -> None:
    stage = Stage()
    outbox = stage.attach()
    stage.session.detach(outbox)
    stage.session.accept(begin(1, 0, 0), 0.0)
    stage.compute()

    assert (stage.session.is_attached, stage.session.applied) == (False, 1)


async def test_an_old_connection_can_not_detach_the_new_one() -> None:
    stage = Stage()
    old = stage.attach()
    stage.session.dismiss("taken_over", CloseCode.ORDERLY)
    stage.attach()

    stage.session.detach(old)

    assert stage.session.is_attached


async def test_a_dismissed_connection_hears_where_it_stands_and_why() -> None:
    stage = Stage()
    outbox = stage.attach()
    stage.session.accept(begin(1, 0, 0), 0.0)
    stage.compute()

    stage.session.dismiss("draining", CloseCode.DRAINING, retry_after_ms=7)

    *_, ack, goodbye = await stage.told(outbox)
    assert ack == Ack(applied=1, durable=0, credit_ticks=8192)
    assert goodbye == Goodbye(reason="draining", durable=0, retry_after_ms=7)
    assert outbox.close_code is CloseCode.DRAINING
    assert not stage.session.is_attached


async def test_dismissing_nobody_does_nothing() -> None:
    stage = Stage()

    stage.session.dismiss("closed", CloseCode.ORDERLY)

    assert not stage.session.is_attached


# --- the boundary between two messages


async def test_what_asks_for_a_boundary_runs_after_the_messages_read_so_far() -> None:
    stage = Stage()
    session = stage.session
    for message in (begin(1, 0, 0), end(2, 0, 100)):
        session.accept(message, 0.0)
    before = session.at_boundary(lambda: session.network.teaching.accuracy.n_scored)
    session.accept(label(3, 0, 1), 0.0)
    after = session.at_boundary(lambda: session.network.teaching.accuracy.n_scored)
    assert not before.done()

    stage.compute()

    assert (before.result(TIMEOUT_S), after.result(TIMEOUT_S)) == (0, 1)


async def test_who_gives_up_waiting_for_a_boundary_does_the_session_no_harm() -> None:
    stage = Stage()
    waiting = asyncio.wrap_future(stage.session.at_boundary(lambda: 1))
    stage.session.accept(begin(1, 0, 0), 0.0)

    waiting.cancel()
    stage.compute()

    assert (stage.session.applied, stage.session.failure) == (1, None)


# --- failure and farewell


async def test_a_failure_ends_the_connection_and_all_waiting() -> None:
    stage = Stage(inbox_ticks=4)
    session, outbox = stage.session, stage.attach()
    session.accept(begin(1, 0, 0), 0.0)
    session.accept(events(2, base_us=500), 0.0)
    waiting = [
        asyncio.create_task(session.backlog.wait_for_room()),
        asyncio.create_task(session.backlog.wait_until_done()),
    ]
    boundary = session.at_boundary(lambda: 1)
    failure = InternalFailure("not finite")
    assert await is_waiting(waiting[0])

    session.network.fail(failure, session.backlog.inbox)
    session.deliver(session.network.findings.collect())

    await asyncio.wait_for(asyncio.gather(*waiting), TIMEOUT_S)
    assert boundary.exception(TIMEOUT_S) is failure
    later = session.at_boundary(lambda: 1).exception(TIMEOUT_S)
    # an error of its own: one that is raised again and again would collect tracebacks
    assert isinstance(later, InternalFailure)
    assert (later.message, later is failure) == ("not finite", False)
    error = (await stage.told(outbox))[-1]
    assert error == ErrorMessage(code="internal", message="not finite", fatal=True)
    assert outbox.close_code is CloseCode.INTERNAL


async def test_a_deleted_session_says_goodbye_and_computes_no_more() -> None:
    stage = Stage()
    outbox = stage.attach()

    stage.session.retire()

    assert (await stage.told(outbox))[-1] == Goodbye(reason="deleted", durable=0)
    assert outbox.close_code is CloseCode.DELETED
    assert isinstance(stage.session.at_boundary(lambda: 1).exception(TIMEOUT_S), InternalFailure)
