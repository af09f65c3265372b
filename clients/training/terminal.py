"""The progress bar of ``tclif-train`` (rich), with the time left over the whole run."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from rich.progress import TimeRemainingColumn as TimeLeftColumn


class BarView:
    """A bar at the foot of the terminal; lines that stay scroll above it."""

    def __init__(self, console: Console | None = None, *, pace_s: float = 120.0) -> None:
        """Draw nothing yet.

        Args:
            console: Where to draw; the terminal if it is not given.
            pace_s: The time left is told from the pace over so long; it must take in several
                steps. By default minutes: words at the begin of a pass may be longer than at its
                end.
        """
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None, complete_style="#56b4e9", finished_style="#009e73"),
            TaskProgressColumn(),
            TextColumn("{task.fields[text]}", style="grey58"),
            TimeLeftColumn(compact=True),
            TextColumn("left", style="grey58"),
            console=console,
            speed_estimate_period=pace_s,
            expand=True,
        )
        self._task: TaskID | None = None

    def say(self, line: str) -> None:
        """Write a line above the bar."""
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
        # the bar is drawn some times a second; beside a line it should not be behind
        self._progress.refresh()

    def begin(self, title: str, n_done: int, n_all: int) -> None:
        """Start to count, with a bar of its own."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._progress.start()
        self._task = self._progress.add_task(title, total=n_all, completed=n_done, text="")

    def show(self, n_done: int, text: str) -> None:
        """Move the bar."""
        assert self._task is not None, "begin comes before show"
        self._progress.update(self._task, completed=n_done, text=text)

    def close(self) -> None:
        """Take the bar away."""
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
        self._progress.stop()
