"""The spiking LSTM, a published peer with gates: the same forward as `UnrolledNetwork`.

    f[t] = s1(x[t] W_f + h[t-1] R_f + b_f)      forget gate                        (1)
    i[t] = s1(x[t] W_i + h[t-1] R_i + b_i)      input gate                         (2)
    g[t] = s2(x[t] W_g + h[t-1] R_g + b_g)      what may enter the cell            (3)
    o[t] = s1(x[t] W_o + h[t-1] R_o + b_o)      output gate                        (4)
    c[t] = min(f[t] c[t-1] + i[t] g[t], 1)      cell                               (5)
    h[t] = o[t] c[t]                            spikes of the layer                (6)

s1 and s2 are 1 at or above their thresholds and 0 below, so gates, cell and output are 0 or 1.

Source: Lotfi Rezaabad and Vishwanath 2020, "Long short-term memory spiking networks and their
applications": eqs. (1) to (4) and (6), and (5) with the sum of 2 taken for 1; each of s1 and s2 has
a bell-shaped derivative of its own around its threshold, and a sum of 2 passes back a share of its
gradient, at most 1. Our reading: the bells are normal densities, their widths and thresholds and
that share are the constants below; one bias a gate; uniform initial weights, and forget gates that
start open. The readout is that of the networks it stands beside, see `tclif_core.readout`.

Shapes: T ticks, S sequences, N cells of a layer, C classes.
"""

import math
from typing import Any, NamedTuple

import torch
from typing_extensions import override

from tclif_core import readout
from tclif_core.bptt import Unrolled

N_GATES = 4
"""Forget, input, cell, output: the order of a layer's columns."""

THRESHOLD = 0.0
"""Of both activations; the biases move it."""

GATE_WIDTH, CELL_WIDTH = 0.5, 0.8
"""Standard deviation of the bell of s1 and of s2."""

FULL_CELL_SHARE = 0.5
"""Share of the gradient that passes a sum of 2 in eq. (5)."""

OPEN_FORGET_BIAS = 1.0
"""Where the forget gates' biases start; the others start at 0."""


class Gates(NamedTuple):
    """What a layer computes in a tick, each ``[S, N]`` of 0 and 1."""

    forget: torch.Tensor
    take: torch.Tensor
    candidate: torch.Tensor
    output: torch.Tensor


class SpikingLstm(torch.nn.Module):
    """Layers of spiking LSTM cells under a leaky readout, trained by autograd."""

    def __init__(
        self,
        inputs: int,
        hidden: tuple[int, ...],
        classes: int,
        *,
        seed: int,
        readout_decay: float = 0.95,
        input_gain: float = 3.0,
    ) -> None:
        """Make a network with weights that are a function of the seed.

        Args:
            inputs: Input channels.
            hidden: Cells of each layer, from the input upward.
            classes: C.
            seed: Any integer.
            readout_decay: kappa, in [0, 1].
            input_gain: Weights from below spread over ``+-input_gain / sqrt(fan-in)``; the gain of
                recurrent and readout weights is 1.
        """
        super().__init__()
        self.inputs, self.hidden, self.classes = inputs, hidden, classes
        self.readout_decay = readout_decay
        generator = torch.Generator().manual_seed(seed)

        def uniform(n_before: int, n_after: int, gain: float) -> torch.nn.Parameter:
            spread = 2.0 * torch.rand(n_before, n_after, generator=generator) - 1.0
            return torch.nn.Parameter(spread * gain / math.sqrt(n_before))

        self.from_below, self.recurrent, self.biases = (torch.nn.ParameterList() for _ in range(3))
        for n_below, size in zip((inputs, *hidden), hidden, strict=False):
            self.from_below.append(uniform(n_below, N_GATES * size, input_gain))
            self.recurrent.append(uniform(size, N_GATES * size, 1.0))
            bias = torch.zeros(N_GATES * size)
            bias[:size] = OPEN_FORGET_BIAS
            self.biases.append(torch.nn.Parameter(bias))
        self.w_out = uniform(hidden[-1], classes, 1.0)
        self.b_out = torch.nn.Parameter(torch.zeros(classes))

    @override
    def forward(self, x: torch.Tensor) -> Unrolled:
        """Run all sequences from empty cells.

        Args:
            x: Input ``[T, S, inputs]``, at least one tick.

        Raises:
            ValueError: ``x`` has another shape.
        """
        if x.ndim != 3 or not len(x) or x.shape[2] != self.inputs:  # noqa: PLR2004 - ticks, sequences, channels
            raise ValueError(
                f"x must be [ticks, sequences, {self.inputs}] with at least one tick,"
                f" got {list(x.shape)}"
            )
        rates = []
        for layer in range(len(self.hidden)):
            x = self._layer(layer, x)
            rates.append(x.mean())
        logits = x.new_zeros(x.shape[1], self.classes)
        answers = []
        for spikes in x.unbind():
            logits = readout.advance(logits, spikes, self.w_out, self.b_out, self.readout_decay)
            answers.append(logits)
        return Unrolled(torch.stack(answers), torch.stack(rates))

    def _layer(self, layer: int, below: torch.Tensor) -> torch.Tensor:
        """Return a layer's spikes ``[T, S, N]``."""
        currents = below @ self.from_below[layer] + self.biases[layer]
        cell = spikes = currents.new_zeros(below.shape[1], self.hidden[layer])
        answers = []
        for current in currents.unbind():
            gates = open_gates(torch.addmm(current, spikes, self.recurrent[layer]))
            cell, spikes = advance_cell(cell, gates)
            answers.append(spikes)
        return torch.stack(answers)


def open_gates(current: torch.Tensor) -> Gates:
    """Return eqs. (1) to (4) of the gates' summed input ``[S, 4 N]``."""
    forget, take, candidate, output = current.chunk(N_GATES, dim=-1)
    return Gates(
        _fire(forget, GATE_WIDTH),
        _fire(take, GATE_WIDTH),
        _fire(candidate, CELL_WIDTH),
        _fire(output, GATE_WIDTH),
    )


def advance_cell(cell: torch.Tensor, gates: Gates) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the cell of eq. (5) and the spikes of eq. (6), each ``[S, N]``.

    Args:
        cell: That of the tick before, 0 or 1; it is left untouched.
        gates: Those of this tick.
    """
    total = gates.forget * cell + gates.take * gates.candidate
    full: torch.Tensor = _Full.apply(total)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return full, gates.output * full


def _fire(current: torch.Tensor, width: float) -> torch.Tensor:
    fired: torch.Tensor = _Fire.apply(current - THRESHOLD, width)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return fired


class _Fire(torch.autograd.Function):
    """A step forward, a normal density backward."""

    @override
    @staticmethod
    def forward(ctx: Any, distance: torch.Tensor, width: float) -> torch.Tensor:
        ctx.save_for_backward(distance)
        ctx.width = width
        return (distance >= 0).to(distance.dtype)

    @override
    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (distance,) = ctx.saved_tensors
        bell = torch.exp(-0.5 * (distance / ctx.width) ** 2)
        return gradients[0] * bell / (ctx.width * math.sqrt(2.0 * math.pi)), None


class _Full(torch.autograd.Function):
    """At most 1 forward; backward a share of the gradient where there was more."""

    @override
    @staticmethod
    def forward(ctx: Any, total: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(total)
        return total.clamp(max=1.0)

    @override
    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        (total,) = ctx.saved_tensors
        return torch.where(total > 1.0, FULL_CELL_SHARE * gradients[0], gradients[0])
