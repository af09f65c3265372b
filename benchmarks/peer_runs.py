"""One peer in a process of its own: it learns a round whenever it is told to, and says how fast.

    python -m benchmarks.peer_runs NAME SESSIONS

Writes ``ready`` or ``absent`` with the reason; then for each line that comes in the microseconds of
one learned session-tick, over segments of 100 ticks with 45 of 700 channels active.
"""

import sys
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.kernel_runners import GAINS, RATE
from benchmarks.peer_torch import TorchSessions
from tclif_core import EventBlock, Learner, LearningSpec, NetworkSpec, Strand

TICKS = 100
ACTIVE = 45
CALL_TICKS = 20
SEGMENTS = 2

_INPUT_GAIN, _HIDDEN_GAIN = GAINS[ACTIVE]
NETWORK = NetworkSpec(
    inputs=700, hidden=(128, 128), classes=20, input_gain=_INPUT_GAIN, hidden_gain=_HIDDEN_GAIN
)

Round = Callable[[], None]


def inputs(n_sessions: int) -> NDArray[np.float32]:
    """Return dense input ``[T, S, channels]``, other channels in each tick and session."""
    generator = np.random.default_rng(7)
    keys = generator.random((TICKS, n_sessions, NETWORK.inputs), np.float32)
    chosen = np.argpartition(keys, ACTIVE, axis=2)[:, :, :ACTIVE]
    x = np.zeros_like(keys)
    np.put_along_axis(x, chosen, 1.0, axis=2)
    return x


def ours(n_sessions: int) -> Round:
    """Learn by the compiled kernel, 20 ticks of every session a call."""
    learner = Learner(NETWORK, LearningSpec(), kernel="cpu")
    learner.warm_up()
    slots = np.array([learner.open(seed=seed, rate=RATE) for seed in range(n_sessions)])
    x = inputs(n_sessions)
    blocks = [
        EventBlock.from_dense([x[first : first + CALL_TICKS, s] for s in range(n_sessions)])
        for first in range(0, TICKS, CALL_TICKS)
    ]
    strands = np.full(n_sessions, Strand.LIVE, np.int64)
    learns = np.ones(n_sessions, np.bool_)
    targets = np.full(n_sessions * CALL_TICKS, 3)

    def round_() -> None:
        for slot in slots:
            learner.begin_segment(slot, Strand.LIVE)
        for block in blocks:
            learner.advance(slots, strands, learns, block, targets)
        for slot in slots:
            learner.apply_update(slot)

    return round_


def _torch(n_sessions: int, *, compiles: bool) -> Round:
    sessions = TorchSessions(NETWORK, n_sessions, rate=RATE, compiles=compiles)
    x = torch.from_numpy(inputs(n_sessions))
    targets = torch.zeros(n_sessions, NETWORK.classes)
    targets[:, 3] = 1.0
    return lambda: sessions.learn(x, targets)


def torch_eager(n_sessions: int) -> Round:
    """Learn the same model in plain torch."""
    return _torch(n_sessions, compiles=False)


def torch_compile(n_sessions: int) -> Round:
    """Learn the same model in torch, compiled."""
    return _torch(n_sessions, compiles=True)


def snntorch(n_sessions: int) -> Round:
    """Learn a recurrent leaky network by backpropagation through time, weights shared."""
    import snntorch as snn  # noqa: PLC0415 - a peer that need not be installed

    sizes = (NETWORK.inputs, *NETWORK.hidden)
    layers = [
        (torch.nn.Linear(below, size), snn.RLeaky(beta=0.9, linear_features=size))
        for below, size in pairwise(sizes)
    ]
    readout = torch.nn.Linear(NETWORK.hidden[-1], NETWORK.classes)
    modules = torch.nn.ModuleList([part for pair in layers for part in pair] + [readout])

    def logits(x: torch.Tensor) -> torch.Tensor:
        states = [neuron.init_rleaky() for _, neuron in layers]
        total = torch.zeros(n_sessions, NETWORK.classes)
        for given in x.unbind():
            spikes = given
            for number, (linear, neuron) in enumerate(layers):
                spikes, membrane = neuron(linear(spikes), *states[number])
                states[number] = (spikes, membrane)
            total = total + readout(spikes)
        return total

    return _offline(modules, logits, n_sessions)


def spikingjelly(n_sessions: int) -> Round:
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

    sizes = (NETWORK.inputs, *NETWORK.hidden)
    hidden = [recurrent(below, size) for below, size in pairwise(sizes)]
    network = torch.nn.Sequential(*hidden, torch.nn.Linear(sizes[-1], NETWORK.classes))

    def logits(x: torch.Tensor) -> torch.Tensor:
        functional.reset_net(network)
        total = torch.zeros(n_sessions, NETWORK.classes)
        for given in x.unbind():
            total = total + network(given)
        return total

    return _offline(network, logits, n_sessions)


def _offline(
    network: torch.nn.Module, logits: Callable[[torch.Tensor], torch.Tensor], n_sessions: int
) -> Round:
    adam = torch.optim.Adam(network.parameters(), lr=RATE)
    x = torch.from_numpy(inputs(n_sessions))
    targets = torch.full((n_sessions,), 3)

    def round_() -> None:
        adam.zero_grad()
        torch.nn.functional.cross_entropy(logits(x), targets).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        adam.step()

    return round_


PEERS: dict[str, Callable[[int], Round]] = {
    "ours": ours,
    "torch eager": torch_eager,
    "torch.compile": torch_compile,
    "snnTorch": snntorch,
    "SpikingJelly": spikingjelly,
}


def main() -> int:
    """Serve rounds until nobody asks for one."""
    name, n_sessions = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(1)
    torch.manual_seed(1)
    try:
        round_ = PEERS[name](n_sessions)
        round_()
    except ImportError as error:
        print(f"absent: {error}", flush=True)
        return 0
    print("ready", flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        for _ in range(SEGMENTS):
            round_()
        seconds = time.perf_counter() - begin
        print(seconds / (SEGMENTS * TICKS * n_sessions) * 1e6, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
