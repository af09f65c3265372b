"""What sessions cost a server: memory, processor time and disk, while they learn in real time.

    python -m benchmarks.footprint [--sessions 0 1 10 20] [--seconds 30]

Starts a fresh server for each number of sessions. Every session is a
network of SHD's size (700-128-128-10) that hears spoken digits at the pace of speech, ticks of
4 ms, and learns each word. Processor time is the server's alone, so what else runs on the machine
matters little.
"""

import argparse
import asyncio
from pathlib import Path
from typing import NamedTuple

import psutil

from clients.datasets import Source, open_source
from clients.local_server import local_server
from clients.replay import Replay
from clients.replay_arguments import parse
from clients.replay_progress import ReplayProgress

_MIB = 1 << 20
# words are synthesised before the clock starts, sessions are opened, first snapshots written
_WARM_UP_S = 10.0


class Footprint(NamedTuple):
    """What a server took."""

    n_sessions: int
    resident_bytes: int
    cores: float
    ticks_per_s: float
    disk_bytes: int
    written_bytes_per_s: float


class _Silent:
    """Shows nothing."""

    interval_s = 3600.0

    def show(self, progress: ReplayProgress) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Show nothing more."""


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sessions", type=int, nargs="+", default=[0, 1, 10, 20])
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    source = open_source("digits:english?n=40")
    for index in range(len(source)):
        source.load(index)
    print("| sessions | resident MiB | cores | ticks/s | disk MiB | written MiB/s |")
    print("|---|---|---|---|---|---|")
    for n_sessions in options.sessions:
        took = asyncio.run(_measure(source, n_sessions, options.seconds))
        print(
            f"| {took.n_sessions} | {took.resident_bytes / _MIB:.0f} | {took.cores:.2f}"
            f" | {took.ticks_per_s:.0f} | {took.disk_bytes / _MIB:.1f}"
            f" | {took.written_bytes_per_s / _MIB:.2f} |"
        )
    return 0


async def _measure(source: Source, n_sessions: int, seconds: float) -> Footprint:
    with local_server() as address:
        [server] = psutil.Process().children()
        command = server.cmdline()
        folder = command[command.index("--data") + 1]
        arguments = parse(
            f"{source.name} --url ws://{address}/v1/stream --tick-us 4000 --forever".split()
        )
        request = arguments.request(source, with_picture=False)
        replays = [Replay(arguments, request, source, None, _Silent()) for _ in range(n_sessions)]
        running = [asyncio.create_task(replay.run()) for replay in replays]
        await asyncio.sleep(_WARM_UP_S)
        before, began = server.cpu_times(), _written(server)
        n_ticks = sum(replay.progress.n_ticks for replay in replays)
        await asyncio.sleep(seconds)
        after, ended = server.cpu_times(), _written(server)
        took = Footprint(
            n_sessions=n_sessions,
            resident_bytes=server.memory_info().rss,
            cores=(after.user + after.system - before.user - before.system) / seconds,
            ticks_per_s=(sum(replay.progress.n_ticks for replay in replays) - n_ticks) / seconds,
            disk_bytes=_stored(folder),
            written_bytes_per_s=(ended - began) / seconds,
        )
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        return took


def _stored(folder: str) -> int:
    """Return the bytes of all files in a folder."""
    return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())


def _written(process: psutil.Process) -> int:
    """Return the bytes that a process handed to its files; Linux only."""
    return int(process.io_counters().write_chars)


if __name__ == "__main__":
    raise SystemExit(main())
