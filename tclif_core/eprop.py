"""e-prop: the gradient estimate of one tick, from numbers known at that tick.

    err[t] = p[t] - onehot(target)                        error of the readout
    L_top  = W_out err                                    learning signal of the top layer      (1)
    L_l    = W_{l+1} (bS_{l+1} d_{l+1})                   chain: of the layers below            (2)
    L_l    = err B_l                                      broadcast: of every layer             (3)
    d_j    = L_j psi_j                                    neuron error                          (4)
    dE/dW_ij ~ sum_t eS_i[t] d_j[t]                       hidden weights, one outer product     (5)
    dE/dW_out ~ sum_t z_top[t] err[t]                     readout weights                       (6)
    dE/da ~ sum_t sum_j qS_j[t] d_j[t]                    a layer's four numbers                (7)

Source: Bellec et al. 2020 (learning signal times eligibility); Yin et al. 2024, eqs. 11-13 and 34.
With one hidden layer and kappa = 0 the sums are the gradient, given that z[t-1] is taken as a
constant in reset and recurrence. With more layers (2) is instantaneous: it leaves out what a lower
spike left behind in the layer above. With kappa > 0 (1) and (6) leave out what earlier spikes left
behind in the readout. Two options put it back:

    dE/dW_out ~ sum_t zbar[t] err[t]                      `filter_readout_trace`                (8)
    F_ij[t] = kappa F_ij[t-1] + eS_i[t] psi_j[t],
    dE/dW_ij ~ sum_t F_ij[t] L_j[t]                       `filter_hidden_traces`                (9)

zbar is that of `readout`. (9) is the full rule of Bellec et al., at the cost of a number for each
synapse; in it L of the lower layers still uses psi of this tick above.

Shapes: any leading dimensions, then M input lines, N neurons, C classes.
"""

import torch


def top_learning_signal(output_error: torch.Tensor, w_out: torch.Tensor) -> torch.Tensor:
    """Return eq. (1), ``[..., N]``: the readout's error seen through its weights ``[N, C]``."""
    return output_error @ w_out.T


def chained_learning_signal(
    neuron_error_above: torch.Tensor, w_in_above: torch.Tensor, dendrite_to_soma: torch.Tensor
) -> torch.Tensor:
    """Return eq. (2), ``[..., N]``: the upper layer's error seen through the weights between.

    Args:
        neuron_error_above: d of the layer above, ``[..., N above]``.
        w_in_above: Feed-forward weights of the layer above, ``[N, N above]``.
        dendrite_to_soma: bS of the layer above.
    """
    return (neuron_error_above * dendrite_to_soma) @ w_in_above.T


def broadcast_learning_signal(
    output_error: torch.Tensor, feedback_weights: torch.Tensor
) -> torch.Tensor:
    """Return eq. (3), ``[..., N]``: the readout's error through a fixed matrix ``[C, N]``."""
    return output_error @ feedback_weights


def neuron_error(learning_signal: torch.Tensor, pseudo_derivative: torch.Tensor) -> torch.Tensor:
    """Return eq. (4), ``[..., N]``."""
    return learning_signal * pseudo_derivative


def gradient_estimate(trace: torch.Tensor, error: torch.Tensor) -> torch.Tensor:
    """Return one tick's term of eqs. (5), (6) and (8), ``[M, N]``, from ``[M]`` and ``[N]``."""
    return torch.outer(trace, error)


def scalar_gradient_estimate(trace: torch.Tensor, error: torch.Tensor) -> torch.Tensor:
    """Return one tick's term of eq. (7), a scalar, from the soma traces ``[N]`` of a number."""
    return torch.dot(trace, error)


def filtered_trace(
    filtered: torch.Tensor, trace: torch.Tensor, readout_decay: float
) -> torch.Tensor:
    """Return F of eq. (9), or zbar: what the readout still remembers of a trace.

    Args:
        filtered: F of the tick before, any shape; it is left untouched.
        trace: What this tick adds, of the same shape.
        readout_decay: kappa, in [0, 1].
    """
    return readout_decay * filtered + trace
