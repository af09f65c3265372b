"""From the command line of ``tclif-train`` to the specifications of the core."""

import json
from collections.abc import Mapping
from dataclasses import fields
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


def _assigned(arguments: Arguments) -> dict[str, dict[str, Any]]:
    """Sort what ``--set`` gave into rooms."""
    chosen: dict[str, dict[str, Any]] = {room: {} for room in _ROOMS}
    for name, text in arguments.assignments:
        room, _, field = name.partition(".")
        known = {f"{r}.{f.name}" for r, spec in _ROOMS.items() for f in fields(spec)}
        if name not in known or name in _DECIDED:
            offered = sorted(known - set(_DECIDED))
            raise ValueError(f"--set {name}: expected one of {', '.join(offered)}")
        try:
            chosen[room][field] = json.loads(text)
        except json.JSONDecodeError:
            # a bare word, such as the name of a surrogate
            chosen[room][field] = text
    return chosen
