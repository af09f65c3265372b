"""From the command line of ``tclif-train`` to the specifications of the core."""

import json
from collections.abc import Collection, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, NamedTuple

from clients.recordings import Source
from clients.training.arguments import Arguments
from clients.training.defaults import LEARNING, NEURON, READOUT_DECAY, TRAINING
from tclif_core import LearningSpec, NetworkSpec, NeuronSpec
from tclif_core.training.spec import TrainingSpec

_ROOMS: Mapping[str, type] = {
    "neuron": NeuronSpec,
    "network": NetworkSpec,
    "learning": LearningSpec,
    "training": TrainingSpec,
}
# what the source and other options decide
_DECIDED = ("network.inputs", "network.classes", "network.neuron", "training.method")


class Specifications(NamedTuple):
    """What is trained, and how."""

    network: NetworkSpec
    learning: LearningSpec
    training: TrainingSpec


def specify(arguments: Arguments, source: Source) -> Specifications:
    """Work out what a command line asks for; ``--set`` has the last word.

    Args:
        arguments: The command line.
        source: Says how many channels and classes there are.

    Raises:
        ValueError: A name is unknown, a value outside its interval, or recordings with classes
            can't be learnt that way.
    """
    chosen = _assigned(arguments)
    # a kind brings its own profile and couplings, so only the default kind takes our neuron
    neuron = NEURON.to_dict() if arguments.neuron == NEURON.kind else {"kind": arguments.neuron}
    network: dict[str, Any] = {
        "inputs": source.sensor.channels,
        "classes": len(source.classes),
        "hidden": arguments.hidden,
        "recurrent": not arguments.feed_forward,
        "readout_decay": READOUT_DECAY,
        "neuron": NeuronSpec.from_dict(neuron | chosen["neuron"]),
    }
    learning = LEARNING[arguments.method].to_dict()
    if arguments.optimizer is not None:
        learning["optimizer"] = arguments.optimizer
    training = TRAINING[arguments.method].to_dict() | arguments.training
    specifications = Specifications(
        NetworkSpec.from_dict(network | chosen["network"]),
        LearningSpec.from_dict(learning | chosen["learning"]),
        TrainingSpec.from_dict(training | chosen["training"]),
    )
    _check_learnable(specifications.learning)
    return specifications


def _check_learnable(learning: LearningSpec) -> None:
    if learning.loss == "mean_squared":
        raise ValueError(
            "--set learning.loss=mean_squared: recordings here have a class each, expected"
            " cross_entropy; from Python, Example takes targets that are numbers"
        )
    if learning.update == "frozen":
        raise ValueError("--set learning.update=frozen: learns nothing, expected segment or tick")


def _offer(name: str, offered: Collection[str]) -> str:
    """Say what can be set instead of a name."""
    if name in _DECIDED:
        return "this follows from SOURCE or an option of its own, it can't be set"
    room, _, field = name.rpartition(".")
    # without the room: a shared prefix would make all of its names look close
    close = get_close_matches(field, sorted({known.partition(".")[2] for known in offered}))
    meant = sorted(known for known in offered if known.partition(".")[2] in close)
    if meant:
        return f"there is no such hyperparameter; close to it are {', '.join(meant)}"
    if room in _ROOMS:
        in_room = sorted(known for known in offered if known.startswith(f"{room}."))
        return f"expected one of {', '.join(in_room)}"
    rooms = ", ".join(f"{room}." for room in _ROOMS)
    return (
        f"expected a name that begins with {rooms}, such as neuron.threshold;"
        " the settings in report.json list them all"
    )


def _assigned(arguments: Arguments) -> dict[str, dict[str, Any]]:
    """Sort what ``--set`` gave into rooms."""
    chosen: dict[str, dict[str, Any]] = {room: {} for room in _ROOMS}
    for name, text in arguments.assignments:
        room, _, field = name.partition(".")
        known = {f"{r}.{f.name}" for r, spec in _ROOMS.items() for f in fields(spec)}
        if name not in known or name in _DECIDED:
            raise ValueError(f"--set {name}: {_offer(name, known - set(_DECIDED))}")
        try:
            chosen[room][field] = json.loads(text)
        except json.JSONDecodeError:
            # a bare word, such as the name of a surrogate
            chosen[room][field] = text
    return chosen
