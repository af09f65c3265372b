"""The client against a real WebSocket server whose moves the test decides."""

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from pydantic import ValidationError

from clients.client_options import BackOff, ClientOptions
from clients.connection_errors import (
    ClientClosed,
    ClientError,
    MessageRefused,
    ServerUnreachable,
    SessionLost,
    SessionRefused,
    TakenOver,
)
from clients.inbox import StreamMessage
from clients.sdk import StreamingClient
from service.wire_protocol import (
    Ack,
    AddClasses,
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
    SegmentMark,
    SnapshotRequest,
)
from tests.clients.scripted_server import (
    GREETING,
    LIMITS,
    FaithfulSession,
    Peer,
    Script,
    ScriptedServer,
)

TOKEN = "kX3-_token"  # noqa: S105 - of no server
REQUEST = Open(sensor=CochleaSensor(channels=700), network=NetworkRequest(classes=3))


class NoWait:
    """A sleep that returns at once and remembers for how long it was asked."""

    def __init__(self) -> None:
        self.delays_s: list[float] = []

    async def __call__(self, delay_s: float) -> None:
        """Remember and give others a turn."""
        self.delays_s.append(delay_s)
        await asyncio.sleep(0)


def options(
    sleep: Callable[[float], Awaitable[None]] | None = None,
    *,
    attempts: int = 3,
    inbox_messages: int = 1000,
    clock: Callable[[], float] = lambda: 0.0,
) -> ClientOptions:
    back_off = BackOff(first_s=1.0, attempts=attempts, random=lambda: 0.5, sleep=sleep or NoWait())
    return ClientOptions(
        back_off=back_off, inbox_messages=inbox_messages, clock=clock, close_timeout_s=5.0
    )


async def stream(client: StreamingClient, n_segments: int) -> None:
    """Send segments of 40 ms, two frames and a label each."""
    for segment in range(n_segments):
        t_us = segment * 100_000
        await client.begin_segment(segment, t_us=t_us)
        await client.send_events(np.array([t_us + 5, t_us + 9]), np.array([1, 2]))
        await client.advance_to(t_us + 20_000)
        await client.end_segment(segment, t_us=t_us + 40_000)
        await client.label(segment, segment % 3)


async def heard(client: StreamingClient) -> list[StreamMessage]:
    """Return everything that the client still has; it must be closed."""
    return [message async for message in client]


def kinds(messages: list[StreamMessage]) -> list[tuple[str, int | None]]:
    return [
        (message.type, None if isinstance(message, ErrorMessage) else message.segment)
        for message in messages
    ]


async def test_a_segment_is_streamed_predicted_and_learnt() -> None:
    session = FaithfulSession()

    async with (
        ScriptedServer(session) as server,
        StreamingClient.open(server.url, REQUEST, options=options()) as client,
    ):
        await stream(client, 1)
        await client.drain()

    begin, events, clock, end, label = session.applied
    assert begin == SegmentMark(action="begin", segment=0, t_us=0, sequence=1)
    assert isinstance(events, EventFrame)
    assert (events.sequence, events.times_us.tolist()) == (2, [5, 9])
    assert events.addresses.tolist() == [1, 2]
    assert isinstance(clock, EventFrame)
    assert (clock.sequence, clock.count, clock.base_us) == (3, 0, 20_000)
    assert end == SegmentMark(action="end", segment=0, t_us=40_000, sequence=4)
    assert label == Label(segment=0, target=0, sequence=5)
    assert kinds(await heard(client)) == [("prediction", 0), ("learned", 0)]


async def test_every_message_of_the_protocol_can_be_sent() -> None:
    session = FaithfulSession()

    async with (
        ScriptedServer(session) as server,
        StreamingClient.open(server.url, REQUEST, options=options()) as client,
    ):
        await client.label_interval(1, 2, "one")
        await client.change_learning(mode="off", rate=0.5)
        await client.add_classes(["three"])
        await client.snapshot()

    assert session.applied == [
        Label(from_us=1, to_us=2, target="one", sequence=1),
        LearningChange(mode="off", rate=0.5, sequence=2),
        AddClasses(add=("three",), sequence=3),
    ]
    # one for the wish, one at the close; each stores until everything is durable
    assert session.snapshots == [0, 3, 3, 3, 3]


