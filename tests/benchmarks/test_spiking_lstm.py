"""The spiking LSTM: its equations by hand, its gates, its gradients, a task that it learns."""

import math

import numpy as np
import pytest
import torch

from benchmarks.spiking_lstm import Gates, SpikingLstm, advance_cell, open_gates
from tclif_core.bptt import objective


def _events(n_ticks: int, n_sequences: int, inputs: int) -> torch.Tensor:
    counts = np.random.default_rng(2).poisson(0.3, (n_ticks, n_sequences, inputs))
    return torch.from_numpy(counts).float()


def test_a_cell_takes_keeps_shows_and_forgets_by_hand() -> None:
    cell = torch.zeros(1, 1)
    # forget gate, input gate, candidate, output gate -> cell, spikes
    table = [
        ((1, 1, 1, 0), 1, 0),  # takes, shows nothing
        ((1, 0, 1, 1), 1, 1),  # keeps, shows
        ((1, 1, 1, 1), 1, 1),  # 1 + 1 counts as 1
        ((0, 1, 0, 1), 0, 0),  # forgets, nothing comes in
    ]

    for row, expected_cell, expected_spikes in table:
        gates = Gates(*(torch.full((1, 1), float(value)) for value in row))
        cell, spikes = advance_cell(cell, gates)

        assert (cell.item(), spikes.item()) == (expected_cell, expected_spikes), row


def test_gates_are_binary_and_open_at_their_threshold() -> None:
    gates = open_gates(torch.tensor([[-0.1, 0.0, 3.0, -2.0, 0.2, 0.0, -1e-6, 5.0]]))

    # four gates of two cells each
    assert torch.cat(gates).tolist() == [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]


def test_a_gradient_through_gates_and_a_full_cell_by_hand() -> None:
    current = torch.tensor([[0.5, 0.5, 0.4, 0.1]], requires_grad=True)

    cell, spikes = advance_cell(torch.ones(1, 1), open_gates(current))
    (cell + spikes).sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped

    # every gate is 1: h = o c, c of a sum of 2, so d(c + h)/d(sum) = 2 * 0.5; then a normal density
    # at 0.5 of width 0.5 for f and i, at 0.4 of width 0.8 for g, at 0.1 of width 0.5 for o (dh/do)
    by_gate = [(0.5, 0.5), (0.5, 0.5), (0.4, 0.8), (0.1, 0.5)]
    bells = [math.exp(-((d / w) ** 2) / 2) / (w * math.sqrt(2 * math.pi)) for d, w in by_gate]
    assert current.grad is not None
    assert current.grad[0].tolist() == pytest.approx(bells, rel=1e-6)


def test_a_network_answers_every_tick_and_spikes_are_rates() -> None:
    network = SpikingLstm(30, (12, 8), 5, seed=0)

    logits, rates = network(_events(7, 3, 30))

    assert logits.shape == (7, 3, 5)
    assert rates.shape == (2,)
    assert 0.0 < float(rates.detach().min()) <= float(rates.detach().max()) < 1.0
    # 4 gates x (below + own + 1) x cells, then the readout
    n_parameters = 4 * (30 + 12 + 1) * 12 + 4 * (12 + 8 + 1) * 8 + 8 * 5 + 5
    assert sum(parameter.numel() for parameter in network.parameters()) == n_parameters


def test_a_seed_makes_the_same_weights_each_time() -> None:
    first, same, other = (SpikingLstm(6, (5,), 2, seed=seed) for seed in (1, 1, 2))

    for one, two in zip(first.parameters(), same.parameters(), strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(first.w_out, other.w_out)


def test_a_gradient_reaches_every_weight_from_the_last_tick_alone() -> None:
    network = SpikingLstm(20, (12, 8), 3, seed=0)
    targets = torch.full((15, 2), -1)
    targets[-1] = 1

    logits = network(_events(15, 2, 20)).logits
    objective(logits, targets, "cross_entropy").backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped

    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 1e-6, name


def test_input_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"x must be \[ticks, sequences, 6\]"):
        SpikingLstm(6, (5,), 2, seed=0)(torch.zeros(4, 6))


def test_it_learns_which_of_two_cues_opened_a_sequence() -> None:
    network = SpikingLstm(8, (16,), 2, seed=1, readout_decay=0.0)
    # the cue is over after 4 of 20 ticks, noise follows, and only the last tick is asked
    x = _events(20, 32, 8)
    x[:4] = 0.0
    labels = torch.arange(32) % 2
    x[:4, labels == 0, :4] = 1.0
    x[:4, labels == 1, 4:] = 1.0
    targets = torch.full((20, 32), -1)
    targets[-1] = labels
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)

    for _ in range(120):
        optimizer.zero_grad()
        objective(network(x).logits, targets, "cross_entropy").backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()

    predicted = network(x).logits[-1].argmax(dim=-1)
    # chance is 16 of 32, its standard deviation 2.8
    assert int((predicted == labels).sum()) >= 28
