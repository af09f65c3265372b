"""Seeded weights and feedback matrices: functions of seed and specification, of nothing else."""

import math

import numpy as np
from numpy.typing import NDArray

from tclif_core.hyperparameters import LearningSpec, NetworkSpec
from tclif_core.row_layout import RowLayout, feedback_layout, parameter_layout
from tclif_core.two_compartment import SCALARS, neuron_constants

# streams of random numbers of one seed; feedback has its own, so that the choice of feedback does
# not change the initial weights
_WEIGHTS, _FEEDBACK = 0, 1


def initial_parameters(network: NetworkSpec, seed: int) -> NDArray[np.float64]:
    """Return a new session's parameter row ``[P]``.

    Weights spread evenly over ``+-gain / sqrt(fan-in)``, biases are zero, a layer's four numbers
    stand where the specification puts them.

    Args:
        network: Sizes, gains and neuron constants.
        seed: Any integer from 0 on.
    """
    layout = parameter_layout(network)
    gains = {
        f"layer{layer}.w": network.input_gain if layer == 0 else network.hidden_gain
        for layer in range(len(network.hidden))
    }
    gains |= {f"layer{layer}.r": network.recurrent_gain for layer in range(len(network.hidden))}
    gains["readout.w"] = network.readout_gain
    row = _uniform_row(layout, gains, seed, _WEIGHTS)
    scalars = neuron_constants(network.neuron).scalars
    for layer in range(len(network.hidden)):
        for name, value in zip(SCALARS, scalars, strict=True):
            row[layout.fields[f"layer{layer}.{name}"].offset] = value
    return row


def feedback_weights(
    network: NetworkSpec, learning: LearningSpec, seed: int
) -> NDArray[np.float64]:
    """Return a new session's feedback row ``[F]``, empty unless feedback is broadcast.

    It is as strong as the readout's initial weights would be from a layer of that size.
    """
    layout = feedback_layout(network, learning)
    # the matrices are [class, neuron], their strength that of [neuron, class]
    gains = {
        name: network.readout_gain * math.sqrt(field.shape[0] / field.shape[1])
        for name, field in layout.fields.items()
    }
    return _uniform_row(layout, gains, seed, _FEEDBACK)


def _uniform_row(
    layout: RowLayout, gains: dict[str, float], seed: int, stream: int
) -> NDArray[np.float64]:
    row = np.zeros(layout.width)
    for index, (name, field) in enumerate(layout.fields.items()):
        if name not in gains:
            continue
        # each matrix draws from its own generator: none depends on the sizes of the others
        generator = np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(stream, index)))
        )
        size = math.prod(field.shape)
        bound = gains[name] / math.sqrt(field.shape[0])
        row[field.offset : field.offset + size] = (2.0 * generator.random(size) - 1.0) * bound
    return row
