"""What the page of the JavaScript client shows works as it stands there."""

import asyncio
import re
from pathlib import Path

import pytest

from tests.end_to_end.driven_client import NODE
from tests.end_to_end.running_server import RunningServer

PAGE = Path(__file__).parents[2] / "clients" / "web" / "README.md"


@pytest.mark.skipif(NODE is None, reason="node is not installed")
async def test_the_examples_run_in_their_order(server: RunningServer, tmp_path: Path) -> None:
    assert NODE is not None
    text = "\n".join(re.findall(r"```js\n(.*?)```", PAGE.read_text(), re.DOTALL))
    script = tmp_path / "page.mjs"
    text = text.replace("ws://127.0.0.1:8700/v1/stream", server.url)
    script.write_text(text.replace('from "./', f'from "{PAGE.parent.as_uri()}/'))

    process = await asyncio.create_subprocess_exec(
        *(NODE, "--experimental-websocket", "--no-warnings", str(script)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaints = await asyncio.wait_for(process.communicate(), 300)

    assert process.returncode == 0, complaints.decode()
    lines = said.decode().splitlines()
    assert re.fullmatch(r"sounds like \w+", lines[0])
    assert re.fullmatch(r"moves to the (left|right)", lines[1])
    assert len([line for line in lines[2:] if re.fullmatch(r"feels \w+, it is \w+", line)]) == 20


def test_every_link_to_a_file_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)[^)]*\)", PAGE.read_text())

    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []
