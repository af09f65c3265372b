"""The outgoing queue: order, gathered acks, thinning for slow readers, the bound, the end."""

import asyncio

import pytest

from service.errors import CloseCode, Draining, ProtocolViolation
from service.sessions.outbox import Outbox
from service.settings import SocketSettings
from service.wire_protocol import (
    Ack,
    ErrorMessage,
    Goodbye,
    Learned,
    Limits,
    Opened,
    Prediction,
    ServerMessage,
)
from tests.service.fake_clock import FakeClock, RunningClock

TIMEOUT_S = 10.0
LIMITS = Limits(max_message_bytes=1, max_advance_ticks=1, kept_segments=1, kept_ticks=1, idle_s=1.0)
OPENED = Opened(
    session="s",
    resumed=False,
    epoch=1,
    next_sequence=1,
    credit_ticks=9,
    classes=("a", "b"),
    tick_us=10,
    seed=0,
    kernel="cpu",
    limits=LIMITS,
    server="0",
)
LEARNED = Learned(segment=0, target=0, correct=True, segments_labelled=1)
REFUSED = ErrorMessage(code="bad_segment", message="no", fatal=False)


def ack(applied: int, credit_ticks: int = 9) -> Ack:
    return Ack(applied=applied, durable=0, credit_ticks=credit_ticks)


def prediction(tick: int, *, final: bool = False, skipped: int = 0) -> Prediction:
    return Prediction(
        segment=0,
        tick=tick,
        t_us=tick,
        index=0,
        label="a",
        confidence=0.5,
        final=final,
        skipped=skipped,
    )


@pytest.fixture
def settings() -> SocketSettings:
    return SocketSettings(ack_delay_ms=20, ack_every_s=1, outbox_messages=128, outbox_predictions=2)


@pytest.fixture
def outbox(settings: SocketSettings, clock: FakeClock) -> Outbox:
    return Outbox(settings, clock)


async def take(outbox: Outbox) -> list[ServerMessage]:
    async with asyncio.timeout(TIMEOUT_S):
        return await outbox.take()


# --- order


async def test_a_connection_begins_with_opened_and_an_ack(outbox: Outbox) -> None:
    outbox.greet(OPENED, ack(0))
    outbox.put(LEARNED)

    assert await take(outbox) == [OPENED, ack(0), LEARNED]


async def test_messages_leave_in_their_order_and_once(outbox: Outbox) -> None:
    messages: list[ServerMessage] = [prediction(1), LEARNED, REFUSED, prediction(2, final=True)]
    for message in messages:
        outbox.put(message)
    assert len(outbox) == 4

    assert await take(outbox) == messages
    outbox.put(LEARNED)
    assert await take(outbox) == [LEARNED]
    assert len(outbox) == 0


async def test_who_waits_is_woken_by_a_message(outbox: Outbox) -> None:
    waiting = asyncio.create_task(take(outbox))
    await asyncio.sleep(0)
    assert not waiting.done()

    outbox.put(LEARNED)

    assert await waiting == [LEARNED]


# --- acknowledgements


async def test_an_ack_leaves_with_the_next_message(outbox: Outbox) -> None:
    outbox.put(LEARNED)
    outbox.acknowledge(ack(1))

    assert await take(outbox) == [LEARNED, ack(1)]


async def test_acks_are_no_more_frequent_for_a_fast_stream(
    outbox: Outbox, clock: FakeClock
) -> None:
    outbox.greet(OPENED, ack(0))
    await take(outbox)
    taken: list[ServerMessage] = []
    for applied in range(1, 6):
        # five messages within 20 ms, and one more after them
        clock.advance(0.004 if applied < 5 else 0.020)
        outbox.put(LEARNED)
        outbox.acknowledge(ack(applied))
        taken += await take(outbox)

    assert taken == [LEARNED] * 5 + [ack(5)]


async def test_an_ack_waits_for_companions_and_then_covers_them_all(
    outbox: Outbox, clock: FakeClock
) -> None:
    outbox.acknowledge(ack(1))
    waiting = asyncio.create_task(take(outbox))
    await asyncio.sleep(0)
    is_early = waiting.done()
    outbox.acknowledge(ack(2))
    clock.advance(0.020)
    outbox.put(LEARNED)

    assert not is_early
    assert await waiting == [LEARNED, ack(2)]


