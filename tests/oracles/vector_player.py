"""Plays a vector file through a backend and sets what comes out beside what the file holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from tclif_core import EventBlock, Learner, SlotIndex, Strand
from tests.oracles.vectors import TICK_FIELDS, VectorCase

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """One computed array beside the expected one.

    Attributes:
        quantity: Row of the tolerance table.
        where: Which array, for a person.
        tick: Which tick, -1 for what is known after the last one.
        actual: Computed.
        expected: From the file.
    """

    quantity: str
    where: str
    tick: int
    actual: Array
    expected: Array


class Player:
    """Plays a vector file through a backend."""

    def __init__(self, case: VectorCase, kernel: str, dtype: torch.dtype) -> None:
        self._case = case
        self._value_type = np.float64 if dtype == torch.float64 else np.float32
        self.learner = Learner(case.network, case.learning, kernel=kernel, dtype=dtype)
        self.slot: SlotIndex = self.learner.open(seed=0, rate=case.rate)
        views = self.learner.bank.parameter_views(self.slot)
        for name in case.weight_names:
            views[name].copy_(torch.from_numpy(case.arrays[name]))
        feedback = self.learner.bank.feedback_layout.views(self.learner.bank.feedback[self.slot])
        for name, view in feedback.items():
            view.copy_(torch.from_numpy(case.arrays[name]))

    def measure(self, *, from_file: bool) -> Iterator[Measured]:
        """Play tick by tick and yield everything that the file holds, tick after tick.

        Args:
            from_file: Set state and logits to the file's before each tick, so that rounding does
                not add up over ticks and a spike that differs stays one spike.
        """
        sums = self.learner.bank.sums[self.slot, Strand.LIVE, :-1]
        for tick in range(self._case.n_ticks):
            begins = tick in self._case.meta["segment_starts"]
            if begins:
                self.learner.begin_segment(self.slot, Strand.LIVE)
            elif from_file:
                self._take_state(tick - 1)
            before = sums.clone()
            logits = self._advance(tick, tick + 1)
            yield from self._neurons(tick)
            expected = self._case.arrays
            yield Measured("logits", "logits", tick, logits[0], expected["logits"][tick])
            p = (sums - before).cpu().numpy()
            yield Measured(
                "probabilities", "probabilities", tick, p, expected["probabilities"][tick]
            )
        yield from self._after_the_last_tick()

    def play_segments(self) -> Array:
        """Play each segment in one call; return all logits ``[T, C]``."""
        starts = [*self._case.meta["segment_starts"], self._case.n_ticks]
        logits = []
        for start, stop in pairwise(starts):
            self.learner.begin_segment(self.slot, Strand.LIVE)
            logits.append(self._advance(start, stop))
        return np.concatenate(logits)

    def play_ticks(self) -> Array:
        """Play each tick in a call of its own; return all logits ``[T, C]``."""
        logits = []
        for tick in range(self._case.n_ticks):
            if tick in self._case.meta["segment_starts"]:
                self.learner.begin_segment(self.slot, Strand.LIVE)
            logits.append(self._advance(tick, tick + 1))
        return np.concatenate(logits)

    def _advance(self, start: int, stop: int) -> Array:
        x = self._case.arrays["x"][start:stop]
        result = self.learner.advance(
            np.array([self.slot]),
            np.array([Strand.LIVE], np.int64),
            np.array([True]),
            EventBlock.from_dense([x], self._value_type),
            self._case.arrays["target"][start:stop].astype(np.int64),
        )
        return result.logits.astype(np.float64)

    def _take_state(self, tick: int) -> None:
        views = self.learner.bank.state_views(self.slot, Strand.LIVE)
        names = [
            f"layer{layer}.{field}"
            for layer in range(len(self._case.network.hidden))
            for field in ("dendrite", "soma", "spikes")
        ]
        for name in [*names, "logits"]:
            if not (self._case.is_lif and name.endswith(".dendrite")):
                views[name].copy_(torch.from_numpy(self._case.arrays[name][tick]))

    def _neurons(self, tick: int) -> Iterator[Measured]:
        views = self.learner.bank.state_views(self.slot, Strand.LIVE)
        for layer in range(len(self._case.network.hidden)):
            for field in TICK_FIELDS:
                name = f"layer{layer}.{field}"
                if name not in self._case.arrays:
                    continue
                expected = self._case.arrays[name][tick]
                actual = views[name].cpu().numpy().astype(np.float64)
                if self._case.is_lif and field == "dendrite":
                    # a pass-through here and nothing in the file: there is no dendrite to compare
                    actual = np.zeros_like(actual)
                yield Measured(field, name, tick, actual, expected)

    def _after_the_last_tick(self) -> Iterator[Measured]:
        case, bank = self._case, self.learner.bank
        state = bank.state_views(self.slot, Strand.LIVE)
        for layer, size in enumerate(case.network.hidden):
            for compartment in ("dendrite", "soma"):
                name = f"layer{layer}.eligibility.{compartment}"
                if name not in case.arrays:
                    continue
                # one pair serves all synapses of a line: the file's columns must all equal it
                actual = state[name].cpu().numpy().astype(np.float64)[:, None].repeat(size, axis=1)
                if case.is_lif and compartment == "dendrite":
                    actual = np.zeros_like(actual)
                yield Measured("eligibility", name, -1, actual, case.arrays[name])
        weights, gradients = self.learner.weights(self.slot), bank.gradient_views(self.slot)
        for name in case.weight_names:
            after = weights[name].astype(np.float64)
            # absent only where the rate is 0: then the weights stay
            expected = case.arrays.get(f"{name}.after", case.arrays[name])
            yield Measured("after", f"{name}.after", -1, after, expected)
            if case.rate > 0:
                start = case.arrays[name].astype(self._value_type).astype(np.float64)
                actual = (start - after) / case.rate
            else:
                actual = gradients[name].cpu().numpy().astype(np.float64)
            label = f"{name}.gradient"
            yield Measured("gradient", label, -1, actual, case.arrays[label])
        for name in case.scalar_names:
            label = f"{name}.gradient"
            actual = gradients[name].cpu().numpy().astype(np.float64)
            yield Measured("gradient", label, -1, actual, case.arrays[label])
