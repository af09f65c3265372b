"""A live camera over UDP, taught by key while it streams: `tclif-events` from its outside.

    python -m benchmarks.live_camera [--windows 120]

A bar moves to the left or to the right over a picture of 64 x 48, one way in each window of 0.3 s,
drawn by chance: 20 events of it every 5 ms, and 5 anywhere, as datagrams in SPIF's layout. The
command is the one that a person starts; what it says is read, and the key of the truth pressed once
a window was told. Then the same with keys drawn by chance, of which nothing can be learnt. Prints
how often the first and the last 40 windows were right, each told before its key, and the command's
own account of what was lost.
"""

import argparse
import asyncio
import re
import socket
import struct
import sys
import time
from contextlib import closing

import numpy as np

from clients.argument_types import count
from clients.local_server import local_server

WINDOW_S = 0.3
DATAGRAM_S = 0.005
SIZE = (64, 48)
BAR_EVENTS, NOISE_EVENTS = 20, 5
WAYS = ("left", "right")
SHARE = 40


def main() -> int:
    """Run both and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--windows", type=count, default=120)
    n_windows = parser.parse_args().windows
    ways = np.random.default_rng(1).integers(0, 2, n_windows + 1)
    with local_server() as host:
        for name, keys in (
            ("the truth", ways),
            ("chance", np.random.default_rng(2).integers(0, 2, n_windows + 1)),
        ):
            told, account = asyncio.run(_run(host, ways, keys, n_windows))
            right = told == ways[: len(told)]
            print(
                f"keys by {name}: {right[:SHARE].mean():.3f} of the first {SHARE} windows right,"
                f" {right[-SHARE:].mean():.3f} of the last {SHARE}; {account}"
            )
    return 0


async def _run(
    host: str, ways: np.ndarray, keys: np.ndarray, n_windows: int
) -> tuple[np.ndarray, str]:
    """Stream and teach; return what the windows were taken for, and the command's last line."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    camera = [f"udp://127.0.0.1:{port}?layout=spif", "--size", "{}x{}".format(*SIZE), "--pool", "8"]
    session = ["--url", f"ws://{host}/v1/stream", "--classes", ",".join(WAYS)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "clients.events", *camera, *session),
        *("--window-ms", str(round(WINDOW_S * 1000))),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdout.readline()
    moving = asyncio.create_task(_move(port, ways))
    told: list[int] = []
    while len(told) < n_windows:
        line = (await process.stdout.readline()).decode()
        if match := re.match(r"\d+: (\w+)", line):
            told.append(WAYS.index(match[1]))
            process.stdin.write(str(keys[len(told) - 1] + 1).encode())
            await process.stdin.drain()
    process.stdin.write(b"q")
    said, _ = await process.communicate()
    await moving
    return np.array(told), said.decode().splitlines()[-1]


async def _move(port: int, ways: np.ndarray) -> None:
    """Send what the camera sees, a window for each way and a little more."""
    generator = np.random.default_rng(3)
    width, height = SIZE
    began_s = time.monotonic()
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        while (number := (time.monotonic() - began_s) / WINDOW_S) < len(ways):
            share = number % 1
            left = (share if ways[int(number)] else 1 - share) * (width - 4)
            x = np.concatenate(
                [
                    left + generator.integers(0, 4, BAR_EVENTS),
                    generator.integers(0, width, NOISE_EVENTS),
                ]
            ).astype(np.uint32)
            y = generator.integers(0, height, len(x)).astype(np.uint32)
            # no times; the bar is brighter, the rest darker
            words = 0x8000_0000 | x << 16 | y | (np.arange(len(x)) < BAR_EVENTS) * 0x8000
            data = struct.pack(f"<{len(words)}I", *words.tolist())
            sender.sendto(data, ("127.0.0.1", port))
            await asyncio.sleep(DATAGRAM_S)


if __name__ == "__main__":
    sys.exit(main())
