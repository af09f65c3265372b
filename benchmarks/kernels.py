"""How fast sessions advance: the compiled CPU kernel beside two networks in plain torch.

    python -m benchmarks.kernels [--rounds 7]

One core, sessions of SHD's size (700-128-128-20, both hidden layers recurrent), random spikes on
45 or 86 of the 700 channels each tick. Learned ticks hold inference, eligibility and e-prop;
``segment`` adds an Adam step every 128 ticks, ``tick`` moves the weights at each tick, plainly, by
``momentum`` or ``preconditioned`` by squares of segment gradients.
``reference`` is the kernel that tests compare with, written to be read; ``eager`` is
`eager_network`, written to be fast.

Competitors and cases take turns within each round; printed are medians over the rounds with least
and most, of processor time, so that a busy machine changes them less. Writes
``benchmarks/results/kernels.json``, appends to ``benchmarks/RESULTS.md``.
"""

import argparse
import json
import platform
import sys
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import torch

from benchmarks.kernel_runners import GAINS, Case, EagerRunner, LearnerRunner
from clients.training.surroundings import commit, machine

FOLDER = Path(__file__).parent
RESULTS, LOG = FOLDER / "results" / "kernels.json", FOLDER / "RESULTS.md"

LOWEST_ACTIVITY, HIGHEST_ACTIVITY = 0.05, 0.20
# the least that a tick takes, in µs
FLOORS = dict.fromkeys(("segment", "tick", "momentum", "preconditioned"), 12.0)
FLOORS["off"] = 1.0
FLOOR_SOURCE = (
    "a learned dense tick reads and writes 567 KB of weights or gradient once, 2 x 567 KB at the"
    " 95 GB/s that one core moves within its L2 cache: 12 us; inference, sparse gathers of weights:"
    " about 1 us; blocks of ticks can go below the dense floor"
)
# the least in blocks: a tick's arithmetic, and a call's one reading and writing of the weights
BLOCK_ARITHMETIC_US = 3.0
BLOCK_FLOOR_SOURCE = (
    "in calls of K ticks: 3 us of arithmetic a tick (outer products 1.3, inference 1, the chain"
    " 0.7), and the 12 us of reading and writing once a call: 3 + 12 / K us; inference as above"
)
DIFFERENCES = (
    "eager takes dense input made beforehand and leaves out the decay minima, the checks of input"
    " and gradient, the losses and the counters; the kernels do all of these"
)
# what eager computes too
_COMPARED = ("segment", "tick", "off")
_BLOCKS, _SESSIONS = (64, 16, 4, 1), (8, 64, 512)


def cases() -> list[Case]:
    """Return the lines of the table; sessions in turn at blocks of 16 ticks, 45 active channels."""
    # the reference's many small operations hide what a call costs
    compared = [
        Case(kernel, learning, active, ticks)
        for active in GAINS
        for learning in _COMPARED
        for kernel, ticks in (
            ("reference", 64),
            *((kernel, ticks) for kernel in ("eager", "cpu") for ticks in _BLOCKS),
        )
    ]
    others = [
        Case("cpu", learning, 45, ticks)
        for learning in ("momentum", "preconditioned")
        for ticks in (64, 16)
    ]
    in_turn = [
        Case("cpu", learning, 45, 16, sessions) for learning in _COMPARED for sessions in _SESSIONS
    ]
    return compared + others + in_turn


@dataclass
class Line:
    """What was measured of a case.

    Attributes:
        case: The case.
        microseconds: A tick, in each round.
        activity: Spikes of each hidden layer by neuron and tick.
    """

    case: Case
    microseconds: list[float]
    activity: list[float]

    @property
    def ticks_a_second(self) -> float:
        """Of the median round."""
        return 1e6 / median(self.microseconds)


def _checked(case: Case, rates: list[float]) -> list[float]:
    if not all(LOWEST_ACTIVITY <= rate <= HIGHEST_ACTIVITY for rate in rates):
        raise RuntimeError(
            f"{case}: activity {rates} is not within [{LOWEST_ACTIVITY}, {HIGHEST_ACTIVITY}]:"
            " the speed would mean nothing"
        )
    return rates