async def test_fields_of_an_open_may_be_given_as_keywords() -> None:
    session = FaithfulSession()

    async with (
        ScriptedServer(session) as server,
        StreamingClient.open(
            server.url,
            options=options(),
            sensor=CochleaSensor(channels=700),
            network=NetworkRequest(classes=3),
        ) as client,
    ):
        assert client.opened == GREETING

    assert session.requests == [REQUEST]


def test_a_request_that_is_no_open_is_refused_before_connecting() -> None:
    with pytest.raises(ValidationError):
        StreamingClient.open("ws://127.0.0.1:1/", sensor="nose")
    with pytest.raises(TypeError, match="both came"):
        StreamingClient.open("ws://127.0.0.1:1/", REQUEST, seed=3)


async def test_events_in_any_order_are_sent_in_order_and_in_frames_that_fit() -> None:
    session = FaithfulSession()
    greeting = LIMITS.model_copy(update={"max_message_bytes": 40})

    async def small(peer: Peer) -> None:
        await peer.greet(limits=greeting)
        session.applied.extend(await peer.end_in_order())

    async with (
        ScriptedServer(small) as server,
        StreamingClient.open(server.url, REQUEST, options=options()) as client,
    ):
        await client.send_events(np.array([30, 10, 20]), np.array([3, 1, 2]))

    # 40 bytes hold the header and two events
    frames = [message for message in session.applied if isinstance(message, EventFrame)]
    assert [frame.times_us.tolist() for frame in frames] == [[10, 20], [30]]
    assert [frame.addresses.tolist() for frame in frames] == [[1, 2], [3]]


async def test_a_far_end_is_approached_in_steps_that_the_server_takes() -> None:
    applied: list[ClientMessage | EventFrame] = []
    limits = LIMITS.model_copy(update={"max_advance_ticks": 4})

    async def short(peer: Peer) -> None:
        await peer.greet(limits=limits)
        applied.extend(await peer.end_in_order())

    async with (
        ScriptedServer(short) as server,
        StreamingClient.open(server.url, REQUEST, options=options()) as client,
    ):
        await client.begin_segment(0, t_us=0)
        await client.end_segment(0, t_us=20_000)

    # five ticks of 4 ms: four by the clock, one by the end
    _, clock, end = applied
    assert isinstance(clock, EventFrame)
    assert (clock.count, clock.base_us) == (0, 16_000)
    assert end == SegmentMark(action="end", segment=0, t_us=20_000, sequence=3)


async def test_arrays_of_different_shapes_are_refused() -> None:
    async with (
        ScriptedServer(FaithfulSession()) as server,
        StreamingClient.open(server.url, REQUEST, options=options()) as client,
    ):
        with pytest.raises(ValueError, match=r"times \(2,\) and addresses \(1,\)"):
            await client.send_events(np.zeros(2, np.int64), np.zeros(1, np.int64))


@pytest.mark.parametrize(
    ("time_us", "address", "complaint"),
    [(-1, 0, "times -1 to -1 came"), (2**53, 0, "times 900"), (0, 2**32, "addresses 429")],
)
async def test_a_segment_that_no_frame_can_hold_is_refused_before_it_begins(
    time_us: int, address: int, complaint: str
) -> None:
    session = FaithfulSession()
    async with (
        ScriptedServer(session) as server,
        StreamingClient.open(server.url, REQUEST, options=options()) as client,
    ):
        with pytest.raises(ValueError, match=complaint):
            await client.predict(np.array([time_us]), np.array([address]))

    assert session.applied == []


async def test_what_a_failed_prediction_left_open_ends_before_the_next_one() -> None:
    session = FaithfulSession()
    async with (
        ScriptedServer(session) as server,
        StreamingClient.open(server.url, REQUEST, options=options()) as client,
    ):
        with pytest.raises(ValueError, match="t_us"):
            await client.predict(np.array([5]), np.array([1]), duration_us=-1)
        second = await client.predict(np.array([5]), np.array([1]))

    marks = [message for message in session.applied if isinstance(message, SegmentMark)]
    assert [(mark.action, mark.segment, mark.t_us) for mark in marks] == [
        ("begin", 0, 0),
        ("end", 0, 0),
        ("begin", 1, 0),
        ("end", 1, 6),
    ]
    assert second.segment == 1


