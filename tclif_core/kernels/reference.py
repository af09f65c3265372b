"""The truth: one row after the other, one tick after the other, in plain torch.

Composes `two_compartment`, `eligibility`, `readout`, `eprop` and `optimizers` and adds nothing to
them; other backends prove themselves against it. Computes in the bank's type, float32 or float64.
"""

import numpy as np
import torch

from tclif_core import eligibility, eprop, optimizers, readout, two_compartment
from tclif_core.batch import AdvanceResult, Batch, Strand
from tclif_core.decay_profile import decay_at
from tclif_core.row_layout import learnt_scalars, line_field, n_inputs_below, scalars_offset
from tclif_core.slot_bank import (
    FIRST_SPIKES,
    LABELLED_TICKS,
    N_PENDING,
    N_UPDATES,
    TICK,
    TICKS_SINCE_OPEN,
    SlotBank,
)
from tclif_core.surrogate_gradient import triangular
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
            for tick in range(block.row_ticks[row], block.row_ticks[row + 1]):
                events = slice(block.tick_events[tick], block.tick_events[tick + 1])
                x = torch.zeros(bank.network.inputs, dtype=bank.dtype)
                channels = torch.from_numpy(block.channels[events].astype(np.int64))
                values = torch.from_numpy(block.values[events].astype(dtype))
                x.index_add_(0, channels, values)
                logits, mean, loss = walk.tick(x, int(batch.targets[tick]))
                result.logits[tick] = logits.numpy()
                result.mean_probabilities[tick] = mean.numpy()
                result.loss[tick] = loss
        return result

    def apply_update(self, slot: int) -> bool:
        """See `kernels.Kernel.apply_update`."""
        bank = self._bank
        gradient = bank.gradients[slot]
        finite = optimizers.is_usable(gradient) and bool(bank.parameters[slot].isfinite().all())
        if finite:
            bank.updates[slot, N_UPDATES] += 1
            optimizers.step(
                bank.learning,
                bank.parameters[slot, bank.accumulated_from :],
                gradient,
                bank.first_moment[slot],
                bank.second_moment[slot],
                rate=float(bank.rates[slot]),
                n_updates=int(bank.updates[slot, N_UPDATES]),
            )
            tail = bank.parameters[slot, scalars_offset(bank.parameter_layout) :]
            tail.clamp_(bank.scalar_bounds[0], bank.scalar_bounds[1])
        gradient.zero_()
        bank.updates[slot, N_PENDING] = 0
        return finite

    def warm_up(self) -> None:
        """Nothing is compiled here."""


class _Row:
    """One slot's strand on its way through its ticks; writes into the bank."""

    def __init__(self, bank: SlotBank, slot: int, strand: Strand, *, learns: bool) -> None:
        self._bank, self._learns = bank, learns
        self._network, self._learning = bank.network, bank.learning
        self._constants = two_compartment.neuron_constants(bank.network.neuron)
        self._learnt = learnt_scalars(bank.network, bank.learning)
        self._parameters = bank.parameter_views(slot)
        self._state = bank.state_views(slot, strand)
        self._gradients = bank.gradient_views(slot)
        self._feedback = bank.feedback_layout.views(bank.feedback[slot])
        layers = range(len(bank.network.hidden))
        fields = [line_field(bank.network, bank.parameter_layout, layer) for layer in layers]
        self._lines = [field.view(bank.parameters[slot]) for field in fields]
        if bank.learning.update == "segment":
            self._line_gradients = [field.view(bank.gradients[slot]) for field in fields]
        self._sums = bank.sums[slot, strand]
        self._counters = bank.counters[slot, strand]
        self._updates = bank.updates[slot]
        self._rate = float(bank.rates[slot])

    def tick(self, x: torch.Tensor, target: int) -> tuple[torch.Tensor, torch.Tensor, float]:
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
        p = readout.probabilities(logits)
        sums[:-1] += p
        counters[TICK] += 1
        counters[TICKS_SINCE_OPEN] += 1
        loss = 0.0
        if target >= 0:
            loss = float(readout.cross_entropy(logits, target))
            sums[-1] += loss
            counters[LABELLED_TICKS] += 1
            if self._learns:
                self._learn(readout.output_error(p, target))
                self._updates[N_PENDING] += 1
        return logits, sums[:-1] / float(counters[TICK]), loss

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
        own = [before.spikes] if self._network.recurrent else []
        lines = torch.cat([below, *own, torch.ones(1, dtype=below.dtype)])
        current = lines @ self._lines[layer]
        after, distance = two_compartment.advance(before, current, dynamics, self._constants)
        for name, value in zip(names, after, strict=True):
            state[name].copy_(value)
        width = self._constants.surrogate_width
        state[f"layer{layer}.pseudo_derivative"].copy_(triangular(distance, width))
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

    def _learn(self, error: torch.Tensor) -> None:
        """Add this tick's gradient estimate, or move the weights by it."""
        # every signal first: they all use the weights as they were before this tick's update
        neuron_errors = self._neuron_errors(error)
        top = len(neuron_errors) - 1
        readout_step = eprop.gradient_estimate(self._state[f"layer{top}.spikes"], error)
        for layer, neuron_error in enumerate(neuron_errors):
            for name in self._learnt:
                trace = self._state[f"layer{layer}.{name}.soma"]
                self._gradients[f"layer{layer}.{name}"].add_(
                    eprop.scalar_gradient_estimate(trace, neuron_error)
                )
            estimate = eprop.gradient_estimate(
                self._state[f"layer{layer}.eligibility.soma"], neuron_error
            )
            if self._learning.update == "segment":
                self._line_gradients[layer].add_(estimate)
            else:
                self._lines[layer].sub_(self._rate * estimate)
        if self._learning.update == "segment":
            self._gradients["readout.w"].add_(readout_step)
            self._gradients["readout.b"].add_(error)
        else:
            self._parameters["readout.w"].sub_(self._rate * readout_step)
            self._parameters["readout.b"].sub_(self._rate * error)

    def _neuron_errors(self, error: torch.Tensor) -> list[torch.Tensor]:
        """Return d of every layer ``[N]``, from the first to the top."""
        top = len(self._network.hidden) - 1
        errors: list[torch.Tensor] = []
        for layer in range(top, -1, -1):
            if self._learning.feedback == "broadcast":
                weights = self._feedback[f"layer{layer}.feedback"]
                signal = eprop.broadcast_learning_signal(error, weights)
            elif layer == top:
                signal = eprop.top_learning_signal(error, self._parameters["readout.w"])
            else:
                signal = eprop.chained_learning_signal(
                    errors[0],
                    self._lines[layer + 1][: n_inputs_below(self._network, layer + 1)],
                    self._parameters[f"layer{layer + 1}.dendrite_to_soma"],
                )
            pseudo_derivative = self._state[f"layer{layer}.pseudo_derivative"]
            errors.insert(0, eprop.neuron_error(signal, pseudo_derivative))
        return errors
