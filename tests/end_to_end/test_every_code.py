"""Each close code and each code that `PROTOCOL` lists is reached by a conversation.

`CODES` is written by hand from the protocol. What else a connection's end or a refusal means is in
`test_fatal_errors` and `test_labels`; here it only has to be told.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from service.access.principals import Role, SessionKey
from service.access.token_file import new_token, write_tokens
from service.errors import StorageFailure
from service.sessions.sessions import Session
from service.storage.storage import Storage
from tests.end_to_end.conftest import Serve
from tests.end_to_end.conversation_partner import (
    SMALL_OPEN,
    TIMEOUT_S,
    Message,
    Partner,
    begin,
    clock,
    codes,
    connected,
    converse,
    end,
    events,
    label,
    learning,
    numbered,
    segment,
)
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.test_fatal_errors import NARROW, overwhelm

Told = tuple[int | None, str]
"""With what the connection was closed (None: it goes on), and the code or reason that was told."""

Scenario = Callable[[Serve, pytest.MonkeyPatch, Path], Awaitable[Told]]

CODES: set[Told] = {
    (1000, "closed"),
    (1000, "taken_over"),
    (1009, "frame_too_large"),
    (1012, "draining"),
    (1013, "overloaded"),
    (1013, "slow_reader"),
    (4400, "bad_message"),
    (4400, "bad_address"),
    (4400, "sequence_gap"),
    (4400, "config_mismatch"),
    (4400, "epoch_mismatch"),
    (4400, "unknown_model"),
    (4401, "unauthorized"),
    (4404, "deleted"),
    (4408, "idle"),
    (4429, "quota"),
    (4500, "internal"),
    (None, "bad_segment"),
    (None, "late_events"),
    (None, "label_too_late"),
    (None, "label_duplicate"),
    (None, "unknown_segment"),
    (None, "snapshot_failed"),
    # the project's own, where the protocol has no name for it
    (None, "bad_value"),
    (None, "learning_stopped"),
}

SCENARIOS: dict[Told, Scenario] = {}


def reaches(close_code: int | None, code: str) -> Callable[[Scenario], Scenario]:
    """Name what a scenario reaches."""

    def note(scenario: Scenario) -> Scenario:
        assert (close_code, code) not in SCENARIOS, "one scenario each is enough"
        SCENARIOS[close_code, code] = scenario
        return scenario

    return note


async def end_of(partner: Partner) -> Told:
    """Read to the end; return the close code and the last error's code or goodbye's reason."""
    async with asyncio.timeout(TIMEOUT_S):
        close_code = await partner.closed()
    last = partner.heard[-1]
    return close_code, str(last["code"] if last["type"] == "error" else last["reason"])


async def refusal_of(server: RunningServer, messages: list[Message], **fields: object) -> Told:
    """Converse; return the only refusal that was told."""
    [code] = codes(await converse(server.url, messages, **fields))
    return None, str(code)


def said_by(*said: str | bytes | dict[str, object]) -> Scenario:
    """Make a scenario that opens the small session and says something without sense."""

    async def scenario(serve: Serve, _monkeypatch: pytest.MonkeyPatch, _path: Path) -> Told:
        async with serve() as server, connected(server.url) as partner:
            await partner.open()
            for message in said:
                await partner.say(message)
            return await end_of(partner)

    return scenario


def opened_as(**fields: object) -> Scenario:
    """Make a scenario that opens the small session once, and again with other fields."""

    async def scenario(serve: Serve, _monkeypatch: pytest.MonkeyPatch, _path: Path) -> Told:
        request = {name: v for name, v in (SMALL_OPEN | fields).items() if v is not None}
        async with serve() as server, connected(server.url) as partner:
            await converse(server.url, [])
            await partner.say(request)
            return await end_of(partner)

    return scenario


def refused(*messages: Message, **settings: object) -> Scenario:
    """Make a scenario of messages one of which is refused."""

    async def scenario(serve: Serve, _monkeypatch: pytest.MonkeyPatch, _path: Path) -> Told:
        async with serve(session=settings) as server:
            return await refusal_of(server, list(messages))

    return scenario


reaches(1000, "closed")(said_by({"type": "close"}))
reaches(1009, "frame_too_large")(said_by("x" * (2**20 + 1)))
reaches(4400, "bad_message")(said_by("hello"))
reaches(4400, "bad_address")(said_by(numbered(events([(5, 12)]), 1)))
reaches(4400, "sequence_gap")(said_by(numbered(label(0, 0), 2)))
reaches(4400, "config_mismatch")(opened_as(tick_us=999))
reaches(4400, "epoch_mismatch")(opened_as(epoch=1))
reaches(4400, "unknown_model")(opened_as(session="other", network=None, model="nobodys"))
reaches(None, "bad_segment")(refused(end(0, 0)))
reaches(None, "late_events")(refused(begin(0, 0), clock(9000), events([(8999, 0)])))
reaches(None, "label_too_late")(refused(*segment(0), *segment(1), label(0, 1), kept_segments=1))
reaches(None, "label_duplicate")(refused(*segment(0, 1), label(0, 1)))
reaches(None, "unknown_segment")(refused(label(5, 1)))
reaches(None, "bad_value")(refused(learning(rate=2)))


@reaches(1000, "taken_over")
async def take_over(serve: Serve, _monkeypatch: pytest.MonkeyPatch, _path: Path) -> Told:
    async with serve() as server, connected(server.url) as first, connected(server.url) as second:
        await first.open()
        await second.open()
        return await end_of(first)


@reaches(1012, "draining")
async def drain(serve: Serve, _monkeypatch: pytest.MonkeyPatch, _path: Path) -> Told:
    async with serve() as server, connected(server.url) as partner:
        await partner.open()
        server.stop()
        return await end_of(partner)


@reaches(1013, "slow_reader")
async def read_slowly(serve: Serve, monkeypatch: pytest.MonkeyPatch, _path: Path) -> Told:
    # the test decides when the reader reads again, not the server's patience
    monkeypatch.setattr("service.routes.connection.FLUSH_S", TIMEOUT_S)
    async with serve(**NARROW) as server, connected(server.url) as slow:
        await overwhelm(server, slow)
        slow.socket.transport.resume_reading()
        return await end_of(slow)


def fail_to_write(_storage: Storage, name: str, _contents: bytes) -> None:
    raise StorageFailure(f"{name} can't be written: the disk of this test is full")


@reaches(1013, "overloaded")
async def open_on_a_full_disk(serve: Serve, monkeypatch: pytest.MonkeyPatch, _path: Path) -> Told:
    async with serve() as server, connected(server.url) as partner:
        with monkeypatch.context() as patch:
            patch.setattr(Storage, "write", fail_to_write)
            await partner.say(SMALL_OPEN)
            return await end_of(partner)


@reaches(None, "snapshot_failed")
async def store_on_a_full_disk(serve: Serve, monkeypatch: pytest.MonkeyPatch, _path: Path) -> Told:
    async with serve() as server, connected(server.url) as partner:
        await partner.open()
        with monkeypatch.context() as patch:
            patch.setattr(Storage, "write", fail_to_write)
            await partner.send(*segment(0), {"type": "snapshot"})
            error = await partner.until("error")
        await partner.send(label(0, 1))
        await partner.settle()
        return None, str(error["code"])


@reaches(4401, "unauthorized")
async def lose_the_token(serve: Serve, _monkeypatch: pytest.MonkeyPatch, path: Path) -> Told:
    tokens = path / "tokens.json"
    made = datetime(2026, 1, 2, tzinfo=UTC)
    secret, entry = new_token("alice", Role.CLIENT, made)
    write_tokens(tokens, (entry,))
    async with (
        serve(access={"tokens_file": str(tokens)}) as server,
        connected(server.url, token=secret) as partner,
    ):
        await partner.open()
        write_tokens(tokens, (new_token("alice", Role.CLIENT, made)[1],))
        loop = server.service.engine._loop  # noqa: SLF001 - a signal would come on its thread
        loop.call_soon_threadsafe(server.service.reload_tokens)
        return await end_of(partner)


@reaches(4404, "deleted")
async def delete(serve: Serve, _monkeypatch: pytest.MonkeyPatch, _path: Path) -> Told:
    async with serve() as server, connected(server.url) as partner:
        await partner.open()
        await server.delete_all()
        return await end_of(partner)


@reaches(4408, "idle")
async def be_silent(serve: Serve, _monkeypatch: pytest.MonkeyPatch, _path: Path) -> Told:
    async with serve(socket={"idle_s": 0.1}) as server, connected(server.url) as partner:
        await partner.open()
        return await end_of(partner)


@reaches(4429, "quota")
async def ask_for_too_much(serve: Serve, _monkeypatch: pytest.MonkeyPatch, _path: Path) -> Told:
    async with serve(quota={"sessions": 1}) as server, connected(server.url) as partner:
        await converse(server.url, [])
        await partner.say(SMALL_OPEN | {"session": "second"})
        return await end_of(partner)


@reaches(4500, "internal")
async def stop_being_finite(serve: Serve, _monkeypatch: pytest.MonkeyPatch, _path: Path) -> Told:
    async with serve() as server, connected(server.url) as partner:
        await partner.open()
        network = session_of(server).network
        network.learner.bank.parameters[network.slot] = np.nan
        await partner.send(*segment(0))
        return await end_of(partner)


@reaches(None, "learning_stopped")
async def have_an_infinite_gradient(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, _path: Path
) -> Told:
    async with serve() as server, connected(server.url) as partner:
        await partner.open()
        learner = session_of(server).network.learner
        # how a learner says that the gradient was not finite
        monkeypatch.setattr(learner, "apply_update", lambda _slot: False)
        await partner.send(*segment(0, 1))
        [code] = codes(await partner.settle())
        return None, str(code)


def session_of(server: RunningServer) -> Session:
    session = server.service.registry.get(SessionKey("local", "s"))
    assert session is not None
    return session


@pytest.mark.parametrize("told", list(SCENARIOS), ids=[f"{code} {c}" for c, code in SCENARIOS])
async def test_a_conversation_is_told(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: Told
) -> None:
    assert await SCENARIOS[told](serve, monkeypatch, tmp_path) == told


def test_every_code_of_the_protocol_has_its_conversation() -> None:
    assert set(SCENARIOS) == CODES
