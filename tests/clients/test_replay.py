"""``tclif-replay`` from its command line to its last line, against a scripted server."""

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import TextIO

import pytest
from typing_extensions import override

from clients.connection_errors import SessionRefused
from clients.replay import PlainView, Replay, main
from clients.replay_arguments import Arguments, parse
from clients.replay_progress import Phase, ReplayProgress
from service.wire_protocol import ErrorMessage, LearningChange, SegmentMark
from tests.clients.scripted_server import FaithfulSession, Peer, ScriptedServer
from tests.clients.toy_recordings import ToySource, write_spike_file


class Onlooker:
    """A view that looks at every turn of the loop and keeps what it saw."""

    interval_s = 0.0

    def __init__(self) -> None:
        self.seen: list[Phase] = []
        self.is_closed = False

    def show(self, progress: ReplayProgress) -> None:
        """Remember the phase."""
        self.seen.append(progress.phase)

    def close(self) -> None:
        """Remember that nothing more is to be shown."""
        self.is_closed = True


def arguments(url: str, *more: str) -> Arguments:
    return parse(["toy", "--url", url, "--speed", "max", *more])


def replay(
    given: Arguments, *, source: ToySource | None = None, test: ToySource | None = None
) -> tuple[Replay, Onlooker]:
    source = ToySource(3) if source is None else source
    view = Onlooker()
    return Replay(given, given.request(source, with_picture=False), source, test, view), view


async def run_main(server: ScriptedServer, *command_line: str) -> int:
    """Run the command beside the server, which needs this loop."""
    return await asyncio.to_thread(main, [*command_line, "--url", server.url])


async def test_a_whole_run_prints_its_table_and_its_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_spike_file(tmp_path / "train.h5", 6)
    test = write_spike_file(tmp_path / "test.h5", 3)
    result = tmp_path / "result.json"

    async with ScriptedServer(FaithfulSession()) as server:
        code = await run_main(
            server,
            *(source, "--speed", "max", "--passes", "2", "--test", test, "--json", str(result)),
        )

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert lines[0] == "pass  segments  accuracy  last 200"
    assert [line.split()[:2] for line in lines[1:3]] == [["1", "6"], ["2", "6"]]
    assert re.fullmatch(r"test_accuracy=\d\.\d{3} test_segments=3", lines[3])
    assert re.fullmatch(
        r"accuracy=1\.000 segments=12 ticks=12 ticks_per_s=\d+ lag_p99_ms=\d+\.\d", lines[4]
    )
    report = json.loads(result.read_text())
    assert report["segments"] == len(report["curve"]) == 12
    assert report["arguments"]["passes"] == 2


async def test_a_refused_open_ends_with_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def refuse(peer: Peer) -> None:
        await peer.receive()
        await peer.say(ErrorMessage(code="config_mismatch", message="hidden: 5 came", fatal=True))
        await peer.close(4400)

    async with ScriptedServer(refuse) as server:
        code = await run_main(server, write_spike_file(tmp_path / "train.h5", 1))

    assert code == 1
    assert capsys.readouterr().err == "tclif-replay: hidden: 5 came (config_mismatch)\n"


async def test_a_damaged_recording_ends_with_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_spike_file(tmp_path / "train.h5", 1, first_s=float("nan"))

    async with ScriptedServer(FaithfulSession()) as server:
        code = await run_main(server, source)

    assert code == 1
    assert capsys.readouterr().err == (
        "tclif-replay: train.h5#0: a time is negative or not a number\n"
    )


async def test_a_result_without_a_place_is_refused_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_spike_file(tmp_path / "train.h5", 1)

    code = main([source, "--json", str(tmp_path / "nowhere" / "x.json")])

    assert code == 1
    assert "there is no folder" in capsys.readouterr().err


async def test_a_second_interrupt_ends_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupted(_: Replay) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(Replay, "run", interrupted)

    async with ScriptedServer() as server:
        code = await run_main(server, write_spike_file(tmp_path / "train.h5", 1))

    assert code == 130


