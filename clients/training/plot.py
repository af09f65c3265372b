"""``report.png``: accuracy, loss and firing rates over the passes of a training."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from clients.training.defaults import HIGHEST_FIRING_RATE, LOWEST_FIRING_RATE

# Okabe and Ito's palette, told apart by colour-blind readers too
_BLUE, _ORANGE, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#777777"
_LAYERS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_MARKS = "osD^vP"

Pass = dict[str, Any]


def draw(report: dict[str, Any]) -> bytes:
    """Draw what a report tells as a picture.

    Args:
        report: The content of ``report.json``, with at least one pass.

    Returns:
        A PNG file.
    """
    figure = Figure(figsize=(13, 4), layout="constrained")
    scores, losses, rates = figure.subplots(1, 3)
    history = report["history"]
    _scores(scores, report)
    _curve(losses, history, "train_loss", _BLUE, "o", label="training")
    _curve(losses, history, "validation_loss", _ORANGE, "s", label="validation")
    losses.set_title("Loss, mean over labelled ticks")
    losses.set_ylim(0, 1.05 * losses.get_ylim()[1])
    losses.legend(frameon=False)
    _firing_rates(rates, history)
    for axes in (scores, losses, rates):
        axes.set_xlabel("pass")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(0.5, len(history) + 0.5)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(_title(report))
    file = BytesIO()
    figure.savefig(file, format="png", dpi=130)
    return file.getvalue()


def _title(report: dict[str, Any]) -> str:
    hidden = "-".join(map(str, report["settings"]["network"]["hidden"]))
    kind = report["settings"]["network"]["neuron"]["kind"]
    method = {"eprop": "e-prop", "bptt": "BPTT"}[report["settings"]["training"]["method"]]
    # a title has no room for folders and options
    source = report["source"].partition("?")[0].rpartition("/")[2]
    return f"{source}: {kind} {hidden}, {method}, {report['held_out']} held out"


def _scores(axes: Axes, report: dict[str, Any]) -> None:
    history, kept = report["history"], report["kept"]["pass"]
    _curve(axes, history, "train_score", _BLUE, "o", label="training, before each is learnt")
    _curve(axes, history, "validation_score", _ORANGE, "s", label="validation")
    test = report["scores"]["test"]
    if test is not None:
        axes.plot(kept, test, "^", color=_GREEN, markersize=9, label=f"test: {test:.3f}")
    axes.axvline(kept, color=_GREY, linewidth=0.8, linestyle="--", label="pass that is kept")
    chance = 1.0 / len(report["classes"])
    axes.axhline(chance, color=_GREY, linewidth=0.8, linestyle=":", label="chance")
    axes.set_title("Accuracy")
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False)


def _firing_rates(axes: Axes, history: Sequence[Pass]) -> None:
    passes = [report["pass_number"] for report in history]
    for layer in range(len(history[0]["firing_rates"])):
        colour, mark = _LAYERS[layer % len(_LAYERS)], _MARKS[layer % len(_MARKS)]
        rates = [report["firing_rates"][layer] for report in history]
        axes.plot(passes, rates, marker=mark, color=colour, markersize=4, label=f"layer {layer}")
    for bound, word in ((LOWEST_FIRING_RATE, "too few"), (HIGHEST_FIRING_RATE, "too many")):
        axes.axhline(bound, color=_GREY, linewidth=0.8, linestyle=":")
        axes.annotate(word, (0.6, bound), color=_GREY, va="bottom", fontsize="small")
    axes.set_yscale("log")
    axes.set_title("Spikes a neuron and tick")
    axes.legend(frameon=False)


def _curve(
    axes: Axes, history: Sequence[Pass], name: str, colour: str, mark: str, *, label: str
) -> None:
    points = [(r["pass_number"], r[name]) for r in history if r[name] is not None]
    if points:
        passes, values = zip(*points, strict=True)
        axes.plot(passes, values, marker=mark, color=colour, markersize=4, label=label)