async def test_what_the_client_knows_already_leaves_with_no_message(outbox: Outbox) -> None:
    outbox.greet(OPENED, ack(1))
    await take(outbox)
    outbox.put(LEARNED)
    outbox.acknowledge(ack(1))

    assert await take(outbox) == [LEARNED]


async def test_an_ack_comes_after_everything_that_was_queued_before_it(
    outbox: Outbox, clock: FakeClock
) -> None:
    outbox.put(prediction(1, final=True))
    outbox.acknowledge(ack(1))
    outbox.put(LEARNED)
    clock.advance(0.020)

    assert await take(outbox) == [prediction(1, final=True), LEARNED, ack(1)]


async def test_later_changes_do_not_put_an_ack_off(outbox: Outbox, clock: FakeClock) -> None:
    outbox.acknowledge(ack(1))
    clock.advance(0.015)
    outbox.acknowledge(ack(2))
    clock.advance(0.005)

    # 20 ms after the first change, though 5 ms after the second
    assert await take(outbox) == [ack(2)]


async def test_the_same_ack_is_not_repeated_at_once(outbox: Outbox, clock: FakeClock) -> None:
    outbox.greet(OPENED, ack(1))
    outbox.acknowledge(ack(1))
    clock.advance(0.5)
    outbox.put(LEARNED)

    assert await take(outbox) == [OPENED, ack(1), LEARNED]


async def test_a_change_of_credit_alone_is_acknowledged(outbox: Outbox, clock: FakeClock) -> None:
    outbox.greet(OPENED, ack(1, credit_ticks=9))
    await take(outbox)
    outbox.acknowledge(ack(1, credit_ticks=5))
    clock.advance(0.020)

    assert await take(outbox) == [ack(1, credit_ticks=5)]


async def test_an_ack_comes_once_a_second_though_nothing_changed(
    outbox: Outbox, clock: FakeClock
) -> None:
    outbox.greet(OPENED, ack(1))
    await take(outbox)

    for _ in range(3):
        clock.advance(1.0)
        assert await take(outbox) == [ack(1)]


async def test_a_resend_is_answered_by_the_last_ack(outbox: Outbox, clock: FakeClock) -> None:
    outbox.greet(OPENED, ack(4))
    await take(outbox)

    outbox.acknowledge_again()
    clock.advance(0.020)

    assert await take(outbox) == [ack(4)]


async def test_who_waits_wakes_by_itself_when_an_ack_is_due(settings: SocketSettings) -> None:
    outbox = Outbox(settings, RunningClock())
    outbox.acknowledge(ack(1))

    assert await take(outbox) == [ack(1)]


# --- slow readers


@pytest.fixture
async def slow(outbox: Outbox) -> Outbox:
    """Give an outbox whose writer took something and waits for its socket to take it."""
    outbox.put(LEARNED)
    await outbox.take()
    return outbox


async def test_a_burst_for_a_quick_reader_is_neither_thinned_nor_bounded(outbox: Outbox) -> None:
    messages = [prediction(tick) for tick in range(300)]
    for message in messages:
        outbox.put(message)

    assert await take(outbox) == messages


async def test_a_reader_that_has_caught_up_is_quick_again(slow: Outbox) -> None:
    waiting = asyncio.create_task(take(slow))
    await asyncio.sleep(0)

    for tick in range(5):
        slow.put(prediction(tick))

    assert await waiting == [prediction(tick) for tick in range(5)]


async def test_who_lets_others_have_their_turn_is_no_slow_reader(slow: Outbox) -> None:
    async def burst() -> None:
        for tick in range(1, 6):
            slow.put(prediction(tick))

    meanwhile = asyncio.create_task(burst())
    await slow.give_way()
    await meanwhile

    # five where a slow reader would keep two, and once it is slow again two are kept of all
    assert len(slow) == 5
    slow.put(prediction(6))
    taken = await slow.take()
    assert taken == [prediction(5, skipped=4), prediction(6)]


