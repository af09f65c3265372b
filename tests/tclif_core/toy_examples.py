"""A task that a small network learns in a few passes: which third of the channels is busy."""

import json

import numpy as np
import torch

from tclif_core import EventBlock, LearningSpec, NetworkSpec
from tclif_core.training import Training, TrainingState
from tclif_core.training.examples import Example
from tclif_core.training.spec import Method, TrainingSpec
from tests.tclif_core.streams import small_network

INPUTS, CLASSES = 9, 3


def toy_network(hidden: tuple[int, ...] = (12, 8)) -> NetworkSpec:
    return small_network(inputs=INPUTS, hidden=hidden, classes=CLASSES)


def toy_examples(count: int, *, seed: int = 0, n_ticks: int = 20) -> list[Example]:
    """Return examples of the classes in turn, of ``n_ticks`` to ``n_ticks + 4`` ticks."""
    generator = np.random.default_rng(seed)
    examples = []
    for number in range(count):
        label = number % CLASSES
        ticks = n_ticks + int(generator.integers(5))
        x = generator.poisson(0.05, (ticks, INPUTS)).astype(np.float64)
        x[:, 3 * label : 3 * label + 3] += generator.poisson(0.5, (ticks, 3))
        block = EventBlock.from_dense([x])
        examples.append(Example.of_class(block, label, group=str(number % 2)))
    return examples


def toy_training(
    method: Method = "eprop",
    *,
    learning: LearningSpec | None = None,
    examples: list[Example] | None = None,
    validation: list[Example] | None = None,
    **settings: float | str,
) -> Training:
    """Return a training of a small network on twelve examples, with six to validate."""
    spec = TrainingSpec.from_dict({"method": method, "passes": 2, "rate": 0.01} | settings)
    return Training(
        toy_network(),
        learning or LearningSpec(),
        spec,
        toy_examples(12) if examples is None else examples,
        toy_examples(6, seed=1) if validation is None else validation,
    )


def stored(state: TrainingState) -> TrainingState:
    """Return a state as it comes back from where only tensors and JSON can be stored."""
    tensors = {name: tensor.clone() for name, tensor in state.tensors.items()}
    return TrainingState(tensors, json.loads(json.dumps(state.values, allow_nan=False)))


def assert_same_state(one: TrainingState, other: TrainingState) -> None:
    """Fail unless two states are equal in every bit."""
    assert one.tensors.keys() == other.tensors.keys()
    for name, tensor in one.tensors.items():
        assert torch.equal(tensor.view(-1).view(torch.uint8), _bytes(other.tensors[name])), name
    assert one.values == other.values


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.view(-1).view(torch.uint8)
