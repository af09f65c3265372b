"""Leaky readout, class probabilities and the error they make.

    y[t]   = kappa y[t-1] + z_top[t] W_out + b_out                        (1)
    p[t]   = softmax(y[t])                                                (2)
    E[t]   = -log p_target[t]         (0 where no target is known)        (3)
    err[t] = p[t] - onehot(target)                                        (4)

or, where a stream is to be followed rather than classified, with C numbers as target:

    E[t]   = sum_c (y_c[t] - target_c)^2 / C,  err[t] = 2 (y[t] - target) / C    (5)

The derivative of y[t] by the readout's weights is a trace of the spikes, one number a neuron, and
by its biases the same of a line that is always 1:

    zbar[t] = kappa zbar[t-1] + z_top[t]                                  (6)

Source: Yin et al. 2024, eqs. 14-15, with the leak kappa of Bellec et al. 2020. The prediction of a
segment is the mean of p[t] over its ticks so far.

Shapes: any leading dimensions, then N neurons of the top layer, C classes.
"""

import torch


def advance(
    logits: torch.Tensor,
    spikes: torch.Tensor,
    w_out: torch.Tensor,
    b_out: torch.Tensor,
    readout_decay: float,
) -> torch.Tensor:
    """Return the logits ``[..., C]`` of this tick; the given ones are left untouched.

    Args:
        logits: Those of the previous tick ``[..., C]``.
        spikes: The top layer's of this tick ``[..., N]``.
        w_out: Readout weights ``[N, C]``.
        b_out: Readout biases ``[C]``.
        readout_decay: kappa, in [0, 1].
    """
    return readout_decay * logits + spikes @ w_out + b_out


def probabilities(logits: torch.Tensor) -> torch.Tensor:
    """Return the class probabilities ``[..., C]`` of eq. (2)."""
    return torch.softmax(logits, dim=-1)


def cross_entropy(logits: torch.Tensor, target: int) -> torch.Tensor:
    """Return the loss of eq. (3), computed from logits so that it stays finite for sure misses."""
    return torch.logsumexp(logits, dim=-1) - logits[..., target]


def cross_entropy_error(class_probabilities: torch.Tensor, target: int) -> torch.Tensor:
    """Return the derivative of the loss by the logits ``[..., C]``, eq. (4)."""
    error = class_probabilities.clone()
    error[..., target] -= 1.0
    return error


def mean_squared(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the loss of eq. (5); the target is ``[..., C]``."""
    return ((logits - target) ** 2).mean(dim=-1)


def mean_squared_error(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the derivative of the loss of eq. (5) by the logits ``[..., C]``."""
    return 2.0 * (logits - target) / logits.shape[-1]
