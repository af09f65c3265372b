"""The spiking LSTM in training, on a task that it learns in seconds."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.spiking_lstm import SpikingLstm
from benchmarks.spiking_lstm_training import LstmSpec, _batches, train_and_judge_lstm
from benchmarks.training_runs import Desk, Result
from tests.tclif_core.toy_examples import CLASSES, INPUTS, toy_examples


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trained(told: list[int], passes: int) -> Result:
    spec = LstmSpec(hidden=16, passes=passes, rate=0.02, batch=8, seed=1, readout_decay=0.9)
    network = SpikingLstm(INPUTS, (16,), CLASSES, seed=1, readout_decay=0.9)
    desk = Desk(Path("unused"), told.append, told.append)
    examples, judged = toy_examples(48, n_ticks=10), toy_examples(30, seed=1, n_ticks=10)
    return train_and_judge_lstm(desk, spec, network, examples, judged)


def test_training_learns_the_task_and_tells_of_each_pass() -> None:
    told: list[int] = []

    result = trained(told, 8)

    assert told == [1] * 8
    assert [scored for _, scored in result["answers"]] == [1] * 30
    # chance is 10 of 30, its standard deviation 2.6
    assert sum(right for right, _ in result["answers"]) > 10 + 4 * 2.6
    assert len(result["firing_rates"]) == 1


def test_equal_seeds_give_equal_answers() -> None:
    one, other = trained([], 2), trained([], 2)

    assert {**one, "seconds": 0} == {**other, "seconds": 0}


def test_batches_hold_every_example_once_beside_others_of_its_length() -> None:
    examples = [e for n in (10, 100) for e in toy_examples(8, n_ticks=n)]

    batches = _batches(examples, 4, np.random.default_rng(0))

    assert sorted(id(e) for batch in batches for e in batch) == sorted(id(e) for e in examples)
    assert [len(batch) for batch in batches] == [4] * 4
    # noise of a tenth does not mix ten ticks with a hundred
    assert all(len({e.n_ticks > 50 for e in batch}) == 1 for batch in batches)