def test_no_server_is_said_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_spike_file(tmp_path / "train.h5", 1)

    # port 1 of loopback: nobody listens there
    assert main([source, "--url", "ws://127.0.0.1:1/v1/stream"]) == 1

    error = capsys.readouterr().err
    assert error.startswith("tclif-replay: no server answers at ws://127.0.0.1:1/v1/stream: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--test", "nowhere.h5"], "nowhere.h5"),
        (["--test", "TEST"], "test.h5 has 700 channels and 2 classes"),
        (["--session", "a/b"], "session: String should match pattern"),
        (["--tick-us", "5"], "tick_us: Input should be greater than or equal to 100"),
    ],
)
def test_what_can_not_be_asked_for_is_said_in_one_sentence(
    more: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_spike_file(tmp_path / "train.h5", 1)
    test = write_spike_file(tmp_path / "test.h5", 1, ("yes", "no"))

    code = main([source, *(test if word == "TEST" else word for word in more)])

    error = capsys.readouterr().err
    assert code == 1
    assert error.startswith("tclif-replay: ")
    assert sentence in error
    assert error.count("\n") == 1


async def test_a_terminal_gets_a_picture_that_is_put_away_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = FaithfulSession()
    stdout: TextIO = sys.stdout
    monkeypatch.setattr(stdout, "isatty", lambda: True)

    async with ScriptedServer(session) as server:
        source = write_spike_file(tmp_path / "train.h5", 2)
        code = await run_main(server, source, "--speed", "max")

    assert code == 0
    # a person who looks on wants to see all classes
    assert session.requests[0].report.probabilities
    assert capsys.readouterr().out.splitlines()[-1].startswith("accuracy=")


async def test_somebody_may_look_on() -> None:
    async with ScriptedServer(FaithfulSession()) as server:
        run, view = replay(arguments(server.url, "--passes", "3"), test=ToySource(3))
        is_complete = await run.run()

    assert is_complete
    assert view.is_closed
    assert view.seen[0] is Phase.LEARNING
    assert run.progress.phase is Phase.FINISHED


async def test_a_failing_view_is_not_passed_over() -> None:
    class Broken(Onlooker):
        @override
        def show(self, progress: ReplayProgress) -> None:
            raise KeyError(progress.source)

    async with ScriptedServer(FaithfulSession()) as server:
        given = arguments(server.url, "--passes", "3")
        source = ToySource(3)
        request = given.request(source, with_picture=False)
        with pytest.raises(KeyError):
            await Replay(given, request, source, None, Broken()).run()


async def test_a_session_lost_on_the_way_ends_the_run_with_its_reason() -> None:
    async def lose(peer: Peer) -> None:
        await peer.greet()
        await peer.receive()
        await peer.close(4400)

    async with ScriptedServer(lose) as server:
        run, view = replay(arguments(server.url))
        with pytest.raises(SessionRefused):
            await run.run()

    assert view.is_closed


async def test_a_resumed_session_is_told_to_learn_again() -> None:
    applied: list[object] = []

    async def resumed(peer: Peer) -> None:
        await peer.greet(resumed=True, next_sequence=9)
        applied.extend(await peer.end_in_order())

    async with ScriptedServer(resumed) as server:
        run, _ = replay(arguments(server.url, "--session", "s-1", "--rate", "0.5"))
        await run.run()

    assert applied[0] == LearningChange(mode="delayed", rate=0.5, sequence=9)


async def test_an_interrupt_ends_in_order() -> None:
    session = FaithfulSession()

    async def interrupted(peer: Peer) -> None:
        await peer.greet()
        await peer.receive()
        os.kill(os.getpid(), signal.SIGINT)
        session.applied.extend(await peer.end_in_order())

    source = ToySource(3000)
    async with ScriptedServer(interrupted) as server:
        run, view = replay(arguments(server.url), source=source, test=ToySource(3))
        is_complete = await run.run()

    marks = [message for message in session.applied if isinstance(message, SegmentMark)]
    assert not is_complete
    assert view.is_closed
    assert len(source.loaded) < 3000
    # the first begin was read before the interrupt
    assert len(marks) % 2 == 1
    assert marks[-1].action == "end"
    assert not any(isinstance(message, LearningChange) for message in session.applied)


def test_without_a_terminal_there_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainView()

    view.show(ReplayProgress(source="", classes=("a",), n_channels=1, n_passes=2, pass_segments=1))
    view.close()

    assert capsys.readouterr().out.startswith("pass 1/2 · segment 0 · ")
