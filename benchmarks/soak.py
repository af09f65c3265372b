"""Half an hour of sessions that come and go: memory, files and lag of the server stay flat.

    python -m benchmarks.soak [--minutes 30] [--seed 1]

Two sessions of SHD's size stream in real time; their lag is measured. Beside them eight clients
open small sessions, stream and learn, vanish or close, come back before or after their session was
parked, take over, ask for snapshots, weights and rollbacks, delete, or never come back, so that
sessions expire all the time. Writes ``benchmarks/results/soak.json`` and ``docs/figures/soak.png``;
returns 1 if the last quarter holds more than the second.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple

import httpx
import matplotlib.pyplot as plt
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from benchmarks.live_memory import open_files, resident_bytes
from benchmarks.steady_sessions import SteadySessions, lags_of
from clients.training.surroundings import commit, machine
from tests.end_to_end.conversation_partner import Partner, connected, lessons
from tests.faults.server_process import ServerProcess, server_process

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "soak.json"
FIGURE = ROOT / "docs" / "figures" / "soak.png"

N_STEADY = 2
N_CHURNERS = 8
SAMPLE_EVERY_S = 10.0

SETTINGS = {
    "tclif_storage__snapshot_every_s": "2",
    "tclif_storage__park_after_s": "3",
    "tclif_storage__expire_after_s": "45",
    "tclif_storage__periodic_spacing_s": "10",
}

# what a quarter of the time may add to the median of another quarter
MORE_RESIDENT_MIB = 24.0
MORE_FILES = 12
MORE_LAG = 1.5

_JSON = {"Content-Type": "application/json"}


class Sample(NamedTuple):
    """The server at one moment.

    Attributes:
        minute: Since the beginning.
        resident_mib: Memory of its process.
        files: Files and sockets that it has open.
        attached: Sessions with a connection.
        sessions: Sessions, parked ones included.
        stored_mib: What its data folder takes.
        median_ms: Lag of the steady sessions since the last sample.
        p99_ms: Likewise.
    """

    minute: float
    resident_mib: float
    files: int
    attached: int
    sessions: int
    stored_mib: float
    median_ms: float
    p99_ms: float


class Churn:
    """Clients that come and go.

    Attributes:
        did: What they did, counted.
    """

    def __init__(self, server: ServerProcess, seed: str) -> None:
        self.did: Counter[str] = Counter()
        self._server = server
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{server.port}", timeout=60, trust_env=False
        )
        self._left: list[str] = []
        self._n_begun = 0

    async def run(self) -> None:
        """Come and go until cancelled."""
        async with self._http:
            while True:
                try:
                    await self._visit()
                except ConnectionClosed as lost:
                    self.did[f"lost: {lost.rcvd.code if lost.rcvd else 'cut'}"] += 1
                except (InvalidHandshake, OSError, httpx.HTTPError) as failed:
                    self.did[f"failed: {type(failed).__name__}"] += 1

    async def _visit(self) -> None:
        """Open a new session or an old one, do something with it, and leave it in some way."""
        name = self._choose()
        async with connected(self._server.url) as partner:
            opened = await partner.open(session=name, report={"every_ticks": 5})
            self.did["resumed" if opened["resumed"] else "opened"] += 1
            # a session's messages follow from their numbers: go on where the server stands
            first, n_sent = divmod(partner.next_sequence - 1, len(lessons([0])))
            n_segments = self._random.randrange(1, 12)
            await partner.send(*lessons(range(first, first + n_segments))[n_sent:])
            await self._meanwhile(name)
            if self._is_likely(0.7):
                await partner.settle()
            self.did["segments"] += n_segments
            await self._leave(partner, name)
        await asyncio.sleep(self._random.expovariate(4))

    def _choose(self) -> str:
        if self._left and self._is_likely(0.6):
            return self._left.pop(self._random.randrange(len(self._left)))
        self._n_begun += 1
        return f"{self._random.getrandbits(32):x}-{self._n_begun}"

    async def _meanwhile(self, name: str) -> None:
        """Ask for something over HTTP, most of the time for nothing."""
        asked = self._random.choices(
            ["nothing", "state", "weights", "snapshot", "rollback"], (8, 2, 2, 1, 1)
        )[0]
        page = f"/v1/sessions/{name}"
        match asked:
            case "state":
                answer = await self._http.get(page)
            case "weights":
                answer = await self._http.get(f"{page}/weights")
            case "snapshot":
                answer = await self._http.post(f"{page}/snapshot", headers=_JSON)
            case "rollback":
                stored = (await self._http.get(f"{page}/snapshots")).json()["snapshots"]
                oldest = {"snapshot": stored[-1]["snapshot"]}
                answer = await self._http.post(f"{page}/rollback", json=oldest)
            case _:
                return
        self.did[f"{asked}: {answer.status_code}"] += 1

    async def _leave(self, partner: Partner, name: str) -> None:
        if self._is_likely(0.15):
            answer = await self._http.delete(f"/v1/sessions/{name}", headers=_JSON)
            self.did[f"deleted: {answer.status_code}"] += 1
            return
        if self._is_likely(0.5):
            partner.vanish()
            self.did["vanished"] += 1
        else:
            await partner.say({"type": "close"})
            with suppress(ConnectionClosed):
                await partner.closed()
            self.did["closed"] += 1
        if self._is_likely(0.8):
            self._left.append(name)
        else:
            self.did["left to expire"] += 1

    def _is_likely(self, chance: float) -> bool:
        return self._random.random() < chance


async def sample(server: ServerProcess, minute: float, lags_s: list[float]) -> Sample:
    """Look at the server."""
    attached, sessions = await server.count_sessions()
    lags = lags_of(lags_s or [float("nan")])
    return Sample(
        minute=minute,
        resident_mib=resident_bytes(server.pid) / (1 << 20),
        files=open_files(server.pid),
        attached=attached,
        sessions=sessions,
        stored_mib=_stored_bytes(server.data) / (1 << 20),
        median_ms=lags.median_ms,
        p99_ms=lags.p99_ms,
    )


def _stored_bytes(root: Path) -> int:
    total = 0
    # files and folders go away while they are counted: `walk` passes over those
    for folder, _, names in os.walk(root):
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(folder) / name).stat().st_size
    return total


async def soak(minutes: float, seed: int) -> tuple[list[Sample], Counter[str]]:
    """Let sessions come and go; return what was seen and what they did."""
    loop = asyncio.get_running_loop()
    did: Counter[str] = Counter()
    samples: list[Sample] = []
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with tempfile.TemporaryDirectory() as folder, Progress(*columns) as progress:
        bar = progress.add_task("soak", total=minutes)
        async with (
            server_process(Path(folder), **SETTINGS) as server,
            SteadySessions(server.url, N_STEADY) as steady,
        ):
            churns = [Churn(server, f"{seed} {n}") for n in range(N_CHURNERS)]
            tasks = [asyncio.create_task(churn.run()) for churn in churns]
            began_s = loop.time()
            while (minute := (loop.time() - began_s) / 60) < minutes:
                lags_s = await steady.listen(SAMPLE_EVERY_S)
                samples.append(await sample(server, minute, lags_s))
                for ended in (task for task in tasks if task.done()):
                    ended.result()
                progress.update(bar, completed=minute, description=_words(samples[-1]))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for churn in churns:
                did.update(churn.did)
    return samples, did


def _words(seen: Sample) -> str:
    return (
        f"{seen.resident_mib:.0f} MiB, {seen.files} files, {seen.sessions} sessions,"
        f" p99 {seen.p99_ms:.0f} ms"
    )


def judge(samples: Sequence[Sample]) -> tuple[dict[str, float], list[str]]:
    """Hold the last quarter against the second; return the medians and what is not flat."""
    quarter = max(1, len(samples) // 4)
    second, last = samples[quarter : 2 * quarter], samples[-quarter:]
    medians = {
        f"{name}_{which}": float(median(getattr(each, name) for each in part))
        for name in ("resident_mib", "files", "p99_ms", "stored_mib")
        for which, part in (("second", second), ("last", last))
    }
    risen = []
    if medians["resident_mib_last"] > medians["resident_mib_second"] + MORE_RESIDENT_MIB:
        risen.append("memory")
    if medians["files_last"] > medians["files_second"] + MORE_FILES:
        risen.append("files")
    if medians["p99_ms_last"] > medians["p99_ms_second"] * MORE_LAG:
        risen.append("lag")
    return medians, risen


def draw(samples: Sequence[Sample]) -> None:
    """Draw everything over time."""
    figure, axes = plt.subplots(4, 1, figsize=(8, 7.5), sharex=True)
    minutes = [seen.minute for seen in samples]
    rows: list[tuple[str, list[tuple[str, str, str]]]] = [
        ("MiB", [("resident_mib", "memory of the server", "#0072B2")]),
        ("MiB", [("stored_mib", "data folder", "#009E73")]),
        ("", [("files", "open files", "#D55E00"), ("sessions", "sessions", "#56B4E9")]),
        ("ms", [("p99_ms", "p99 lag", "#CC79A7"), ("median_ms", "median lag", "#999999")]),
    ]
    for panel, (unit, lines) in zip(axes, rows, strict=True):
        for name, words, colour in lines:
            panel.plot(minutes, [getattr(s, name) for s in samples], label=words, color=colour)
        panel.set_ylim(bottom=0)
        panel.set_ylabel(unit)
        panel.legend(frameon=False, loc="lower right")
        panel.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("minutes")
    figure.tight_layout()
    figure.savefig(FIGURE, dpi=150)


def main() -> int:
    """Soak, write and draw; return 1 if something rises."""
    parser = argparse.ArgumentParser(description="Sessions that come and go for a long time.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    samples, did = asyncio.run(soak(options.minutes, options.seed))
    medians, risen = judge(samples)
    about = {
        "machine": machine(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "command": f"python -m benchmarks.soak --minutes {options.minutes:g}",
        "minutes": options.minutes,
        "seed": options.seed,
        "settings": SETTINGS,
        "did": dict(sorted(did.items())),
        "medians": medians,
    }
    rows = {"fields": list(Sample._fields), "samples": [list(seen) for seen in samples]}
    RESULTS.write_text(json.dumps(about | rows, indent=1) + "\n")
    draw(samples)
    for name, value in medians.items():
        print(f"{name}: {value:.1f}")
    print(", ".join(f"{count:,} {what}" for what, count in sorted(did.items())))
    print(f"not flat: {', '.join(risen)}" if risen else "flat")
    return int(bool(risen))


if __name__ == "__main__":
    sys.exit(main())
