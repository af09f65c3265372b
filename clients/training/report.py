"""What a training came to: `report.json`, the picture beside it, and the last lines on screen."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients.optional_packages import import_optional
from clients.recordings import Source
from clients.training.arguments import Arguments
from clients.training.progress import activity_warnings, clock_face, shown
from clients.training.recordings import Division
from clients.training.surroundings import commit, machine, versions
from tclif_core.training import Training
from tclif_core.training.examples import digest
from tclif_core.whole_file import write_whole


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened beside the passes.

    Attributes:
        seconds: Of training, those before an interruption included.
        resumed_after: For each time the run went on: the examples it had learnt by then.
        test_score: On the recordings of ``--test``; None without.
        n_test: How many those are.
        failure: Why training could not go on; None if it could.
    """

    seconds: float
    resumed_after: tuple[int, ...] = ()
    test_score: float | None = None
    n_test: int = 0
    failure: str | None = None


def as_json(
    arguments: Arguments, source: Source, division: Division, training: Training, outcome: Outcome
) -> dict[str, Any]:
    """Gather all that a report tells, as plain JSON values."""
    history, kept = training.history, training.kept_pass
    last = history[kept - 1] if kept else None
    return {
        "source": arguments.source,
        "test": arguments.test,
        "limit": arguments.limit,
        "classes": list(source.classes),
        "tick_us": arguments.tick_us,
        "settings": {
            "network": training.network.to_dict(),
            "learning": training.learning.to_dict(),
            "training": training.spec.to_dict(),
        },
        "examples": {
            "training": len(division.training),
            "validation": len(division.validation),
            "test": outcome.n_test,
        },
        # what --resume compares: equal digests, equal recordings in equal order
        "digests": {
            "training": digest(division.training),
            "validation": digest(division.validation),
        },
        "held_out": division.held_out,
        "groups": {
            "training": sorted({example.group for example in division.training}),
            "validation": sorted({example.group for example in division.validation}),
        },
        "history": [report.to_dict() for report in history],
        "stop_reason": training.stop_reason,
        "failure": outcome.failure,
        "kept": {"pass": kept, "why": why_kept(training)},
        "scores": {
            "train": None if last is None else last.train_score,
            "validation": None if last is None else last.validation_score,
            "test": outcome.test_score,
        },
        "firing_rates": None if last is None else list(last.firing_rates),
        "warnings": [] if last is None else activity_warnings(last),
        "seconds": outcome.seconds,
        "resumed_after": list(outcome.resumed_after),
        "machine": machine(),
        "versions": versions(),
        "commit": commit(),
    }


def provenance_of(report: dict[str, Any]) -> dict[str, Any]:
    """Choose what a model tells of where it comes from."""
    recordings = ("source", "limit", "tick_us", "examples", "digests", "held_out", "groups")
    came_out = ("test", "scores", "kept", "firing_rates", "seconds")
    where = ("machine", "versions", "commit")
    chosen = {name: report[name] for name in (*recordings, *came_out, *where)}
    return {"training": report["settings"]["training"]} | chosen


def why_kept(training: Training) -> str:
    """Say which weights are kept."""
    if not training.history:
        return "no pass has ended"
    which = "the last pass"
    if training.spec.patience:
        which = f"the best validation, in pass {training.kept_pass} of {len(training.history)}"
    n_averaged = min(training.spec.average_last, training.kept_pass)
    return which if n_averaged <= 1 else f"{which}, averaged over {n_averaged} passes up to it"


def write_report(folder: Path, report: dict[str, Any], *, plot: bool) -> None:
    """Write ``report.json`` and, if asked for and a pass has ended, ``report.png``.

    Raises:
        OSError: They can't be written.
        MissingPackage: matplotlib is not installed.
    """
    text = json.dumps(report, indent=2) + "\n"
    write_whole(folder / "report.json", text.encode())
    if plot and report["history"]:
        picture: bytes = plot_module().draw(report)
        write_whole(folder / "report.png", picture)


def plot_module() -> Any:  # noqa: ANN401 - a module that may be missing
    """Import what draws.

    Raises:
        MissingPackage: matplotlib is not installed.
    """
    return import_optional("clients.training.plot", "to draw report.png", extra="train")


def summary_lines(report: dict[str, Any], arguments: Arguments) -> list[str]:
    """Write the end of a run; the last line is one that scripts may read."""
    scores = report["scores"]
    numbers = {
        "passes": len(report["history"]),
        "kept_pass": report["kept"]["pass"],
        "train_accuracy": shown(scores["train"]),
        "validation_accuracy": shown(scores["validation"]),
        "test_accuracy": shown(scores["test"]),
        "seconds": round(report["seconds"]),
    }
    return [
        f"kept: {report['kept']['why']}; training took {clock_face(report['seconds'])}",
        f"model {arguments.output}, report {arguments.report / 'report.json'}",
        " ".join(f"{name}={value}" for name, value in numbers.items()),
    ]
