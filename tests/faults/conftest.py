"""What every test of faults gets: its random numbers, a word on how far it is, streams and runs."""

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.lesson_stream import LessonStream, lesson_stream
from tests.faults.outcome import Outcome, undisturbed
from tests.faults.server_process import server_process

N_SEGMENTS = 2000

Tell = Callable[[str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run be made with other random numbers."""
    parser.addoption("--fault-seed", type=int, default=1, help="seed of faults and streams")


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """Give a function that says how far a test is, with the seconds since it began."""
    began_s = time.monotonic()

    def say(what: str) -> None:
        seconds = time.monotonic() - began_s
        sys.stderr.write(f"  {request.node.name} {seconds:4.0f} s: {what}\n")
        sys.stderr.flush()

    return say


@pytest.fixture
def generator(request: pytest.FixtureRequest, tell: Tell) -> random.Random:
    """Give each test random numbers of its own, and say how to have them again."""
    seed = f"{request.config.getoption('--fault-seed')} {request.node.name}"
    tell(f"seed {seed!r}")
    return random.Random(seed)


@pytest.fixture(scope="session")
def long_stream(request: pytest.FixtureRequest) -> LessonStream:
    """Give the stream of 2,000 labelled segments that most of these tests send."""
    return lesson_stream(N_SEGMENTS, seed=request.config.getoption("--fault-seed"))


class UndisturbedRuns:
    """What streams come to where nothing happens, each computed once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[int, Outcome] = {}

    async def of(self, stream: LessonStream) -> Outcome:
        """Return what a stream comes to, on a server of its own."""
        if id(stream) not in self._known:
            folder = self._folder / str(len(self._known))
            folder.mkdir()
            async with server_process(folder) as server:
                self._known[id(stream)] = await undisturbed(server, server.url, stream)
        return self._known[id(stream)]


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> UndisturbedRuns:
    """Give what streams come to where nothing happens."""
    return UndisturbedRuns(tmp_path_factory.mktemp("undisturbed"))
