"""Many trainings, some at a time, that survive an interruption.

Each run works in a process of its own and keeps its state in a folder after every pass; run again,
the same command leaves finished runs as they are and goes on with the others where they stood. A
run that is not finished starts anew if its settings or recordings have changed. A finished one is
known by its settings alone: whoever changes recordings or code deletes the folder.
"""

import json
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

import torch

from clients.training.checkpoint import (
    Checkpoint,
    UnreadableCheckpoint,
    read_checkpoint,
    write_checkpoint,
)
from clients.training.progress import PlainView, View
from clients.training.terminal import BarView
from tclif_core.training import Training
from tclif_core.training.examples import Example
from tclif_core.training.reports import OtherTraining, PassReport
from tclif_core.whole_file import write_whole

Result = dict[str, Any]

_PACE_S = 3600.0
"""Time left is told from the passes of so long: one may take minutes."""


class RunFailed(RuntimeError):
    """A run ended without a result; what its process said of it is in standard error.

    Attributes:
        name: Of the run.
        exit_code: Of its process, negative where a signal ended it.
    """

    def __init__(self, name: str, exit_code: int | None) -> None:
        super().__init__(f"run {name} ended with exit code {exit_code} and without a result")
        self.name, self.exit_code = name, exit_code


class Desk(NamedTuple):
    """What a run gets.

    Attributes:
        state: Where to keep its state.
        tell: To be called with the number of passes done since the last call.
        find: To be called with the number of passes that a stored state had done.
    """

    state: Path
    tell: Callable[[int], None]
    find: Callable[[int], None]


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


class _Worker(NamedTuple):
    """A run at work."""

    name: str
    process: multiprocessing.context.SpawnProcess
    messages: Connection


class _Progress:
    """Passes done, shown to a person."""

    def __init__(self, view: View, runs: Mapping[str, Run], finished: Mapping[str, Result]) -> None:
        self._view, self._runs = view, runs
        self._done = {name: runs[name].n_passes for name in finished}
        self._begin()

    def tell(self, name: str, n_passes: int, *, were_found: bool) -> None:
        """Count passes of a run; those that were found say nothing of the pace."""
        self._done[name] = self._done.get(name, 0) + n_passes
        if were_found:
            self._begin()
        else:
            self._view.show(sum(self._done.values()), name)

    def finish(self, name: str) -> None:
        """Count a run as done."""
        self._done[name] = self._runs[name].n_passes
        self._view.say(f"{name} is done")

    def _begin(self) -> None:
        n_all = sum(run.n_passes for run in self._runs.values())
        self._view.begin(f"{len(self._runs)} runs", sum(self._done.values()), n_all)


def run_all(
    runs: Mapping[str, Run], folder: Path, *, workers: int = 2, view: View | None = None
) -> dict[str, Result]:
    """Compute all runs and return their results by name.

    However this ends, no process of a run is left behind.

    Args:
        runs: By name, each a file name.
        folder: Keeps results and states; made if it is missing.
        workers: Processes at a time, one thread each.
        view: Shows the progress; a bar on a terminal or lines elsewhere if it is not given.

    Raises:
        ValueError: There are to be no workers.
        RunFailed: A run ended without a result; the others are stopped, their states are kept.
        OSError: The folder can't be made.
    """
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    folder.mkdir(parents=True, exist_ok=True)
    results = {n: stored for n, run in runs.items() if (stored := _stored(run, folder, n))}
    view = view or _fitting_view()
    progress = _Progress(view, runs, results)
    waiting = [name for name in runs if name not in results]
    at_work: dict[object, _Worker] = {}
    try:
        while waiting or at_work:
            while waiting and len(at_work) < workers:
                worker = _start(waiting[0], runs[waiting.pop(0)], folder)
                at_work[worker.messages] = worker
            for messages in wait([worker.messages for worker in at_work.values()]):
                worker = at_work[messages]
                if not _hear(worker, progress):
                    results[worker.name] = _finished(worker, runs[worker.name], folder)
                    del at_work[messages]
                    progress.finish(worker.name)
    finally:
        _stop(at_work.values())
        view.close()
    return {name: results[name] for name in runs}


