"""The command line of ``tclif-train``."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import get_args

from clients.argument_types import count, sizes
from clients.datasets import KNOWN
from clients.training.defaults import HIDDEN, NEURON, OUTPUT, TICK_US, TRAINING, VALIDATE_SHARE
from tclif_core.hyperparameters import NeuronKind, OptimizerName
from tclif_core.training.spec import Method, RateSchedule

# the example stays on one line, to be copied
_EPILOG = f"""\
example:
  tclif-train 'digits:english?n=600&voices=0-7' --validate-speakers 6,7 --output digits.safetensors

{fill(f"A SOURCE is {', '.join(KNOWN)}.", 79)}
Options of a SOURCE follow a question mark. Of digits: n, how many recordings (600);
voices, 8 for numbers 0 to 7 or 0-5 for those six (8); seed (7); channels (700)."""

_EPROP, _BPTT = TRAINING["eprop"], TRAINING["bptt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What was asked for on the command line; `parse` documents each."""

    source: str
    test: str | None
    validate_speakers: tuple[str, ...] | None
    validate_share: float
    limit: int | None
    tick_us: int
    method: Method
    hidden: tuple[int, ...]
    feed_forward: bool
    neuron: NeuronKind
    optimizer: OptimizerName | None
    training: dict[str, int | float | str]
    """Fields of `TrainingSpec` that were given."""
    assignments: tuple[tuple[str, str], ...]
    output: Path
    report: Path
    resume: bool
    plot: bool
    plain: bool

    @property
    def checkpoint(self) -> Path:
        """Where an interrupted run is kept: beside the output."""
        return self.output.with_name(self.output.name + ".resume")


def parse(command_line: Sequence[str] | None) -> Arguments:
    """Read the command line; ends the program with code 2 and a usage line if it is wrong."""
    parser = argparse.ArgumentParser(
        prog="tclif-train",
        description="Train a network offline on recordings and write it as a base model.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SOURCE", help="recordings to learn; see below")
    _add_recordings(parser)
    _add_network(parser)
    _add_training(parser)
    _add_results(parser)
    given = vars(parser.parse_args(command_line))
    training = {name: given.pop(name) for name in _TRAINING_FIELDS}
    output: Path = given["output"]
    given["report"] = given["report"] or output.with_name(output.stem + ".report")
    given["assignments"] = tuple(given["assignments"])
    return Arguments(training={n: v for n, v in training.items() if v is not None}, **given)


_TRAINING_FIELDS = (
    "passes",
    "rate",
    "rate_schedule",
    "examples_per_update",
    "event_drop_out",
    "channel_shift",
    "channel_jitter",
    "time_stretch",
    "patience",
    "average_last",
    "seed",
)


def _add_recordings(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--test", metavar="SOURCE", help="recordings to score the finished model on")
    held_out = parser.add_mutually_exclusive_group()
    held_out.add_argument(
        "--validate-speakers",
        type=_names,
        metavar="A,B",
        help="hold these speakers out for validation",
    )
    held_out.add_argument(
        "--validate-share",
        type=_share,
        default=VALIDATE_SHARE,
        metavar="SHARE",
        help="hold out this share of the speakers, at least one, or of the recordings where no"
        f" speakers are known; 0: no validation (default {VALIDATE_SHARE:g})",
    )
    add("--limit", type=count, metavar="N", help="use only N recordings of SOURCE")
    add("--tick-us", type=count, default=TICK_US, metavar="US", help=f"default {TICK_US}")


def _add_network(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    default = ",".join(map(str, HIDDEN))
    add("--hidden", type=sizes, default=HIDDEN, metavar="N,N", help=f"default {default}")
    add("--feed-forward", action="store_true", help="no recurrent weights")
    kinds = get_args(NeuronKind)
    add("--neuron", choices=kinds, default=NEURON.kind, help=f"default {NEURON.kind}")
    add(
        "--set",
        type=_assignment,
        action="append",
        default=[],
        dest="assignments",
        metavar="NAME=VALUE",
        help="any hyperparameter, such as neuron.threshold=1.2, network.readout_decay=0.9,"
        " learning.weight_decay=0.01 or training.loss_form=summed_logits; may be repeated",
    )


def _add_training(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--method", choices=get_args(Method), default="eprop", help="default eprop")
    add("--passes", type=int, metavar="N", help=_default("passes"))
    add("--rate", type=float, help=_default("rate"))
    add("--rate-schedule", choices=get_args(RateSchedule), help=_default("rate_schedule"))
    add("--optimizer", choices=get_args(OptimizerName), help="default adam")
    add("--examples-per-update", type=int, metavar="N", help=_default("examples_per_update"))
    add("--event-drop-out", type=float, metavar="SHARE", help=_default("event_drop_out"))
    add("--channel-shift", type=int, metavar="N", help=_default("channel_shift"))
    add("--channel-jitter", type=float, metavar="SD", help=_default("channel_jitter"))
    add("--time-stretch", type=float, metavar="SHARE", help=_default("time_stretch"))
    add(
        "--patience",
        type=int,
        metavar="N",
        help="stop after N passes without a better validation, and keep the best one (0: never)",
    )
    add("--average-last", type=int, metavar="N", help="average the weights of the last N passes")
    add("--seed", type=int, metavar="N", help="of weights, order and variations (default 0)")


def _add_results(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--output", type=Path, default=OUTPUT, metavar="FILE", help=f"default {OUTPUT}")
    add(
        "--report",
        type=Path,
        metavar="DIR",
        help="folder for report.json and report.png (default: beside the output)",
    )
    add("--resume", action="store_true", help="go on with an interrupted run of the same settings")
    add("--no-plot", action="store_false", dest="plot", help="do not draw report.png")
    add("--plain", action="store_true", help="write lines instead of drawing a progress bar")


def _default(field: str) -> str:
    one, other = getattr(_EPROP, field), getattr(_BPTT, field)
    return f"default {one}" if one == other else f"default {one}, with bptt {other}"


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0.0 <= share < 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} came, a number from 0 to below 1 was expected")
    return share


def _names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if "" in names:
        raise argparse.ArgumentTypeError(f"{text!r} came, names with commas between were expected")
    return names


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} came, NAME=VALUE was expected")
    return name, value
