"""How many sessions learn in real time on this machine, the load on the same machine.

    python -m benchmarks.service [--seconds 15] [--most 250]
    python -m benchmarks.service --sessions 100 --seconds 600

A server of its own, snapshots on, under `clients.load`: without ``--sessions`` short runs search
for the most sessions of which every promise is held, p99 of the lag under 50 ms among them. With
``--sessions`` that many run for the given time, segments ending spread over time, and then the same
with all ending at the same moments. Writes ``benchmarks/results/service.json`` and
``docs/figures/service.png``, or ``service_load`` in place of ``service``; appends to
``benchmarks/RESULTS.md``. A long run returns 1 if it broke a promise.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from benchmarks.measured_on import append, facts
from clients.load_arguments import parse
from clients.load_run import Load, Progress
from clients.local_server import local_server

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
FIGURES = ROOT / "docs" / "figures"

FIRST = 50
CLOSE_ENOUGH = 0.1
DEADLINE_MS = 50.0
# as users come: while a hundred ask within seconds, what they will need is guessed, and too high
OPENS_PER_S = 4.0

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#999999"

Report = dict[str, Any]


def run(host: str, n_sessions: int, seconds: float, *, is_synchronised: bool) -> Report:
    """Load a server once; return what `clients.load_report` makes of it."""
    options = ["--url", f"ws://{host}/v1/stream", "--sessions", str(n_sessions)]
    options += ["--seconds", str(seconds), "--opens-per-s", str(OPENS_PER_S)]
    options += ["--deadline-ms", str(DEADLINE_MS)]
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{n_sessions} sessions", total=1.0)

        def show(progress: Progress) -> None:
            words = f"{progress.n_admitted} sessions, worst lag {progress.worst_ms:.0f} ms"
            bar.update(task, completed=progress.share_done, description=words)

        arguments = parse([*options, "--synchronised"] if is_synchronised else options)
        return Load(arguments, None, show).run()


def holds(report: Report) -> bool:
    """Tell whether all sessions were admitted and every promise to them was held."""
    sessions = report["sessions"]
    return sessions["admitted"] == sessions["asked"] and not report["broken"]


def search(host: str, seconds: float, most: int) -> list[Report]:
    """Double the sessions until a promise breaks, then halve what is between."""
    reports: list[Report] = []
    held, broken = 0, most + 1
    n_sessions = min(FIRST, most)
    while broken - held > max(1, CLOSE_ENOUGH * held):
        reports.append(run(host, n_sessions, seconds, is_synchronised=False))
        print(line(reports[-1]), flush=True)
        if holds(reports[-1]):
            held = n_sessions
        else:
            broken = n_sessions
        n_sessions = min(2 * held, most) if broken > most else (held + broken) // 2
        if held == most:
            break
    return reports


HEAD = (
    "| sessions | admitted | ends | p50 | p95 | p99 | max, ms | missed | server, load: cores"
    " | MiB a session: process, network | accuracy | held |\n" + "|---" * 12 + "|"
)


def line(report: Report) -> str:
    """Return a run's line of the table."""
    sessions, lag, use = report["sessions"], report["lag_ms"], report["server"]
    ends = "together" if "same" in report["workload"]["segments_end"] else "spread"
    lags = " | ".join("never" if value is None else f"{value:.1f}" for value in lag.values())
    accuracy = report["quality"]["accuracy"]
    quality = "too short" if accuracy is None else f"{accuracy:.2f}"
    held = "yes" if holds(report) else "; ".join(report["broken"]) or "refused"
    memory = f"{use['resident_mib_per_session']:.1f}, {use['network_mib_per_session']:.2f}"
    cells = [sessions["asked"], sessions["admitted"], ends, lags, f"{report['frames']['missed']:,}"]
    cells += [f"{use['cpu_cores']:.2f}, {report['load_cores']:.2f}", memory, quality, held]
    return f"| {' | '.join(map(str, cells))} |"


def draw_search(reports: list[Report], path: Path) -> None:
    """Draw the lag by sessions."""
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    ordered = sorted(reports, key=lambda report: int(report["sessions"]["asked"]))
    for name, colour in (("p50", _GREY), ("p95", _BLUE), ("p99", _ORANGE)):
        points = [(r["sessions"]["asked"], r["lag_ms"][name]) for r in ordered]
        known = [(n, lag) for n, lag in points if lag is not None]
        axes.semilogy([n for n, _ in known], [lag for _, lag in known], "o-", color=colour)
        axes.annotate(name, known[-1], xytext=(6, 0), textcoords="offset points", color=colour)
    axes.axhline(DEADLINE_MS, color="0.6", linestyle="--", linewidth=0.8)
    axes.set_xlabel("sessions in real time, learning")
    axes.set_ylabel("lag of predictions (ms)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw_load(reports: list[Report], path: Path) -> None:
    """Draw the lag over time, one panel for each run."""
    figure, panels = plt.subplots(len(reports), 1, figsize=(7, 5), sharex=True, sharey=True)
    for panel, report in zip(panels, reports, strict=True):
        for name, colour in (("p50", _GREY), ("p99", _ORANGE), ("max", _BLUE)):
            slices = report["timeline"]
            minutes = [slice_["from_s"] / 60 for slice_ in slices]
            panel.plot(minutes, [slice_[name] for slice_ in slices], color=colour, label=name)
        panel.axhline(DEADLINE_MS, color="0.6", linestyle="--", linewidth=0.8)
        n_sessions = report["sessions"]["admitted"]
        panel.set_title(f"{n_sessions} sessions, segments end {report['workload']['segments_end']}")
        panel.set_ylabel("lag (ms)")
        panel.spines[["top", "right"]].set_visible(False)
    # the panels share their axis: it is set once all of them are drawn
    panels[0].set_ylim(bottom=0)
    panels[0].legend(frameon=False, loc="upper left", ncols=3)
    panels[-1].set_xlabel("minutes")
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main() -> int:
    """Measure, print, write; return 1 if a long run broke a promise."""
    parser = argparse.ArgumentParser(description="How many sessions learn in real time.")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each run")
    parser.add_argument("--most", type=int, default=250, help="where the search ends")
    parser.add_argument("--sessions", type=int, help="run so many, spread and then together")
    options = parser.parse_args()
    command = f"python -m benchmarks.service --seconds {options.seconds:g}"
    print(HEAD, flush=True)
    with local_server() as host:
        if options.sessions is None:
            name, command = "service", f"{command} --most {options.most}"
            reports = search(host, options.seconds, options.most)
            draw_search(reports, FIGURES / f"{name}.png")
        else:
            name, command = "service_load", f"{command} --sessions {options.sessions}"
            reports = []
            for is_synchronised in (False, True):
                reports.append(
                    run(host, options.sessions, options.seconds, is_synchronised=is_synchronised)
                )
                print(line(reports[-1]), flush=True)
            draw_load(reports, FIGURES / f"{name}.png")
    about = facts(command) | {"workload": json.dumps(reports[0]["workload"])}
    (RESULTS / f"{name}.json").write_text(json.dumps(about | {"runs": reports}, indent=1) + "\n")
    append("Service, sessions in real time", about, [HEAD, *map(line, reports)])
    return int(options.sessions is not None and not all(map(holds, reports)))


if __name__ == "__main__":
    sys.exit(main())
