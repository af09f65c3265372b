"""What the page of the Python client shows works as it stands there."""

import asyncio
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]  # no stubs exist

from tests.end_to_end.running_server import RunningServer

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
ROOT = PAGE.parents[1]

DIGITS = "zero|one|two|three|four|five|six|seven|eight|nine"


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


def write_what_the_examples_read(folder: Path) -> None:
    """Write two tones with silence around them, and two gestures in N-MNIST's format."""
    time_s = np.arange(4800) / 16_000
    silence = np.zeros(8000)
    tones = [0.5 * np.sin(2 * np.pi * hertz * time_s) for hertz in (300, 3000)]
    sound = np.concatenate([silence, tones[0], silence, tones[1], silence])
    soundfile.write(folder / "words.wav", sound.astype(np.float32), 16_000, subtype="FLOAT")
    (folder / "gestures").mkdir()
    for name, x in (("left", 3), ("right", 30)):
        events = [bytes([x, y, 0x80, 0, y]) for y in range(34)]
        (folder / "gestures" / f"{name}_1.bin").write_bytes(b"".join(events))


async def test_the_examples_run_in_their_order(server: RunningServer, tmp_path: Path) -> None:
    write_what_the_examples_read(tmp_path)
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks()).replace("ws://127.0.0.1:8700/v1/stream", server.url))

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaints = await asyncio.wait_for(process.communicate(), 300)

    assert process.returncode == 0, complaints.decode()
    lines = [
        re.sub(rf"low|high|left|right|calm|busy|{DIGITS}", "CLASS", line)
        for line in said.decode().splitlines()
    ]
    lines = [line.split(":")[0] if line.startswith("not added") else line for line in lines]
    assert lines[:-1] == [
        "word 0 sounds like CLASS",
        "word 1 sounds like CLASS",
        *["taken for CLASS, it was CLASS"] * 2,
        *["feels CLASS, it is CLASS"] * 20,
        *["heard CLASS, it was CLASS"] * 4,
        "gesture 0 looks like CLASS, it was CLASS",
        "gesture 1 looks like CLASS, it was CLASS",
        "windows 0 and 1 looked CLASS",
        "learnt 2 intervals",
        "not added",
        "classes CLASS, CLASS, broken; durable up to message 3",
        "missed 200 of 300 predictions, reconnected never",
        "refused before connecting: ValidationError",
    ]
    assert lines[-1].startswith("refused by the server: ")
    assert lines[-1].endswith("(config_mismatch)")


@pytest.mark.slow
async def test_the_ten_lines_of_each_sensor_have_types(tmp_path: Path) -> None:
    script = tmp_path / "ten_lines.py"
    script.write_text("\n".join(blocks()[:3]))

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mypy", str(script)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 600)

    assert process.returncode == 0, said.decode()
