"""How fast the CUDA kernel advances many sessions: ``python -m benchmarks.gpu [--rounds 7]``.

Networks of SHD's size (700-128-128-20, both hidden layers recurrent), weights of their own for each
session, random spikes on 45 of the 700 channels each tick. ``tick`` moves weights at each tick by
SGD, ``segment`` adds gradients up and takes an Adam step every 100 ticks, ``off`` only infers.

Times are those of the device, between two of its events: a launch alone, its input on the device
already; for ``segment`` a hundredth of the steps of all sessions is added for each tick of the
block. Beside it stands what a whole call took, input and answers on their way included. The ceiling
is measured in the same run: reading and writing a large array in place. Printed are medians over
the rounds; writes ``benchmarks/results/gpu.json``, appends to ``benchmarks/RESULTS.md``. Refuses
where there is no GPU.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks import gpu_device
from benchmarks.kernel_runners import GAINS, RATE, RULES, TICKS_A_SEGMENT
from benchmarks.measured_on import append, facts
from tclif_core import EventBlock, Learner, NetworkSpec
from tclif_core.batch import Batch

RESULTS = Path(__file__).parent / "results" / "gpu.json"
SESSIONS = (1, 8, 64, 512, 4096, 16384)
BLOCKS = (1, 4, 16, 64)
ACTIVE = 45
CEILING_BYTES = 2**30
LOWEST_ACTIVITY, HIGHEST_ACTIVITY = 0.05, 0.20
DIFFERENCES = (
    "segments do not begin anew within a run; answers of a launch stay on the device, but for the"
    " column of whole calls"
)

Timer = Callable[[Callable[[], object]], float]
"""Runs something and returns how many seconds it took."""


@dataclass(frozen=True)
class Line:
    """What was measured of a case.

    Attributes:
        learning: Key of `RULES`.
        n_sessions: How many advance in one launch.
        block: Ticks of each.
        launch_s: A launch, in each round.
        updates_s: The optimiser's step of all sessions, likewise; 0 where there is none.
        call_s: A whole call of `Learner.advance`, likewise.
        activity: Spikes of each hidden layer by neuron and tick.
    """

    learning: str
    n_sessions: int
    block: int
    launch_s: list[float]
    updates_s: list[float]
    call_s: list[float]
    activity: list[float]

    @property
    def ticks_a_second(self) -> float:
        """Session-ticks by the median launch, its share of the updates included."""
        updates_s = median(self.updates_s) * self.block / TICKS_A_SEGMENT
        return self.n_sessions * self.block / (median(self.launch_s) + updates_s)

    def floor_fraction(self, n_parameters: int, bytes_a_second: float) -> float | None:
        """Return what part of the bandwidth's bound was reached; None where weights only rest.

        Each weight, or its gradient, is read and written once a block.
        """
        if self.learning == "off":
            return None
        return self.ticks_a_second * 2 * 4 * n_parameters / self.block / bytes_a_second


def random_block(network: NetworkSpec, n_sessions: int, n_ticks: int, active: int) -> EventBlock:
    """Return input of some sessions: each tick has events on that many channels, drawn anew."""
    generator = np.random.default_rng(7)
    drawn = generator.random((1024, network.inputs)).argpartition(active, axis=1)[:, :active]
    chosen = generator.integers(0, len(drawn), n_sessions * n_ticks)
    channels = drawn[chosen].astype(np.int32).reshape(-1)
    return EventBlock(
        np.arange(n_sessions + 1) * n_ticks,
        np.arange(n_sessions * n_ticks + 1) * active,
        channels,
        np.ones(len(channels), np.float32),
    )


class Sessions:
    """Some sessions of one learner that advance together."""

    def __init__(self, network: NetworkSpec, learning: str, n_sessions: int, timer: Timer) -> None:
        self._learning, self._timer = learning, timer
        self.learner = Learner(network, RULES[learning], kernel="cuda", capacity=n_sessions)
        self.slots = [self.learner.open(seed=seed, rate=RATE) for seed in range(n_sessions)]
        self.learner.warm_up()

    def measure(self, block: int, n_rounds: int, active: int) -> Line:
        """Time launches, updates and whole calls of so many ticks a session."""
        from tclif_core.kernels.cuda import CudaKernel  # noqa: PLC0415 - needs the extra gpu

        learner, n_sessions = self.learner, len(self.slots)
        slots = np.array(self.slots, np.int64)
        kernel = CudaKernel(learner.bank)
        strands = np.zeros(n_sessions, np.int64)
        learns = np.full(n_sessions, self._learning != "off")
        events = random_block(learner.network, n_sessions, block, active)
        targets = np.full(n_sessions * block, 1)
        sent = kernel.send(Batch(slots, strands, learns, events, targets))
        line = Line(self._learning, n_sessions, block, [], [], [], [])
        # the first round warms up
        for _ in range(n_rounds + 1):
            launch = self._timer(lambda: kernel.launch(sent, n_sessions, n_sessions * block))
            updates = 0.0
            if self._learning == "segment":
                updates = self._timer(lambda: learner.apply_updates(slots))
            begin = time.perf_counter()
            learner.advance(slots, strands, learns, events, targets)
            line.call_s.append(time.perf_counter() - begin)
            line.launch_s.append(launch)
            line.updates_s.append(updates)
        for times in (line.call_s, line.launch_s, line.updates_s):
            del times[0]
        counts, n_ticks = learner.spike_counts(self.slots[0])
        for count, size in zip(counts, learner.network.hidden, strict=True):
            line.activity.append(float(count) / n_ticks / size)
        return line


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch's own


def device_timer(function: Callable[[], object]) -> float:
    """Return the seconds between two events of the device, around what a function starts there."""
    begin, end = (_event() for _ in range(2))
    begin.record()
    function()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1e3


def bytes_a_second(timer: Timer, device: str, n_bytes: int, n_rounds: int) -> float:
    """Return how fast a large array is read and written in place."""
    numbers = torch.zeros(n_bytes // 4, device=device)
    times = [timer(lambda: numbers.add_(1.0)) for _ in range(n_rounds + 1)]
    return 2 * n_bytes / median(times[1:])


def table(lines: list[Line], n_parameters: int, ceiling: float) -> list[str]:
    """Return the lines of a Markdown table."""
    columns = ["learning", "sessions", "block", "session-ticks/s", "sessions in real time"]
    columns += ["fraction of the floor", "µs a launch", "µs a whole call", "hidden activity"]
    rows = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for line in lines:
        fraction = line.floor_fraction(n_parameters, ceiling)
        activity = ", ".join(f"{rate:.2f}" for rate in line.activity)
        rows.append(
            f"| {line.learning} | {line.n_sessions} | {line.block} | {line.ticks_a_second:,.0f}"
            f" | {line.ticks_a_second / 250:,.0f} | {'' if fraction is None else f'{fraction:.2f}'}"
            f" | {median(line.launch_s) * 1e6:,.0f} | {median(line.call_s) * 1e6:,.0f}"
            f" | {activity} |"
        )
    return rows


def check_activity(line: Line) -> None:
    """Refuse a network that hardly fires, or fires all the time.

    Raises:
        RuntimeError: A layer's activity lies outside its interval.
    """
    if not all(LOWEST_ACTIVITY <= rate <= HIGHEST_ACTIVITY for rate in line.activity):
        raise RuntimeError(
            f"{line}: activity is not within [{LOWEST_ACTIVITY}, {HIGHEST_ACTIVITY}]:"
            " the speed would mean nothing"
        )


def write(
    lines: list[Line], n_parameters: int, ceiling: float, about: dict[str, str], results: Path
) -> None:
    """Print the table, write the results, append to the log.

    Args:
        lines: What was measured.
        n_parameters: Of each session.
        ceiling: Bytes a second that the device reads and writes.
        about: Where and when.
        results: The file.
    """
    about = about | {"ceiling_gb_a_second": f"{ceiling / 1e9:.1f}", "what differs": DIFFERENCES}
    rows = table(lines, n_parameters, ceiling)
    print("\n".join(rows))
    print(about)
    entries = [
        asdict(line)
        | {
            "session_ticks_a_second": line.ticks_a_second,
            "fraction_of_floor": line.floor_fraction(n_parameters, ceiling),
        }
        for line in lines
    ]
    results.write_text(json.dumps(about | {"lines": entries}, indent=1) + "\n")
    append("Kernels, on a GPU", about, rows)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Speed of the CUDA kernel.")
    parser.add_argument("--rounds", type=int, default=7)
    n_rounds = parser.parse_args(arguments).rounds
    if gpu_device.main():
        return 1
    input_gain, hidden_gain = GAINS[ACTIVE]
    network = NetworkSpec(
        inputs=700, hidden=(128, 128), classes=20, input_gain=input_gain, hidden_gain=hidden_gain
    )
    lines, n_parameters = [], 0
    ceiling = bytes_a_second(device_timer, "cuda", CEILING_BYTES, n_rounds)
    for learning in RULES:
        for n_sessions in SESSIONS:
            sessions = Sessions(network, learning, n_sessions, device_timer)
            n_parameters = sessions.learner.n_parameters
            for block in BLOCKS:
                lines.append(sessions.measure(block, n_rounds, ACTIVE))
                check_activity(lines[-1])
            # the memory of the next ones may not fit beside it
            del sessions
    about = facts(f"python -m benchmarks.gpu --rounds {n_rounds}")
    about["machine"] = f"{gpu_device.describe()}; {about['machine']}"
    write(lines, n_parameters, ceiling, about, RESULTS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
