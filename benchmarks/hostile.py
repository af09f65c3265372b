"""What peers of bad will cost the sessions that are there: their lag, and the server's memory.

    python -m benchmarks.hostile [--seconds 20] [--only NAME]

Four sessions of SHD's size stream in real time while a second process attacks in one way after the
other (`hostile_attacks`); before each attack the same time passes undisturbed. Prints a table and
writes ``benchmarks/results/hostile.json`` and ``docs/figures/hostile.png``.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from benchmarks.hostile_attacks import ATTACKS
from benchmarks.live_memory import open_files, resident_bytes
from benchmarks.steady_sessions import SteadySessions, lags_of
from clients.training.surroundings import commit, machine
from tests.faults.server_process import ServerProcess, server_process

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "hostile.json"
FIGURE = ROOT / "docs" / "figures" / "hostile.png"

N_SESSIONS = 4
MOST_TIMES_SLOWER = 2.0
_SAMPLE_EVERY_S = 0.2
_REST_S = 3.0
_MIB = 1 << 20

Row = dict[str, Any]


class Watch:
    """The server's memory and files, looked at now and then."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.resident_mib: list[float] = []
        self.files: list[int] = []

    async def look(self) -> None:
        """Look until cancelled."""
        while True:
            self.resident_mib.append(resident_bytes(self._pid) / _MIB)
            self.files.append(open_files(self._pid))
            await asyncio.sleep(_SAMPLE_EVERY_S)


@contextmanager
def watched(pid: int) -> Iterator[Watch]:
    """Watch the server meanwhile."""
    watch = Watch(pid)
    looking = asyncio.create_task(watch.look())
    try:
        yield watch
    finally:
        looking.cancel()


async def measure(
    name: str, server: ServerProcess, sessions: SteadySessions, seconds: float
) -> Row:
    """Let some undisturbed time pass, then attack for as long."""
    calm = lags_of(await sessions.listen(seconds))
    before = resident_bytes(server.pid) / _MIB
    n_connections = sessions.n_connections
    with watched(server.pid) as watch:
        attacker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.hostile_attacks"),
            *(name, str(server.port), str(seconds + 1)),
            stdout=asyncio.subprocess.PIPE,
        )
        # it takes about a second to begin
        await asyncio.sleep(1)
        attacked = lags_of(await sessions.listen(seconds))
        said, _ = await attacker.communicate()
    await asyncio.sleep(_REST_S)
    return {
        "attack": name,
        "did": json.loads(said),
        "calm": calm._asdict(),
        "attacked": attacked._asdict(),
        "times_slower": attacked.p99_ms / calm.p99_ms,
        "resident_mib_before": before,
        "resident_mib_most": max(watch.resident_mib),
        "resident_mib_after": resident_bytes(server.pid) / _MIB,
        "files_most": max(watch.files),
        "reconnections": sessions.n_connections - n_connections,
    }


async def measure_all(names: list[str], seconds: float) -> list[Row]:
    """Attack in every way, one after the other."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        async with (
            server_process(Path(folder)) as server,
            SteadySessions(server.url, N_SESSIONS) as sessions,
        ):
            await sessions.listen(5)
            for name in names:
                print(f"{name}: {2 * seconds + _REST_S + 1:.0f} s ...", file=sys.stderr, flush=True)
                rows.append(await measure(name, server, sessions, seconds))
    return rows


def table(rows: list[Row]) -> str:
    """Write the rows as a Markdown table."""
    head = (
        "| attack | what it did | p99 lag calm | attacked | times | memory before, most, after"
        " | files at most | reconnections |"
    )
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        did = ", ".join(f"{count:,} {what}" for what, count in row["did"].items())
        lines.append(
            f"| {row['attack']} | {did} | {row['calm']['p99_ms']:.1f} ms"
            f" | {row['attacked']['p99_ms']:.1f} ms | {row['times_slower']:.2f}"
            f" | {row['resident_mib_before']:.0f}, {row['resident_mib_most']:.0f},"
            f" {row['resident_mib_after']:.0f} MiB | {row['files_most']}"
            f" | {row['reconnections']} |"
        )
    return "\n".join(lines)


def draw(rows: list[Row]) -> None:
    """Draw lags and memory beside each other."""
    figure, (lag_axes, memory_axes) = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
    places = range(len(rows))
    for offset, which, colour in ((-0.2, "calm", "#0072B2"), (0.2, "attacked", "#D55E00")):
        lags = [row[which]["p99_ms"] for row in rows]
        heights = [place + offset for place in places]
        lag_axes.barh(heights, lags, height=0.38, color=colour, label=which)
    lag_axes.set_yticks(list(places), [row["attack"] for row in rows])
    lag_axes.invert_yaxis()
    lag_axes.set_xlabel("p99 lag of admitted sessions (ms)")
    lag_axes.legend(frameon=False)
    added = [row["resident_mib_most"] - row["resident_mib_before"] for row in rows]
    memory_axes.barh(list(places), added, color="#009E73")
    memory_axes.set_xlabel("memory added by the attack (MiB)")
    for axes in (lag_axes, memory_axes):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(FIGURE, dpi=150)


def main() -> int:
    """Measure, print the table, write results; return 1 if sessions were slowed down too much."""
    parser = argparse.ArgumentParser(description="What peers of bad will cost the others.")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each attack")
    parser.add_argument("--only", choices=ATTACKS, action="append", help="attack in this way only")
    options = parser.parse_args()
    rows = asyncio.run(measure_all(options.only or list(ATTACKS), options.seconds))
    print(table(rows))
    if options.only is None:
        about = {
            "machine": machine(),
            "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "commit": commit(),
            "command": "python -m benchmarks.hostile",
            "sessions": N_SESSIONS,
            "seconds": options.seconds,
        }
        RESULTS.write_text(json.dumps(about | {"rows": rows}, indent=1) + "\n")
        draw(rows)
    slowed = [row["attack"] for row in rows if row["times_slower"] > MOST_TIMES_SLOWER]
    if slowed:
        print(f"more than {MOST_TIMES_SLOWER:g} times slower: {', '.join(slowed)}")
    return int(bool(slowed))


if __name__ == "__main__":
    sys.exit(main())
