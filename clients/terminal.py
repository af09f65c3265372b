"""What a person sees while recordings are replayed: one picture of the present state.

    ╭ session · source · phase, progress bar ─────────────╮
    ├ events of the segment ──────┬ class probabilities ──┤
    ├ accuracy over segments ─────┼ counters ─────────────┤

Colours are of the Okabe-Ito palette and of cividis, which stay apart for colour-blind eyes, and
nothing is told by colour alone.
"""

import math
from itertools import groupby

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from clients.replay_progress import ReplayProgress
from clients.replay_report import describe_pace, describe_phase
from clients.terminal_plots import SHADES, bar, curve, raster_levels
from service.wire_protocol import Prediction

_BLUE, _ORANGE, _GREEN = "#56b4e9", "#e69f00", "#009e73"
_DIM = "grey58"
_DENSITY = ("", "#575d6d", "#8a8779", "#c4b56c", "#ffea46")
_HEADER_ROWS = 3
_AXIS_COLUMNS = 5


class LiveView:
    """The picture on a whole terminal, which it gives back when it is closed."""

    interval_s = 0.2

    def __init__(self, console: Console | None = None) -> None:
        self._console = Console() if console is None else console
        self._live = Live(console=self._console, screen=True, auto_refresh=False)

    def show(self, progress: ReplayProgress) -> None:
        """Draw the present state."""
        width, height = self._console.size
        self._live.start()
        self._live.update(render(progress, width=width, height=height), refresh=True)

    def close(self) -> None:
        """Give the terminal back."""
        self._live.stop()


def render(progress: ReplayProgress, *, width: int, height: int) -> RenderableType:
    """Draw the present state for a terminal of that many columns and rows."""
    upper_rows = max(5, round((height - _HEADER_ROWS) * 0.56))
    lower_rows = max(4, height - _HEADER_ROWS - upper_rows)
    left_columns = max(24, round(width * 0.6))
    # a panel's border and padding take four columns and two rows
    inner_left, inner_right = left_columns - 4, width - left_columns - 4
    layout = Layout()
    layout.split_column(
        Layout(_header(progress, width - 4), size=_HEADER_ROWS),
        Layout(name="upper", size=upper_rows),
        Layout(name="lower", size=lower_rows),
    )
    layout["upper"].split_row(
        Layout(_raster(progress, upper_rows - 2, inner_left), size=left_columns),
        Layout(_classes(progress, upper_rows - 2, inner_right)),
    )
    layout["lower"].split_row(
        Layout(_accuracy(progress, lower_rows - 2, inner_left), size=left_columns),
        Layout(_counters(progress, lower_rows - 2)),
    )
    return layout


def _panel(content: RenderableType, title: str) -> Panel:
    return Panel(content, title=title, title_align="left", border_style=_DIM, padding=(0, 1))


