"""Every session's tensors, stacked by slot, in flat rows.

All that a session's network is lies in one slot: parameters, accumulated gradient, optimiser state,
feedback weights, and two strands of neuron state. The bank grows by doubling and never shrinks; a
freed slot is cleared and given out again. Only the caller's thread may touch it.

Shapes: K slots.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from tclif_core.batch import SlotIndex, Strand
from tclif_core.fresh_memory import fresh_zeros
from tclif_core.hyperparameters import LearningSpec, NetworkSpec
from tclif_core.initial_weights import feedback_weights, initial_parameters
from tclif_core.row_layout import (
    accumulated_from,
    feedback_layout,
    logit_memory,
    parameter_layout,
    rate_spans,
    state_layout,
)
from tclif_core.row_soundness import check_rate, check_rows
from tclif_core.scalar_intervals import check_scalars, scalar_bounds
from tclif_core.short_loops import clear

TICK, LABELLED_TICKS, TICKS_SINCE_OPEN, FIRST_SPIKES = range(4)
"""Columns of ``counters``; the spikes of layer n are in column ``FIRST_SPIKES + n``."""

N_UPDATES, N_PENDING = range(2)
"""Columns of ``updates``: optimiser steps so far, labelled ticks since the last one."""

ROOM_SLOTS, ROOM_BYTES = 256, 1 << 29
"""Of main memory a bank that grows reserves this much at least, whichever is less."""

_HIGHEST_SEED = 2**63 - 1


def row_shapes(
    network: NetworkSpec, learning: LearningSpec, dtype: torch.dtype = torch.float32
) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Return shape and type of what one slot takes in each of the bank's tensors.

    This is the whole memory of a session: no number of ticks occurs in it.
    """
    parameters = parameter_layout(network)
    accumulated = parameters.width - accumulated_from(parameters, learning)
    return {
        "parameters": ((parameters.width,), dtype),
        "gradients": ((accumulated,), dtype),
        "first_moment": ((parameters.width * learning.keeps_first_moment,), dtype),
        "second_moment": ((parameters.width * learning.keeps_second_moment,), dtype),
        "feedback": ((feedback_layout(network, learning).width,), dtype),
        "state": ((len(Strand), state_layout(network, learning).width), dtype),
        "sums": ((len(Strand), network.classes + 1), torch.float64),
        "counters": ((len(Strand), FIRST_SPIKES + len(network.hidden)), torch.int64),
        "updates": ((2,), torch.int64),
        "rates": ((), torch.float64),
        "seeds": ((), torch.int64),
        "first_classes": ((), torch.int64),
    }


def slot_bytes(
    network: NetworkSpec, learning: LearningSpec, dtype: torch.dtype = torch.float32
) -> int:
    """Return the exact bytes that one slot takes."""
    shapes = row_shapes(network, learning, dtype).values()
    return sum(math.prod(shape) * row_dtype.itemsize for shape, row_dtype in shapes)


