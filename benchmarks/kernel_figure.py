"""The picture of the kernels: our ticks by the length of a call, with floors, and peers beside."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from benchmarks.kernels import BLOCK_ARITHMETIC_US, FLOORS

# colours that the colour-blind tell apart
_OURS, _PEER, _GREY = "#0072B2", "#E69F00", "#666666"
_LEARNING = {
    "segment": ("#0072B2", "gradients of a segment, Adam"),
    "tick": ("#D55E00", "SGD at each tick"),
    "off": ("#009E73", "inference only"),
}
_ACTIVE = 45

Line = dict[str, Any]


def draw(results: Path, path: Path) -> None:
    """Draw what there is of both measurements.

    Args:
        results: Folder of ``kernels.json`` and ``peers.json``; the panels of one that is missing
            stay empty.
        path: The picture.
    """
    figure, panels = plt.subplots(
        1, 3, figsize=(13, 5), layout="constrained", width_ratios=(1.25, 1, 1)
    )
    _draw_kernels(panels[0], _lines(results / "kernels.json"))
    peers = _lines(results / "peers.json")
    for axes, n_sessions in zip(panels[1:], (1, 64), strict=True):
        _draw_peers(axes, [line for line in peers if line["sessions"] == n_sessions], n_sessions)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _lines(path: Path) -> list[Line]:
    lines: list[Line] = json.loads(path.read_text())["lines"] if path.exists() else []
    return lines


def points(lines: Sequence[Line], kernel: str, learning: str) -> list[tuple[int, float]]:
    """Return ticks a call and microseconds a tick of a kernel that advances one session."""
    return sorted(
        (line["case"]["ticks_a_call"], median(line["microseconds"]))
        for line in lines
        if (line["case"]["kernel"], line["case"]["learning"]) == (kernel, learning)
        and (line["case"]["active"], line["case"]["sessions"]) == (_ACTIVE, 1)
    )


def _draw_kernels(axes: Axes, lines: list[Line]) -> None:
    calls = (1, 4, 16, 64)
    for learning, (color, words) in _LEARNING.items():
        for kernel, style in (("cpu", "o-"), ("eager", "s:")):
            found = points(lines, kernel, learning)
            if found:
                label = words if kernel == "cpu" else None
                width = 2.0 if kernel == "cpu" else 1.2
                axes.plot(
                    *zip(*found, strict=True), style, color=color, linewidth=width, label=label
                )
    axes.plot([], [], "s:", color=_GREY, linewidth=1.2, label="the same in torch, eager")
    floor = [BLOCK_ARITHMETIC_US + FLOORS["segment"] / ticks for ticks in calls]
    axes.plot(calls, floor, "--", color=_GREY, linewidth=1, label="floors")
    axes.axhline(FLOORS["segment"], color=_GREY, linestyle="--", linewidth=1)
    axes.axhline(FLOORS["off"], color=_GREY, linestyle="--", linewidth=1)
    # the first lies below its line, since what learns at each tick lies above
    for words, height, side in (
        ("dense learning", FLOORS["segment"] * 0.97, "top"),
        ("learning in blocks", floor[-1] * 1.18, "bottom"),
        ("inference", FLOORS["off"] * 1.05, "bottom"),
    ):
        axes.annotate(words, (64, height), ha="right", va=side, fontsize=8, color=_GREY)
    axes.set(xscale="log", yscale="log", ylim=(0.7, 200))
    axes.set_xticks(calls, [str(ticks) for ticks in calls])
    axes.minorticks_off()
    axes.set_yticks((1, 3, 10, 30, 100), ("1", "3", "10", "30", "100"))
    axes.set_xlabel("ticks a call")
    axes.set_ylabel("µs a tick, one core")
    axes.set_title("One session, 700-128-128-20, recurrent", fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_peers(axes: Axes, lines: list[Line], n_sessions: int) -> None:
    present = [line for line in lines if line["microseconds"]]
    names = [line["peer"] for line in present]
    times = [median(line["microseconds"]) for line in present]
    colors = [_OURS if name.startswith("ours") else _PEER for name in names]
    axes.hlines(names, 1, times, color=colors, linewidth=3)
    axes.scatter(times, names, color=colors, s=40, zorder=3)
    for row, (name, time_us) in enumerate(zip(names, times, strict=True)):
        shared = " *" if name in {"snnTorch", "SpikingJelly"} else ""
        axes.annotate(
            f"{time_us:.3g}{shared}",
            (time_us, row),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.invert_yaxis()
    axes.set(xscale="log", xlim=(1, 2000))
    axes.set_xticks((1, 10, 100, 1000), ("1", "10", "100", "1,000"))
    axes.tick_params(labelsize=8)
    axes.set_xlabel("µs a learned session-tick, one core")
    words = "1 session" if n_sessions == 1 else f"{n_sessions} sessions"
    axes.set_title(f"{words}   (* weights shared, offline)", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
