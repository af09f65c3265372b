"""The thread that computes: batches equal solo runs, one session's fall is not its neighbours'."""

import asyncio
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from service.access.principals import SessionKey
from service.engine.tick_engine import TickEngine
from service.errors import InternalFailure
from service.observation.telemetry import Telemetry
from service.sessions.admission import Admission
from service.sessions.outbox import Outbox
from service.sessions.sessions import Session
from service.sessions.stream_pace import StreamPace
from service.settings import EngineSettings, SocketSettings
from tclif_core import AdvanceResult, EventBlock, Learner, SlotIndex
from tests.service.client_messages import begin, end, events, label
from tests.service.fake_clock import FakeClock
from tests.service.open_requests import open_request
from tests.service.unstored import WHOEVER_COMES, unstored_registry

TIMEOUT_S = 20.0
Weights = dict[str, NDArray[np.floating]]
Slots = NDArray[np.int64]
Advance = Callable[..., AdvanceResult]
Change = Callable[[Slots, EventBlock, Callable[[], AdvanceResult]], AdvanceResult]
Intercept = Callable[[Session, Change], None]


class EngineRoom:
    """A running engine and the registry that opens sessions on it."""

    def __init__(self, settings: EngineSettings) -> None:
        self.telemetry = Telemetry()
        loop = asyncio.get_running_loop()
        self.admission = Admission(WHOEVER_COMES)
        self.engine = TickEngine(settings, self.telemetry, self.admission, loop)
        self.registry = unstored_registry(self.engine)

    async def open(self, name: str, **fields: object) -> Session:
        """Open a session that nobody listens to."""
        request = open_request(
            session=name,
            tick_us=100,
            **{"learning": {"optimizer": "sgd", "rate": 0.05}, "seed": 1} | fields,
        )
        async with asyncio.timeout(TIMEOUT_S):
            return await self.registry.open(request, Outbox(SocketSettings(), FakeClock()), "local")

    async def weights(self, session: Session) -> Weights:
        """Copy a session's weights after all it was sent."""
        network = session.network
        boundary = session.at_boundary(lambda: network.learner.weights(network.slot))
        return await asyncio.wait_for(asyncio.wrap_future(boundary), TIMEOUT_S)

    def metric(self, name: str, **labels: str) -> float:
        """Return the value of a metric."""
        [value] = [
            sample.value
            for family in self.telemetry.families()
            for sample in family.samples
            if sample.name == name and sample.labels == labels
        ]
        return value


@pytest.fixture
async def room() -> AsyncIterator[EngineRoom]:
    # batches and visits so small that everything is cut
    settings = EngineSettings(kernel="reference", batch_rows=2, visit_ticks=3)
    engine_room = EngineRoom(settings)
    engine_room.engine.start()
    yield engine_room
    await asyncio.to_thread(engine_room.engine.stop)


def teach(session: Session, seed: int, n_segments: int = 3) -> None:
    """Send labelled segments of twenty ticks whose events depend on the seed alone."""
    generator = np.random.default_rng(seed)
    sequence = session.received
    for number in range(n_segments):
        begin_us = number * 10_000
        times = np.sort(generator.integers(begin_us, begin_us + 2000, 80)).tolist()
        pairs = list(zip(times, generator.integers(0, 5, 80).tolist(), strict=True))
        for message in (
            begin(sequence + 1, number, begin_us),
            events(sequence + 2, *pairs),
            end(sequence + 3, number, begin_us + 2000),
            label(sequence + 4, number, seed % 3),
        ):
            session.accept(message, 0.0)
        sequence += 4


async def drained(*sessions: Session) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        for session in sessions:
            await session.backlog.wait_until_done()


def same(one: Weights, other: Weights) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


@pytest.fixture
def intercept(monkeypatch: pytest.MonkeyPatch) -> Intercept:
    """Give a function that puts something between the engine and a session's learner."""

    def put(session: Session, change: Change) -> None:
        learner = session.network.learner
        advance: Advance = learner.advance

        def changed(
            slots: Slots,
            strands: NDArray[np.int64],
            learn: NDArray[np.bool_],
            block: EventBlock,
            targets: NDArray[np.int64],
        ) -> AdvanceResult:
            return change(slots, block, lambda: advance(slots, strands, learn, block, targets))

        monkeypatch.setattr(learner, "advance", changed)

    return put


# --- computing


async def test_what_sessions_are_sent_is_computed_and_delivered(room: EngineRoom) -> None:
    session = await room.open("a")

    teach(session, 1)
    await drained(session)

    # three segments: begin, events, end, label
    assert (session.applied, session.n_ticks) == (12, 60)
    assert session.network.teaching.accuracy.n_scored == 3
    assert session.backlog.n_ticks == 0