async def test_predictions_beyond_the_bound_are_thinned_oldest_first(slow: Outbox) -> None:
    for tick in (1, 2, 3, 4):
        slow.put(prediction(tick))

    # two of four stay; the first of them tells of the two before it
    assert await take(slow) == [prediction(3, skipped=2), prediction(4)]


async def test_finals_lessons_errors_and_acks_are_never_thinned(
    slow: Outbox, clock: FakeClock
) -> None:
    kept: list[ServerMessage] = [prediction(9, final=True), LEARNED, REFUSED]
    for tick in range(4):
        slow.put(prediction(tick))
        for message in kept:
            slow.put(message)
    slow.acknowledge(ack(1))
    clock.advance(0.020)

    messages = await take(slow)

    finals = [m for m in messages if isinstance(m, Prediction) and m.final]
    assert len(finals) == messages.count(LEARNED) == messages.count(REFUSED) == 4
    assert messages[-1] == ack(1)


async def test_a_skipped_prediction_is_told_by_the_next_one_even_a_final_one(
    slow: Outbox,
) -> None:
    slow.put(prediction(1))
    slow.put(prediction(2, final=True))
    slow.put(LEARNED)
    slow.put(prediction(3))
    slow.put(prediction(4))

    assert await take(slow) == [
        prediction(2, final=True, skipped=1),
        LEARNED,
        prediction(3),
        prediction(4),
    ]


async def test_every_skipped_prediction_is_told_exactly_once(slow: Outbox) -> None:
    for tick in range(50):
        slow.put(prediction(tick, final=tick % 7 == 6))

    messages = await take(slow)

    told = [m for m in messages if isinstance(m, Prediction)]
    assert len(told) + sum(m.skipped for m in told) == 50
    assert [m.tick for m in told] == sorted(m.tick for m in told)


async def test_past_the_bound_the_connection_ends_with_slow_reader(slow: Outbox) -> None:
    for _ in range(129):
        slow.put(LEARNED)

    assert slow.finished.is_set()
    assert slow.close_code is CloseCode.TRY_AGAIN
    [error] = await take(slow)
    assert isinstance(error, ErrorMessage)
    assert (error.code, error.fatal) == ("slow_reader", True)
    assert await take(slow) == []


async def test_at_the_bound_nothing_is_lost(slow: Outbox) -> None:
    for _ in range(128):
        slow.put(LEARNED)

    assert await take(slow) == [LEARNED] * 128


# --- the end


async def test_last_words_come_after_everything_else_and_then_nothing(outbox: Outbox) -> None:
    goodbye = Goodbye(reason="closed", durable=0)
    outbox.put(LEARNED)

    outbox.finish(CloseCode.ORDERLY, ack(3), goodbye)

    assert await take(outbox) == [LEARNED, ack(3), goodbye]
    assert await take(outbox) == []
    assert outbox.close_code is CloseCode.ORDERLY


async def test_what_comes_after_the_end_is_dropped(outbox: Outbox, clock: FakeClock) -> None:
    outbox.finish(CloseCode.ORDERLY)

    outbox.put(LEARNED)
    outbox.acknowledge(ack(1))
    clock.advance(5)
    outbox.finish(CloseCode.INTERNAL, Goodbye(reason="idle", durable=0))
    outbox.fail(Draining("the server is shutting down"))

    assert await take(outbox) == []
    assert outbox.close_code is CloseCode.ORDERLY


async def test_the_end_wakes_who_waits(outbox: Outbox) -> None:
    waiting = asyncio.create_task(take(outbox))
    await asyncio.sleep(0)

    outbox.finish(CloseCode.ORDERLY)

    assert await waiting == []


async def test_a_fatal_error_tells_code_text_and_number(outbox: Outbox) -> None:
    outbox.fail(ProtocolViolation("a word came, a number was expected", sequence=7))

    assert await take(outbox) == [
        ErrorMessage(
            code="bad_message",
            message="a word came, a number was expected",
            sequence=7,
            fatal=True,
        )
    ]
    assert outbox.close_code is CloseCode.BAD_REQUEST
