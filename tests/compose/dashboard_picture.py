"""Draws docs/figures/dashboard.png: ``python -m tests.compose.dashboard_picture [SECONDS]``.

It is no photograph of Grafana: matplotlib draws the dashboard's own queries, asked of a real
Prometheus that watched a real server for a while, in the dashboard's own layout.
"""

import sys
import tempfile
import time
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.compose.dashboard_data import Series, ask
from tests.compose.watched_server import ROOT, Watched, wait_for_every_panel, watched_server
from tests.docker.dashboard import Panel, raw_panels, read_panels

PICTURE = ROOT / "docs" / "figures" / "dashboard.png"
WATCHED_S = 240.0
COLUMN_INCHES, LINE_INCHES = 0.75, 0.36
_COLOURS = mpl.color_sequences["tab10"]
_SCALES = {"percentunit": (100, "%"), "s": (1000, "ms"), "bytes": (2**-20, "MiB")}
_SCALES |= {"Bps": (2**-10, "KiB/s"), "cps": (1, "/s"), "watt": (1e6, "µW")}

Answers = list[tuple[str, list[Series]]]
"""Of each query its legend and its series."""


def draw(watched: Watched, picture: Path) -> None:
    """Draw every panel."""
    end_s = time.time()
    rows = raw_panels()
    height = max(_grid(raw)[1] + _grid(raw)[3] for raw in rows)
    figure = Figure((24 * COLUMN_INCHES, height * LINE_INCHES), dpi=75, facecolor="#f4f5f5")
    panels = iter(read_panels())
    for raw in rows:
        x, y, width, lines = _grid(raw)
        if raw["type"] == "row":
            where = (0.005, 1 - (y + 0.75) / height)
            figure.text(*where, str(raw["title"]), fontsize=13, fontweight="bold")
            figure.text(0.995, where[1], "across: minutes up to now", fontsize=7, ha="right")
            continue
        panel = next(panels)
        answers: Answers = [
            (query.legend, ask(watched.prometheus, query, start_s=watched.since_s, end_s=end_s))
            for query in panel.queries
        ]
        left, bottom = (x + 0.9) / 24, 1 - (y + lines - 1.15) / height
        axes = figure.add_axes((left, bottom, (width - 1.2) / 24, (lines - 2.3) / height))
        axes.set_title(panel.title, fontsize=9, loc="left")
        _DRAWN[panel.kind](axes, panel, answers, end_s)
    figure.savefig(picture)


def _grid(raw: dict[str, object]) -> tuple[int, int, int, int]:
    grid = raw["gridPos"]
    assert isinstance(grid, dict)
    return grid["x"], grid["y"], grid["w"], grid["h"]


def _draw_lines(axes: Axes, panel: Panel, answers: Answers, end_s: float) -> None:
    scale, unit = _SCALES.get(panel.unit, (1, ""))
    named = [(line.named(legend), line) for legend, lines in answers for line in lines]
    for number, (name, line) in enumerate(named):
        minutes = [(at_s - end_s) / 60 for at_s, _ in line.points]
        values = [scale * value for _, value in line.points]
        axes.plot(minutes, values, label=name, linewidth=1.2, color=_COLOURS[number % 10])
    axes.set_ylim(bottom=0)
    axes.set_ylabel(unit, fontsize=7)
    axes.tick_params(labelsize=7)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=6, loc="upper left", ncols=2 if len(named) > 4 else 1, framealpha=0.6)


def _draw_number(axes: Axes, panel: Panel, answers: Answers, end_s: float) -> None:
    scale, unit = _SCALES.get(panel.unit, (1, ""))
    points = answers[0][1][0].points
    axes.plot([at_s - end_s for at_s, _ in points], [value for _, value in points], alpha=0.4)
    axes.set_axis_off()
    text = f"{scale * points[-1][1]:.3g} {unit}"
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=15)


def _draw_heat(axes: Axes, panel: Panel, answers: Answers, end_s: float) -> None:
    assert panel.unit == "s" or panel.kind == "heatmap", "durations are what is counted"
    bounds = sorted(answers[0][1], key=lambda line: float(line.labels["le"]))
    times = [(at_s - end_s) / 60 for at_s, _ in bounds[-1].points]
    at_most = [dict(line.points) for line in bounds]
    counts = [
        [upper.get(at_s, 0.0) - lower.get(at_s, 0.0) for at_s, _ in bounds[-1].points]
        for lower, upper in zip([{}, *at_most], at_most, strict=False)
    ]
    axes.pcolormesh(times, range(len(bounds)), counts, cmap="Blues", shading="nearest")
    names = [f"{1000 * float(line.labels['le']):g} ms" for line in bounds]
    axes.set_yticks(range(0, len(bounds), 2), names[::2], fontsize=6)
    axes.tick_params(axis="x", labelsize=7)


def _draw_table(axes: Axes, _: Panel, answers: Answers, __: float) -> None:
    names = ["ticks/s", "accuracy", "labelled", "lessons", "backlog", "drifting", "attached"]
    rows: dict[str, list[str]] = {}
    for column, (_legend, lines) in enumerate(answers):
        for line in lines:
            cells = rows.setdefault(line.labels["session"], ["-"] * len(names))
            cells[column] = f"{line.points[-1][1]:.4g}" if line.points else "-"
    axes.set_axis_off()
    axes.table(
        [[session, *cells] for session, cells in sorted(rows.items())],
        colLabels=["session", *names],
        loc="upper center",
    )


_DRAWN = {
    "timeseries": _draw_lines,
    "stat": _draw_number,
    "heatmap": _draw_heat,
    "table": _draw_table,
}


def main() -> int:
    """Watch a server for a while and draw what the dashboard shows of it."""
    watched_s = float(sys.argv[1]) if len(sys.argv) > 1 else WATCHED_S
    with tempfile.TemporaryDirectory() as folder, watched_server(Path(folder)) as watched:
        empty = wait_for_every_panel(watched)
        sys.stdout.writelines(f"no data: {place}: {query}\n" for place, query in empty)
        time.sleep(max(0.0, watched.since_s + watched_s - time.time()))
        draw(watched, PICTURE)
    return 1 if empty else 0


if __name__ == "__main__":
    sys.exit(main())
