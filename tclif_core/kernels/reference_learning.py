"""Learning in plain torch: what one labelled tick adds to gradients, or moves.

Composes `eprop`; the traces it reads are advanced by `reference`. With per-tick updates a step is

    G = G + g   where squares of segment gradients scale the step                  (1)
    V = m V + g;   w -= rate P V,   P = 1 / (sqrt(v) + eps) or 1                   (2)

with g the tick's estimate, shortened where a clip is set, and v as it was at the last update. An
estimate that is not finite counts as zero here, and makes the gradient of the next update unusable:
weights stay finite, and the update tells.
"""

from typing import NamedTuple

import torch

from tclif_core import eprop
from tclif_core.optimizers import is_usable
from tclif_core.row_layout import Field, learnt_scalars, line_field, n_inputs_below
from tclif_core.slot_bank import SlotBank


class _Piece(NamedTuple):
    """A matrix or vector that moves, with what belongs to it in the slot's other rows."""

    parameters: torch.Tensor
    gradient: torch.Tensor | None
    velocity: torch.Tensor | None
    squares: torch.Tensor | None
    rate: float


class TickLearning:
    """One slot's strand where its ticks are learnt; writes into the bank."""

    def __init__(self, bank: SlotBank, slot: int, state: dict[str, torch.Tensor]) -> None:
        """Take the views of a slot's rows.

        Args:
            bank: Written in place.
            slot: An open slot.
            state: The strand's state by name, sharing the bank's memory.
        """
        self._network, self._learning, self._state = bank.network, bank.learning, state
        self._learnt = learnt_scalars(bank.network, bank.learning)
        self._parameters = bank.parameter_views(slot)
        self._gradient_row = bank.gradients[slot]
        self._scalar_gradients = bank.gradient_views(slot)
        self._feedback = bank.feedback_layout.views(bank.feedback[slot])
        self._rate = float(bank.rates[slot])
        layout, layers = bank.parameter_layout, range(len(bank.network.hidden))
        rates = bank.learning.rates_of_layers(bank.network)
        fields = [line_field(bank.network, layout, layer) for layer in layers]
        self._lines = [_piece(bank, slot, f, r) for f, r in zip(fields, rates, strict=False)]
        self._readout = [
            _piece(bank, slot, layout.fields[name], rates[-1])
            for name in ("readout.w", "readout.b")
        ]

    def filter_traces(self) -> None:
        """Move what the readout still remembers of traces, after all neurons moved."""
        state, kappa, top = self._state, self._network.readout_decay, len(self._lines) - 1
        if self._learning.filter_readout_trace:
            _filter(state["readout.trace"], self._readout_lines(), kappa)
        if self._learning.filter_hidden_traces:
            for layer in range(top + 1):
                psi = state[f"layer{layer}.pseudo_derivative"]
                trace = torch.outer(state[f"layer{layer}.eligibility.soma"], psi)
                _filter(state[f"layer{layer}.filtered"], trace, kappa)
                for name in self._learnt:
                    trace = state[f"layer{layer}.{name}.soma"] * psi
                    _filter(state[f"layer{layer}.{name}.filtered"], trace, kappa)

    def learn(self, error: torch.Tensor) -> None:
        """Add this tick's gradient estimate, or move the weights by it.

        Args:
            error: Derivative of the tick's loss by the logits ``[C]``.
        """
        # every signal first: they all use the weights as they were before this tick's update
        signals = self._learning_signals(error)
        estimates = []
        for layer, signal in enumerate(signals):
            for name in self._learnt:
                self._scalar_gradients[f"layer{layer}.{name}"].add_(
                    self._scalar_estimate(f"layer{layer}.{name}", layer, signal)
                )
            estimates.append(self._line_estimate(layer, signal))
        is_filtered = self._learning.filter_readout_trace
        trace = self._state["readout.trace"] if is_filtered else self._readout_lines()
        estimates += [eprop.gradient_estimate(trace[:-1], error), trace[-1] * error]
        pieces = [*self._lines, *self._readout]
        if self._learning.update == "segment":
            for piece, estimate in zip(pieces, estimates, strict=True):
                assert piece.gradient is not None, "per-segment updates keep every gradient"
                piece.gradient.add_(estimate)
            return
        if not all(is_usable(estimate) for estimate in estimates):
            self._gradient_row.fill_(torch.nan)
            estimates = [torch.zeros_like(estimate) for estimate in estimates]
        clip = self._learning.gradient_clip
        if clip is not None:
            length = sum(float((estimate.double() ** 2).sum()) for estimate in estimates) ** 0.5
            estimates = [e * min(1.0, clip / max(length, 1e-300)) for e in estimates]
        for piece, estimate in zip(pieces, estimates, strict=True):
            self._move(piece, estimate)

    def _readout_lines(self) -> torch.Tensor:
        """Return what comes in on the readout's lines, its bias line last ``[N + 1]``."""
        spikes = self._state[f"layer{len(self._lines) - 1}.spikes"]
        return torch.cat([spikes, torch.ones_like(spikes[:1])])

    def _move(self, piece: _Piece, estimate: torch.Tensor) -> None:
        """Take the step of eqs. (1) and (2)."""
        if piece.gradient is not None:
            piece.gradient.add_(estimate)
        if piece.velocity is not None:
            piece.velocity.mul_(self._learning.momentum).add_(estimate)
            estimate = piece.velocity
        if piece.squares is not None:
            estimate = estimate / (piece.squares.sqrt() + self._learning.preconditioner_epsilon)
        piece.parameters.sub_(self._rate * piece.rate * estimate)

    def _line_estimate(self, layer: int, signal: torch.Tensor) -> torch.Tensor:
        state = self._state
        if self._learning.filter_hidden_traces:
            return state[f"layer{layer}.filtered"] * signal
        error = eprop.neuron_error(signal, state[f"layer{layer}.pseudo_derivative"])
        return eprop.gradient_estimate(state[f"layer{layer}.eligibility.soma"], error)

    def _scalar_estimate(self, name: str, layer: int, signal: torch.Tensor) -> torch.Tensor:
        state = self._state
        if self._learning.filter_hidden_traces:
            return eprop.scalar_gradient_estimate(state[f"{name}.filtered"], signal)
        error = eprop.neuron_error(signal, state[f"layer{layer}.pseudo_derivative"])
        return eprop.scalar_gradient_estimate(state[f"{name}.soma"], error)

    def _learning_signals(self, error: torch.Tensor) -> list[torch.Tensor]:
        """Return L of every layer ``[N]``, from the first to the top."""
        top = len(self._network.hidden) - 1
        signals: list[torch.Tensor] = []
        for layer in range(top, -1, -1):
            if self._learning.feedback == "broadcast":
                weights = self._feedback[f"layer{layer}.feedback"]
                signal = eprop.broadcast_learning_signal(error, weights)
            elif layer == top:
                signal = eprop.top_learning_signal(error, self._parameters["readout.w"])
            else:
                psi_above = self._state[f"layer{layer + 1}.pseudo_derivative"]
                signal = eprop.chained_learning_signal(
                    eprop.neuron_error(signals[0], psi_above),
                    self._lines[layer + 1].parameters[: n_inputs_below(self._network, layer + 1)],
                    self._parameters[f"layer{layer + 1}.dendrite_to_soma"],
                )
            signals.insert(0, signal)
        return signals


def _piece(bank: SlotBank, slot: int, field: Field, rate: float) -> _Piece:
    learning = bank.learning
    return _Piece(
        parameters=field.view(bank.parameters[slot]),
        gradient=field.view(bank.gradients[slot]) if bank.accumulated_from == 0 else None,
        velocity=field.view(bank.first_moment[slot]) if learning.keeps_first_moment else None,
        squares=field.view(bank.second_moment[slot]) if learning.keeps_second_moment else None,
        rate=rate,
    )


def _filter(filtered: torch.Tensor, trace: torch.Tensor, readout_decay: float) -> None:
    filtered.copy_(eprop.filtered_trace(filtered, trace, readout_decay))
