"""Every close code that this server can reach; each leaves session and bystander as they were."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from service.access.principals import SessionKey
from tclif_core import AdvanceResult
from tests.end_to_end.conftest import Serve
from tests.end_to_end.conversation_partner import (
    SMALL_OPEN,
    TIMEOUT_S,
    Heard,
    Message,
    Partner,
    begin,
    begin_us,
    clock,
    connected,
    end,
    events,
    frame,
    label,
    lessons,
    numbered,
    of_kind,
    segment,
)
from tests.end_to_end.running_server import RunningServer

# what the victim has done before: two lessons, and a segment that is open
BEFORE: list[Message] = [*lessons(range(2)), *segment(2)[:2]]
NEXT = len(BEFORE) + 1
FAR_US = begin_us(2) + 5000 * 1000
"""Five thousand ticks after the open segment's begin; 4096 may be completed at once."""


@asynccontextmanager
async def witnessed(server: RunningServer, victim: str = "s") -> AsyncIterator[Partner]:
    """Open a victim with a past and a bystander; at the end both must be as they were."""
    async with connected(server.url) as bystander, connected(server.url) as partner:
        await bystander.open(session="bystander")
        await bystander.send(*BEFORE)
        await bystander.settle()
        await partner.open(session=victim)
        await partner.send(*BEFORE)
        await partner.settle()
        before = [await server.fingerprint(name) for name in (victim, "bystander")]

        yield partner

        after = [await server.fingerprint(name) for name in (victim, "bystander")]
        assert after == before
        # both go on: the bystander on its connection, the victim on a new one
        await bystander.send(*segment(2)[2:])
        async with connected(server.url) as again:
            opened = await again.open(session=victim)
            assert opened["next_sequence"] == NEXT
            await again.send(*segment(2)[2:])
            ends = [of_kind("prediction", await p.settle())[-1] for p in (bystander, again)]
    assert ends[0] == ends[1]
    assert ends[0] == ends[0] | {"segment": 2, "final": True, "tick": 20}


async def last_words(partner: Partner) -> tuple[Heard, int]:
    """Read to the end; return the last message and the close code."""
    code = await partner.closed()
    return partner.heard[-1], code


def said(fields: dict[str, object]) -> str:
    return json.dumps(fields)


# --- 4400: what breaks the protocol

VIOLATIONS: dict[str, tuple[str | bytes, str, int | None]] = {
    "text that is not JSON": ("hello", "bad_message", None),
    "no text at all": ("", "bad_message", None),
    "JSON that is no object": ("[1, 2]", "bad_message", None),
    "no type": (said({"sequence": NEXT}), "bad_message", NEXT),
    "an unknown type": (said({"type": "dance", "sequence": NEXT}), "bad_message", NEXT),
    "a type of the server": (
        said({"type": "ack", "applied": 9, "durable": 0, "credit_ticks": 0}),
        "bad_message",
        None,
    ),
    "an unknown field": (
        said({"type": "label", "segment": 2, "target": 1, "colour": 3, "sequence": NEXT}),
        "bad_message",
        NEXT,
    ),
    "a missing field": (
        said({"type": "segment", "action": "end", "segment": 2, "sequence": NEXT}),
        "bad_message",
        NEXT,
    ),
    "no number": (
        said({"type": "segment", "action": "end", "segment": 2, "t_us": 220_000}),
        "bad_message",
        None,
    ),
    "a number in quotes": (
        said({"type": "label", "segment": "2", "target": 1, "sequence": NEXT}),
        "bad_message",
        NEXT,
    ),
    "a number with a fraction": (
        said({"type": "label", "segment": 2.0, "target": 1, "sequence": NEXT}),
        "bad_message",
        NEXT,
    ),
    "a truth value for a number": (
        said({"type": "label", "segment": True, "target": 1, "sequence": NEXT}),
        "bad_message",
        NEXT,
    ),
    "a negative time": (numbered(end(2, -1), NEXT), "bad_message", NEXT),
    "a time of 2**53": (numbered(end(2, 2**53), NEXT), "bad_message", NEXT),
    "a number of 2**53": (numbered(end(2, 220_000), 2**53), "bad_message", None),
    "not a number": (
        f'{{"type": "learning", "rate": NaN, "sequence": {NEXT}}}',
        "bad_message",
        None,
    ),
    "a field twice": (
        f'{{"type": "label", "segment": 2, "target": 1, "target": 2, "sequence": {NEXT}}}',
        "bad_message",
        None,
    ),
    "a segment and an interval": (
        said(
            {
                "type": "label",
                "segment": 2,
                "from_us": 0,
                "to_us": 1,
                "target": 1,
                "sequence": NEXT,
            }
        ),
        "bad_message",
        NEXT,
    ),
    "a second open": (said(SMALL_OPEN), "bad_message", None),
    "a clock that runs wild": (numbered(clock(FAR_US), NEXT), "bad_message", NEXT),
    "an event far ahead": (numbered(events([(FAR_US, 0)]), NEXT), "bad_message", NEXT),
    "an end far ahead": (numbered(end(2, FAR_US), NEXT), "bad_message", NEXT),
    "an address beyond the sensor": (
        numbered(events([(220_000, 0), (220_001, 12)]), NEXT),
        "bad_address",
        NEXT,
    ),
    "an address beyond the sensor in a resend": (
        numbered(events([(220_001, 12)]), 1),
        "bad_address",
        1,
    ),
    "a skipped number": (numbered(label(2, 1), NEXT + 1), "sequence_gap", NEXT + 1),
    "a skipped number of events": (
        numbered(events([(220_000, 0)]), NEXT + 5),
        "sequence_gap",
        NEXT + 5,
    ),
    "a skipped number and a target of no class": (
        numbered(label(2, "nobody"), NEXT + 1),
        "sequence_gap",
        NEXT + 1,
    ),
    "a skipped number of a close": (
        said({"type": "close", "sequence": NEXT + 1}),
        "sequence_gap",
        NEXT + 1,
    ),
}