def train_and_judge(desk: Desk, training: Training, judged: Sequence[Example]) -> Result:
    """Train to the end, from where a stored state stood, and judge every example by itself.

    Returns:
        ``answers``: right and scored answers of each judged example ``[[int, int]]``; ``history``
        of the passes; ``firing_rates``; ``seconds`` of computing, those before an interruption
        included.
    """
    seconds_before = _go_on(desk, training)
    started = time.perf_counter()

    def seconds() -> float:
        return seconds_before + time.perf_counter() - started

    for report in training.run():
        if isinstance(report, PassReport):
            write_checkpoint(desk.state, Checkpoint(training.state(), {"seconds": seconds()}))
            desk.tell(1)
    answers = []
    for example in judged:
        tally = training.evaluate([example]).tally
        answers.append([tally.n_right, tally.n_answers])
    return {
        "answers": answers,
        "history": [report.to_dict() for report in training.history],
        "firing_rates": list(training.evaluate(judged).firing_rates),
        "seconds": seconds(),
    }


def _go_on(desk: Desk, training: Training) -> float:
    """Take up a stored state, if it is of this training; return its seconds of computing."""
    if not desk.state.exists():
        return 0.0
    try:
        checkpoint = read_checkpoint(desk.state)
        training.restore(checkpoint.state)
    except (OtherTraining, UnreadableCheckpoint) as error:
        print(f"{desk.state} is not gone on with: {error}", file=sys.stderr)
        return 0.0
    desk.find(len(training.history))
    seconds: float = checkpoint.run["seconds"]
    return seconds


def _fitting_view() -> View:
    return BarView(pace_s=_PACE_S) if sys.stdout.isatty() else PlainView()


def _start(name: str, run: Run, folder: Path) -> _Worker:
    context = multiprocessing.get_context("spawn")
    messages, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(run, folder, name, sender), daemon=True)
    process.start()
    # the worker's end must be open in the worker alone, or its death would not be heard
    sender.close()
    return _Worker(name, process, messages)


def _work(run: Run, folder: Path, name: str, sender: Connection) -> None:
    # Ctrl-C reaches every process of a terminal; the one that started this one decides what follows
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    desk = Desk(
        folder / f"{name}.state",
        tell=lambda n_passes: sender.send((n_passes, False)),
        find=lambda n_passes: sender.send((n_passes, True)),
    )
    result = {"settings": run.settings, **run.compute(desk)}
    write_whole(folder / f"{name}.json", (json.dumps(result) + "\n").encode())
    desk.state.unlink(missing_ok=True)


def _hear(worker: _Worker, progress: _Progress) -> bool:
    """Take a worker's message; return False if none will follow."""
    try:
        n_passes, were_found = worker.messages.recv()
    except (EOFError, OSError):
        # it has ended, or was ended in the midst of a message
        return False
    progress.tell(worker.name, n_passes, were_found=were_found)
    return True


def _finished(worker: _Worker, run: Run, folder: Path) -> Result:
    worker.process.join()
    worker.messages.close()
    result = _stored(run, folder, worker.name)
    if worker.process.exitcode != 0 or result is None:
        raise RunFailed(worker.name, worker.process.exitcode)
    return result


def _stop(workers: Collection[_Worker]) -> None:
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join()
        worker.messages.close()


def _stored(run: Run, folder: Path, name: str) -> Result | None:
    """Return the result of a run, if there is a sound one of its settings."""
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    try:
        result = json.loads(path.read_text())
    except ValueError as error:
        print(f"{path} is damaged and computed anew: {error}", file=sys.stderr)
        return None
    # JSON turns tuples into lists
    settings = json.loads(json.dumps(run.settings))
    is_ours = isinstance(result, dict) and result.get("settings") == settings
    return result if is_ours else None