@pytest.mark.parametrize("cut", range(11))
async def test_a_connection_lost_anywhere_loses_and_doubles_nothing(cut: int) -> None:
    whole, cut_short = FaithfulSession(), FaithfulSession(cuts=[cut, 0, 3])

    for session in (whole, cut_short):
        async with (
            ScriptedServer(*[session] * 4) as server,
            StreamingClient.open(server.url, REQUEST, options=options()) as client,
        ):
            await stream(client, 2)
        assert kinds(await heard(client)) == [
            ("prediction", 0),
            ("learned", 0),
            ("prediction", 1),
            ("learned", 1),
        ]

    # FaithfulSession itself insists on each number coming once, in order
    assert [
        repr(message) for message in cut_short.applied if not isinstance(message, EventFrame)
    ] == [repr(message) for message in whole.applied if not isinstance(message, EventFrame)]
    assert len(cut_short.applied) == len(whole.applied) == 10


async def test_a_client_comes_back_to_the_session_it_was_given() -> None:
    session = FaithfulSession(cuts=[0])

    async with (
        ScriptedServer(session, session) as server,
        StreamingClient.open(server.url, REQUEST, options=options()) as client,
    ):
        await stream(client, 1)
        await client.drain()
        assert client.n_connections == 2

    assert session.requests[1] == REQUEST.model_copy(update={"session": "s-1", "epoch": 11})


def closing(code: int, *messages: ErrorMessage | Goodbye, next_sequence: int = 1) -> Script:
    """Script a connection that is opened and then closed."""

    async def script(peer: Peer) -> None:
        await peer.greet(next_sequence=next_sequence)
        await peer.say(*messages)
        await peer.close(code)

    return script


async def test_waits_grow_until_there_is_progress() -> None:
    sleep = NoWait()
    session = FaithfulSession(cuts=[1])
    later = closing(4408, next_sequence=2)

    async with (
        ScriptedServer(closing(4429), closing(4500), session, later, session) as server,
        StreamingClient.open(server.url, REQUEST, options=options(sleep)) as client,
    ):
        await stream(client, 1)
        await client.drain()

    # half of 1, 2 and 4 s; the fourth connection tells of one applied message: half of 1 s again;
    # a server whose quota is used up is left alone for 5 s more
    assert sleep.delays_s == [5.5, 1.0, 2.0, 0.5]


async def test_the_server_is_left_alone_for_as_long_as_it_asks() -> None:
    sleep = NoWait()
    goodbye = Goodbye(reason="draining", durable=0, retry_after_ms=7000)

    async with (
        ScriptedServer(closing(1012, goodbye), FaithfulSession()) as server,
        StreamingClient.open(server.url, REQUEST, options=options(sleep)) as client,
    ):
        await stream(client, 1)
        await client.drain()

    assert sleep.delays_s == [7.5]


async def test_a_connection_that_held_for_long_counts_as_progress() -> None:
    sleep = NoWait()
    hours = iter(range(0, 3600 * 100, 3600))
    scripts = [closing(4408)] * 5

    async with (
        ScriptedServer(*scripts, FaithfulSession()) as server,
        StreamingClient.open(
            server.url, REQUEST, options=options(sleep, clock=lambda: next(hours))
        ) as client,
    ):
        await client.label(0, 0)
        await client.drain()

    assert sleep.delays_s == [0.5] * 5


async def test_a_client_gives_up_after_its_last_attempt() -> None:
    async with ScriptedServer(*[closing(4500)] * 4) as server:
        client = StreamingClient.open(server.url, REQUEST, options=options(attempts=3))
        async with client:
            with pytest.raises(ServerUnreachable, match=r"gave up after 3 attempts: .*4500"):
                await anext(client)

        assert server.n_connections == 4


@pytest.mark.parametrize(
    ("script", "kind", "sentence"),
    [
        (
            closing(1000, Goodbye(reason="taken_over", durable=0)),
            TakenOver,
            "another connection opened this session",
        ),
        (closing(4404, Goodbye(reason="deleted", durable=0)), SessionLost, "was deleted"),
        (
            closing(4400, ErrorMessage(code="bad_address", message="address 9 came", fatal=True)),
            SessionRefused,
            r"address 9 came \(bad_address\)",
        ),
        (closing(1009), SessionRefused, "frame_too_large"),
    ],
)
async def test_a_client_does_not_come_back_after(
    script: Script, kind: type[ClientError], sentence: str
) -> None:
    async with (
        ScriptedServer(script) as server,
        StreamingClient.open(server.url, REQUEST, options=options()) as client,
    ):
        with pytest.raises(kind, match=sentence):
            await anext(client)
        with pytest.raises(kind):
            await client.label(0, 0)

        assert server.n_connections == 1


