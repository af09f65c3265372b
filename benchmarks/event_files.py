"""How many events a second are decoded on one core, for each format of event files.

    python -m benchmarks.event_files [--folder ../shared/data/event_files] [--repeats 15]

Reads each file from the page cache several times and prints the best processor time, the events,
and what expelliarmus, a decoder in C that the extra ``clients`` brings with tonic, takes for the
same. Small files say more about the overhead of a call than about the pace of a stream.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from clients.event_camera.event_file import SUFFIXES, read_event_file
from clients.optional_packages import MissingPackage, import_optional

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
    return 0


def _best_s(read: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        began_s = time.process_time()
        read()
        times.append(time.process_time() - began_s)
    return min(times)


if __name__ == "__main__":
    sys.exit(main())
