"""``tclif-train``: recordings into a base model that a learner can go on with.

    tclif-train train.h5.gz --test test.h5.gz --passes 20 --output digits.safetensors

Ends with a line for scripts. Exit code 0; 1 with one sentence if something can't be read, written
or trained; 130 after Ctrl-C and 143 after SIGTERM, when ``--resume`` goes on from there.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from clients.datasets import open_source
from clients.optional_packages import MissingPackage, import_optional
from clients.training.arguments import Arguments, parse
from clients.training.interruption import Interruption
from clients.training.progress import PlainView, View
from clients.training.run import TrainingRun
from tclif_core.training.reports import NotFinite

_INTERRUPTED = 130


def main(command_line: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = parse(command_line)
    view: View | None = None
    interruption = Interruption()
    try:
        view = _view(arguments)
        source = open_source(arguments.source)
        test = None if arguments.test is None else open_source(arguments.test)
        run = TrainingRun(arguments, source, test, view)
        # until the recordings are loaded there is nothing to save
        division = run.load()
        with interruption:
            return run.run(division, interruption)
    except KeyboardInterrupt:
        _end(view, _what_is_left(arguments.checkpoint, interruption))
        return _INTERRUPTED
    except (MissingPackage, NotFinite, OSError, ValueError) as error:
        _end(view, str(error))
        return 1
    finally:
        if view is not None:
            view.close()


def _end(view: View | None, sentence: str) -> None:
    if view is not None:
        view.close()
    sys.stderr.write(f"tclif-train: {sentence}\n")


def _what_is_left(checkpoint: Path, interruption: Interruption) -> str:
    """Say what an end without saving leaves to go on with."""
    # with a signal noted before this one, training had begun
    when = "before training began" if interruption.received is None else "without saving"
    if checkpoint.exists():
        return f"interrupted {when}; --resume goes on from {checkpoint}"
    return f"interrupted {when}; there is nothing to resume"


def _view(arguments: Arguments) -> View:
    if arguments.plain or not sys.stdout.isatty():
        return PlainView()
    view: View = import_optional("clients.training.terminal", "to draw the progress bar").BarView()
    return view


if __name__ == "__main__":
    sys.exit(main())
