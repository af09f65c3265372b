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
    Close,
    CochleaSensor,
    ErrorMessage,
    EventFrame,
    Goodbye,
    Label,
    Learned,
    LearningChange,
    NetworkRequest,
    Open,
    Prediction,
    Segmentation,
    SegmentedByClient,
    SegmentedBySilence,
    SegmentedByWindow,
    SegmentMark,
    Unsegmented,
)
from tests.clients.scripted_server import FaithfulSession, Peer, Script, ScriptedServer
from tests.clients.toy_recordings import CLASSES, ToySource

CLIENT = SegmentedByClient()
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


def empty_progress(source: ToySource, n_passes: int, segmentation: Segmentation) -> ReplayProgress:
    return ReplayProgress(
        source="toy",
        classes=CLASSES,
        n_channels=700,
        n_passes=n_passes,
        pass_segments=len(source),
        segmentation=segmentation,
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
    segmentation: Segmentation = CLIENT,
) -> ReplayProgress:
    """Stream passes, and a test, to a script; return what was noted."""
    progress = empty_progress(source, len(orders), segmentation)
    request = REQUEST.model_copy(update={"segmentation": segmentation})
    async with (
        ScriptedServer(script) as server,
        StreamingClient.open(server.url, request) as client,
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
                place = (message.from_us, message.to_us) if message.segment is None else ()
                number = () if message.segment is None else (message.segment,)
                short.append(("label", *number, *place, message.target))
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


async def cut_by_the_server(peer: Peer) -> list[ClientMessage | EventFrame]:
    """Be a session whose words end 100 ms after their last event; return what was applied."""
    applied: list[ClientMessage | EventFrame] = []
    await peer.greet()
    number = last_us = 0
    while not isinstance(message := await peer.receive(), Close):
        assert not isinstance(message, Open)
        applied.append(message)
        if isinstance(message, EventFrame) and message.count:
            last_us = int(message.times_us.max())
        elif isinstance(message, EventFrame) and message.base_us >= last_us + 100_000:
            await peer.say(final(number, last_us + 100_000))
            number += 1
        elif isinstance(message, Label):
            await peer.say(lesson(message))
        await peer.say(Ack(applied=message.sequence or 0, durable=0, credit_ticks=8192))
    await peer.say(Goodbye(reason="closed", durable=0))
    return applied


def final(segment: int, t_us: int) -> Prediction:
    return Prediction(
        segment=segment, tick=50, t_us=t_us, index=0, label="zero", confidence=1.0, final=True
    )


def lesson(label: Label) -> Learned:
    assert isinstance(label.target, int)
    return Learned(
        segment=label.segment,
        from_us=label.from_us,
        to_us=label.to_us,
        target=label.target,
        correct=label.target == 0,
        prequential_accuracy=0.5,
        segments_labelled=1,
    )


async def test_segments_that_silence_ends_are_labelled_once_their_number_is_known() -> None:
    applied: list[ClientMessage | EventFrame] = []

    async def script(peer: Peer) -> None:
        applied.extend(await cut_by_the_server(peer))

    progress = await streamed(
        ToySource(2),
        script,
        orders=[[0, 1]],
        segmentation=SegmentedBySilence(gap_us=100_000),
    )

    said = shapes(applied)
    # the silence after a word ends at 99.999 + 100 ms, the next word begins 200 ms after that
    assert [one for one in said if one[0] != "label"] == [
        ("events", 0, 45_000, 99_999),
        ("clock", 200_000),
        ("events", 400_000, 445_000, 499_999),
        ("clock", 600_000),
    ]
    assert [one for one in said if one[0] == "label"] == [("label", 0, 0), ("label", 1, 1)]
    assert (progress.passes[0].n_segments, progress.passes[0].n_correct) == (2, 1)


@pytest.mark.parametrize("segmentation", [Unsegmented(), SegmentedByWindow()])
async def test_of_an_uncut_stream_intervals_are_labelled(segmentation: Segmentation) -> None:
    applied: list[ClientMessage | EventFrame] = []

    async def script(peer: Peer) -> None:
        applied.extend(await cut_by_the_server(peer))

    progress = await streamed(
        ToySource(2), script, orders=[[0, 1]], segmentation=segmentation, test=ToySource(1)
    )

    assert shapes(applied) == [
        ("events", 0, 45_000, 99_999),
        # a tick of 4 ms that begins in the interval may end so much later
        ("clock", 104_000),
        ("label", 0, 100_000, 0),
        ("events", 304_000, 349_000, 403_999),
        ("clock", 408_000),
        ("label", 304_000, 404_000, 1),
        # without learning the answer to a label says whether it was heard right
        ("learning", "off"),
        ("events", 608_000, 653_000, 707_999),
        ("clock", 712_000),
        ("label", 608_000, 708_000, 0),
        ("learning", "delayed"),
    ]
    assert (progress.passes[0].n_segments, progress.passes[0].n_correct) == (2, 1)
    # ticks of 4 ms; the test counts apart
    assert (progress.n_ticks, progress.n_events, progress.test.n_correct) == (50, 6, 1)


async def test_an_uncut_session_goes_on_after_its_clock() -> None:
    applied: list[ClientMessage | EventFrame] = []

    async def resumed(peer: Peer) -> None:
        await peer.greet(resumed=True, open_segment=0, open_segment_t_us=5, horizon_us=7_000_000)
        applied.extend(await peer.end_in_order())

    await streamed(ToySource(1), resumed, orders=[[0]], segmentation=Unsegmented())

    assert shapes(applied)[0] == ("events", 7_204_000, 7_249_000, 7_303_999)


async def test_a_session_that_refuses_segments_ends_the_replay() -> None:
    refusal = ErrorMessage(code="bad_segment", message="one is open", fatal=False)

    async def refusing(peer: Peer) -> None:
        await peer.greet()
        await peer.receive()
        await peer.say(refusal, Ack(applied=1, durable=0, credit_ticks=9))
        await peer.end_in_order()

    with pytest.raises(SegmentRefused, match="session 's-1' refuses a segment: one is open"):
        await streamed(ToySource(3), refusing, orders=[[0, 1, 2] * 100])
