import os
import sys

import pytest

from clients.key_terminal import pressed_keys
from tests.clients.event_camera.played_time import until


async def keys_of(written: bytes, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is heard of a pipe that something was written to and that was closed."""
    reading, writing = os.pipe()
    os.write(writing, written)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        return [key async for key in pressed_keys()]


async def test_keys_of_a_pipe_are_heard_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await keys_of(b"1 2\nq", monkeypatch) == ["1", "2", "q"]


async def test_keys_that_nobody_takes_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    read, has_ended = os.read, False

    def watched_read(source: int, n_bytes: int) -> bytes:
        nonlocal has_ended
        data = read(source, n_bytes)
        has_ended = not data
        return data

    monkeypatch.setattr(os, "read", watched_read)
    with os.fdopen(reading) as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        keys = pressed_keys()
        os.write(writing, b"0")
        assert await anext(keys) == "0"
        # nobody asks for one until all are read
        os.write(writing, b"1" * 1000)
        os.close(writing)
        await until(lambda: has_ended)

        assert [key async for key in keys] == ["1"] * 64


async def test_where_there_is_no_terminal_nobody_presses_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with open(os.devnull) as nothing:  # noqa: ASYNC230, PTH123 - a device
        monkeypatch.setattr(sys, "stdin", nothing)
        assert [key async for key in pressed_keys()] == []
