"""Peers that learn offline: leaky networks, weights shared, backpropagation through the segment.

Each takes sessions for a batch: it learns one set of weights from all of them, which is less work
and another thing than a network for each.
"""

from collections.abc import Callable
from itertools import pairwise

import torch

from tclif_core import NetworkSpec

Round = Callable[[], None]


def snntorch(spec: NetworkSpec, x: torch.Tensor, rate: float) -> Round:
    """Learn a recurrent leaky network by backpropagation through time, weights shared."""
    import snntorch as snn  # noqa: PLC0415 - a peer that need not be installed

    sizes = (spec.inputs, *spec.hidden)
    layers = [
        (torch.nn.Linear(below, size), snn.RLeaky(beta=0.9, linear_features=size))
        for below, size in pairwise(sizes)
    ]
    readout = torch.nn.Linear(spec.hidden[-1], spec.classes)
    modules = torch.nn.ModuleList([part for pair in layers for part in pair] + [readout])

    def logits() -> torch.Tensor:
        states = [neuron.init_rleaky() for _, neuron in layers]
        total = torch.zeros(x.shape[1], spec.classes)
        for given in x.unbind():
            spikes = given
            for number, (linear, neuron) in enumerate(layers):
                spikes, membrane = neuron(linear(spikes), *states[number])
                states[number] = (spikes, membrane)
            total = total + readout(spikes)
        return total

    return _stepping(modules, logits, x.shape[1], rate)


def spikingjelly(spec: NetworkSpec, x: torch.Tensor, rate: float) -> Round:
    """Learn a recurrent leaky network by backpropagation through time, weights shared."""
    from spikingjelly.activation_based import (  # noqa: PLC0415 - a peer that need not be installed
        functional,
        layer,
        neuron,
    )

    def recurrent(below: int, size: int) -> torch.nn.Module:
        cell = neuron.LIFNode(tau=2.0, detach_reset=True)
        container = layer.LinearRecurrentContainer(cell, size, size)
        return torch.nn.Sequential(torch.nn.Linear(below, size), container)

    sizes = (spec.inputs, *spec.hidden)
    hidden = [recurrent(below, size) for below, size in pairwise(sizes)]
    network = torch.nn.Sequential(*hidden, torch.nn.Linear(sizes[-1], spec.classes))

    def logits() -> torch.Tensor:
        functional.reset_net(network)
        total = torch.zeros(x.shape[1], spec.classes)
        for given in x.unbind():
            total = total + network(given)
        return total

    return _stepping(network, logits, x.shape[1], rate)


def _stepping(
    network: torch.nn.Module, logits: Callable[[], torch.Tensor], n_sessions: int, rate: float
) -> Round:
    adam = torch.optim.Adam(network.parameters(), lr=rate)
    targets = torch.full((n_sessions,), 3)

    def round_() -> None:
        adam.zero_grad()
        torch.nn.functional.cross_entropy(logits(), targets).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        adam.step()

    return round_
