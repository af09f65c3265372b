"""The one class the service talks to: sessions of one network kind, advanced in batches.

Arrays in, arrays out; no clock, no thread, no file. A learner belongs to one thread.
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from tclif_core.batch import AdvanceResult, Batch, EventBlock, SlotIndex, Strand, Targets
from tclif_core.class_growth import first_parameters
from tclif_core.hyperparameters import LearningSpec, NetworkSpec
from tclif_core.kernels import choose_kernel, has_device
from tclif_core.row_layout import line_field, parameter_count, state_layout
from tclif_core.slot_bank import (
    FIRST_SPIKES,
    LABELLED_TICKS,
    N_PENDING,
    TICKS_SINCE_OPEN,
    SlotBank,
    slot_bytes,
)

_OF_THE_STREAM = ("state", "sums", "counters", "feedback", "seeds")
"""Rows of a slot that no step of its optimiser moves."""


class Learner:
    """Networks that learn while in use, one a slot, each with weights of its own."""

    def __init__(
        self,
        network: NetworkSpec,
        learning: LearningSpec,
        *,
        kernel: str = "cpu",
        capacity: int = 1,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Make room for some sessions.

        Args:
            network: What each session's network is.
            learning: How its weights move.
            kernel: ``cpu`` (fast), ``cuda`` (for many sessions on a GPU), ``reference`` (plain
                torch, for comparison), or ``auto``: ``cuda`` where there is a CUDA device, else
                ``cpu``. What ``cpu`` and ``cuda`` do not compute falls back to ``reference`` with
                a line in the log; ``kernel_name`` says which one it is.
            capacity: Slots to allocate at once; more come as they are needed.
            dtype: ``torch.float32``, or ``torch.float64`` for comparisons on ``reference``.

        Raises:
            ValueError: The kernel is unknown or lacks a device, ``capacity`` is below 1, or the
                learning's ``layer_rates`` are for a network of another depth.
            ImportError: A package that the kernel needs is not installed.
        """
        self.network, self.learning = network, learning
        self.bank = SlotBank(network, learning, capacity=capacity, dtype=dtype)
        self.kernel_name, self._kernel = choose_kernel(kernel, self.bank)

    @staticmethod
    def has_kernel(name: str) -> bool:
        """Tell whether a kernel finds what it computes on: for ``cuda``, Triton and a device."""
        return has_device(name)

    @staticmethod
    def session_bytes(network: NetworkSpec, learning: LearningSpec) -> int:
        """Return the exact bytes a session takes, however long its stream, allocating nothing."""
        return slot_bytes(network, learning)

    @staticmethod
    def state_bytes(network: NetworkSpec, learning: LearningSpec) -> int:
        """Return the bytes that a state of `copy_state` takes."""
        return 4 * state_layout(network, learning).width

    @property
    def n_parameters(self) -> int:
        """How many parameters each session has."""
        return parameter_count(self.network)

    @property
    def n_sessions(self) -> int:
        """How many slots are open."""
        return self.bank.n_open

    @property
    def memory_bytes(self) -> int:
        """What its slots take together, those included that were given back.

        On a device that is all there are, in main memory those that were open once.
        """
        bank = self.bank
        n_slots = bank.n_touched if bank.device.type == "cpu" else bank.capacity
        return n_slots * slot_bytes(self.network, self.learning, bank.dtype)

    def open(self, *, seed: int, rate: float) -> SlotIndex:
        """Open a session with fresh weights, a function of the seed and the specification.

        Args:
            seed: From 0 to 2**63 - 1.
            rate: Learning rate, from 0 to 100.

        Raises:
            ValueError: Seed or rate lies outside its interval.
        """
        return self.bank.open(seed=seed, rate=rate)

    def close(self, slot: SlotIndex) -> None:
        """Free a slot and clear it.

        Raises:
            ValueError: The slot is not open.
        """
        self.bank.close(slot)

    def set_rate(self, slot: SlotIndex, rate: float) -> None:
        """Change a session's learning rate from here on.

        Raises:
            ValueError: The slot is not open, or the rate lies outside [0, 100].
        """
        self.bank.set_rate(slot, rate)

    def begin_segment(self, slot: SlotIndex, strand: Strand, *, carry_state: bool = False) -> None:
        """Start a strand's segment: clock, mean prediction, losses and logits at zero.

        Weights, accumulated gradients and optimiser state stay.

        Args:
            slot: The session.
            strand: Which of its two states.
            carry_state: Keep neuron state and traces instead of starting them at zero too.

        Raises:
            ValueError: The slot is not open.
        """
        self.bank.begin_segment(slot, strand, carry_state=carry_state)

    def copy_state(self, slot: SlotIndex, strand: Strand) -> NDArray[np.floating]:
        """Return a copy of a strand's neuron state and traces ``[Q]``, for `restore_state`.

        Raises:
            ValueError: The slot is not open.
        """
        self.bank.check_open(slot)
        return self.bank.state[slot, strand].cpu().numpy().copy()

    def restore_state(self, slot: SlotIndex, strand: Strand, state: NDArray[np.floating]) -> None:
        """Put a strand's neuron state and traces back as `copy_state` returned them.

        Raises:
            ValueError: The slot is not open, or the state is that of another kind of network.
        """
        self.bank.check_open(slot)
        row = self.bank.state[slot, strand]
        if state.shape != tuple(row.shape) or torch.from_numpy(state).dtype != row.dtype:
            raise ValueError(
                f"a state must be {row.dtype} {list(row.shape)}, got {state.dtype}"
                f" {list(state.shape)}"
            )
        row.copy_(torch.from_numpy(state))

    def resume_segment(
        self, slot: SlotIndex, strand: Strand, state: NDArray[np.floating], *, tick: int
    ) -> None:
        """Put a strand into the middle of a segment: `restore_state`, and the clock set.

        Losses count from here; the mean probabilities that ``advance`` returns are no means until
        the strand begins a segment again.

        Args:
            slot: The session.
            strand: Which of its two states.
            state: As `copy_state` returned it before that tick, logits included.
            tick: How many ticks of the segment went before, from which decays follow.

        Raises:
            ValueError: The slot is not open, the state is that of another kind of network, or the
                tick is negative.
        """
        self.restore_state(slot, strand, state)
        self.bank.set_clock(slot, strand, tick)

    def advance(
        self,
        slots: NDArray[np.int64],
        strands: NDArray[np.int64] | NDArray[np.uint8],
        learn: NDArray[np.bool_],
        block: EventBlock,
        targets: Targets,
    ) -> AdvanceResult:
        """Advance some sessions, each by its own number of ticks.

        A tick is predicted before it is learnt. A row with ``learn`` moves eligibility at every
        tick and learns at those with a target; it must do so from its segment's begin, since
        eligibility does not know of ticks advanced without. A row without ``learn`` only infers,
        as do all rows of a ``frozen`` learner.

        Args:
            slots: Distinct open slots ``[S]``.
            strands: `Strand` of each row ``[S]``.
            learn: Whether each row learns ``[S]``.
            block: The input, B ticks in all.
            targets: Class of each tick ``[B]``, -1 where none is known; with loss ``mean_squared``
                what the logits should be ``[B, C]``, NaN where that is not known.

        Raises:
            ValueError: A shape, type, slot, channel, value or target is not as expected; nothing
                has changed.
        """
        wide = strands.astype(np.int64) if strands.dtype == np.uint8 else strands
        if self.learning.update == "frozen":
            learn = np.zeros_like(learn)
        batch = Batch(slots, wide, learn, block, targets)
        self.bank.check_all_open(slots.tolist())
        batch.check_ranges(self.network.inputs, self.network.classes, self.learning.loss)
        return self._kernel.advance(batch)

    def apply_update(self, slot: SlotIndex) -> bool:
        """Let the optimiser step from what labelled ticks accumulated since the last update.

        With per-tick updates only the layers' decay minima and couplings are left to move. Without
        a labelled tick nothing moves, momentum included.

        Returns:
            False if the gradient or a weight is not finite: nothing was applied, the gradient is
            cleared.

        Raises:
            ValueError: The slot is not open.
        """
        self.bank.check_open(slot)
        if not self.bank.numbers("updates")[slot, N_PENDING]:
            return True
        return self._kernel.apply_update(slot)

    def apply_updates(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Do what `apply_update` does for some sessions at once, as a GPU wants it.

        Args:
            slots: Distinct open slots ``[S]``.

        Returns:
            What `apply_update` returns for each ``[S]``.

        Raises:
            ValueError: A slot is not open or listed twice; nothing has changed.
        """
        self.bank.check_all_open(slots.tolist())
        if len(set(slots.tolist())) != len(slots):
            raise ValueError(f"slots must be distinct, got {slots.tolist()}")
        usable = np.ones(len(slots), np.bool_)
        has_learnt = self.bank.updates[slots, N_PENDING].cpu().numpy() > 0
        usable[has_learnt] = self._kernel.apply_updates(slots[has_learnt])
        return usable

    def segment_loss(self, slot: SlotIndex, strand: Strand) -> float:
        """Return the mean loss over the segment's labelled ticks, NaN if there is none.

        Raises:
            ValueError: The slot is not open.
        """
        self.bank.check_open(slot)
        n_labelled = int(self.bank.numbers("counters")[slot, strand, LABELLED_TICKS])
        loss = float(self.bank.numbers("sums")[slot, strand, -1])
        return loss / n_labelled if n_labelled else float("nan")

    def export(self, slot: SlotIndex) -> dict[str, torch.Tensor]:
        """Return copies of all that a session is: weights, gradients, moments, state, counters.

        Raises:
            ValueError: The slot is not open.
        """
        return self.bank.export(slot)

    def replace(
        self, slot: SlotIndex, rows: Mapping[str, torch.Tensor | NDArray[np.generic]]
    ) -> None:
        """Make a session what `export` returned: it goes on from there bit for bit.

        Args:
            slot: An open slot of a learner of the same specification.
            rows: Tensors or writable arrays; left untouched.

        Raises:
            ValueError: The slot is not open; a row is missing, unknown, or of another shape or
                type; or it holds what no session can, such as a weight that is not finite.
                Nothing changed.
        """
        self.bank.replace(slot, {name: torch.as_tensor(row) for name, row in rows.items()})

    def roll_back(
        self, slot: SlotIndex, rows: Mapping[str, torch.Tensor | NDArray[np.generic]]
    ) -> None:
        """Give a session weights, moments, count of updates and rate of rows that it exported.

        What belongs to its stream stays: neuron state and traces, clocks, counters. A gradient that
        is gathering starts from zero, for it is that of other weights.

        Args:
            slot: The session.
            rows: Left untouched.

        Raises:
            ValueError: The slot is not open, or a row is missing, unknown, of another shape or
                type, or unsound; nothing changed.
        """
        now = self.bank.export(slot)
        if rows.keys() != now.keys():
            raise ValueError(f"rows {sorted(now)} are expected, got {sorted(rows)}")
        then = {name: torch.as_tensor(row) for name, row in rows.items()}
        updates = then["updates"].clone()
        updates[N_PENDING:] = 0
        fresh = {"updates": updates, "gradients": torch.zeros_like(now["gradients"])}
        self.bank.replace(slot, then | {name: now[name] for name in _OF_THE_STREAM} | fresh)

    def load_weights(self, slot: SlotIndex, weights: Mapping[str, NDArray[np.floating]]) -> None:
        """Let a session go on from given weights, its optimiser and state from zero.

        Args:
            slot: The session.
            weights: All parameters by name, as `weights` returns them; left untouched.

        Raises:
            ValueError: The slot is not open; or a parameter is missing, unknown, of another shape,
                not finite, or outside its interval; nothing changed.
        """
        self.bank.load_parameters(
            slot, {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}
        )

    def weights(self, slot: SlotIndex) -> dict[str, np.ndarray]:
        """Return copies of all parameters by name: ``layer0.w`` ``[pre, post]`` and so on.

        Raises:
            ValueError: The slot is not open.
        """
        self.bank.check_open(slot)
        views = self.bank.parameter_views(slot)
        return {name: view.cpu().numpy().copy() for name, view in views.items()}

    def weight_change(self, slot: SlotIndex) -> list[float]:
        """Return how far each layer moved, ``|W - W0| / |W0|``: hidden layers, then the readout.

        W0 are the weights of the session's seed, also after `load_weights`; those of classes that
        came later are zero. Where W0 is zero (a gain of 0) the answer is ``|W|``.

        Raises:
            ValueError: The slot is not open.
        """
        self.bank.check_open(slot)
        row = self.bank.parameters[slot].cpu().double()
        start = first_parameters(
            self.network, int(self.bank.seeds[slot]), int(self.bank.first_classes[slot])
        )
        start = start.to(self.bank.dtype).double()
        layout = self.bank.parameter_layout
        spans = [
            line_field(self.network, layout, layer).offset
            for layer in range(len(self.network.hidden))
        ]
        readout_bias = layout.fields["readout.b"]
        spans += [layout.fields["readout.w"].offset, readout_bias.offset + readout_bias.shape[0]]
        return [
            float((row[low:high] - start[low:high]).norm()) / (float(start[low:high].norm()) or 1.0)
            for low, high in pairwise(spans)
        ]

    def spike_counts(
        self, slot: SlotIndex, strand: Strand = Strand.LIVE
    ) -> tuple[NDArray[np.int64], int]:
        """Return the spikes of each hidden layer and the ticks, both of a strand since open.

        Raises:
            ValueError: The slot is not open.
        """
        self.bank.check_open(slot)
        counters = self.bank.counters[slot, strand].cpu().numpy()
        return counters[FIRST_SPIKES:].copy(), int(counters[TICKS_SINCE_OPEN])

    def last_spikes(self, slot: SlotIndex, strand: Strand = Strand.LIVE) -> list[NDArray[np.bool_]]:
        """Return which neurons ``[N]`` of each hidden layer spiked in a strand's last tick.

        Raises:
            ValueError: The slot is not open.
        """
        self.bank.check_open(slot)
        state = self.bank.state_views(slot, strand)
        layers = range(len(self.network.hidden))
        return [state[f"layer{layer}.spikes"].numpy() > 0 for layer in layers]

    def warm_up(self) -> None:
        """Compile all that serving needs; a second call does nothing."""
        self._kernel.warm_up()
