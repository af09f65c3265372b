"""What a line of the log carries, as text and as JSON."""

import asyncio
import json
import logging
import re
from collections.abc import Iterator

import pytest

from service.access.audit import Act, record
from service.logs import LogFormat, begin_subject, set_up_logs, socket_log_level


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """Leave the log of the other tests as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


async def serve(principal: str, session: str) -> None:
    """Do what a connection's task does: later lines, of its own tasks too, are about it."""
    subject = begin_subject("192.0.2.7")
    subject.principal = principal
    started = asyncio.create_task(asyncio.to_thread(logging.getLogger("x").info, "hello"))
    subject.session = session
    await started


async def test_every_line_says_whose_connection_it_is_about(
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_up_logs("info", "text")

    await asyncio.gather(serve("alice", "s"), asyncio.create_task(serve("bob", "t")))
    logging.getLogger("x").info("nobody's")
    logging.getLogger("x").info("theirs", extra={"session": "u", "principal": "carol"})

    whole = lines(capsys)
    told = [line.split(" ", 2)[2] for line in whole]
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", line) for line in whole)
    assert set(told[:2]) == {"INFO x [alice/s]: hello", "INFO x [bob/t]: hello"}
    assert told[2:] == ["INFO x [-/-]: nobody's", "INFO x [carol/u]: theirs"]


async def test_a_line_of_json_has_the_same_fields(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("info", "json")

    await serve("alice", "s")
    record(Act.DELETE, session="t", reason="tired\nof it")

    one, other = [json.loads(line) for line in lines(capsys)]
    assert one.pop("time").endswith("+00:00")
    assert one == {
        "level": "INFO",
        "logger": "x",
        "principal": "alice",
        "session": "s",
        "message": "hello",
    }
    assert (other["logger"], other["act"]) == ("tclif.audit", "session.delete")
    assert (other["principal"], other["session"], other["peer"]) == ("alice", "t", "192.0.2.7")
    assert other["reason"] == "tired\nof it"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_what_a_client_names_begins_no_line(
    capsys: pytest.CaptureFixture[str], log_format: LogFormat
) -> None:
    set_up_logs("info", log_format)

    record(Act.REFUSE, path="/x\nINFO root [root/-]: all is well")

    assert len(lines(capsys)) == 1


def test_lines_below_the_level_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("warning", "text")

    logging.getLogger("x").info("hello")

    assert lines(capsys) == []


def test_the_http_server_never_tells_handshakes() -> None:
    assert [socket_log_level(level) for level in ("debug", "info", "warning")] == [
        "info",
        "info",
        "warning",
    ]