@pytest.mark.parametrize(
    ("greeting", "sentence"),
    [
        ({"epoch": 12}, "is another one than before"),
        ({"next_sequence": 9}, "expects message 9; this client can send 1 to 2"),
    ],
)
async def test_a_server_that_has_another_session_has_lost_this_one(
    greeting: dict[str, int], sentence: str
) -> None:
    async def cut(peer: Peer) -> None:
        await peer.greet()
        await peer.receive()
        peer.cut()

    async def another(peer: Peer) -> None:
        await peer.greet(**greeting)
        await peer.receive()

    async with ScriptedServer(cut, another) as server:
        client = StreamingClient.open(server.url, REQUEST, options=options())
        await client.__aenter__()
        await client.label(0, 0)
        with pytest.raises(SessionLost, match=sentence):
            await client.drain()
        # a label that will never be applied is not passed over in silence
        with pytest.raises(SessionLost, match=sentence):
            await client.__aexit__(None, None, None)


async def test_a_refused_open_says_why() -> None:
    told = ErrorMessage(code="config_mismatch", message="tick_us: 5 came", fatal=True)

    async def refuse(peer: Peer) -> None:
        await peer.receive()
        await peer.say(told)
        await peer.close(4400)

    async with ScriptedServer(refuse) as server:
        with pytest.raises(SessionRefused, match="tick_us: 5 came") as refused:
            await StreamingClient.open(server.url, REQUEST, options=options()).__aenter__()

    assert (refused.value.code, refused.value.close_code) == ("config_mismatch", 4400)


async def test_a_server_too_busy_to_open_refuses() -> None:
    async def busy(peer: Peer) -> None:
        await peer.receive()
        await peer.close(1013)

    async with ScriptedServer(busy) as server:
        with pytest.raises(SessionRefused, match="overloaded"):
            await StreamingClient.open(server.url, REQUEST, options=options()).__aenter__()


async def test_nobody_there_is_said_at_once() -> None:
    async with ScriptedServer() as server:
        url = server.url

    with pytest.raises(ServerUnreachable, match=f"no server answers at {url}"):
        await StreamingClient.open(url, REQUEST, options=options()).__aenter__()


@pytest.mark.parametrize(("status", "kind"), [(403, SessionRefused), (404, ServerUnreachable)])
async def test_a_refused_handshake_is_said_with_its_status(
    status: int, kind: type[ClientError]
) -> None:
    async with ScriptedServer() as server:
        server.refuse_with = status
        with pytest.raises(kind, match=f"answers HTTP {status}"):
            await StreamingClient.open(server.url, REQUEST, options=options()).__aenter__()


@pytest.mark.parametrize("nonsense", ["hello", b"\0"])
async def test_a_server_that_speaks_nonsense_is_none(nonsense: str | bytes) -> None:
    async def mumble(peer: Peer) -> None:
        await peer.receive()
        await peer.say(nonsense)
        await peer.receive()

    async with ScriptedServer(mumble) as server:
        with pytest.raises(ServerUnreachable, match=r"does not speak tclif\.v1"):
            await StreamingClient.open(server.url, REQUEST, options=options()).__aenter__()


async def test_nonsense_later_ends_the_session_too() -> None:
    async def mumble(peer: Peer) -> None:
        await peer.greet()
        await peer.say("hello")
        await peer.receive()

    async with (
        ScriptedServer(mumble) as server,
        StreamingClient.open(server.url, REQUEST, options=options()) as client,
    ):
        with pytest.raises(ServerUnreachable, match=r"does not speak tclif\.v1"):
            await anext(client)


async def test_what_came_before_a_failure_is_heard_first() -> None:
    late = ErrorMessage(code="late_events", message="3 events", fatal=False)
    fatal = ErrorMessage(code="bad_message", message="no", fatal=True)

    async with (
        ScriptedServer(closing(4400, late, fatal)) as server,
        StreamingClient.open(server.url, REQUEST, options=options()) as client,
    ):
        assert await anext(client) == late
        with pytest.raises(SessionRefused):
            await anext(client)


