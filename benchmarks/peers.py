"""The same network, or the nearest that a peer has, learnt by other libraries in the same run.

    python -m benchmarks.peers [--rounds 5] [--sessions 1 8 64] [--python PATH]

One core. Each peer is a process that waits for its turn (`peer_runs`); all take turns within a
round, and the ratio is that of the medians. ``--python`` names the interpreter of an environment
that has braintrace, snnTorch and SpikingJelly beside what this project needs; peers that are not
there, or that break, are named with the reason. Writes ``benchmarks/results/peers.json``, appends
to ``benchmarks/RESULTS.md``.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measured_on import append, facts
from benchmarks.peer_runs import PEERS

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "peers.json"

SESSIONS = (1, 8, 64)
WANTED = {
    ("torch eager", 1): 20.0,
    ("braintrace", 1): 3.0,
    ("torch eager", 64): 4.0,
    ("braintrace", 64): 4.0,
}
"""How many times as long as ours a peer is to take at least, by sessions."""

_SAME = "own weights, the same neurons and sizes; dense input made beforehand, no checks, decay"
_SAME += " minima not learnt"
_PROP = "its pp_prop in the place of e-prop, a segment of 100 ticks compiled as one"
_SHARED = (
    "weights SHARED by all sessions, leaky neurons, offline: backpropagation through 100 ticks"
)
DIFFERENCES = {
    "ours": "own weights, e-prop, sparse input, decay minima learnt, all checks; 100 ticks a call",
    "ours, 20 ticks a call": "as ours, in calls as they come from frames of 80 ms",
    "torch eager": f"{_SAME}; a batched product for all sessions",
    "torch.compile": "as torch eager, one tick compiled",
    "braintrace": f"{_SAME}; {_PROP}, sessions side by side",
    "braintrace, in turn": "as braintrace, one session after the other",
    "braintrace, leaky": "as braintrace with leaky neurons and a readout without memory",
    "braintrace, leaky, in turn": "as braintrace, leaky, one session after the other",
    "snnTorch": _SHARED,
    "SpikingJelly": _SHARED,
}

Line = dict[str, Any]


class Peer:
    """A process that runs rounds.

    Attributes:
        absent: Why it can't, if so.
        versions: What it is made of and how long it took to be warm, if it can.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        word, _, rest = self._read().partition(": ")
        self.absent = None if word == "ready" else rest
        self.versions = rest if word == "ready" else None

    def round(self) -> float:
        """Return the microseconds of a learned session-tick."""
        assert self._process.stdin is not None, "opened with pipes"
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._read())

    def _read(self) -> str:
        assert self._process.stdout is not None, "opened with pipes"
        line = self._process.stdout.readline()
        return line.strip() or "absent: it ended without a word"


@contextmanager
def _peer(python: str, name: str, n_sessions: int) -> Iterator[Peer]:
    command = [python, "-m", "benchmarks.peer_runs", name, str(n_sessions)]
    process = subprocess.Popen(  # noqa: S603 - our own command
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield Peer(process)
    finally:
        process.kill()
        process.wait()


def names(n_sessions: int) -> list[str]:
    """Return who runs: taking turns is for more than one session."""
    return [name for name in PEERS if n_sessions > 1 or not name.endswith("in turn")]


def measure(python: str, sessions: Sequence[int], n_rounds: int) -> list[Line]:
    """Return a line for each peer and number of sessions."""
    lines: list[Line] = []
    for n_sessions in sessions:
        with ExitStack() as stack:
            peers = {
                # ours and torch need nothing of the peers' environment
                name: stack.enter_context(
                    _peer(
                        sys.executable if name.startswith(("ours", "torch")) else python,
                        name,
                        n_sessions,
                    )
                )
                for name in names(n_sessions)
            }
            present = {name: peer for name, peer in peers.items() if peer.absent is None}
            times: dict[str, list[float]] = {name: [] for name in present}
            for _ in range(n_rounds):
                for name, peer in present.items():
                    times[name].append(peer.round())
        base = median(times["ours"])
        lines += [
            {
                "peer": name,
                "sessions": n_sessions,
                "microseconds": times.get(name),
                "times_ours": median(times[name]) / base if name in times else None,
                "wanted": WANTED.get((name, n_sessions)),
                "absent": peer.absent,
                "versions": peer.versions,
                "what differs": DIFFERENCES[name],
            }
            for name, peer in peers.items()
        ]
    return lines


def table(lines: list[Line]) -> list[str]:
    """Return the lines of a Markdown table."""
    columns = ["peer", "sessions", "µs a learned session-tick: median (least to most)"]
    columns += ["learned session-ticks/s", "ours is faster by", "at least"]
    rows = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for line in lines:
        if line["absent"] is not None:
            rows.append(f"| {line['peer']} | {line['sessions']} | absent: {line['absent']} | | | |")
            continue
        times = line["microseconds"]
        wanted = "" if line["wanted"] is None else f"{line['wanted']:g}"
        rows.append(
            f"| {line['peer']} | {line['sessions']}"
            f" | {median(times):.1f} ({min(times):.1f} to {max(times):.1f})"
            f" | {1e6 / median(times):,.0f} | {line['times_ours']:.1f} | {wanted} |"
        )
    return rows


def differences() -> list[str]:
    """Return a list in Markdown: what each peer does otherwise."""
    return [f"- {name}: {what}" for name, what in DIFFERENCES.items()]


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Other libraries beside ours.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", default=sys.executable, help="where the peers are installed")
    parser.add_argument("--sessions", type=int, nargs="+", default=SESSIONS)
    options = parser.parse_args()
    lines = measure(options.python, options.sessions, options.rounds)
    rows = [*table(lines), "", *differences()]
    print("\n".join(rows))
    command = f"python -m benchmarks.peers --rounds {options.rounds} --sessions"
    about = facts(" ".join([command, *map(str, options.sessions)])) | {"cores": "1"}
    RESULTS.write_text(json.dumps(about | {"lines": lines}, indent=1) + "\n")
    append("Peers, learned session-ticks", about, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
