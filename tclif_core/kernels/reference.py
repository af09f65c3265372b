"""The truth: one row after the other, one tick after the other, in plain torch.

Composes `two_compartment`, `eligibility` and `readout`, and for learning `reference_learning` and
`segment_update`, and adds nothing to them; other backends prove themselves against it. Computes in
the bank's type, float32 or float64.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tclif_core import eligibility, readout, segment_update, two_compartment
from tclif_core.batch import AdvanceResult, Batch, Strand
from tclif_core.decay_profile import decay_at
from tclif_core.kernels.reference_learning import TickLearning
from tclif_core.row_layout import learnt_scalars, line_field
from tclif_core.slot_bank import (
    FIRST_SPIKES,
    LABELLED_TICKS,
    N_PENDING,
    TICK,
    TICKS_SINCE_OPEN,
    SlotBank,
)
from tclif_core.surrogate_gradient import SURROGATES
from tclif_core.two_compartment import SCALARS, Dynamics, NeuronState


class ReferenceKernel:
    """Backend in plain torch; see `kernels.Kernel` for what it promises."""

    def __init__(self, bank: SlotBank) -> None:
        self._bank = bank

    def advance(self, batch: Batch) -> AdvanceResult:
        """See `kernels.Kernel.advance`."""
        bank, block = self._bank, batch.block
        dtype = np.float32 if bank.dtype == torch.float32 else np.float64
        result = AdvanceResult.allocate(block.n_ticks, bank.network.classes, dtype)
        for row in range(block.n_rows):
            slot, strand = int(batch.slots[row]), Strand(int(batch.strands[row]))
            walk = _Row(bank, slot, strand, learns=bool(batch.learn[row]))
            labelled = batch.labelled
            for tick in range(block.row_ticks[row], block.row_ticks[row + 1]):
                events = slice(block.tick_events[tick], block.tick_events[tick + 1])
                x = torch.zeros(bank.network.inputs, dtype=bank.dtype)
                channels = torch.from_numpy(block.channels[events].astype(np.int64))
                values = torch.from_numpy(block.values[events].astype(dtype))
                x.index_add_(0, channels, values)
                target = batch.targets[tick] if labelled[tick] >= 0 else None
                logits, mean, loss = walk.tick(x, target)
                result.logits[tick] = logits.numpy()
                result.mean_probabilities[tick] = mean.numpy()
                result.loss[tick] = loss
        return result

    def apply_update(self, slot: int) -> bool:
        """See `kernels.Kernel.apply_update`."""
        return segment_update.apply_update(self._bank, slot)

    def apply_updates(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        """See `kernels.Kernel.apply_updates`."""
        return np.array([self.apply_update(slot) for slot in slots.tolist()], np.bool_)

    def warm_up(self) -> None:
        """Nothing is compiled here."""


class _Row:
    """One slot's strand on its way through its ticks; writes into the bank."""

    def __init__(self, bank: SlotBank, slot: int, strand: Strand, *, learns: bool) -> None:
        self._bank, self._learns = bank, learns
        self._network, self._loss = bank.network, bank.learning.loss
        self._constants = two_compartment.neuron_constants(bank.network.neuron)
        self._surrogate = SURROGATES[bank.network.neuron.surrogate]
        self._learnt = learnt_scalars(bank.network, bank.learning)
        self._parameters = bank.parameter_views(slot)
        self._state = bank.state_views(slot, strand)
        self._lines = [
            line_field(bank.network, bank.parameter_layout, layer).view(bank.parameters[slot])
            for layer in range(len(bank.network.hidden))
        ]
        if learns:
            self._learning = TickLearning(bank, slot, self._state)
        self._sums = bank.sums[slot, strand]
        self._counters = bank.counters[slot, strand]
        self._updates = bank.updates[slot]

    def tick(
        self, x: torch.Tensor, target: NDArray[Any] | None
    ) -> tuple[torch.Tensor, torch.Tensor, float]:
        """Advance by one tick; return its logits ``[C]``, the mean of p ``[C]``, the loss."""
        counters, sums = self._counters, self._sums
        spikes = x
        for layer in range(len(self._network.hidden)):
            spikes = self._advance_layer(layer, spikes)
            counters[FIRST_SPIKES + layer] += int(spikes.sum())
        logits = readout.advance(
            self._state["logits"],
            spikes,
            self._parameters["readout.w"],
            self._parameters["readout.b"],
            self._network.readout_decay,
        )
        self._state["logits"].copy_(logits)
        if self._learns:
            self._learning.filter_traces()
        p = readout.probabilities(logits)
        sums[:-1] += p
        counters[TICK] += 1
        counters[TICKS_SINCE_OPEN] += 1
        loss = 0.0
        if target is not None:
            loss, error = self._loss_and_error(logits, p, target)
            sums[-1] += loss
            counters[LABELLED_TICKS] += 1
            if self._learns:
                self._learning.learn(error)
                self._updates[N_PENDING] += 1
        return logits, sums[:-1] / float(counters[TICK]), loss

    def _loss_and_error(
        self, logits: torch.Tensor, p: torch.Tensor, target: NDArray[Any]
    ) -> tuple[float, torch.Tensor]:
        if self._loss == "cross_entropy":
            loss = readout.cross_entropy(logits, int(target))
            return float(loss), readout.cross_entropy_error(p, int(target))
        values = torch.from_numpy(target).to(logits.dtype)
        loss = readout.mean_squared(logits, values)
        return float(loss), readout.mean_squared_error(logits, values)

    def _dynamics(self, layer: int) -> Dynamics:
        minima = [self._parameters[f"layer{layer}.{name}"] for name in SCALARS[:2]]
        amplitudes = (self._constants.dendrite_amplitude, self._constants.soma_amplitude)
        tick = int(self._counters[TICK])
        dendrite_decay, soma_decay = (
            torch.tensor(
                decay_at(tick, float(minimum), amplitude, self._network.neuron.profile),
                dtype=self._bank.dtype,
            )
            for minimum, amplitude in zip(minima, amplitudes, strict=True)
        )
        couplings = [self._parameters[f"layer{layer}.{name}"] for name in SCALARS[2:]]
        return Dynamics(dendrite_decay, soma_decay, *couplings)

    def _advance_layer(self, layer: int, below: torch.Tensor) -> torch.Tensor:
        """Advance a layer's neurons, and its traces if the row learns; return its spikes."""
        state = self._state
        dynamics = self._dynamics(layer)
        names = [f"layer{layer}.{name}" for name in ("dendrite", "soma", "spikes")]
        before = NeuronState(*(state[name].clone() for name in names))
        before = two_compartment.reset_early(before, self._constants)
        own = [before.spikes] if self._network.recurrent else []
        lines = torch.cat([below, *own, torch.ones(1, dtype=below.dtype)])
        current = lines @ self._lines[layer]
        after, distance = two_compartment.advance(before, current, dynamics, self._constants)
        for name, value in zip(names, after, strict=True):
            state[name].copy_(value)
        psi = self._surrogate(distance, self._network.neuron.surrogate_width)
        state[f"layer{layer}.pseudo_derivative"].copy_(psi)
        if self._learns:
            self._advance_pair(f"layer{layer}.eligibility", dynamics, lines, 0.0)
            for name in self._learnt:
                drives = eligibility.scalar_drive(name, before, after)
                self._advance_pair(f"layer{layer}.{name}", dynamics, *drives)
        return after.spikes

    def _advance_pair(
        self,
        name: str,
        dynamics: Dynamics,
        dendrite_drive: torch.Tensor | float,
        soma_drive: torch.Tensor | float,
    ) -> None:
        dendrite, soma = self._state[f"{name}.dendrite"], self._state[f"{name}.soma"]
        pair = eligibility.advance(
            eligibility.Eligibility(dendrite, soma),
            dynamics,
            dendrite_drive=dendrite_drive,
            soma_drive=soma_drive,
        )
        dendrite.copy_(pair.dendrite)
        soma.copy_(pair.soma)
