"""How many events a second are decoded on one core, for each format of event files.

    python -m benchmarks.event_files [--folder ../shared/data/event_files] [--repeats 15]

Reads each file from the page cache several times and prints the best processor time, the events,
and what expelliarmus, a decoder in C that the extra ``clients`` brings with tonic, takes for the
same. Small files say more about the overhead of a call than about the pace of a stream. Then the
same for datagrams of each layout, as large as their senders make them, from their bytes to a block
of events; the socket is not in it.
"""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from clients.event_camera.datagrams import LAYOUTS
from clients.event_camera.event_file import SUFFIXES, read_event_file
from clients.event_camera.udp_input import UdpInput
from clients.optional_packages import MissingPackage, import_optional

N_DATAGRAMS = 1000

DATAGRAMS = {
    "spif": (512, 128),
    "t32_x16_y15_on1": (800, 100),
    "t64_x16_y16_on8": (1300, 100),
}
"""Bytes and events of a datagram: SPIF's and AEStream's without times; Faery's."""

FILES = Path(__file__).parents[2] / "shared" / "data" / "event_files"


def main() -> int:
    """Measure and print a line for each file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, default=FILES)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    paths = sorted(path for path in options.folder.glob("*") if path.suffix in SUFFIXES)
    if not paths:
        print(f"{options.folder} holds no event files")
        return 1
    for path in paths:
        try:
            count = len(read_event_file(path).events)
        except MissingPackage as error:
            print(f"{path.name}: {error}")
            continue
        pace = count / _best_s(partial(read_event_file, path), options.repeats) / 1e6
        line = f"{path.name}: {count:,} events, {pace:.1f} M events/s"
        encoding = {".dat": "dat", ".raw": path.name[:4]}.get(path.suffix)
        if encoding is not None:
            wizard = import_optional("expelliarmus", "to compare").Wizard(encoding=encoding)
            peer = count / _best_s(partial(wizard.read, path), options.repeats) / 1e6
            line += f", expelliarmus {peer:.1f}"
        print(line)
    for layout, (n_bytes, n_events) in DATAGRAMS.items():
        pace = N_DATAGRAMS * n_events / _best_s(partial(_take, layout, n_bytes), options.repeats)
        print(f"datagrams in {layout}: {n_events} events each, {pace / 1e6:.1f} M events/s")
    return 0


def _take(layout: str, n_bytes: int) -> None:
    # bits all set: SPIF's events without a time
    data = b"\xff" * n_bytes
    with closing(UdpInput("127.0.0.1", 0, (1 << 16, 1 << 16), layout=layout)) as camera:
        for _ in range(N_DATAGRAMS):
            camera.put(LAYOUTS[layout](data))
        camera.take()


def _best_s(read: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        began_s = time.process_time()
        read()
        times.append(time.process_time() - began_s)
    return min(times)


if __name__ == "__main__":
    sys.exit(main())
