"""One run of ``tclif-train``: load, divide, train pass after pass, keep what came out."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clients.recordings import Source
from clients.training.arguments import Arguments
from clients.training.checkpoint import (
    Checkpoint,
    check_writable,
    read_checkpoint,
    write_checkpoint,
)
from clients.training.interruption import Interruption
from clients.training.other_recordings import described, difference
from clients.training.progress import View, activity_warnings, pass_line, update_text
from clients.training.recordings import Division, check_same_kind, choose, divide, load
from clients.training.report import (
    Outcome,
    as_json,
    plot_module,
    provenance_of,
    summary_lines,
    write_report,
)
from clients.training.report_folder import ReportFolder
from clients.training.settings import specify
from tclif_core.model_file import Model, write_model
from tclif_core.training import Training
from tclif_core.training.examples import Example
from tclif_core.training.reports import NotFinite, OtherTraining, PassReport, UpdateReport


class TrainingRun:
    """A training and the files around it."""

    def __init__(
        self,
        arguments: Arguments,
        source: Source,
        test: Source | None,
        view: View,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Check all that can be checked before anything takes time.

        Raises:
            ValueError: A setting is outside its interval, or the test is of another kind.
            OSError: A result has no place to go, or there is no run to go on with.
            UnreadableCheckpoint: The run to go on with is damaged.
            MissingPackage: A package that the report needs is not installed.
        """
        self._arguments, self._source, self._test, self._view = arguments, source, test, view
        self._clock = clock
        self._specifications = specify(arguments, source)
        if test is not None:
            check_same_kind(source, test)
        if arguments.plot:
            plot_module()
        check_writable("--output", arguments.output)
        self._checkpoint = self._find_checkpoint(arguments.checkpoint)
        self._folder = ReportFolder(arguments.report)
        self._seconds_before = 0.0
        self._resumed_after: tuple[int, ...] = ()
        self._began_s = 0.0
        self._recordings: dict[str, Any] = {}

    def load(self) -> Division:
        """Load the recordings and hold some of them out.

        Raises:
            ValueError: A recording is damaged, or they can't be divided as asked.
        """
        try:
            division = self._divide()
        except BaseException:
            # Ctrl-C too: a run that never began leaves nothing behind
            self._folder.take_back()
            raise
        seed = self._specifications.training.seed
        self._recordings = described(self._arguments, division, seed)
        self._view.say(
            f"{self._source.name}: {len(division.training)} recordings to learn,"
            f" {len(division.validation)} to validate ({division.held_out} held out)"
        )
        return division

    def run(self, division: Division, interruption: Interruption) -> int:
        """Train, write what comes out, and return the exit code.

        Args:
            division: What `load` returned.
            interruption: Once it has received a signal, the run is stored for ``--resume``.

        Raises:
            ValueError: The run to go on with has other settings.
            NotFinite: Training can't go on; the report says so, no model is written.
            OSError: A result can't be written after all.
        """
        training = Training(*self._specifications, division.training, division.validation)
        self._view.say("preparing the network; on first use this compiles for about half a minute")
        self._view.begin("compiling", 0, 1)
        training.warm_up()
        self._go_on(training)
        try:
            self._train(training, interruption)
        except NotFinite as error:
            self._report(training, division, failure=str(error))
            raise
        if not training.is_finished:
            self._save(training)
            self._view.say(f"interrupted; --resume goes on from {self._arguments.checkpoint}")
            return interruption.exit_code
        self._finish(training, division)
        return 0

    def _divide(self) -> Division:
        arguments = self._arguments
        examples = self._load(self._source, arguments.limit)
        seed = self._specifications.training.seed
        return divide(examples, arguments.validate_speakers, arguments.validate_share, seed)

    def _find_checkpoint(self, path: Path) -> Checkpoint | None:
        if self._arguments.resume:
            return read_checkpoint(path)
        if path.exists():
            raise FileExistsError(
                f"{path} is an interrupted run: --resume goes on with it; delete it to start anew"
            )
        return None

    def _load(self, source: Source, limit: int | None) -> list[Example]:
        chosen = choose(len(source), limit, self._specifications.training.seed)
        self._view.begin(f"loading {source.name}", 0, len(chosen))
        n_loaded = 0

        def count() -> None:
            nonlocal n_loaded
            n_loaded += 1
            self._view.show(n_loaded, "")

        return load(source, chosen, self._arguments.tick_us, count)

    def _go_on(self, training: Training) -> None:
        """Take up the interrupted run, if there is one."""
        if self._checkpoint is None:
            return
        run = self._checkpoint.run
        for field, now in self._facts().items():
            if run["facts"].get(field) != now:
                raise OtherTraining(field, run["facts"].get(field), now)
        try:
            training.restore(self._checkpoint.state)
        except OtherTraining as error:
            if not error.field.startswith("examples."):
                raise
            words = difference(run.get("recordings", {}), self._recordings)
            raise ValueError(f"{words} ({error})") from error
        n_done = self._checkpoint.state.values["n_done"]
        n_learnt = len(training.history) * training.n_examples + n_done
        self._seconds_before = run["seconds"]
        self._resumed_after = (*run["resumed_after"], n_learnt)
        self._view.say(
            f"going on after {len(training.history)} of {training.spec.passes} passes and {n_done}"
            f" of {training.n_examples} recordings of the next ({self._arguments.checkpoint})"
        )

    def _facts(self) -> dict[str, object]:
        """Return what an interrupted run must share beside the specifications."""
        return {
            "classes": list(self._source.classes),
            "tick_us": self._arguments.tick_us,
            "limit": self._arguments.limit,
        }

    def _train(self, training: Training, interruption: Interruption) -> None:
        n_all = training.spec.passes * training.n_examples
        self._began_s = self._clock()
        self._view.begin("training", self._n_learnt(training, 0), n_all)
        for report in training.run():
            if isinstance(report, UpdateReport):
                n_done = self._n_learnt(training, report.n_done)
                self._view.show(n_done, update_text(report))
            else:
                self._end_pass(training, report)
            if interruption.received is not None:
                return

    @staticmethod
    def _n_learnt(training: Training, n_done: int) -> int:
        return len(training.history) * training.n_examples + n_done

    def _end_pass(self, training: Training, report: PassReport) -> None:
        kept = " (best)" if training.spec.patience and report.is_best else ""
        self._view.say(pass_line(report, training.spec.passes, kept))
        for warning in activity_warnings(report):
            self._view.say(f"  warning: {warning}")
        self._save(training)

    def _seconds(self) -> float:
        return self._seconds_before + self._clock() - self._began_s

    def _save(self, training: Training) -> None:
        run = {
            "facts": self._facts(),
            "recordings": self._recordings,
            "seconds": self._seconds(),
            "resumed_after": list(self._resumed_after),
        }
        write_checkpoint(self._arguments.checkpoint, Checkpoint(training.state(), run))

    def _finish(self, training: Training, division: Division) -> None:
        seconds, score, n_test = self._seconds(), None, 0
        if training.stop_reason == "patience":
            self._view.say(f"no better validation in {training.spec.patience} passes: stopped")
        if self._test is not None:
            examples = self._load(self._test, None)
            score, n_test = training.evaluate(examples).tally.score, len(examples)
        outcome = Outcome(seconds, self._resumed_after, score, n_test)
        report = as_json(self._arguments, self._source, division, training, outcome)
        write_model(
            self._arguments.output,
            Model(
                network=training.network,
                learning=training.learning,
                weights=training.weights(),
                classes=self._source.classes,
                tick_us=self._arguments.tick_us,
                sensor={
                    "kind": self._source.sensor.kind,
                    "channels": self._source.sensor.channels,
                },
                provenance=provenance_of(report),
            ),
        )
        write_report(self._arguments.report, report, plot=self._arguments.plot)
        self._arguments.checkpoint.unlink(missing_ok=True)
        self._view.close()
        for line in summary_lines(report, self._arguments):
            self._view.say(line)

    def _report(self, training: Training, division: Division, *, failure: str) -> None:
        outcome = Outcome(self._seconds(), self._resumed_after, failure=failure)
        report = as_json(self._arguments, self._source, division, training, outcome)
        write_report(self._arguments.report, report, plot=self._arguments.plot)
