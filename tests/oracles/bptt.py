"""The same network under autograd, with the spikes of reset and recurrence taken as given.

`z[t-1]` is detached where it resets its neuron and where it feeds back through R; it keeps its
surrogate derivative on the way up and into the readout. That is the derivative which e-prop
estimates, and with one hidden layer and readout decay 0 the one that it computes.
"""

import math
from typing import Any

import torch
from typing_extensions import override

from tclif_core import NetworkSpec

SCALARS = (
    "dendrite_decay_minimum",
    "soma_decay_minimum",
    "soma_to_dendrite",
    "dendrite_to_soma",
)


class _Spike(torch.autograd.Function):
    """A step forward, a triangle backward."""

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
        slope = torch.clamp(ctx.width - distance.abs(), min=0) / ctx.width**2
        return gradients[0] * slope, None


def gradients(
    network: NetworkSpec,
    parameters: dict[str, torch.Tensor],
    x: torch.Tensor,
    targets: list[int],
) -> tuple[dict[str, torch.Tensor], list[float]]:
    """Return the gradient of the summed loss by every parameter, and each layer's spike rate.

    Args:
        network: Sizes and constants; a neuron with a dendrite.
        parameters: By the names of `Learner.weights`, float64.
        x: Input ``[T, inputs]`` float64.
        targets: Class of each tick, -1 where there is none.
    """
    leaves = {name: value.clone().requires_grad_() for name, value in parameters.items()}
    loss, rates = _forward(network, leaves, x, targets)
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return (
        {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in leaves.items()},
        rates,
    )


def _forward(
    network: NetworkSpec, p: dict[str, torch.Tensor], x: torch.Tensor, targets: list[int]
) -> tuple[torch.Tensor, list[float]]:
    neuron, profile = network.neuron, network.neuron.profile
    dendrites = [torch.zeros(size, dtype=x.dtype) for size in network.hidden]
    somas, spikes = list(dendrites), list(dendrites)
    logits = torch.zeros(network.classes, dtype=x.dtype)
    loss = torch.zeros((), dtype=x.dtype)
    counts = [0.0] * len(network.hidden)
    for tick, target in enumerate(targets):
        time, peak = tick + 1.0, (profile.shape - 1.0) * profile.scale_ticks
        rise = profile.amplitude * (time / peak) ** (profile.shape - 1.0)
        rise *= math.exp((peak - time) / profile.scale_ticks)
        below = x[tick]
        for n in range(len(network.hidden)):
            a_dendrite, a_soma, b_dendrite, b_soma = (p[f"layer{n}.{name}"] for name in SCALARS)
            before = spikes[n].detach()
            current = below @ p[f"layer{n}.w"] + p[f"layer{n}.b"]
            if network.recurrent:
                current = current + before @ p[f"layer{n}.r"]
            dendrites[n] = (a_dendrite + rise) * dendrites[n] + b_dendrite * somas[n] + current
            dendrites[n] = dendrites[n] - neuron.dendritic_reset * before
            somas[n] = (a_soma + rise) * somas[n] + b_soma * dendrites[n]
            somas[n] = somas[n] - neuron.threshold * before
            distance = somas[n] - neuron.threshold
            spikes[n] = _Spike.apply(distance, neuron.surrogate_width)  # type: ignore[no-untyped-call]  # torch leaves it untyped
            counts[n] += float(spikes[n].detach().sum())
            below = spikes[n]
        logits = network.readout_decay * logits + below @ p["readout.w"] + p["readout.b"]
        if target >= 0:
            loss = loss - torch.log_softmax(logits, dim=-1)[target]
    n_ticks = len(targets)
    rates = [count / size / n_ticks for count, size in zip(counts, network.hidden, strict=True)]
    return loss, rates