async def test_leaving_waits_until_everything_sent_is_applied() -> None:
    async def slow(peer: Peer) -> list[object]:
        await peer.greet(credit_ticks=0)
        # one message at a time fits no credit: each waits for the ack of the one before
        return [*await peer.end_in_order()]

    async with (
        ScriptedServer(slow) as server,
        StreamingClient.open(server.url, REQUEST, options=options()) as client,
    ):
        await stream(client, 3)

    with pytest.raises(StopAsyncIteration):
        await anext(client)
    assert client._link.buffer.applied == 15  # noqa: SLF001 - what the server has told


async def test_an_error_in_the_block_closes_in_order_without_waiting() -> None:
    received: list[object] = []

    async def silent(peer: Peer) -> None:
        await peer.greet(credit_ticks=0)
        while not received or not isinstance(received[-1], Close):
            received.append(await peer.receive())
        await peer.say(Goodbye(reason="closed", durable=0))

    async with ScriptedServer(silent) as server:
        client = StreamingClient.open(server.url, REQUEST, options=options())
        await client.__aenter__()
        await stream(client, 3)
        await client.__aexit__(KeyError, KeyError(), None)

    assert received[-1] == Close()


async def test_a_silent_server_can_not_hold_a_client_that_leaves() -> None:
    async def silent(peer: Peer) -> None:
        await peer.greet()
        await peer.receive_many(10)

    short = ClientOptions(close_timeout_s=0.01)
    async with (
        ScriptedServer(silent) as server,
        StreamingClient.open(server.url, REQUEST, options=short) as client,
    ):
        pass

    with pytest.raises(ClientClosed):
        await client.label(0, 0)


def forever() -> Callable[[float], Awaitable[None]]:
    """Return a sleep that never ends."""

    async def sleep(_: float) -> None:
        await asyncio.Event().wait()

    return sleep


async def test_leaving_with_an_error_does_not_wait_for_the_next_attempt() -> None:
    async with ScriptedServer(closing(1012)) as server:
        client = StreamingClient.open(server.url, REQUEST, options=options(forever()))
        await client.__aenter__()
        await client.label(0, 0)
        await client._link.until(lambda: client.trouble is not None)  # noqa: SLF001

        # the limit of 5 s is that of `close_timeout_s`, which is not waited for
        async with asyncio.timeout(2.0):
            await client.__aexit__(KeyError, KeyError(), None)

    assert server.n_connections == 1


async def test_a_client_says_what_the_trouble_is_while_there_is_any() -> None:
    troubles: list[str | None] = []

    async with (
        ScriptedServer(closing(1012), FaithfulSession()) as server,
        StreamingClient.open(server.url, REQUEST, options=options()) as client,
    ):
        troubles.append(client.trouble)
        await client._link.until(lambda: client.trouble is not None)  # noqa: SLF001
        troubles.append(client.trouble)
        await client._link.until(lambda: client.n_connections == 2)  # noqa: SLF001
        troubles.append(client.trouble)

    assert troubles == [
        None,
        "the connection was closed with 1012 (draining); attempt 1 of 3 follows",
        None,
    ]


async def test_an_orderly_leave_comes_back_until_the_server_has_closed() -> None:
    received: list[object] = []

    async def lose(peer: Peer) -> None:
        await peer.greet(next_sequence=2 if received else 1)
        while not received or not isinstance(received[-1], Close):
            received.append(await peer.receive())
            if isinstance(received[-1], Label):
                await peer.say(Ack(applied=1, durable=0, credit_ticks=9))
        peer.cut()

    async def keep(peer: Peer) -> None:
        await peer.greet(next_sequence=1)
        received.extend(await peer.end_in_order())

    async with (
        ScriptedServer(lose, keep) as server,
        StreamingClient.open(server.url, REQUEST, options=options()) as client,
    ):
        await client.label(0, 0)

    # the label was applied, but the server fell before it said that it stored the session
    assert received == [
        Label(segment=0, target=0, sequence=1),
        Close(),
        Label(segment=0, target=0, sequence=1),
    ]