@pytest.mark.parametrize(
    ("message", "code", "sequence"), list(VIOLATIONS.values()), ids=list(VIOLATIONS)
)
async def test_a_violation_ends_the_connection_and_nothing_else(
    server: RunningServer, message: str | bytes, code: str, sequence: int | None
) -> None:
    async with witnessed(server) as partner:
        await partner.say(message)
        error, close_code = await last_words(partner)

        assert close_code == 4400
        assert (error["type"], error["code"], error["fatal"]) == ("error", code, True)
        assert error.get("sequence") == sequence
        assert isinstance(error["message"], str)


@pytest.mark.parametrize(
    "message",
    [
        numbered(begin(0, 0), 1),
        numbered(events([(0, 0)]), 1),
        said({"type": "close"}),
        said({"type": "snapshot"}),
    ],
    ids=["segment", "events", "close", "snapshot"],
)
async def test_anything_before_open_is_a_violation(
    server: RunningServer, message: str | bytes
) -> None:
    async with witnessed(server), connected(server.url) as stranger:
        await stranger.say(message)
        error, close_code = await last_words(stranger)

        assert (error["code"], close_code) == ("bad_message", 4400)
        # not even an ack: there is no session
        assert len(stranger.heard) == 1


REFUSED_OPENS: dict[str, tuple[dict[str, object], str]] = {
    "another tick": ({"tick_us": 999}, "config_mismatch"),
    "another sensor": ({"sensor": {"kind": "raw", "addresses": 13}}, "config_mismatch"),
    "another seed": ({"seed": 5}, "config_mismatch"),
    "another optimizer": ({"learning": {"optimizer": "sgd"}}, "config_mismatch"),
    "another epoch": ({"epoch": 1}, "epoch_mismatch"),
    "an epoch of nobody": ({"session": "nobody", "epoch": 1}, "epoch_mismatch"),
    "a stored model": ({"session": "new", "network": None, "model": "nobody"}, "unknown_model"),
    "no network": ({"session": "new", "network": None}, "bad_message"),
    "an unknown field": ({"session": "new", "colour": 3}, "bad_message"),
    "a name of dots": ({"session": ".."}, "bad_message"),
    "a name with a slash": ({"session": "a/b"}, "bad_message"),
    "an empty name": ({"session": ""}, "bad_message"),
    "a name too long": ({"session": "a" * 129}, "bad_message"),
    "a tick too short": ({"session": "new", "tick_us": 99}, "bad_message"),
    "no classes": ({"session": "new", "network": {"classes": []}}, "bad_message"),
    "an endless segment learnt ahead": (
        {"session": "new", "segmentation": {"by": "none"}, "learning": {"mode": "ahead"}},
        "bad_message",
    ),
    "an unknown hyperparameter": (
        {"session": "new", "network": {"classes": 3, "hyperparameters": {"gamma": 1}}},
        "bad_message",
    ),
}