async def test_sessions_in_one_batch_do_not_touch_each_other(room: EngineRoom) -> None:
    alone = []
    for seed in range(5):
        session = await room.open(f"alone-{seed}")
        teach(session, seed)
        alone.append(await room.weights(session))
    together = [await room.open(f"together-{seed}") for seed in range(5)]

    for seed, session in enumerate(together):
        teach(session, seed)
    weights = [await room.weights(session) for session in together]

    assert all(same(one, other) for one, other in zip(alone, weights, strict=True))
    # and five different lessons led to five different networks
    assert not any(same(weights[0], other) for other in weights[1:])


async def test_sessions_of_one_kind_share_a_learner(room: EngineRoom) -> None:
    first, same_kind = await room.open("a"), await room.open("b", seed=2)
    other_kind = await room.open("c", learning={"optimizer": "adam"})

    assert first.network.learner is same_kind.network.learner
    assert first.network.learner is not other_kind.network.learner


async def test_a_learner_goes_with_its_last_session(room: EngineRoom) -> None:
    first, second = await room.open("a"), await room.open("b")
    learner = first.network.learner

    await room.registry.delete(SessionKey("local", "a"))
    assert (await room.open("c")).network.learner is learner
    await room.registry.delete(SessionKey("local", "b"))
    await room.registry.delete(SessionKey("local", "c"))

    assert learner.n_sessions == 0
    assert (await room.open("d")).network.learner is not learner
    assert second.failure is not None


async def test_a_bystander_is_untouched_by_a_deletion(room: EngineRoom) -> None:
    doomed, bystander, alone = [await room.open(name) for name in ("a", "b", "c")]
    teach(alone, 1)
    expected = await room.weights(alone)

    teach(doomed, 2)
    teach(bystander, 1)
    await room.registry.delete(SessionKey("local", "a"))

    assert same(await room.weights(bystander), expected)
    assert isinstance(doomed.failure, InternalFailure)


async def test_batches_and_what_they_brought_are_measured(room: EngineRoom) -> None:
    session = await room.open("a", report={"every_ticks": 10})

    teach(session, 1)
    await drained(session)

    # twenty ticks a segment, live and in the lesson; predictions at 10, 20 and the end
    assert room.metric("tclif_ticks_total") == 60
    assert room.metric("tclif_lesson_ticks_total") == 60
    assert room.metric("tclif_lessons_total") == 3
    assert room.metric("tclif_messages_applied_total") == 12
    assert room.metric("tclif_predictions_total", final="true") == 3
    assert room.metric("tclif_predictions_total", final="false") == 6
    # 120 ticks in visits of at most three
    assert room.metric("tclif_batch_rows_count") >= 40


async def test_a_replay_goes_on_once_the_event_loop_has_what_it_brought(
    room: EngineRoom, intercept: Intercept
) -> None:
    replay = await room.open("a")
    visits: list[int] = []

    def count(_: Slots, block: EventBlock, go_on: Callable[[], AdvanceResult]) -> AdvanceResult:
        visits.append(int(block.row_ticks[-1]))
        return go_on()

    intercept(replay, count)
    # no slack: whatever it sends is ahead of real time
    replay.pace = StreamPace(1e-9)
    replay.accept(begin(1, 0, 0), 0.0)
    replay.accept(events(2, (0, 1), (2000, 1)), 0.0)

    # this test holds the event loop, and the engine comes by here between its batches
    for _ in range(20):
        room.engine.call(lambda: None).result(TIMEOUT_S)
    n_held = len(visits)
    await drained(replay)

    # twenty ticks in visits of three
    assert n_held <= 1
    assert len(visits) == 7


async def test_sessions_in_real_time_make_load_and_those_ahead_make_none(room: EngineRoom) -> None:
    replay, sensor = await room.open("a"), await room.open("b")
    idle = room.admission.load
    replay.pace = StreamPace(1e-9)

    teach(replay, 1)
    await drained(replay)
    # its first message, a segment's begin, is ahead of nothing and brings no tick
    after_replay = room.admission.load
    teach(sensor, 1)
    await drained(sensor)

    # both only promised so far, then one of them was measured
    assert after_replay <= idle < room.admission.load


# --- one falls, the others go on


async def test_a_row_that_the_learner_refuses_fells_its_session_alone(
    room: EngineRoom, intercept: Intercept
) -> None:
    culprit, neighbour, alone = [await room.open(name) for name in ("a", "b", "c")]
    teach(alone, 1)
    expected = await room.weights(alone)

    def refuse(slots: Slots, _: EventBlock, go_on: Callable[[], AdvanceResult]) -> AdvanceResult:
        if culprit.network.slot in slots:
            raise ValueError("a channel is out of range")
        return go_on()

    intercept(culprit, refuse)
    teach(culprit, 2)
    teach(neighbour, 1)

    assert same(await room.weights(neighbour), expected)
    await drained(culprit)
    assert isinstance(culprit.failure, InternalFailure)
    assert neighbour.failure is None