async def test_a_connection_that_is_never_made_does_not_renew_the_patience() -> None:
    hours = iter(range(0, 3600 * 100, 3600))
    sleep = NoWait()

    async with ScriptedServer(closing(4408)) as server:
        client = StreamingClient.open(
            server.url, REQUEST, options=options(sleep, clock=lambda: next(hours))
        )
        await client.__aenter__()
        server.refuse_with = 503
        # however long a handshake may take
        with pytest.raises(ServerUnreachable, match=r"gave up after 3 attempts: .*overloaded"):
            await anext(client)

    assert sleep.delays_s == [0.5, 2.0, 3.0]


async def test_a_token_is_shown_at_every_handshake() -> None:
    session = FaithfulSession(cuts=[0])

    async with (
        ScriptedServer(session, session) as server,
        StreamingClient.open(server.url, REQUEST, options=options(), token=TOKEN) as client,
    ):
        await stream(client, 1)
        await client.drain()

    assert server.shown == [f"Bearer {TOKEN}"] * 2


async def test_a_token_of_the_environment_is_shown_where_none_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TCLIF_TOKEN", TOKEN)

    async with (
        ScriptedServer(FaithfulSession(), FaithfulSession()) as server,
        StreamingClient.open(server.url, REQUEST, options=options()),
        StreamingClient.open(server.url, REQUEST, options=ClientOptions(token="other")),  # noqa: S106
    ):
        pass

    assert server.shown == [f"Bearer {TOKEN}", "Bearer other"]


async def test_a_token_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async with (
        ScriptedServer(FaithfulSession()) as server,
        StreamingClient.open(server.url, REQUEST, options=options(), token=TOKEN),
    ):
        pass

    by_the_client = [r.getMessage() for r in caplog.records if r.name.startswith("clients")]
    assert "> Authorization: (not logged)" in by_the_client
    assert not any(TOKEN in message for message in by_the_client)


async def test_another_epoch_at_the_server_means_that_the_session_is_lost() -> None:
    told = ErrorMessage(code="epoch_mismatch", message="epoch 12 is here", fatal=True)

    async def refuse(peer: Peer) -> None:
        await peer.receive()
        await peer.say(told)
        await peer.close(4400)

    async with (
        ScriptedServer(closing(4408), refuse) as server,
        StreamingClient.open(server.url, REQUEST, options=options()) as client,
    ):
        with pytest.raises(SessionLost, match="epoch 12 is here"):
            await anext(client)


async def test_classes_that_were_added_are_known_once_the_server_has_them() -> None:
    async with (
        ScriptedServer(FaithfulSession()) as server,
        StreamingClient.open(server.url, REQUEST, options=options()) as client,
    ):
        await client.add_classes(["three", "four"])

        assert client.classes == ("zero", "one", "two", "three", "four")


async def test_classes_that_the_server_refuses_are_not_added() -> None:
    refusal = ErrorMessage(code="quota", message="too many bytes", sequence=1, fatal=False)

    async def refuse(peer: Peer) -> None:
        await peer.greet()
        await peer.receive()
        await peer.say(refusal, Ack(applied=1, durable=0, credit_ticks=9))
        await peer.end_in_order()

    async with (
        ScriptedServer(refuse) as server,
        StreamingClient.open(server.url, REQUEST, options=options()) as client,
    ):
        with pytest.raises(MessageRefused, match=r"too many bytes \(quota\)") as refused:
            await client.add_classes(["three"])
        assert client.classes == GREETING.classes
        assert await anext(client) == refusal

    assert refused.value.code == "quota"


@pytest.mark.parametrize(("next_sequence", "n_told"), [(1, 3), (2, 4)])
async def test_added_classes_are_known_whatever_a_server_remembers_of_them(
    next_sequence: int, n_told: int
) -> None:
    classes = (*GREETING.classes, "three")

    async def add_and_fall(peer: Peer) -> None:
        await peer.greet()
        await peer.receive()
        await peer.say(Ack(applied=1, durable=0, credit_ticks=9))
        await peer.receive()
        peer.cut()

    async def again(peer: Peer) -> None:
        # from a snapshot before the message, or after it
        await peer.greet(next_sequence=next_sequence, classes=classes[:n_told])
        await peer.end_in_order()

    async with (
        ScriptedServer(add_and_fall, again) as server,
        StreamingClient.open(server.url, REQUEST, options=options()) as client,
    ):
        await client.add_classes(["three"])
        await client.label(0, 0)
        await client.drain()

        assert client.n_connections == 2
        assert client.classes == classes


