"""What the page of the Python client shows works as it stands there."""

import asyncio
import os
import re
import sys
from pathlib import Path

from tests.end_to_end.running_server import RunningServer

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"


async def test_the_examples_run_in_their_order(server: RunningServer, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks).replace("ws://127.0.0.1:8700/v1/stream", server.url))

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PAGE.parents[1])},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaints = await asyncio.wait_for(process.communicate(), 300)

    assert process.returncode == 0, complaints.decode()
    lines = [
        re.sub(r"low|high|left|right|calm|busy", "CLASS", line)
        for line in said.decode().splitlines()
    ]
    lines = [line.split(":")[0] if line.startswith("not added") else line for line in lines]
    assert lines[:-1] == [
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
