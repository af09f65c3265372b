"""Many trainings, two at a time, that survive an interruption.

Each run works in a process of its own and keeps its state in a folder after every pass; run again,
the same command leaves finished runs as they are and goes on with the others where they stood. A
run whose settings or recordings have changed starts anew.
"""

import json
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Any, NamedTuple

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from tclif_core.training import Training, TrainingState
from tclif_core.training.examples import Example
from tclif_core.training.reports import OtherTraining, PassReport

Result = dict[str, Any]


class Desk(NamedTuple):
    """What a run gets: where to keep its state, and whom to tell of a pass."""

    state: Path
    tell: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Run:
    """Something to compute once.

    Attributes:
        settings: Plain JSON values; a stored result of other settings is computed anew.
        n_passes: How often it tells of its progress.
        compute: Called in a process of its own, so it must be picklable; returns JSON values.
    """

    settings: Mapping[str, Any]
    n_passes: int
    compute: Callable[[Desk], Result]


def run_all(runs: Mapping[str, Run], folder: Path, *, workers: int = 2) -> dict[str, Result]:
    """Compute all runs and return their results by name.

    Args:
        runs: By name, each a file name.
        folder: Keeps results and states; made if it is missing.
        workers: Processes at a time, one thread each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    results = {name: stored for name, run in runs.items() if (stored := _stored(run, folder, name))}
    waiting = {name: run for name, run in runs.items() if name not in results}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    context = multiprocessing.get_context("spawn")
    with (
        Progress(*columns, TextColumn("passes, left:"), TimeRemainingColumn()) as progress,
        context.Manager() as manager,
        ProcessPoolExecutor(
            workers, context, initializer=torch.set_num_threads, initargs=(1,)
        ) as pool,
    ):
        queue = manager.Queue()
        total = sum(run.n_passes for run in runs.values())
        done = sum(runs[name].n_passes for name in results)
        bar = progress.add_task(f"{len(runs)} runs", total=total, completed=done)
        futures = {
            pool.submit(_work, run, folder, name, queue): name for name, run in waiting.items()
        }
        pending = set(futures)
        while pending:
            finished, pending = wait(pending, timeout=0.5)
            _advance(progress, bar, queue)
            results |= {futures[future]: _written(future) for future in finished}
    return {name: results[name] for name in runs}


def train_and_judge(desk: Desk, training: Training, judged: Sequence[Example]) -> Result:
    """Train to the end, from where a stored state stood, and judge every example by itself.

    Returns:
        ``answers``: right and scored answers of each judged example ``[[int, int]]``; ``history``
        of the passes; ``seconds`` of computing since the last interruption.
    """
    started = time.perf_counter()
    _restore(training, desk.state)
    for _ in training.history:
        desk.tell()
    for report in training.run():
        if isinstance(report, PassReport):
            _store(training.state(), desk.state)
            desk.tell()
    answers = []
    for example in judged:
        tally = training.evaluate([example]).tally
        answers.append([tally.n_right, tally.n_answers])
    return {
        "answers": answers,
        "history": [report.to_dict() for report in training.history],
        "firing_rates": list(training.evaluate(judged).firing_rates),
        "seconds": time.perf_counter() - started,
    }


def _work(run: Run, folder: Path, name: str, queue: "Queue[str]") -> Result:
    result = run.compute(Desk(folder / f"{name}.state", lambda: queue.put(name)))
    result = {"settings": run.settings, **result}
    _replace(folder / f"{name}.json", lambda path: path.write_text(json.dumps(result) + "\n"))
    (folder / f"{name}.state").unlink(missing_ok=True)
    return result


def _written(future: "Future[Result]") -> Result:
    # JSON turns tuples into lists, and results must not differ by whether they were stored
    result: Result = json.loads(json.dumps(future.result()))
    return result


def _stored(run: Run, folder: Path, name: str) -> Result | None:
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    result: Result = json.loads(path.read_text())
    return result if result["settings"] == json.loads(json.dumps(run.settings)) else None


def _advance(progress: Progress, bar: Any, queue: "Queue[str]") -> None:  # noqa: ANN401 - rich's own number
    while True:
        try:
            name = queue.get_nowait()
        except Empty:
            return
        progress.update(bar, advance=1, description=name)


def _store(state: TrainingState, path: Path) -> None:
    values = {"values": json.dumps(state.values)}
    tensors = {name: tensor.contiguous() for name, tensor in state.tensors.items()}
    _replace(path, lambda new: save_file(tensors, new, metadata=values))


def _restore(training: Training, path: Path) -> None:
    if not path.exists():
        return
    try:
        with safe_open(path, "pt") as stored:
            values = json.loads(stored.metadata()["values"])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - no mapping
        training.restore(TrainingState(tensors, values))
    except (OtherTraining, SafetensorError) as error:
        print(f"{path} is left: {error}")


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place and move it there, so that none is ever half written."""
    new = path.with_name(f"{path.name}.new")
    write(new)
    new.replace(path)
