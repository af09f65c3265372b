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
from service.wire_protocol import Ack, ErrorMessage, Goodbye, LearningChange, Open, SegmentMark
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


def test_a_result_without_a_place_is_refused_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_spike_file(tmp_path / "train.h5", 1)

    code = main([source, "--json", str(tmp_path / "nowhere" / "x.json")])

    assert code == 1
    assert "there is no folder" in capsys.readouterr().err


async def test_a_second_interrupt_ends_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupted(_: Replay) -> None:
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
        signal_number = await run.run()

    assert signal_number is None
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("forever", [[], ["--forever"]])
async def test_an_interrupt_ends_in_order(number: int, forever: list[str]) -> None:
    session = FaithfulSession()

    async def interrupted(peer: Peer) -> None:
        await peer.greet()
        await peer.receive()
        os.kill(os.getpid(), number)
        session.applied.extend(await peer.end_in_order())

    source = ToySource(3000)
    async with ScriptedServer(interrupted) as server:
        given = arguments(server.url, *forever)
        run, view = replay(given, source=source, test=ToySource(3))
        assert await run.run() == number

    marks = [message for message in session.applied if isinstance(message, SegmentMark)]
    assert view.is_closed
    assert len(source.loaded) < 3000
    # the first begin was read before the interrupt
    assert len(marks) % 2 == 1
    assert marks[-1].action == "end"
    assert not any(isinstance(message, LearningChange) for message in session.applied)


async def test_an_interrupt_does_not_wait_for_a_server_that_is_away() -> None:
    async def fall(peer: Peer) -> None:
        await peer.greet()
        await peer.receive()
        os.kill(os.getpid(), signal.SIGTERM)
        # an hour, in which no server answers
        await peer.say(Goodbye(reason="draining", durable=0, retry_after_ms=3_600_000))
        await peer.close(1012)

    async with ScriptedServer(fall) as server:
        run, view = replay(arguments(server.url), source=ToySource(3000))
        async with asyncio.timeout(10.0):
            assert await run.run() == signal.SIGTERM

    assert view.is_closed
    assert "draining" in str(run.progress.trouble)


@pytest.mark.parametrize(("options", "code"), [([], 143), (["--forever"], 0)])
async def test_a_replay_without_an_end_may_be_ended(
    options: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def terminated(_: Replay) -> int:
        return signal.SIGTERM

    monkeypatch.setattr(Replay, "run", terminated)

    async with ScriptedServer() as server:
        source = write_spike_file(tmp_path / "train.h5", 1)
        assert await run_main(server, source, *options) == code


async def test_a_server_that_is_lost_for_good_leaves_a_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_spike_file(tmp_path / "train.h5", 6)
    result = tmp_path / "result.json"

    async def lose(peer: Peer) -> None:
        await peer.greet()
        # a begin, a frame, an end and a label, answered
        for number in range(1, 5):
            message = await peer.receive()
            assert not isinstance(message, Open)
            ack = Ack(applied=number, durable=0, credit_ticks=9)
            await peer.say(*FaithfulSession.answers(message), ack)
        await peer.say(Goodbye(reason="deleted", durable=0))
        await peer.close(4404)

    async with ScriptedServer(lose) as server:
        code = await run_main(server, source, "--speed", "max", "--json", str(result))

    said = capsys.readouterr()
    report = json.loads(result.read_text())
    assert code == 1
    assert said.err == "tclif-replay: the session was deleted\n"
    assert said.out.splitlines()[-1].startswith("accuracy=1.000 segments=1 ticks=1 ")
    assert (report["failure"], report["segments"]) == ("the session was deleted", 1)


def test_a_server_that_never_answered_leaves_a_result_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_spike_file(tmp_path / "train.h5", 1)
    result = tmp_path / "result.json"

    assert main([source, "--url", "ws://127.0.0.1:1/", "--json", str(result)]) == 1

    assert capsys.readouterr().out == ""
    report = json.loads(result.read_text())
    assert report["failure"].startswith("no server answers")
    assert (report["accuracy"], report["segments"]) == (None, 0)


async def test_what_the_server_refused_is_said_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_spike_file(tmp_path / "train.h5", 1)
    late = ErrorMessage(code="label_too_late", message="dropped", sequence=4, fatal=False)

    async def refuse(peer: Peer) -> None:
        await peer.greet()
        await peer.say(late)
        await peer.end_in_order()

    async with ScriptedServer(refuse) as server:
        await run_main(server, source, "--speed", "max")

    assert capsys.readouterr().out.splitlines()[-2] == (
        "1 refusals or remarks, the last one: dropped (label_too_late)"
    )


async def test_events_are_those_of_the_passes_as_ticks_are(tmp_path: Path) -> None:
    source = write_spike_file(tmp_path / "train.h5", 6)
    results = [tmp_path / name for name in ("alone.json", "tested.json")]

    for result, test in zip(results, ([], ["--test", source]), strict=True):
        async with ScriptedServer(FaithfulSession()) as server:
            await run_main(server, source, "--speed", "max", "--json", str(result), *test)

    alone, tested = (json.loads(result.read_text()) for result in results)
    assert alone["events"] == tested["events"] > 0
    assert alone["ticks"] == tested["ticks"] > 0


async def test_a_token_is_read_from_its_file_and_told_to_nobody_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_spike_file(tmp_path / "train.h5", 1)
    token, result = tmp_path / "token", tmp_path / "result.json"
    token.write_text("kX3-_token\n")

    async with ScriptedServer(FaithfulSession()) as server:
        code = await run_main(
            server,
            *(source, "--speed", "max", "--token-file", str(token), "--json", str(result)),
        )

    said = capsys.readouterr()
    assert code == 0
    assert server.shown == ["Bearer kX3-_token"]
    assert "kX3-_token" not in said.out + said.err + result.read_text()


def test_a_token_file_that_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["digits:english", "--token-file", str(tmp_path / "none")]) == 1

    assert "No such file" in capsys.readouterr().err


def test_without_a_terminal_there_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainView()

    view.show(ReplayProgress(source="", classes=("a",), n_channels=1, n_passes=2, pass_segments=1))
    view.close()

    assert capsys.readouterr().out.startswith("pass 1/2 · segment 0 · ")
