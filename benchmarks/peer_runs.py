"""One peer in a process of its own: it learns a round whenever it is told to, and says how fast.

    python -m benchmarks.peer_runs NAME SESSIONS

Keeps to one core. Writes ``ready:`` with the versions of what it uses, or ``absent:`` with the
reason; then for each line that comes in the microseconds of processor time of one learned
session-tick, over segments of 100 ticks with 45 of 700 channels active.
"""

import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import peer_offline
from benchmarks.kernel_runners import GAINS, RATE
from benchmarks.peer_torch import TorchSessions
from tclif_core import EventBlock, Learner, LearningSpec, NetworkSpec, Strand

TICKS = 100
ACTIVE = 45
# frames of 80 ms in ticks of 4 ms
CALL_TICKS = 20
TARGET = 3
SHORTEST_ROUND = 1000
"""Session-ticks of a round at least."""

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


def _ours(n_sessions: int, call_ticks: int) -> Round:
    learner = Learner(NETWORK, LearningSpec(), kernel="cpu")
    learner.warm_up()
    slots = np.array([learner.open(seed=seed, rate=RATE) for seed in range(n_sessions)])
    x = inputs(n_sessions)
    blocks = [
        EventBlock.from_dense([x[first : first + call_ticks, s] for s in range(n_sessions)])
        for first in range(0, TICKS, call_ticks)
    ]
    strands = np.full(n_sessions, Strand.LIVE, np.int64)
    learns = np.ones(n_sessions, np.bool_)
    targets = np.full(n_sessions * call_ticks, TARGET)

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
    targets[:, TARGET] = 1.0
    return lambda: sessions.learn(x, targets)


def _braintrace(n_sessions: int, *, leaky: bool = False, in_turn: bool = False) -> Round:
    # read at import; the machine may have a GPU, and more cores than one
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    from benchmarks.peer_braintrace import BraintraceSessions  # noqa: PLC0415 - may be absent

    x = inputs(n_sessions)
    sessions = BraintraceSessions(NETWORK, x, rate=RATE, leaky=leaky, in_turn=in_turn)
    return lambda: sessions.learn(TARGET)


def _offline(
    peer: Callable[[NetworkSpec, torch.Tensor, float], Round],
) -> Callable[[int], Round]:
    return lambda n_sessions: peer(NETWORK, torch.from_numpy(inputs(n_sessions)), RATE)


PEERS: dict[str, Callable[[int], Round]] = {
    "ours": lambda n: _ours(n, TICKS),
    "ours, 20 ticks a call": lambda n: _ours(n, CALL_TICKS),
    "torch eager": lambda n: _torch(n, compiles=False),
    "torch.compile": lambda n: _torch(n, compiles=True),
    "braintrace": _braintrace,
    "braintrace, in turn": lambda n: _braintrace(n, in_turn=True),
    "braintrace, leaky": lambda n: _braintrace(n, leaky=True),
    "braintrace, leaky, in turn": lambda n: _braintrace(n, leaky=True, in_turn=True),
    "snnTorch": _offline(peer_offline.snntorch),
    "SpikingJelly": _offline(peer_offline.spikingjelly),
}
"""What is run, by the name that the table gives it."""


def packages(name: str) -> tuple[str, ...]:
    """Return what a peer is made of, by the names under which it is installed."""
    kind = name.partition(",")[0]
    of_kind = {
        "ours": ("numba",),
        "braintrace": ("braintrace", "jax"),
        "snnTorch": ("snntorch", "torch"),
        "SpikingJelly": ("spikingjelly", "torch"),
    }
    return of_kind.get(kind, ("torch",))


def keep_to_one_core() -> None:
    """Let this process, and what it starts from now on, run on one core alone; Linux only."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main() -> int:
    """Serve rounds until nobody asks for one."""
    name, n_sessions = sys.argv[1], int(sys.argv[2])
    keep_to_one_core()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    begin = time.perf_counter()
    try:
        round_ = PEERS[name](n_sessions)
        round_()
        versions = ", ".join(f"{package} {version(package)}" for package in packages(name))
    except Exception as error:  # noqa: BLE001 - libraries that don't fit fail in any way
        print(f"absent: {str(error).splitlines()[0]}", flush=True)
        return 0
    print(f"ready: {versions}; warm after {time.perf_counter() - begin:.1f} s", flush=True)
    # of one session a segment alone is too short for the clock
    n_segments = max(1, SHORTEST_ROUND // (TICKS * n_sessions))
    for _ in sys.stdin:
        began = time.process_time()
        for _ in range(n_segments):
            round_()
        seconds = time.process_time() - began
        print(seconds / (n_segments * TICKS * n_sessions) * 1e6, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
