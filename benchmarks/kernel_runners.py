"""What `kernels` times: a session advanced by the learner, and the same by the eager network."""

import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.eager_network import EagerNetwork
from tclif_core import EventBlock, Learner, LearningSpec, NetworkSpec, SlotIndex, Strand

TICKS_A_SEGMENT = 128
# so small that a run does not change the activity that it is measured at
RATE = 1e-6
RULES = {
    "segment": LearningSpec(),
    "tick": LearningSpec(update="tick", optimizer="sgd"),
    "momentum": LearningSpec(update="tick", optimizer="sgd", momentum=0.9),
    "preconditioned": LearningSpec(update="tick", optimizer="rmsprop"),
    "off": LearningSpec(),
}
# gains that make both hidden layers fire within the bounds at that many active channels
GAINS = {45: (5.0, 6.0), 86: (3.5, 6.0)}


Dense = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """One line of the table.

    Attributes:
        kernel: Which backend, or ``eager``.
        learning: Key of `RULES`.
        active: Channels with an event, each tick.
        ticks_a_call: How many ticks each call advances.
        sessions: How many sessions a call advances, each with weights of its own.
    """

    kernel: str
    learning: str
    active: int
    ticks_a_call: int
    sessions: int = 1


class LearnerRunner:
    """Advances the sessions of a case by the learner, some segments a round."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._learner = Learner(
            _network(case), RULES[case.learning], kernel=case.kernel, capacity=case.sessions
        )
        begin = time.perf_counter()
        self._learner.warm_up()
        self.warm_up_s = time.perf_counter() - begin
        self._slots = [self._learner.open(seed=1, rate=RATE) for _ in range(case.sessions)]
        # as many segments as take some milliseconds: a round must be short, so that noise meets all
        self._segments = max(20 // case.sessions, 1) if case.kernel == "cpu" else 2
        self._calls = [
            EventBlock.from_dense([x] * case.sessions) for x in _calls(case, self._segments)
        ]

    def round(self) -> float:
        """Advance all segments; return the microseconds that a tick took."""
        learner, n_sessions = self._learner, self._case.sessions
        slots, strands = np.array(self._slots), np.full(n_sessions, int(Strand.LIVE))
        learns = np.full(n_sessions, self._case.learning != "off")
        targets = np.full(self._case.ticks_a_call * n_sessions, 3)
        calls_a_segment = TICKS_A_SEGMENT // self._case.ticks_a_call
        begin = time.thread_time()
        for n, block in enumerate(self._calls):
            if n % calls_a_segment == 0:
                for slot in self._slots:
                    learner.begin_segment(slot, Strand.LIVE)
            learner.advance(slots, strands, learns, block, targets)
            if learns[0] and n % calls_a_segment == calls_a_segment - 1:
                for slot in self._slots:
                    _apply_update(learner, slot)
        n_ticks = n_sessions * self._segments * TICKS_A_SEGMENT
        return (time.thread_time() - begin) / n_ticks * 1e6

    def activity(self) -> list[float]:
        """Return the spikes of each hidden layer, by neuron and tick."""
        counts, ticks = self._learner.spike_counts(self._slots[0])
        return [float(n) / ticks / size for n, size in zip(counts, (128, 128), strict=True)]


class EagerRunner:
    """Advances the eager network from the same weights on the same input."""

    warm_up_s = 0.0

    def __init__(self, case: Case) -> None:
        self._case, self._segments = case, 10
        learner = Learner(_network(case), RULES[case.learning], kernel="reference")
        weights = learner.weights(learner.open(seed=1, rate=RATE))
        self._eager = EagerNetwork(learner.network, weights, rate=RATE)
        self._calls = [torch.from_numpy(x).float() for x in _calls(case, self._segments)]

    def round(self) -> float:
        """Advance all segments; return the microseconds that a tick took."""
        eager, learning = self._eager, self._case.learning
        calls_a_segment = TICKS_A_SEGMENT // self._case.ticks_a_call
        begin = time.thread_time()
        for n, x in enumerate(self._calls):
            if n % calls_a_segment == 0:
                eager.begin_segment()
            eager.advance(x, 3, learning)
            if learning == "segment" and n % calls_a_segment == calls_a_segment - 1:
                eager.apply_update()
        return (time.thread_time() - begin) / (self._segments * TICKS_A_SEGMENT) * 1e6

    def activity(self) -> list[float]:
        """Return the spikes of each hidden layer, by neuron and tick, over one more segment."""
        self._eager.begin_segment()
        totals = np.zeros(2)
        for x in torch.cat(self._calls)[:TICKS_A_SEGMENT]:
            self._eager.advance(x[None], 3, "off")
            totals += [float(spikes.mean()) for spikes in self._eager.spikes()]
        return [float(total) / TICKS_A_SEGMENT for total in totals]


def _network(case: Case) -> NetworkSpec:
    input_gain, hidden_gain = GAINS[case.active]
    return NetworkSpec(
        inputs=700, hidden=(128, 128), classes=20, input_gain=input_gain, hidden_gain=hidden_gain
    )


def _apply_update(learner: Learner, slot: SlotIndex) -> None:
    if not learner.apply_update(slot):
        raise RuntimeError("the gradient is not finite: the speed would mean nothing")


def _calls(case: Case, n_segments: int) -> list[Dense]:
    generator = np.random.default_rng(7)
    calls = []
    for _ in range(n_segments * TICKS_A_SEGMENT // case.ticks_a_call):
        x = np.zeros((case.ticks_a_call, 700))
        for tick in x:
            tick[generator.choice(700, case.active, replace=False)] = 1.0
        calls.append(x)
    return calls