def measure(n_rounds: int) -> tuple[list[Line], float]:
    """Run all cases in turns; return their lines and the longest warm-up in seconds."""
    runners = [
        EagerRunner(case) if case.kernel == "eager" else LearnerRunner(case) for case in cases()
    ]
    for runner in runners:
        runner.round()
    times: list[list[float]] = [[] for _ in runners]
    for _ in range(n_rounds):
        for runner, rounds in zip(runners, times, strict=True):
            rounds.append(runner.round())
    lines = [
        Line(case, rounds, _checked(case, runner.activity()))
        for case, rounds, runner in zip(cases(), times, runners, strict=True)
    ]
    return lines, max(runner.warm_up_s for runner in runners)


def block_floor(case: Case) -> float:
    """Return the microseconds of a tick that calls of so many ticks can't go below."""
    if case.learning == "off":
        return FLOORS["off"]
    return BLOCK_ARITHMETIC_US + FLOORS[case.learning] / case.ticks_a_call


def ratios(lines: list[Line]) -> list[dict[str, float]]:
    """Return how each line compares: times the reference, times eager, fractions of both floors.

    The eager line beside it advances one session, as many ticks a call; both peers of an update
    that they lack are those of ``tick``.
    """
    speeds = {line.case: line.ticks_a_second for line in lines}
    answers = []
    for case, speed in speeds.items():
        learning = case.learning if case.learning in _COMPARED else "tick"
        peer = Case("eager", learning, case.active, case.ticks_a_call)
        reference = replace(peer, kernel="reference", ticks_a_call=64)
        answers.append(
            {
                "times_reference": speed / speeds[reference],
                "times_eager": speed / speeds[peer],
                "fraction_of_floor": FLOORS[case.learning] * speed / 1e6,
                "fraction_of_block_floor": block_floor(case) * speed / 1e6,
            }
        )
    return answers


def table(lines: list[Line]) -> list[str]:
    """Return the lines of a Markdown table."""
    columns = ["learning", "active channels", "kernel", "sessions", "ticks a call"]
    columns += ["µs a tick: median (least to most)", "ticks/s", "times reference", "times eager"]
    columns += ["fraction of the dense floor", "of the floor in blocks", "hidden activity"]
    rows = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for line, ratio in zip(lines, ratios(lines), strict=True):
        case, times = line.case, line.microseconds
        activity = ", ".join(f"{rate:.2f}" for rate in line.activity)
        rows.append(
            f"| {case.learning} | {case.active} | {case.kernel} | {case.sessions}"
            f" | {case.ticks_a_call}"
            f" | {median(times):.1f} ({min(times):.1f} to {max(times):.1f})"
            f" | {line.ticks_a_second:,.0f} | {ratio['times_reference']:.1f}"
            f" | {ratio['times_eager']:.1f} | {ratio['fraction_of_floor']:.2f}"
            f" | {ratio['fraction_of_block_floor']:.2f} | {activity} |"
        )
    return rows


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Speed of the kernels.")
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    lines, warm_up_s = measure(chosen.rounds)
    facts = {
        "machine": f"{machine()}, one of them used",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "command": f"python -m benchmarks.kernels --rounds {chosen.rounds}",
        "versions": f"Python {platform.python_version()}, torch {torch.__version__}",
        "warm_up_s": round(warm_up_s, 1),
        "floor": FLOOR_SOURCE,
        "floor in blocks": BLOCK_FLOOR_SOURCE,
        "what differs": DIFFERENCES,
    }
    rows = table(lines)
    print("\n".join(rows))
    print(facts)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    entries = [asdict(line) | r for line, r in zip(lines, ratios(lines), strict=True)]
    measured = facts | {"lines": entries}
    RESULTS.write_text(json.dumps(measured, indent=1) + "\n")
    described = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    with LOG.open("a") as log:
        log.write(f"\n## Kernels\n\n{described}\n\n" + "\n".join(rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
