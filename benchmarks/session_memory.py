"""What a session takes in memory, addition by addition, and that a long stream adds nothing.

    python -m benchmarks.session_memory [--sessions 64] [--ticks 1000000]

Sessions of SHD's size (700-128-128-20, both hidden layers recurrent) in the slot bank, one learner
for each way of learning in a process of its own. Each session learns a little, so that every page
is touched; then one of them goes on for the whole stream, a segment of 100 ticks after the other.
Measured at the stream's begin and end: the arrays that the learner reaches, and what the process
has in memory; both by session, what the learner keeps for all of them included. Beside it what the
service keeps of a segment that waits for its label. Prints tables, writes
``benchmarks/results/session_memory.json``, appends to ``benchmarks/RESULTS.md``.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.live_memory import reachable_bytes, resident_bytes
from benchmarks.measured_on import append, facts
from service.settings import SessionSettings
from service.stream.client_segmentation import ClientSegmentation
from service.stream.cutting import StreamForm
from tclif_core import EventBlock, Learner, LearningSpec, NetworkSpec, SlotIndex, Strand

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "session_memory.json"

NETWORK = NetworkSpec(inputs=700, hidden=(128, 128), classes=20)
RULES = {
    "SGD at each tick": LearningSpec(update="tick", optimizer="sgd"),
    "the same with momentum": LearningSpec(update="tick", optimizer="sgd", momentum=0.9),
    "segments' gradients added up, SGD": LearningSpec(optimizer="sgd"),
    "the same, RMSprop": LearningSpec(optimizer="rmsprop"),
    "the same, Adam": LearningSpec(),
    "frozen: inference only": LearningSpec(update="frozen"),
}
MOST_FOR_SGD = 1.15
"""What a session may take with SGD at each tick, in its parameters in float32."""

CALL_TICKS = 100
TICK_US, SEGMENT_TICKS, ACTIVE = 4000, 250, 45

Row = dict[str, Any]


def measure(network: NetworkSpec, name: str, n_sessions: int, n_ticks: int) -> Row:
    """Open sessions that learn by a rule, let one go on for a long stream, look before and after.

    Args:
        network: Of all of them.
        name: Key of `RULES`.
        n_sessions: How many.
        n_ticks: Of the stream, a multiple of `CALL_TICKS`.
    """
    learning = RULES[name]
    learns = learning.update != "frozen"
    generator = np.random.default_rng(1)
    x = generator.random((CALL_TICKS, network.inputs)) < ACTIVE / 700
    block = EventBlock.from_dense([x.astype(np.float64)])
    targets = generator.integers(0, network.classes, CALL_TICKS)
    strand, learning_row = np.array([int(Strand.LIVE)]), np.array([learns])

    def segment(learner: Learner, slot: SlotIndex) -> None:
        learner.begin_segment(slot, Strand.LIVE)
        learner.advance(np.array([slot]), strand, learning_row, block, targets)
        if learns:
            learner.apply_update(slot)

    # compiled code and what a first call allocates are the process's, not a session's
    alone = Learner(network, learning, kernel="cpu", capacity=1)
    segment(alone, alone.open(seed=0, rate=1e-5))
    empty = resident_bytes()
    learner = Learner(network, learning, kernel="cpu", capacity=n_sessions)
    slots = [learner.open(seed=seed, rate=1e-5) for seed in range(n_sessions)]
    for slot in slots:
        segment(learner, slot)
    arrays, process = reachable_bytes(learner), resident_bytes()
    for _ in range(n_ticks // CALL_TICKS):
        segment(learner, slots[0])
    n_bytes = Learner.session_bytes(network, learning)
    return {
        "learning": name,
        "session_bytes": n_bytes,
        "times_parameters": n_bytes / (4 * learner.n_parameters),
        "arrays_a_session": arrays / n_sessions,
        "process_a_session": (process - empty) / n_sessions,
        "stream_ticks": n_ticks,
        "arrays_grew": reachable_bytes(learner) - arrays,
        "process_grew": resident_bytes() - process,
    }


def measure_apart(name: str, n_sessions: int, n_ticks: int) -> Row:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.session_memory", "--measure", name]
    command += ["--sessions", str(n_sessions), "--ticks", str(n_ticks)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - this very program
    row: Row = json.loads(answer.stdout)
    return row


def kept_segment(network: NetworkSpec, learning: LearningSpec) -> Row:
    """Return what the service keeps of a segment of a second that waits for its label."""
    form = StreamForm(tick_us=TICK_US, late_us=0, n_inputs=network.inputs)
    cuts = ClientSegmentation(form, SessionSettings())
    generator = np.random.default_rng(1)
    cuts.begin(0, 0)
    for tick in range(SEGMENT_TICKS):
        inputs = np.sort(generator.choice(network.inputs, ACTIVE, replace=False)).astype(np.int64)
        cuts.events(np.full(ACTIVE, tick * TICK_US), inputs)
    cuts.end(0, SEGMENT_TICKS * TICK_US)
    return {
        "ticks": SEGMENT_TICKS,
        "inputs": SEGMENT_TICKS * ACTIVE,
        "counted_bytes": cuts.kept_bytes,
        "arrays": reachable_bytes(cuts.kept),
        "state_bytes": Learner.state_bytes(network, learning),
        "most_bytes": SessionSettings().max_kept_bytes,
    }


def table(rows: list[Row]) -> list[str]:
    """Return the lines of a Markdown table."""
    columns = ["learning", "bytes of a session", "of its parameters", "arrays, a session"]
    columns += ["process, a session", "stream, ticks", "arrays grew", "process grew"]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    lines += [
        f"| {row['learning']} | {row['session_bytes']:,} | {row['times_parameters']:.3f}"
        f" | {row['arrays_a_session']:,.0f} | {row['process_a_session']:,.0f}"
        f" | {row['stream_ticks']:,} | {row['arrays_grew']:,} | {row['process_grew']:,} |"
        for row in rows
    ]
    return lines


def sentences(kept: Row) -> list[str]:
    """Say what the service keeps beside."""
    segment = f"A segment of {kept['ticks']} ticks and {kept['inputs']:,} inputs that waits"
    counted = f"{kept['counted_bytes']:,} bytes by the service's count"
    return [
        f"{segment} takes {counted}, {kept['arrays']:,} in arrays.",
        f"A kept state, one a segment with `carry_state`, takes {kept['state_bytes']:,} bytes.",
        f"The bound of all that is kept of a session is {kept['most_bytes']:,} bytes.",
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write; return 1 if a session with SGD at each tick takes too much."""
    parser = argparse.ArgumentParser(description="What a session takes in memory.")
    parser.add_argument("--sessions", type=int, default=64)
    parser.add_argument("--ticks", type=int, default=1_000_000, help="of the long stream")
    parser.add_argument("--measure", choices=RULES, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.measure is not None:
        print(json.dumps(measure(NETWORK, options.measure, options.sessions, options.ticks)))
        return 0
    rows = [measure_apart(name, options.sessions, options.ticks) for name in RULES]
    kept = kept_segment(NETWORK, LearningSpec())
    lines = [*table(rows), "", *sentences(kept)]
    print("\n".join(lines))
    command = "python -m benchmarks.session_memory"
    about = facts(f"{command} --sessions {options.sessions} --ticks {options.ticks}")
    measured = {"most_for_sgd": MOST_FOR_SGD, "rules": rows, "kept": kept}
    RESULTS.write_text(json.dumps(about | measured, indent=1) + "\n")
    append("Memory of a session", about, lines)
    return int(rows[0]["times_parameters"] > MOST_FOR_SGD)


if __name__ == "__main__":
    sys.exit(main())