async def test_what_a_restarted_server_computes_again_is_heard_once() -> None:
    session = FaithfulSession()

    async def fall(peer: Peer) -> None:
        await peer.greet()
        for number in range(1, 11):
            message = await peer.receive()
            assert not isinstance(message, Open)
            answers = FaithfulSession.answers(message)
            await peer.say(*answers, Ack(applied=number, durable=3, credit_ticks=8192))
        await peer.receive()
        peer.cut()

    # the snapshot that survived holds messages 1 to 4
    session.applied.extend([Label(segment=99, target=0, sequence=n) for n in range(1, 5)])
    async with (
        ScriptedServer(fall, session) as server,
        StreamingClient.open(server.url, REQUEST, options=options()) as client,
    ):
        await stream(client, 3)

    assert kinds(await heard(client)) == [
        (kind, segment) for segment in range(3) for kind in ("prediction", "learned")
    ]
    assert len(session.applied) == 15


@pytest.mark.parametrize("falls_back", [1, 2])
@pytest.mark.parametrize("cut", range(1, 12))
async def test_a_server_that_is_killed_and_restarted_loses_and_doubles_nothing(
    cut: int, falls_back: int
) -> None:
    whole = FaithfulSession(stored_every=3)
    killed = FaithfulSession(stored_every=3, falls_back=[falls_back, 1, 1, 1], cuts=[cut, 4, 0, 7])

    for session in (whole, killed):
        async with (
            ScriptedServer(*[session] * 5) as server,
            StreamingClient.open(server.url, REQUEST, options=options()) as client,
        ):
            await stream(client, 3)
        assert kinds(await heard(client)) == [
            (kind, segment) for segment in range(3) for kind in ("prediction", "learned")
        ]

    # FaithfulSession itself insists on each number coming once, in order
    assert [repr(m) for m in killed.applied if not isinstance(m, EventFrame)] == [
        repr(m) for m in whole.applied if not isinstance(m, EventFrame)
    ]
    assert len(killed.applied) == len(whole.applied) == 15


async def test_a_full_buffer_blocks_until_something_is_durable() -> None:
    n_sent = 0
    may_store = asyncio.Event()

    async def slow(peer: Peer) -> None:
        await peer.greet()
        # four of four may wait; at two the client asks for a snapshot, once
        said = await peer.receive_many(5)
        assert said.count(SnapshotRequest()) == 1
        await peer.say(Ack(applied=4, durable=0, credit_ticks=9))
        await may_store.wait()
        await peer.say(Ack(applied=4, durable=4, credit_ticks=9))
        assert isinstance(await peer.receive(), Label)
        await peer.say(Ack(applied=5, durable=5, credit_ticks=9))
        await peer.end_in_order()

    async def send(client: StreamingClient) -> None:
        nonlocal n_sent
        for number in range(5):
            await client.label(number, 0)
            n_sent += 1

    bounded = dataclasses.replace(options(), keep_messages=4)
    async with (
        ScriptedServer(slow) as server,
        StreamingClient.open(server.url, REQUEST, options=bounded) as client,
    ):
        sending = asyncio.create_task(send(client))
        await client._link.until(lambda: client._link.buffer.applied == 4)  # noqa: SLF001
        state = (n_sent, client.is_blocked, client.durable)
        may_store.set()
        await sending

    assert state == (4, True, 0)
    assert (n_sent, client.is_blocked, client.durable) == (5, False, 5)


async def test_a_slow_rhythm_of_snapshots_does_not_stop_a_fast_stream() -> None:
    # it never stores by itself
    session = FaithfulSession()
    bounded = dataclasses.replace(options(), keep_messages=10)

    async with (
        ScriptedServer(session) as server,
        StreamingClient.open(server.url, REQUEST, options=bounded) as client,
    ):
        await stream(client, 20)

    # 100 messages, of which 10 may wait: a snapshot for every four at the most, as the fifth calls
    # for one, and one at the close
    assert len(session.applied) == 100
    assert 100 // 10 <= len(set(session.snapshots)) - 1 <= 100 // 4


