"""A paced session against a scripted server: what it says, counts, and does after losses."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from typing_extensions import override

from clients.load_script import Script
from clients.load_session import LoadSession, Span
from clients.load_tally import Tally
from clients.load_task import FRAME_TICKS, FRAME_US, SEGMENT_FRAMES, Task, stamped
from service.errors import CloseCode
from service.wire_protocol import (
    Ack,
    ClientMessage,
    ErrorMessage,
    EventFrame,
    Prediction,
    ServerMessage,
    decode_binary,
)
from tests.clients.scripted_server import FaithfulSession, Peer, ScriptedServer

FEWEST_FRAMES = 7
SHOWN = "abc123"


class PredictingSession(FaithfulSession):
    """Answers each closing frame with a prediction of its ticks."""

    @staticmethod
    @override
    def answers(message: ClientMessage | EventFrame) -> list[ServerMessage]:
        """Say what a message causes."""
        if not isinstance(message, EventFrame) or message.count:
            return FaithfulSession.answers(message)
        segment, frames = divmod(message.base_us // FRAME_US - 1, SEGMENT_FRAMES)
        return [
            Prediction(
                segment=segment,
                tick=(frames + 1) * FRAME_TICKS,
                t_us=message.base_us,
                index=0,
                label="zero",
                confidence=1.0,
                final=False,
            )
        ]


class MuteSession(FaithfulSession):
    """Applies everything and predicts nothing."""

    @staticmethod
    @override
    def answers(message: ClientMessage | EventFrame) -> list[ServerMessage]:
        """Say nothing."""
        del message
        return []


def span(seconds: float) -> Span:
    """Return a time from now on in which frames are due, however slow the machine is."""
    now_s = time.monotonic()
    # a session that is not open after half a second begins one second later
    return Span(open_s=now_s, phase_s=now_s - 0.5, begin_s=now_s, end_s=now_s + seconds)


@asynccontextmanager
async def streamed(url: str, tally: Tally, seconds: float = 2.0) -> AsyncIterator[LoadSession]:
    """Stream until all frames are due, and end in order."""
    times = span(seconds)
    script = Script(Task(), 1, (0, 0))
    session = LoadSession("load-1", script, times, tally, url=url, token=SHOWN)
    session.start()
    await asyncio.sleep(times.end_s - time.monotonic())
    yield session
    session.finish()
    await session.gone.wait()


async def test_every_frame_is_sent_and_its_answer_timed() -> None:
    session, tally = PredictingSession(), Tally()

    async with ScriptedServer(session) as server, streamed(server.url, tally):
        pass

    closing = [m.base_us for m in session.applied if isinstance(m, EventFrame) and not m.count]
    n_frames = len(closing)
    assert n_frames >= FEWEST_FRAMES
    assert closing == [n * FRAME_US for n in range(1, n_frames + 1)]
    assert (tally.n_frames, tally.n_unanswered) == (n_frames, 0)
    assert len(tally.lag_s) == len(tally.due_s) == len(tally.late_s) == n_frames
    assert min(tally.lag_s) > 0
    assert server.shown == [f"Bearer {SHOWN}"]


async def test_frames_leave_when_they_are_due_whatever_is_answered() -> None:
    session, tally = MuteSession(), Tally()

    async with ScriptedServer(session) as server, streamed(server.url, tally):
        pass

    assert tally.n_frames == tally.n_unanswered >= FEWEST_FRAMES


async def test_a_lost_connection_is_counted_and_nothing_is_said_twice_or_left_out() -> None:
    # the second connection takes over in the middle of a frame: after begin, events, close, events
    session, tally = PredictingSession(cuts=[4]), Tally()

    async with ScriptedServer(session, session) as server, streamed(server.url, tally, 3.5):
        pass

    # message 1 began the segment
    said = [getattr(m, "sequence", None) for m in session.applied]
    assert said == list(range(1, 1 + len(said)))
    closing = [m for m in session.applied if isinstance(m, EventFrame) and not m.count]
    assert tally.reconnections == {"1006": 1}
    assert tally.n_frames == len(closing) >= FEWEST_FRAMES


async def test_a_session_that_is_refused_does_not_come_back() -> None:
    async def refuse(peer: Peer) -> None:
        await peer.receive()
        await peer.say(ErrorMessage(code="overloaded", message="full", fatal=True))
        await peer.close(CloseCode.TRY_AGAIN)

    tally = Tally()
    async with ScriptedServer(refuse) as server, streamed(server.url, tally) as session:
        pass

    assert session.is_over
    assert (tally.refused, tally.n_admitted, tally.n_frames) == ({"overloaded": 1}, 0, 0)
    assert server.n_connections == 1


async def test_a_refused_handshake_is_a_refusal() -> None:
    tally = Tally()
    async with ScriptedServer() as server:
        server.refuse_with = 503
        async with streamed(server.url, tally):
            pass

    assert tally.refused == {"503": 1}


async def test_a_server_that_is_not_there_is_a_refusal() -> None:
    tally = Tally()
    async with ScriptedServer() as server:
        url = server.url

    async with streamed(url, tally):
        pass

    assert tally.refused == {"1006": 1}


async def test_errors_and_skipped_predictions_are_counted() -> None:
    async def grumble(peer: Peer) -> None:
        await peer.greet()
        first = Ack(applied=0, durable=0, credit_ticks=8192)
        refusal = ErrorMessage(code="late_events", message="late", sequence=2, fatal=False)
        [prediction] = PredictingSession.answers(decode_binary(stamped(Task().close, 3, FRAME_US)))
        await peer.say(first, refusal, prediction.model_copy(update={"skipped": 3}))
        await peer.end_in_order()

    tally = Tally()
    async with ScriptedServer(grumble) as server, streamed(server.url, tally):
        pass

    assert (tally.errors, tally.n_skipped) == ({"late_events": 1}, 3)