def _header(progress: ReplayProgress, columns: int) -> Panel:
    where = f" {describe_phase(progress)} "
    left = "" if progress.remaining_s is None else f" {_clock(progress.remaining_s)} left"
    percent = f" {progress.fraction:4.0%}"
    room = columns - len(where) - len(percent) - len(left)
    line = Text.assemble(
        (where, "bold"), (bar(progress.fraction, max(0, room)), _BLUE), percent, (left, _DIM)
    )
    if progress.trouble is not None:
        line = Text(f" reconnecting: {progress.trouble}", style=f"bold {_ORANGE}", no_wrap=True)
    line.truncate(columns)
    title = f"{progress.source} · session {progress.session} · {describe_pace(progress)}"
    return _panel(line, title)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _raster(progress: ReplayProgress, rows: int, columns: int) -> Panel:
    title = f"{progress.n_channels} channels"
    if progress.shown is None:
        return _panel(Text("waiting for the first prediction", style=_DIM), title)
    segment, prediction = progress.shown
    levels = raster_levels(
        segment.times_us,
        segment.addresses,
        duration_us=segment.duration_us,
        n_channels=progress.n_channels,
        rows=rows,
        columns=columns,
    )
    # the density scale is that of the whole segment, so that it does not change on the way
    heard_us = min(prediction.t_us - segment.begin_us, segment.duration_us)
    levels[:, columns * heard_us // segment.duration_us :] = 0
    title += f" · {segment.duration_us / 1e3:.0f} ms · {segment.times_us.size:,} events"
    return _panel(Group(*(_shaded(line) for line in levels)), title)


def _shaded(levels: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Text:
    line = Text(no_wrap=True)
    for level, run in groupby(levels.tolist()):
        line.append(SHADES[level] * len(list(run)), style=_DENSITY[level])
    return line


def _classes(progress: ReplayProgress, rows: int, columns: int) -> Panel:
    if progress.shown is None:
        return _panel(Text(""), "classes")
    segment, prediction = progress.shown
    truth = segment.label if segment.told is None else segment.told
    probabilities = prediction.probabilities or _alone(prediction, len(progress.classes))
    name_columns = min(10, max(len(name) for name in progress.classes))
    # a mark, the name, the percentage and the mark of the truth stand beside the bar
    bar_columns = max(4, columns - name_columns - 10)
    lines = []
    for index in _listed(probabilities, truth, rows):
        predicted = index == prediction.index
        line = Text(no_wrap=True)
        line.append("▸" if predicted else " ", style="bold")
        line.append(progress.classes[index][:name_columns].ljust(name_columns + 1))
        style = _BLUE if predicted else _DIM
        line.append(bar(probabilities[index], bar_columns), style=style)
        line.append(f"{probabilities[index]:5.0%}")
        if index == truth:
            line.append(" ◂", style=f"bold {_ORANGE}")
        lines.append(line)
    return _panel(Group(*lines), _verdict(prediction, truth))


def _verdict(prediction: Prediction, truth: int) -> str:
    if not prediction.final:
        return f"#{prediction.segment} · ◂ truth"
    outcome = f"[{_GREEN}]✓ right[/]" if prediction.index == truth else f"[{_ORANGE}]✗ wrong[/]"
    return f"#{prediction.segment} · ◂ truth · {outcome}"


def _alone(prediction: Prediction, n_classes: int) -> tuple[float, ...]:
    """Make do with the confidence where the server was not asked for probabilities."""
    return tuple(prediction.confidence * (k == prediction.index) for k in range(n_classes))


def _listed(probabilities: tuple[float, ...], truth: int, rows: int) -> list[int]:
    """Choose the classes to list: all in order, or the likeliest and the truth."""
    n_classes = len(probabilities)
    if n_classes <= rows:
        return list(range(n_classes))
    by_probability = sorted(range(n_classes), key=lambda k: (k != truth, -probabilities[k]))
    return sorted(by_probability[:rows])


def _accuracy(progress: ReplayProgress, rows: int, columns: int) -> Panel:
    plot_columns = columns - _AXIS_COLUMNS
    drawn = curve([accuracy for _, accuracy in progress.curve], rows=rows, columns=plot_columns)
    chance_row = rows - 1 - round(progress.chance * (rows - 1))
    lines = []
    for row, dots in enumerate(drawn):
        tick = {0: "1.0", rows - 1: "0.0", chance_row: f"{progress.chance:.2f}"}.get(row, "")
        line = Text(f"{tick:>4} ", style=_DIM, no_wrap=True)
        for is_empty, run in groupby(dots, key=lambda dot: dot == " "):
            drawn_dots = "".join(run)
            if is_empty and row == chance_row:
                line.append("┄" * len(drawn_dots), style=_ORANGE)
            else:
                line.append(drawn_dots, style=_BLUE)
        lines.append(line)
    now = "" if math.isnan(progress.accuracy) else f" · {progress.accuracy:.3f}"
    return _panel(Group(*lines), f"accuracy, last 200{now} · ┄ chance")


def _counters(progress: ReplayProgress, rows: int) -> Panel:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(style=_DIM)
    table.add_column(justify="right")
    entries = [
        ("segments", f"{progress.n_predicted:,}"),
        ("ticks/s", f"{progress.ticks_per_s:,.0f}"),
        ("events/s", f"{progress.events_per_s:,.0f}"),
        ("lag p50", f"{progress.lag_ms(50):.1f} ms"),
        ("lag p99", f"{progress.lag_ms(99):.1f} ms"),
        *([("test", f"{progress.test.mean:.3f}")] if progress.test.n_segments else []),
        *([("reconnected", f"{progress.n_reconnections}")] if progress.n_reconnections else []),
        *([("refusals", f"{progress.n_errors}")] if progress.n_errors else []),
        *(
            (f"pass {number}", f"{score.mean:.3f}")
            for number, score in reversed(list(enumerate(progress.passes, start=1)))
        ),
    ]
    for name, value in entries[:rows]:
        table.add_row(name, value)
    return _panel(table, "counters")
