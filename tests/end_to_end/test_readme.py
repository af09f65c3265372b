"""What the README shows works as it stands there."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.end_to_end.running_server import RunningServer

README = Path(__file__).parents[2] / "README.md"


async def test_the_python_example_runs(server: RunningServer, tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader", reason="speech needs the extra 'clients'")
    [example] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text(example.replace("ws://127.0.0.1:8700/v1/stream", server.url))

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        cwd=README.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaints = await asyncio.wait_for(process.communicate(), 120)

    assert process.returncode == 0, complaints.decode()
    assert len(re.findall(r"heard \w+, it was \w+", said.decode())) == 20


def test_every_link_to_a_file_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README.read_text())

    missing = [link for link in links if not (README.parent / link).exists()]

    assert links
    assert missing == []
