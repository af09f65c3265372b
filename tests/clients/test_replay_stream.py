"""Recordings become segments: paced or whole, labelled after their end, tested without labels."""

import asyncio
from collections.abc import Callable

import pytest

from clients.recordings import Recording
from clients.replay_progress import Phase, ReplayProgress
from clients.replay_stream import Pace, RecordingStream, SegmentRefused
from clients.sdk import StreamingClient
from service.wire_protocol import (
    Ack,
    ClientMessage,
    CochleaSensor,
    ErrorMessage,
    EventFrame,
    Label,
    LearningChange,
    NetworkRequest,
    Open,
    SegmentMark,
)
from tests.clients.scripted_server import FaithfulSession, Peer, Script, ScriptedServer
from tests.clients.toy_recordings import CLASSES, ToySource

REQUEST = Open(sensor=CochleaSensor(channels=700), network=NetworkRequest(classes=CLASSES))


class Wall:
    """A clock that only its own sleep moves."""

    def __init__(self) -> None:
        self.now_s = 50.0
        self.sleeps_s: list[float] = []

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.sleeps_s.append(round(seconds, 6))
        self.now_s += seconds
        await asyncio.sleep(0)


def empty_progress(source: ToySource, n_passes: int = 1) -> ReplayProgress:
    return ReplayProgress(
        source="toy", classes=CLASSES, n_channels=700, n_passes=n_passes, pass_segments=len(source)
    )


def truth(recording: Recording) -> int:
    return recording.label


async def streamed(
    source: ToySource,
    script: Script,
    *,
    orders: list[list[int]],
    pace: Pace | None = None,
    tell: Callable[[Recording], int] = truth,
    test: ToySource | None = None,
    stop_after: int | None = None,
) -> ReplayProgress:
    """Stream passes, and a test, to a script; return what was noted."""
    progress = empty_progress(source, len(orders))
    async with (
        ScriptedServer(script) as server,
        StreamingClient.open(server.url, REQUEST) as client,
    ):
        stream = RecordingStream(client, progress, pace=pace or Pace(None))
        listening = asyncio.create_task(stream.listen())

        def tell_and_stop(recording: Recording) -> int:
            if stop_after is not None and len(source.loaded) > stop_after:
                stream.stop()
            return tell(recording)

        try:
            await stream.learn(source, orders, tell_and_stop)
            if test is not None:
                await stream.test(test)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
    return progress


def shapes(messages: list[ClientMessage | EventFrame]) -> list[tuple[object, ...]]:
    """Say in short what came: begin/end with segment and time, event times, clock, label."""
    short: list[tuple[object, ...]] = []
    for message in messages:
        match message:
            case EventFrame(count=0):
                short.append(("clock", message.base_us))
            case EventFrame():
                short.append(("events", *message.times_us.tolist()))
            case SegmentMark():
                short.append((message.action, message.segment, message.t_us))
            case Label():
                short.append(("label", message.segment, message.target))
            case LearningChange():
                short.append(("learning", message.mode))
            case _:
                pytest.fail(f"unexpected {message}")
    return short


async def test_a_recording_is_sent_whole_and_its_label_after_its_end() -> None:
    session = FaithfulSession()

    await streamed(ToySource(2), session, orders=[[1, 0]])

    # the second begins 200 ms after the end of the first
    assert shapes(session.applied) == [
        ("begin", 0, 0),
        ("events", 0, 45_000, 99_999),
        ("end", 0, 100_000),
        ("label", 0, 1),
        ("begin", 1, 300_000),
        ("events", 300_000, 345_000, 399_999),
        ("end", 1, 400_000),
        ("label", 1, 0),
    ]


