"""The command itself, as a process of its own: it serves, and a signal ends it in order."""

import asyncio
import re
import signal
import sys
from pathlib import Path

from tests.end_to_end.conversation_partner import connected, of_kind, segment

REPOSITORY = Path(__file__).parents[2]
START_TIMEOUT_S = 120.0


async def test_the_command_serves_until_a_signal_and_says_goodbye(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "service", "--port", "0", "--data", str(tmp_path)),
        cwd=REPOSITORY,
        env={"TCLIF_ENGINE__KERNEL": "reference"},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while not (
                found := re.search(
                    rb"http://(127\.0\.0\.1:\d+)", line := await process.stderr.readline()
                )
            ):
                assert line, "the server says where it listens before it ends"
        async with connected(f"ws://{found[1].decode()}/v1/stream") as partner:
            await partner.open()
            await partner.send(*segment(0, 1))
            heard = await partner.settle()

            process.send_signal(signal.SIGTERM)
            code = await partner.closed()
        async with asyncio.timeout(START_TIMEOUT_S):
            await process.stderr.read()
            status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert of_kind("learned", heard)
    goodbye = partner.heard[-1]
    assert (goodbye["reason"], code) == ("draining", 1012)
    # everything was stored before
    assert (goodbye["durable"], goodbye["retry_after_ms"]) == (5, 1000)
    # ended by the signal it was sent, or as having done so
    assert status in (0, -signal.SIGTERM)
