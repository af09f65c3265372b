"""The same networks under autograd, one sequence, one tick, one layer at a time, plainly written.

Every neuron kind, reset, pseudo-derivative and loss, written down here once more from the papers.
With ``is_detached``, `z[t-1]` is taken as given where it resets its neuron and where it feeds back
through R; it keeps its surrogate derivative on the way up and into the readout. That is the
derivative which e-prop estimates, and with one hidden layer and readout decay 0 the one that it
computes. The couplings of `tclif` are derived by the logits c1 and c2, the numbers that it learns.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from typing_extensions import override

from tclif_core import NetworkSpec, NeuronSpec

Parameters = dict[str, torch.Tensor]


class Truth(NamedTuple):
    """What autograd says of one sequence."""

    gradients: Parameters
    """Of the loss summed over labelled ticks, by every parameter."""
    rates: list[float]
    """Mean spikes of a neuron in a tick, for each layer."""
    logits: torch.Tensor
    """``[T, C]``."""


def _triangular(distance: torch.Tensor, width: float) -> torch.Tensor:
    inside = distance.abs() < width
    return torch.where(inside, (width - distance.abs()) / (width * width), 0.0)


def _rectangular(distance: torch.Tensor, width: float) -> torch.Tensor:
    inside = (distance >= -width) & (distance <= width)
    return torch.where(inside, torch.full_like(distance, 0.5 / width), 0.0)


def _fast_sigmoid(distance: torch.Tensor, width: float) -> torch.Tensor:
    return width**2 / (width + distance.abs()) ** 2


def _arctan(distance: torch.Tensor, width: float) -> torch.Tensor:
    return width / (width**2 + math.pi**2 * distance**2)


_SLOPES: dict[str, Callable[[torch.Tensor, float], torch.Tensor]] = {
    "triangular": _triangular,
    "rectangular": _rectangular,
    "fast_sigmoid": _fast_sigmoid,
    "arctan": _arctan,
}


class _Spike(torch.autograd.Function):
    """A step forward, a pseudo-derivative backward."""

    @override
    @staticmethod
    def forward(ctx: Any, distance: torch.Tensor, shape: str, width: float) -> torch.Tensor:
        ctx.save_for_backward(distance)
        ctx.shape, ctx.width = shape, width
        return (distance >= 0).to(distance.dtype)

    @override
    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (distance,) = ctx.saved_tensors
        return gradients[0] * _SLOPES[ctx.shape](distance, ctx.width), None, None


def truth(
    network: NetworkSpec,
    parameters: Parameters,
    x: torch.Tensor,
    targets: Sequence[int] | torch.Tensor,
    *,
    is_detached: bool = True,
) -> Truth:
    """Run a sequence and differentiate its loss.

    Args:
        network: Sizes and constants.
        parameters: By the names of `Learner.weights`, float64.
        x: Input ``[T, inputs]`` float64.
        targets: Class of each tick, -1 where there is none; or, for the mean squared error, what
            the logits should be ``[T, C]``, NaN where there is none.
        is_detached: Whether z[t-1] is a constant in reset and recurrence.
    """
    leaves = {}
    for name, value in parameters.items():
        is_logit = network.neuron.kind == "tclif" and name.endswith(_COUPLINGS)
        start = torch.log(value.abs() / (1 - value.abs())) if is_logit else value
        leaves[name] = start.detach().clone().requires_grad_()
    logits, rates = _forward(network, leaves, x, is_detached=is_detached)
    _loss(logits, targets).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    gradients = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in leaves.items()}
    return Truth(gradients, rates, logits.detach())


_COUPLINGS = ("soma_to_dendrite", "dendrite_to_soma")


def _loss(logits: torch.Tensor, targets: Sequence[int] | torch.Tensor) -> torch.Tensor:
    total = torch.zeros((), dtype=logits.dtype)
    for y, target in zip(logits, targets, strict=True):
        if isinstance(target, torch.Tensor):
            if not torch.isnan(target).any():
                total = total + torch.nn.functional.mse_loss(y, target)
        elif target >= 0:
            total = total - torch.log_softmax(y, dim=-1)[target]
    return total


def _forward(
    network: NetworkSpec, p: Parameters, x: torch.Tensor, *, is_detached: bool
) -> tuple[torch.Tensor, list[float]]:
    neuron = network.neuron
    move = _lif if neuron.kind == "lif" else _two_compartments
    potentials = [torch.zeros(2, size, dtype=x.dtype) for size in network.hidden]
    spikes = [torch.zeros(size, dtype=x.dtype) for size in network.hidden]
    counts = [0.0] * len(network.hidden)
    y = torch.zeros(network.classes, dtype=x.dtype)
    logits = []
    for tick in range(len(x)):
        below = x[tick]
        for n in range(len(network.hidden)):
            own = {name.partition(".")[2]: p[name] for name in p if name.startswith(f"layer{n}.")}
            before = spikes[n].detach() if is_detached else spikes[n]
            current = below @ own["w"] + own["b"]
            if network.recurrent:
                current = current + before @ own["r"]
            potentials[n] = move(
                neuron,
                own,
                potentials=potentials[n],
                before=before,
                current=current,
                rise=_rise(neuron, tick),
            )
            distance = potentials[n][1] - neuron.threshold
            spikes[n] = _Spike.apply(distance, neuron.surrogate, neuron.surrogate_width)  # type: ignore[no-untyped-call]  # torch leaves it untyped
            counts[n] += float(spikes[n].detach().sum())
            below = spikes[n]
        y = network.readout_decay * y + below @ p["readout.w"] + p["readout.b"]
        logits.append(y)
    rates = [count / size / len(x) for count, size in zip(counts, network.hidden, strict=True)]
    return torch.stack(logits), rates


def _rise(neuron: NeuronSpec, tick: int) -> float:
    profile, time = neuron.profile, tick + 1.0
    peak = (profile.shape - 1.0) * profile.scale_ticks
    rise = profile.amplitude * math.pow(time / peak, profile.shape - 1.0)
    return rise * math.exp((peak - time) / profile.scale_ticks)


def _lif(
    neuron: NeuronSpec,
    own: Parameters,
    *,
    potentials: torch.Tensor,
    before: torch.Tensor,
    current: torch.Tensor,
    rise: float,
) -> torch.Tensor:
    """One compartment, kept in the second row; the first one stays unused."""
    potential, decay = potentials[1], own["soma_decay_minimum"] + rise
    loss = neuron.threshold * before
    if neuron.reset == "code":
        potential = decay * (potential - loss) + current
    else:
        potential = decay * potential + current - loss
    return torch.stack([torch.zeros_like(potential), potential])


def _two_compartments(
    neuron: NeuronSpec,
    own: Parameters,
    *,
    potentials: torch.Tensor,
    before: torch.Tensor,
    current: torch.Tensor,
    rise: float,
) -> torch.Tensor:
    dendrite, soma = potentials
    a_dendrite, a_soma = own["dendrite_decay_minimum"] + rise, own["soma_decay_minimum"] + rise
    b_dendrite, b_soma = (own[name] for name in _COUPLINGS)
    if neuron.kind == "tclif":
        a_dendrite = a_soma = torch.ones((), dtype=current.dtype)
        b_dendrite, b_soma = -1 / (1 + torch.exp(-b_dendrite)), 1 / (1 + torch.exp(-b_soma))
    from_dendrite, from_soma = neuron.dendritic_reset * before, neuron.threshold * before
    if neuron.reset == "code":
        dendrite, soma = dendrite - from_dendrite, soma - from_soma
        dendrite = a_dendrite * dendrite + b_dendrite * soma + current
        return torch.stack([dendrite, a_soma * soma + b_soma * dendrite])
    dendrite = a_dendrite * dendrite + b_dendrite * soma + current - from_dendrite
    return torch.stack([dendrite, a_soma * soma + b_soma * dendrite - from_soma])
