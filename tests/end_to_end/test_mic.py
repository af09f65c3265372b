"""`tclif-mic` with a recording in place of a microphone, against the real server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]  # no stubs exist

from clients import mic
from clients.cochlea import Cochlea
from clients.cochlea_design import CochleaSpec
from clients.live_command import status
from clients.live_moments import heard
from clients.live_teaching import LiveState, LiveTeaching
from clients.sdk import StreamingClient
from clients.sound_input import FileInput
from tests.end_to_end.running_server import RunningServer

RATE = 16_000
GAP_US = 250_000
WORDS = ("low", "high")


def write_words(path: Path) -> Path:
    """Write a low and a high tone of 0.3 s, each between 0.5 s of silence."""
    time_s = np.arange(int(0.3 * RATE)) / RATE
    silence = np.zeros(RATE // 2)
    low, high = (0.5 * np.sin(2 * np.pi * hertz * time_s) for hertz in (300, 3000))
    sound = np.concatenate([silence, low, silence, high, silence])
    soundfile.write(path, sound.astype(np.float32), RATE, subtype="FLOAT")
    return path


async def test_words_are_told_apart_by_silence_and_labelled_by_key(
    server: RunningServer, tmp_path: Path
) -> None:
    said: list[str] = []
    has_news = asyncio.Event()

    def say(line: str) -> None:
        said.append(line)
        has_news.set()

    async def until(is_so: Callable[[], bool]) -> None:
        while not is_so():
            await has_news.wait()
            has_news.clear()

    sound = FileInput(write_words(tmp_path / "w.wav"), is_paced=False)
    async with StreamingClient.open(
        server.url,
        session="mic",
        sensor={"kind": "cochlea", "channels": 70},
        network={"hidden": [8], "classes": WORDS},
        segmentation={"by": "silence", "gap_us": GAP_US},
    ) as client:
        moments = heard(sound, Cochlea(CochleaSpec(channels=70)))
        teaching = LiveTeaching(client, moments, say=say, show=lambda _: None)

        async def keys() -> AsyncIterator[str]:
            yield "2"  # nothing was told yet
            await until(lambda: teaching.state.n_finals == 1)
            yield "1"
            await until(lambda: teaching.state.n_finals == 2)
            yield "2"
            await until(lambda: teaching.state.n_learned == 2)
            yield "7"
            yield "q"
            pytest.fail("nothing is read after the end")

        await asyncio.wait_for(teaching.run(keys()), 60)

    state = await server.state("mic")
    assert state["segments"] == {"open": None, "kept": 0, "dropped": 0, "labelled": 2}
    assert "  '7' is no class; press 1 low, 2 high, or q to end" in said
    assert teaching.state.n_finals == 2
    assert teaching.state.n_events > 20
    assert said[0] == "  nothing was told yet that could be labelled"
    learnt = [line for line in said if line.endswith("learnt")]
    assert [" was low," in line for line in learnt] == [True, False]
    assert [" was high," in line for line in learnt] == [False, True]


async def test_the_command_hears_a_file_and_says_what_it_heard(
    server: RunningServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_words(tmp_path / "w.wav")
    command = ["--url", server.url, "--session", "mic", "--classes", "low, high"]
    command += ["--hidden", "8", "--channels", "70", "--file", str(file), "--fast"]

    assert await asyncio.to_thread(mic.main, command) == 0
    # a second run goes on with the same session, later on its clock
    assert await asyncio.to_thread(mic.main, command) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "session mic: 1 low, 2 high; q ends"
    assert [line.split(":")[0] for line in lines if line[0].isdecimal()] == ["0", "1", "2", "3"]


def test_a_missing_file_ends_the_command_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mic.main(["--file", str(tmp_path / "none.wav")]) == 1
    assert capsys.readouterr().err == f"tclif-mic: {tmp_path / 'none.wav'} is no file\n"


def test_the_state_is_one_line() -> None:
    state = LiveState("|██  |", n_events=1234, guess=("yes", 0.61), n_learned=3, accuracy=2 / 3)

    assert status(state) == "|██  | yes 61%          1,234 events, 3 learnt, 67% right"