@pytest.mark.parametrize(("fields", "code"), list(REFUSED_OPENS.values()), ids=list(REFUSED_OPENS))
async def test_a_refused_open_makes_nothing_and_takes_nothing_over(
    server: RunningServer, fields: dict[str, object], code: str
) -> None:
    request = {name: value for name, value in (SMALL_OPEN | fields).items() if value is not None}

    async with witnessed(server) as partner, connected(server.url) as stranger:
        await stranger.say(request)
        error, close_code = await last_words(stranger)

        assert (error["code"], error["fatal"], close_code) == (code, True, 4400)
        # the attached connection has not noticed
        await partner.say(numbered(label(0, 0), 1))
        assert (await partner.until("ack"))["applied"] == NEXT - 1
        sessions = (await server.http.get("/v1/sessions")).json()["sessions"]
        assert [session["session"] for session in sessions] == ["bystander", "s"]


async def test_a_mismatch_names_the_field(server: RunningServer) -> None:
    async with connected(server.url) as first, connected(server.url) as second:
        await first.open()
        await second.say(SMALL_OPEN | {"learning": {"optimizer": "sgd"}})
        error, _ = await last_words(second)

    assert "learning.optimizer" in str(error["message"])


# --- 1009: too much at once


@pytest.mark.parametrize("is_binary", [True, False])
async def test_a_message_beyond_the_limit_is_answered_and_ends_the_connection(
    serve: Serve,
    is_binary: bool,  # noqa: FBT001 - a parameter of pytest
) -> None:
    # a frame of 250 events has 24 + 250 * 8 = 2024 bytes
    pairs = [(220_000, 0)] * 250
    binary = frame(NEXT, 220_000, pairs)
    text = said({"type": "label", "segment": 2, "target": "x" * 2000, "sequence": NEXT})

    async with serve(socket={"max_message_bytes": 2000}) as server, witnessed(server) as partner:
        await partner.say(binary if is_binary else text)
        error, close_code = await last_words(partner)

        assert (error["code"], error["fatal"], close_code) == ("frame_too_large", True, 1009)


async def test_a_message_at_the_limit_is_read(serve: Serve) -> None:
    pairs = [(begin_us(0), 0)] * 247

    async with serve(socket={"max_message_bytes": 2000}) as server, connected(server.url) as p:
        opened = await p.open()
        await p.send(begin(0, begin_us(0)), (begin_us(0), pairs))
        heard = await p.settle()
        limits = opened["limits"]

    assert isinstance(limits, dict)
    assert limits["max_message_bytes"] == 24 + 247 * 8
    assert of_kind("error", heard) == []


async def test_a_message_far_beyond_the_limit_is_not_even_read(serve: Serve) -> None:
    async with serve(socket={"max_message_bytes": 2000}) as server, witnessed(server) as partner:
        await partner.say(bytes(10_000))

        assert await partner.closed() == 1009


# --- 4404: deleted


async def test_deleting_a_session_ends_its_connection(server: RunningServer) -> None:
    async with witnessed(server), connected(server.url) as doomed:
        await doomed.open(session="doomed")
        await doomed.send(*BEFORE)
        await doomed.settle()

        response = await server.http.delete("/v1/sessions/doomed")
        goodbye, close_code = await last_words(doomed)

        assert response.status_code == 204
        assert (goodbye["type"], goodbye["reason"], close_code) == ("goodbye", "deleted", 4404)
        assert (await server.http.get("/v1/sessions/doomed")).status_code == 404


# --- 4408: silence


async def test_a_connection_that_says_nothing_for_too_long_is_let_go(serve: Serve) -> None:
    async with serve(socket={"idle_s": 0.3}) as server, connected(server.url) as silent:
        opened = await silent.open()
        await silent.send(*BEFORE)
        await silent.settle()
        before = await server.fingerprint()
        goodbye, close_code = await last_words(silent)

        assert isinstance(opened["limits"], dict)
        assert opened["limits"]["idle_s"] == 0.3
        assert (goodbye["type"], goodbye["reason"], close_code) == ("goodbye", "idle", 4408)
        assert await server.fingerprint() == before
        async with connected(server.url) as again:
            assert (await again.open())["next_sequence"] == NEXT


async def test_a_connection_without_an_open_is_let_go(serve: Serve) -> None:
    async with (
        serve(socket={"open_timeout_s": 0.2}) as server,
        witnessed(server),
        connected(server.url) as silent,
    ):
        error, close_code = await last_words(silent)

        assert (error["code"], error["fatal"], close_code) == ("idle", True, 4408)