async def test_a_snapshot_is_waited_for_until_it_is_durable() -> None:
    said: list[object] = []
    asked = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.greet()
        said.extend(await peer.receive_many(2))
        failed = ErrorMessage(code="snapshot_failed", message="disk full", fatal=False)
        await peer.say(Ack(applied=1, durable=0, credit_ticks=9), failed)
        asked.set()
        await peer.say(Ack(applied=1, durable=1, credit_ticks=9))
        await peer.end_in_order()

    async with (
        ScriptedServer(script) as server,
        StreamingClient.open(server.url, REQUEST, options=options()) as client,
    ):
        await client.label(0, 0)
        await client.snapshot()

        assert asked.is_set()
        assert client.durable == 1
        # the application hears why it took so long
        assert await anext(client) == ErrorMessage(
            code="snapshot_failed", message="disk full", fatal=False
        )

    assert said == [Label(segment=0, target=0, sequence=1), SnapshotRequest()]


async def test_a_session_that_is_closed_before_it_is_stored_is_warned_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def forgetful(peer: Peer) -> None:
        await peer.greet()
        # applies all and says goodbye, but its disk is full
        await peer.end_in_order()

    async with (
        ScriptedServer(forgetful) as server,
        StreamingClient.open(server.url, REQUEST, options=options()) as client,
    ):
        await client.label(0, 0)

    # the websockets library writes lines of its own where another test has asked for them
    warnings = [line.getMessage() for line in caplog.records if line.levelname == "WARNING"]
    assert warnings == ["closed, but messages after 0 are not durable"]


async def test_leaving_while_the_server_is_away_is_prompt_if_everything_is_durable() -> None:
    async def fall(peer: Peer) -> None:
        await peer.greet()
        await peer.receive()
        await peer.say(Ack(applied=1, durable=1, credit_ticks=9))
        await peer.close(1012)

    # `close_timeout_s` is 5 s
    async with (
        ScriptedServer(fall) as server,
        asyncio.timeout(4.0),
        StreamingClient.open(server.url, REQUEST, options=options(forever())) as client,
    ):
        await client.label(0, 0)
        await client.until_lost()

    assert client.durable == 1


async def test_lag_is_counted_from_the_end_of_a_segment_to_its_final_prediction() -> None:
    now_s = 100.0

    async def script(peer: Peer) -> None:
        nonlocal now_s
        await peer.greet()
        begin_end = await peer.receive_many(2)
        now_s = 100.25
        final = Prediction(
            segment=4, tick=1, t_us=5, index=0, label="zero", confidence=1.0, final=True
        )
        # that of an earlier run, repeated, and a double have no lag
        earlier = final.model_copy(update={"segment": 3})
        await peer.say(earlier, final, final, Ack(applied=2, durable=0, credit_ticks=9))
        assert len(begin_end) == 2
        await peer.end_in_order()

    async with (
        ScriptedServer(script) as server,
        StreamingClient.open(server.url, REQUEST, options=options(clock=lambda: now_s)) as client,
    ):
        await client.begin_segment(4, t_us=0)
        await client.end_segment(4, t_us=5)
        await client.drain()

    assert list(client.lags_s) == [0.25]


async def test_messages_nobody_reads_are_counted_once_the_inbox_is_full() -> None:
    async with (
        ScriptedServer(FaithfulSession()) as server,
        StreamingClient.open(server.url, REQUEST, options=options(inbox_messages=3)) as client,
    ):
        await stream(client, 2)

    assert client.n_missed == 1
    assert kinds(await heard(client)) == [("learned", 0), ("prediction", 1), ("learned", 1)]


async def test_iteration_goes_on_while_messages_come() -> None:
    async def read(client: StreamingClient) -> list[StreamMessage]:
        return [message async for message in client]

    async with ScriptedServer(FaithfulSession()) as server:
        async with StreamingClient.open(server.url, REQUEST, options=options()) as client:
            reading = asyncio.create_task(read(client))
            await stream(client, 2)
        messages = await reading

    assert [type(message) for message in messages] == [Prediction, Learned] * 2


async def test_a_client_outside_its_block_says_so() -> None:
    client = StreamingClient.open("ws://127.0.0.1:1/", REQUEST)

    with pytest.raises(ClientClosed, match="async with"):
        await client.begin_segment(0, t_us=0)
    with pytest.raises(ClientClosed, match="async with"):
        _ = client.opened
    with pytest.raises(ClientClosed):
        await client.label(0, 0)
    await client._link.close(in_order=False)  # noqa: SLF001 - what leaving does before anything began