async def test_at_a_finite_speed_frames_of_40_ms_go_when_they_are_over() -> None:
    session, wall = FaithfulSession(), Wall()

    await streamed(
        ToySource(2), session, orders=[[0, 1]], pace=Pace(2.0, clock=wall, sleep=wall.sleep)
    )

    assert shapes(session.applied)[:7] == [
        ("begin", 0, 0),
        ("events", 0),
        ("clock", 40_000),
        ("events", 45_000),
        ("clock", 80_000),
        ("events", 99_999),
        ("end", 0, 100_000),
    ]
    # twice as fast: 40, 40 and 20 ms, then the gap of 200 ms, and again
    assert wall.sleeps_s == [0.02, 0.02, 0.01, 0.1, 0.02, 0.02, 0.01]


async def test_segments_are_numbered_on_over_the_passes() -> None:
    session = FaithfulSession()

    progress = await streamed(ToySource(2), session, orders=[[0, 1], [1, 0]])

    begins = [shape for shape in shapes(session.applied) if shape[0] == "begin"]
    assert begins == [("begin", n, n * 300_000) for n in range(4)]
    # FaithfulSession takes segments 0 to 3 for classes 0, 1, 2, 0; told are 0, 1, 1, 0
    assert [(score.n_segments, score.n_correct) for score in progress.passes] == [(2, 2), (2, 1)]


async def test_the_label_that_is_told_may_differ_from_the_truth() -> None:
    session = FaithfulSession()

    await streamed(ToySource(2), session, orders=[[0, 1]], tell=lambda _: 2)

    labels = [shape for shape in shapes(session.applied) if shape[0] == "label"]
    assert labels == [("label", 0, 2), ("label", 1, 2)]


async def test_a_test_is_streamed_with_learning_off_and_without_labels() -> None:
    session = FaithfulSession()

    progress = await streamed(ToySource(2), session, orders=[[0, 1]], test=ToySource(3))

    assert [shape[0] for shape in shapes(session.applied)[8:]] == [
        *("learning", "begin", "events", "end", "begin", "events", "end", "begin", "events"),
        *("end", "learning"),
    ]
    changes = [shape for shape in shapes(session.applied) if shape[0] == "learning"]
    assert changes == [("learning", "off"), ("learning", "delayed")]
    # segments 2, 3, 4 are taken for 2, 0, 1; the truth is 0, 1, 2
    assert (progress.test.n_segments, progress.test.n_correct) == (3, 0)
    assert progress.phase is Phase.TESTING


async def test_everything_is_counted_once_it_is_over() -> None:
    progress = await streamed(ToySource(4), FaithfulSession(), orders=[[0, 1, 2, 3]])

    assert progress.session == "s-1"
    assert progress.n_events == 12
    assert (progress.n_predicted, progress.n_learned, progress.n_ticks) == (4, 4, 4)
    assert len(progress.lags_s) == 4


async def test_a_session_that_was_used_before_gets_numbers_it_has_not_seen() -> None:
    applied: list[ClientMessage | EventFrame] = []

    async def resumed(peer: Peer) -> None:
        await peer.greet(resumed=True, next_sequence=57)
        applied.extend(await peer.end_in_order())

    await streamed(ToySource(1), resumed, orders=[[0]])

    assert shapes(applied)[0] == ("begin", 57, 0)


async def test_a_stop_ends_the_open_segment_without_a_label() -> None:
    session, wall = FaithfulSession(), Wall()

    await streamed(
        ToySource(3),
        session,
        orders=[[0, 1, 2]],
        pace=Pace(1.0, clock=wall, sleep=wall.sleep),
        stop_after=1,
    )

    # the second recording is loaded when the stop comes: its first frame is its last
    assert shapes(session.applied)[8:] == [
        ("begin", 1, 300_000),
        ("events", 300_000),
        ("end", 1, 340_000),
    ]


async def test_a_session_that_refuses_segments_ends_the_replay() -> None:
    refusal = ErrorMessage(code="bad_segment", message="one is open", fatal=False)

    async def refusing(peer: Peer) -> None:
        await peer.greet()
        await peer.receive()
        await peer.say(refusal, Ack(applied=1, durable=0, credit_ticks=9))
        await peer.end_in_order()

    with pytest.raises(SegmentRefused, match="session 's-1' refuses a segment: one is open"):
        await streamed(ToySource(3), refusing, orders=[[0, 1, 2] * 100])