# --- 4429: too many, too large


async def test_more_sessions_than_allowed_are_refused(serve: Serve) -> None:
    async with (
        serve(session={"max_sessions": 2}) as server,
        witnessed(server),
        connected(server.url) as third,
    ):
        await third.say(SMALL_OPEN | {"session": "third"})
        error, close_code = await last_words(third)

        assert (error["code"], error["fatal"], close_code) == ("quota", True, 4429)


async def test_a_network_that_is_too_large_is_refused_before_it_is_made(
    server: RunningServer,
) -> None:
    # 4096 x 4096 recurrent weights, with gradient and two moments: more than 64 MiB
    network = {"hidden": [4096, 4096], "classes": 3}

    async with witnessed(server), connected(server.url) as greedy:
        await greedy.say(SMALL_OPEN | {"session": "greedy", "network": network})
        error, close_code = await last_words(greedy)

        assert (error["code"], close_code) == ("quota", 4429)


# --- 1012: draining


async def test_a_server_that_ends_says_goodbye_to_every_connection(serve: Serve) -> None:
    async with (
        serve(socket={"retry_after_ms": 1234}) as server,
        connected(server.url) as attached,
        connected(server.url) as silent,
    ):
        await attached.open()
        await attached.send(*segment(0, 1))
        await attached.settle()

        server.stop()
        goodbye, close_code = await last_words(attached)
        error, silent_code = await last_words(silent)

    assert goodbye == {
        "type": "goodbye",
        "reason": "draining",
        "durable": 5,
        "retry_after_ms": 1234,
    }
    assert attached.heard[-2] == attached.heard[-2] | {"type": "ack", "applied": 5}
    assert close_code == 1012
    assert (error["code"], error["fatal"], silent_code) == ("draining", True, 1012)


async def test_a_server_that_drains_opens_nothing_more(serve: Serve) -> None:
    async with serve() as server, connected(server.url) as late:
        server.service.registry.is_draining = True
        await late.say(SMALL_OPEN)
        error, close_code = await last_words(late)

    assert (error["code"], close_code) == ("draining", 1012)


# --- 1013: a reader that does not read


N_FINALS = 700
# finals of 30 kB each, which may not be left out
WORDY: dict[str, object] = {
    "session": "slow",
    "network": {"hidden": [2], "classes": [f"class-{number:04}" for number in range(1500)]},
    "report": {"every_ticks": 0, "probabilities": True},
}
MANY_FINALS: list[Message] = [
    message for number in range(N_FINALS) for message in (begin(number, 0), end(number, 0))
]


# so few messages are answered at once that the writer holds but few when its socket is full
NARROW: dict[str, dict[str, object]] = {
    "socket": {"outbox_messages": 128},
    "session": {"inbox_messages": 64},
}


async def overwhelm(server: RunningServer, slow: Partner) -> None:
    """Have more said to a client than it reads, until the server gives it up."""
    await slow.open(**WORDY)
    session = server.service.registry.get(SessionKey("local", "slow"))
    assert session is not None, "it was opened"
    # found now: a server with little patience has forgotten it by the time that all is sent
    [connection] = [
        connection
        for connection in server.service.connections
        # no page of the server shows which connection it has given up; its outbox is attached
        # before `opened` is heard, the session is noted in it only after
        if connection._outbox is session._outbox  # noqa: SLF001
    ]
    slow.socket.transport.pause_reading()
    with suppress(ConnectionClosed):
        await slow.send(*MANY_FINALS)
    async with asyncio.timeout(TIMEOUT_S):
        while not connection._outbox.finished.is_set():  # noqa: SLF001 - as above
            await server.http.get("/health/live")


async def resume_slow(server: RunningServer) -> None:
    """Resume the session with a report of fewer words, and send what it has not got."""
    async with connected(server.url) as again:
        opened = await again.open(**WORDY | {"report": {"every_ticks": 0}})
        first = int(str(opened["next_sequence"]))
        assert 1 < first <= len(MANY_FINALS) + 1
        await again.send(*MANY_FINALS[first - 1 :])
        await again.until("prediction", segment=N_FINALS - 1, final=True)