async def test_a_defect_of_a_learner_leaves_sessions_of_others_alone(
    room: EngineRoom, intercept: Intercept
) -> None:
    broken = await room.open("a")
    other = await room.open("b", learning={"optimizer": "adam"})

    def divide(*_: object) -> AdvanceResult:
        raise ZeroDivisionError

    intercept(broken, divide)
    teach(broken, 1)
    teach(other, 1)

    await drained(broken, other)
    assert isinstance(broken.failure, InternalFailure)
    assert "defect" in broken.failure.message
    assert (other.applied, other.failure) == (12, None)


async def test_a_network_that_is_not_finite_is_quarantined_alone(
    room: EngineRoom, intercept: Intercept
) -> None:
    sick, neighbour, alone = [await room.open(name) for name in ("a", "b", "c")]
    teach(alone, 1)
    expected = await room.weights(alone)

    def infect(
        slots: Slots, block: EventBlock, go_on: Callable[[], AdvanceResult]
    ) -> AdvanceResult:
        result = go_on()
        for row in np.flatnonzero(slots == sick.network.slot):
            ticks = slice(block.row_ticks[row], block.row_ticks[row + 1])
            result.mean_probabilities[ticks] = np.nan
        return result

    intercept(sick, infect)
    teach(sick, 2)
    teach(neighbour, 1)
    weights = await room.weights(neighbour)
    await drained(sick)

    assert same(weights, expected)
    assert sick.failure is not None
    assert "quarantined" in sick.failure.message


async def test_a_failed_session_takes_in_messages_but_computes_nothing(room: EngineRoom) -> None:
    session = await room.open("a")
    boundary = session.at_boundary(lambda: 1 // 0)
    with pytest.raises(InternalFailure, match="defect"):
        await asyncio.wait_for(asyncio.wrap_future(boundary), TIMEOUT_S)
    n_ticks = session.n_ticks

    teach(session, 1)
    # another session's answer shows that the engine looked at the first one's work, and went on
    other = await room.open("b")
    teach(other, 1)
    await drained(other)

    assert (session.n_ticks, session.applied) == (n_ticks, 0)


# --- calls between batches


async def test_a_call_returns_what_it_found_or_raises_what_it_raised(room: EngineRoom) -> None:
    found = room.engine.call(lambda: 42)
    raised = room.engine.call(lambda: 1 // 0)

    assert await asyncio.wait_for(asyncio.wrap_future(found), TIMEOUT_S) == 42
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(asyncio.wrap_future(raised), TIMEOUT_S)


async def test_who_gives_up_a_call_does_not_end_the_thread(room: EngineRoom) -> None:
    first = asyncio.wrap_future(room.engine.call(lambda: 1))
    second = asyncio.wrap_future(room.engine.call(lambda: 2))

    first.cancel()
    second.cancel()

    third = asyncio.wrap_future(room.engine.call(lambda: 3))
    assert await asyncio.wait_for(third, TIMEOUT_S) == 3


async def test_stopping_ends_the_thread_with_work_left_over() -> None:
    room = EngineRoom(EngineSettings(kernel="reference", visit_ticks=1))
    room.engine.start()
    session = await room.open("a")
    teach(session, 1, n_segments=30)

    await asyncio.wait_for(asyncio.to_thread(room.engine.stop), TIMEOUT_S)

    assert session.failure is None


async def test_warming_up_an_unknown_kernel_is_an_error_at_the_start() -> None:
    with pytest.raises(ValueError, match="abacus"):
        EngineRoom(EngineSettings.model_construct(kernel="abacus")).engine.warm_up()


async def test_a_stored_kernel_without_its_device_gives_way_to_that_of_new_sessions(
    room: EngineRoom, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    session = await room.open("a")
    monkeypatch.setattr(Learner, "has_kernel", lambda name: name != "cuda")

    opened = room.engine.call(
        lambda: room.engine.open_network(session.configuration, 1, session.settings, kernel="cuda")
    )

    network = await asyncio.wait_for(asyncio.wrap_future(opened), TIMEOUT_S)
    assert network.learner.kernel_name == "reference"
    assert "kernel 'cuda' has no device here: 'reference' goes on" in caplog.text


async def test_a_freed_slot_is_given_out_with_fresh_weights(room: EngineRoom) -> None:
    keeper, first = await room.open("keeper"), await room.open("a")
    fresh = await room.weights(first)
    slot: SlotIndex = first.network.slot
    teach(first, 1)
    await drained(first)
    await room.registry.delete(SessionKey("local", "a"))

    second = await room.open("a")

    assert second.network.slot == slot
    assert same(await room.weights(second), fresh)
    assert isinstance(keeper.network.learner, Learner)