class SlotBank:
    """The tensors of all sessions of one network kind.

    Attributes:
        parameters: ``[K, P]``, see `row_layout`.
        gradients: Accumulated since the last update, ``[K, P - accumulated_from]``.
        first_moment: Adam's running mean, or a velocity, ``[K, P]``; width 0 where not kept.
        second_moment: Adam's and RMSprop's running mean of squares, likewise.
        feedback: ``[K, F]``; width 0 unless feedback is broadcast.
        state: Neurons, traces and logits of both strands, ``[K, 2, Q]``.
        sums: Of the segment so far: class probabilities, then loss, ``[K, 2, C + 1]`` float64.
        counters: ``[K, 2, 3 + layers]`` int64: ticks of the segment, labelled ticks of the segment,
            ticks since open, spikes of each layer since open.
        updates: ``[K, 2]`` int64: optimiser steps, labelled ticks since the last one.
        rates: Learning rate of each slot, ``[K]`` float64.
        seeds: Seed of each slot's initial weights, ``[K]`` int64.
        first_classes: How many classes those weights were for, ``[K]`` int64.
        n_touched: How many slots were open once; in main memory the others take none.
    """

    parameters: torch.Tensor
    gradients: torch.Tensor
    first_moment: torch.Tensor
    second_moment: torch.Tensor
    feedback: torch.Tensor
    state: torch.Tensor
    sums: torch.Tensor
    counters: torch.Tensor
    updates: torch.Tensor
    rates: torch.Tensor
    seeds: torch.Tensor
    first_classes: torch.Tensor

    def __init__(
        self,
        network: NetworkSpec,
        learning: LearningSpec,
        *,
        capacity: int = 1,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be 1 or more, got {capacity}")
        self.network, self.learning, self.dtype = network, learning, dtype
        self.parameter_layout = parameter_layout(network)
        self.state_layout = state_layout(network, learning)
        self.feedback_layout = feedback_layout(network, learning)
        self.accumulated_from = accumulated_from(self.parameter_layout, learning)
        self.rate_spans = rate_spans(network, learning, self.parameter_layout)
        self.scalar_bounds = scalar_bounds(network, learning, self.parameter_layout, dtype)
        self.device = torch.device("cpu")
        self.n_touched = 0
        self._capacity = 0
        self._open: set[int] = set()
        self._free: list[int] = []
        self._numbers: dict[str, Any] = {}
        self._grow(capacity)

    @property
    def n_open(self) -> int:
        """How many slots are in use."""
        return len(self._open)

    @property
    def capacity(self) -> int:
        """K: how many slots there are."""
        return self._capacity

    def check_open(self, slot: int) -> None:
        """Refuse a slot that no session holds.

        Raises:
            ValueError: The slot is free or out of range.
        """
        if slot not in self._open:
            raise ValueError(f"slot {slot} is not open")

    def check_all_open(self, slots: list[int]) -> None:
        """Refuse slots of which no session holds one.

        Raises:
            ValueError: As `check_open` does.
        """
        if not self._open.issuperset(slots):
            for slot in slots:
                self.check_open(slot)

    def open(self, *, seed: int, rate: float) -> SlotIndex:
        """Give out a slot with fresh weights and zero state, growing if all are taken.

        Args:
            seed: Of the initial weights, from 0 to 2**63 - 1.
            rate: Learning rate, see `set_rate`.

        Raises:
            ValueError: Seed or rate lies outside its interval; nothing changed.
        """
        if not 0 <= seed <= _HIGHEST_SEED:
            raise ValueError(f"seed must lie in [0, {_HIGHEST_SEED}], got {seed}")
        check_rate(rate)
        parameters = torch.from_numpy(initial_parameters(self.network, seed))
        feedback = torch.from_numpy(feedback_weights(self.network, self.learning, seed))
        if not self._free:
            self._grow(self._next_capacity())
        slot = self._free.pop()
        self.n_touched = max(self.n_touched, slot + 1)
        self._open.add(slot)
        self.parameters[slot].copy_(parameters)
        self.feedback[slot].copy_(feedback)
        self.rates[slot] = rate
        self.seeds[slot] = seed
        self.first_classes[slot] = self.network.classes
        return SlotIndex(slot)

    def close(self, slot: SlotIndex) -> None:
        """Free a slot and clear all that was in it.

        Raises:
            ValueError: The slot is not open.
        """
        self.check_open(slot)
        for name in row_shapes(self.network, self.learning):
            getattr(self, name)[slot].zero_()
        self._open.remove(slot)
        self._free.append(slot)

    def move_to(self, device: torch.device) -> None:
        """Keep all rows on a device from here on, as a backend that computes there needs them."""
        self.device = device
        self._numbers.clear()
        for name in row_shapes(self.network, self.learning):
            setattr(self, name, getattr(self, name).to(device))
        self.scalar_bounds = self.scalar_bounds.to(device)

    def numbers(self, name: str) -> Any:  # noqa: ANN401 - both index alike
        """Return rows to read and write single numbers of, as NumPy's where they can be.

        torch lets go of the interpreter lock for every number, and may wait for it long.
        """
        if name not in self._numbers:
            rows: torch.Tensor = getattr(self, name)
            self._numbers[name] = rows.numpy() if self.device.type == "cpu" else rows
        return self._numbers[name]

    def clear(self, name: str, *place: int) -> None:
        """Set a row, or a strand's share of it, to zero."""
        row = self.numbers(name)[place]
        if isinstance(row, np.ndarray):
            clear(row)
        else:
            row.zero_()

    def set_rate(self, slot: SlotIndex, rate: float) -> None:
        """Change a slot's learning rate from here on.

        Raises:
            ValueError: The slot is not open, or the rate lies outside [0, 100].
        """
        self.check_open(slot)
        check_rate(rate)
        self.rates[slot] = rate

    def begin_segment(self, slot: SlotIndex, strand: Strand, *, carry_state: bool) -> None:
        """Set a strand's clock, means, losses and logits to zero, and its state unless carried.

        Raises:
            ValueError: The slot is not open.
        """
        self.check_open(slot)
        if carry_state:
            logit_memory(self.state_layout, self.state[slot, strand]).zero_()
        else:
            self.clear("state", slot, strand)
        self.set_clock(slot, strand, 0)

    def set_clock(self, slot: SlotIndex, strand: Strand, tick: int) -> None:
        """Set how many ticks of its segment a strand has behind it, its means and losses to zero.

        Raises:
            ValueError: The slot is not open, or the tick is negative.
        """
        self.check_open(slot)
        if tick < 0:
            raise ValueError(f"tick must be 0 or more, got {tick}")
        self.numbers("sums")[slot, strand] = 0.0
        counters = self.numbers("counters")
        counters[slot, strand, TICK] = tick
        counters[slot, strand, LABELLED_TICKS] = 0

    def export(self, slot: SlotIndex) -> dict[str, torch.Tensor]:
        """Return copies of all that a slot holds, in main memory, by the names of the attributes.

        Raises:
            ValueError: The slot is not open.
        """
        self.check_open(slot)
        names = row_shapes(self.network, self.learning, self.dtype)
        return {name: self._copied(name, slot) for name in names}

    def _copied(self, name: str, slot: int) -> torch.Tensor:
        rows = self.numbers(name)
        if isinstance(rows, torch.Tensor):
            return rows[slot].to("cpu", copy=True)
        row = np.asarray(rows[slot])
        # keeps the interpreter lock, as `numbers` explains
        copied = np.frombuffer(bytearray(row.data), row.dtype).reshape(row.shape)
        return torch.from_numpy(copied)

    def replace(self, slot: SlotIndex, rows: Mapping[str, torch.Tensor]) -> None:
        """Put what `export` returned in place of all that a slot holds.

        Raises:
            ValueError: The slot is not open; a row is missing, unknown, or of another shape or
                type than this bank's; or it can't have come about. Nothing changed.
        """
        self.check_open(slot)
        shapes = row_shapes(self.network, self.learning, self.dtype)
        if rows.keys() != shapes.keys():
            raise ValueError(f"rows {sorted(shapes)} are expected, got {sorted(rows)}")
        for name, (shape, dtype) in shapes.items():
            row = rows[name]
            if tuple(row.shape) != shape or row.dtype != dtype:
                raise ValueError(
                    f"{name} must be {dtype} {list(shape)}, got {row.dtype} {list(row.shape)}"
                )
        check_rows(self.network, self.parameter_layout, rows)
        for name, row in rows.items():
            getattr(self, name)[slot].copy_(row)

    def load_parameters(self, slot: SlotIndex, weights: Mapping[str, torch.Tensor]) -> None:
        """Put weights in place of a slot's; gradients, moments and state start at zero.

        Args:
            slot: The session.
            weights: All parameters by name, as `parameter_views` gives them; left untouched.

        Raises:
            ValueError: The slot is not open; or a parameter is missing, unknown, of another shape,
                not finite, or outside its interval; nothing changed.
        """
        self.check_open(slot)
        row = torch.zeros(self.parameter_layout.width, dtype=self.dtype)
        views = self.parameter_layout.views(row)
        if weights.keys() != views.keys():
            missing, unknown = sorted(views.keys() - weights), sorted(weights.keys() - views)
            parts = {"lack": missing, "have unknown": unknown}
            said = " and ".join(f"{verb} {', '.join(n)}" for verb, n in parts.items() if n)
            raise ValueError(f"the weights {said}: another network's")
        for name, view in views.items():
            weight = weights[name]
            if weight.shape != view.shape:
                raise ValueError(f"{name} must be {list(view.shape)}, got {list(weight.shape)}")
            view.copy_(weight)
            if not view.isfinite().all():
                raise ValueError(f"{name} holds a number that is not finite")
        check_scalars(self.network, self.parameter_layout, row)
        self.parameters[slot].copy_(row)
        for name in ("gradients", "first_moment", "second_moment", "state", "sums", "counters"):
            getattr(self, name)[slot].zero_()
        self.updates[slot].zero_()

    def parameter_views(self, slot: int) -> dict[str, torch.Tensor]:
        """Return a slot's parameters by name, sharing the bank's memory until it grows."""
        return self.parameter_layout.views(self.parameters[slot])

    def state_views(self, slot: int, strand: Strand) -> dict[str, torch.Tensor]:
        """Return a strand's state by name, sharing the bank's memory until it grows."""
        return self.state_layout.views(self.state[slot, strand])

    def gradient_views(self, slot: int) -> dict[str, torch.Tensor]:
        """Return the accumulated gradients by name, sharing the bank's memory until it grows.

        With per-tick updates only those of the layers' four numbers add up.
        """
        start = self.accumulated_from
        return {
            name: field._replace(offset=field.offset - start).view(self.gradients[slot])
            for name, field in self.parameter_layout.fields.items()
            if field.offset >= start
        }

    def _next_capacity(self) -> int:
        """Return a capacity to grow to, so large that it seldom happens: all slots are copied."""
        room = 0
        if self.device.type == "cpu":
            # slots that nobody used yet take no memory there
            n_bytes = slot_bytes(self.network, self.learning, self.dtype)
            room = min(ROOM_SLOTS, ROOM_BYTES // n_bytes)
        return max(2 * self._capacity, room)

    def _grow(self, capacity: int) -> None:
        self._numbers.clear()
        shapes = row_shapes(self.network, self.learning, self.dtype)
        for name, (shape, dtype) in shapes.items():
            grown = fresh_zeros((capacity, *shape), dtype, self.device)
            if self._capacity:
                grown[: self._capacity].copy_(getattr(self, name))
            setattr(self, name, grown)
        # the lowest numbers are given out first
        self._free = [*range(capacity - 1, self._capacity - 1, -1), *self._free]
        self._capacity = capacity