async def test_a_reader_that_is_too_slow_is_let_go_and_can_resume(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the test decides when the reader reads again, not the server's patience
    monkeypatch.setattr("service.routes.connection.FLUSH_S", TIMEOUT_S)

    async with serve(**NARROW) as server, witnessed(server):
        async with connected(server.url) as slow:
            await overwhelm(server, slow)
            slow.socket.transport.resume_reading()
            error, close_code = await last_words(slow)
        await resume_slow(server)

    assert (error["code"], error["fatal"], close_code) == ("slow_reader", True, 1013)


async def test_a_reader_that_never_reads_again_is_detached_all_the_same(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.routes.connection.FLUSH_S", 0.01)

    async with (
        serve(**NARROW) as server,
        witnessed(server),
        connected(server.url) as slow,
    ):
        await overwhelm(server, slow)
        await until_detached(server, "slow")
        slow.vanish()
        await resume_slow(server)


async def until_detached(server: RunningServer, name: str) -> None:
    """Wait until a session has no connection."""
    session = server.service.registry.get(SessionKey("local", name))
    assert session is not None
    async with asyncio.timeout(TIMEOUT_S):
        while session.is_attached:
            await server.http.get("/health/live")


async def test_a_peer_that_does_not_answer_pings_is_detached(serve: Serve) -> None:
    async with serve(socket={"ping_interval_s": 0.1, "ping_timeout_s": 0.1}) as server:
        async with connected(server.url) as dead:
            await dead.open()
            await dead.send(*BEFORE)
            await dead.settle()
            # who does not read does not hear the ping
            dead.socket.transport.pause_reading()
            await until_detached(server, "s")
            dead.vanish()
        async with connected(server.url) as again:
            assert (await again.open())["next_sequence"] == NEXT


# --- 4500: what should not happen


Advance = Callable[..., AdvanceResult]


async def test_a_defect_in_one_session_ends_that_session_alone(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve() as server, witnessed(server), connected(server.url) as broken:
        await broken.open(session="broken")
        session = server.service.registry.get(SessionKey("local", "broken"))
        assert session is not None
        learner, slot = session.network.learner, session.network.slot
        advance: Advance = learner.advance

        def fail(slots: np.ndarray, *rest: object) -> AdvanceResult:
            if slot in slots:
                raise ArithmeticError("injected")
            return advance(slots, *rest)

        monkeypatch.setattr(learner, "advance", fail)
        await broken.send(*segment(0))
        error, close_code = await last_words(broken)

        assert (error["code"], error["fatal"], close_code) == ("internal", True, 4500)
        # what went wrong inside is for the log, not for the client
        assert "injected" not in str(error["message"])
        async with connected(server.url) as again:
            await again.say(SMALL_OPEN | {"session": "broken"})
            assert (await last_words(again))[1] == 4500


async def test_a_defect_in_a_connection_ends_that_connection_alone(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ArithmeticError("injected")

    async with serve() as server, witnessed(server) as partner:
        session = server.service.registry.get(SessionKey("local", "s"))
        with monkeypatch.context() as patch:
            patch.setattr(session, "accept", fail)
            await partner.send(*segment(2)[2:3])
            error, close_code = await last_words(partner)

        assert (error["code"], error["fatal"], close_code) == ("internal", True, 4500)
        assert "injected" not in str(error["message"])


async def test_a_network_that_is_not_finite_is_quarantined_until_it_is_deleted(
    serve: Serve,
) -> None:
    async with serve() as server, witnessed(server), connected(server.url) as sick:
        first = await sick.open(session="sick")
        session = server.service.registry.get(SessionKey("local", "sick"))
        assert session is not None
        learner, slot = session.network.learner, session.network.slot
        learner.bank.parameters[slot] = np.nan
        await sick.send(*segment(0))
        error, close_code = await last_words(sick)

        assert (error["code"], error["fatal"], close_code) == ("internal", True, 4500)
        assert of_kind("prediction", sick.heard) == []
        metrics = (await server.http.get("/metrics")).text
        assert 'tclif_errors_total{code="internal",fatal="true"} 1.0' in metrics
        page = await server.http.get("/v1/sessions/sick")
        assert (page.status_code, page.json()["code"]) == (500, "internal")
        [listed] = [
            session
            for session in (await server.http.get("/v1/sessions")).json()["sessions"]
            if session["session"] == "sick"
        ]
        assert listed["failed"]
        assert (await server.http.delete("/v1/sessions/sick")).status_code == 204
        async with connected(server.url) as again:
            opened = await again.open(session="sick")
            assert opened["epoch"] != first["epoch"]
            await again.send(*segment(0))
            assert of_kind("prediction", await again.settle())[-1]["final"]
