"""What sessions cost that are known and not in memory, and how long one takes to come back.

    python -m benchmarks.known_sessions [--sessions 1000] [--wakes 100]

Opens so many sessions of a small network and leaves each, with room for 64 in memory; then opens
some of them again, in random order, and asks for pages meanwhile. Prints a table and writes
``benchmarks/results/known_sessions.json``.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.live_memory import resident_bytes
from clients.sdk import StreamingClient
from clients.training.surroundings import commit, machine
from service.wire_protocol import CochleaSensor, NetworkRequest, Open
from tests.faults.server_process import ServerProcess, server_process

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "known_sessions.json"
IN_MEMORY = 64
_PAGES = ("/metrics", "/v1/sessions?limit=100")
_ASKED = 20
_MIB = 1 << 20

REQUEST = Open(sensor=CochleaSensor(channels=140), network=NetworkRequest(hidden=(64,), classes=6))


async def visit(url: str, number: int) -> float:
    """Open a session, send a word and leave; return the seconds until it was open."""
    began_s = time.perf_counter()
    request = REQUEST.model_copy(update={"session": f"known-{number}"})
    async with StreamingClient.open(url, request):
        return time.perf_counter() - began_s


async def time_pages(server: ServerProcess) -> dict[str, float]:
    """Return the median milliseconds that each page takes."""
    took: dict[str, float] = {}
    url = f"http://127.0.0.1:{server.port}"
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:
        for page in _PAGES:
            seconds = []
            for _ in range(_ASKED):
                began_s = time.perf_counter()
                (await client.get(page)).raise_for_status()
                seconds.append(time.perf_counter() - began_s)
            took[page] = float(np.median(seconds)) * 1000
    return took


async def measure(n_sessions: int, n_wakes: int) -> dict[str, Any]:
    """Make the sessions known, then wake some."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "TCLIF_SESSION__MAX_SESSIONS": str(IN_MEMORY),
            # one principal has them all
            "TCLIF_QUOTA__SESSIONS": str(n_sessions),
            "TCLIF_QUOTA__SESSION_BYTES": str(1 << 40),
        }
        async with server_process(Path(folder), **settings) as server:
            await visit(server.url, 0)
            few_mib, few_pages = resident_bytes(server.pid) / _MIB, await time_pages(server)
            made_s = [await visit(server.url, number) for number in range(1, n_sessions)]
            many_mib, many_pages = resident_bytes(server.pid) / _MIB, await time_pages(server)
            # all but the last ones are parked
            order = random.Random(0).sample(range(n_sessions - 2 * IN_MEMORY), n_wakes)  # noqa: S311
            woken_s = [await visit(server.url, number) for number in order]
    return {
        "sessions": n_sessions,
        "in_memory": IN_MEMORY,
        "resident_mib": [few_mib, many_mib],
        "page_ms": [few_pages, many_pages],
        "new_ms": [float(ms) * 1000 for ms in np.percentile(made_s, (50, 99))],
        "wake_ms": [float(ms) * 1000 for ms in np.percentile(woken_s, (50, 99))],
    }


def table(row: dict[str, Any]) -> str:
    """Write what was measured as a Markdown table."""
    few, many = row["page_ms"]
    pages = "".join(f"| {page} | {few[page]:.1f} ms | {many[page]:.1f} ms |\n" for page in _PAGES)
    before, after = row["resident_mib"]
    return (
        f"| | 1 known session | {row['sessions']} |\n|---|---|---|\n"
        f"| resident memory | {before:.0f} MiB | {after:.0f} MiB |\n{pages}"
        f"| a new session, p50 and p99 | | {row['new_ms'][0]:.0f} and {row['new_ms'][1]:.0f} ms |\n"
        f"| waking one, p50 and p99 | | {row['wake_ms'][0]:.0f} and {row['wake_ms'][1]:.0f} ms |"
    )


def main() -> int:
    """Measure, print the table, write results."""
    parser = argparse.ArgumentParser(description="What known sessions cost.")
    parser.add_argument("--sessions", type=int, default=1000, help="how many there are to be")
    parser.add_argument("--wakes", type=int, default=100, help="how many are opened again")
    options = parser.parse_args()
    row = asyncio.run(measure(options.sessions, options.wakes))
    print(table(row))
    about = {
        "machine": machine(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "command": f"python -m benchmarks.known_sessions --sessions {options.sessions}",
    }
    RESULTS.write_text(json.dumps(about | row, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
