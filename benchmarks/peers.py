"""The same network, or the nearest that a peer has, learnt by other libraries in the same run.

    python -m benchmarks.peers [--rounds 5] [--python PATH]

One core. Each peer is a process that waits for its turn (`peer_runs`); all take turns within a
round, and the ratio is that of the medians. ``--python`` names the interpreter of an environment
that has snnTorch and SpikingJelly beside what this project needs; peers not installed are named
with the reason. braintrace has no runner here, so nothing is said about it. Writes
``benchmarks/results/peers.json`` and ``docs/figures/peers.png``, appends to
``benchmarks/RESULTS.md``.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib.pyplot as plt

from benchmarks.measured_on import append, facts
from benchmarks.peer_runs import PEERS

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "peers.json"
FIGURE = ROOT / "docs" / "figures" / "peers.png"

SESSIONS = (1, 8, 64)
OWN = ("ours", "torch eager", "torch.compile")
DIFFERENCES = {
    "ours": "own weights, e-prop, sparse input, decay minima learnt, everything checked",
    "torch eager": "own weights, the same equations; dense input made beforehand, no checks",
    "torch.compile": "as torch eager, one tick compiled",
    "snnTorch": "weights SHARED by all sessions, leaky neurons, offline: backpropagation through"
    " 100 ticks",
    "SpikingJelly": "weights SHARED by all sessions, leaky neurons, offline: backpropagation"
    " through 100 ticks",
}

Line = dict[str, Any]


class Peer:
    """A process that runs rounds.

    Attributes:
        absent: Why it can't, if so.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        greeting = self._read()
        self.absent = None if greeting == "ready" else greeting.removeprefix("absent: ")

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


def measure(python: str, n_rounds: int) -> list[Line]:
    """Return a line for each peer and number of sessions."""
    lines: list[Line] = []
    for n_sessions in SESSIONS:
        with ExitStack() as stack:
            peers = {
                # ours needs nothing of the peers' environment
                name: stack.enter_context(
                    _peer(sys.executable if name in OWN else python, name, n_sessions)
                )
                for name in PEERS
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
                "absent": peer.absent,
            }
            for name, peer in peers.items()
        ]
    return lines


def table(lines: list[Line]) -> list[str]:
    """Return the lines of a Markdown table."""
    columns = ["peer", "sessions", "µs a learned session-tick: median (least to most)"]
    columns += ["learned session-ticks/s", "ours is faster by", "what differs"]
    rows = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for line in lines:
        differs = DIFFERENCES[line["peer"]]
        if line["absent"] is not None:
            rows.append(
                f"| {line['peer']} | {line['sessions']} | skipped: {line['absent']} | | | |"
            )
            continue
        times = line["microseconds"]
        spread = f"{median(times):.1f} ({min(times):.1f} to {max(times):.1f})"
        rows.append(
            f"| {line['peer']} | {line['sessions']} | {spread} | {1e6 / median(times):,.0f}"
            f" | {line['times_ours']:.1f} | {differs} |"
        )
    return rows


def draw(lines: list[Line]) -> None:
    """Draw the speed of each peer by sessions."""
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for name in PEERS:
        points = [
            (line["sessions"], 1e6 / median(line["microseconds"]))
            for line in lines
            if line["peer"] == name and line["microseconds"]
        ]
        if points:
            width = 2.5 if name == "ours" else 1.2
            axes.loglog(*zip(*points, strict=True), "o-", linewidth=width, label=name)
    axes.set_xlabel("sessions")
    axes.set_xticks(SESSIONS, [str(n) for n in SESSIONS])
    axes.set_ylabel("learned session-ticks a second, one core")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(FIGURE, dpi=130)
    plt.close(figure)


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Other libraries beside ours.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", default=sys.executable, help="where the peers are installed")
    options = parser.parse_args()
    lines = measure(options.python, options.rounds)
    rows = table(lines)
    print("\n".join(rows))
    about = facts(f"python -m benchmarks.peers --rounds {options.rounds}") | {"cores": "1"}
    RESULTS.write_text(json.dumps(about | {"lines": lines}, indent=1) + "\n")
    draw(lines)
    append("Peers, learned session-ticks", about, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
