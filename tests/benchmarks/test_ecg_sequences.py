"""Electrocardiograms as sequences, their leaky traces, and the controls on them."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy.io")

import scipy.io
import torch

from benchmarks.ecg_sequences import (
    ECG,
    TIME_CONSTANTS,
    Sequences,
    leaky_traces,
    load_sequences,
    train_control,
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_ticks_without_a_class_have_no_target(tmp_path: Path) -> None:
    x = np.zeros((1, 3, 4), np.int8)
    x[0, 1] = (1, 0, -1, 0)
    y = np.zeros((1, 3, 6), np.int8)
    y[0, 0, 0] = y[0, 2, 5] = 1
    scipy.io.savemat(tmp_path / "QTDB_train.mat", {"x": x, "y": y})

    sequences = load_sequences("train", tmp_path)
    (example,) = sequences.examples()

    assert sequences.targets.tolist() == [[0, -1, 5]]
    assert example.label is None
    assert example.labelled.tolist() == [True, False, True]
    assert example.block.channels.tolist() == [0, 2]
    assert example.block.values.tolist() == [1, -1]
    assert example.block.tick_events.tolist() == [0, 0, 2, 2]


def test_traces_leak_by_hand() -> None:
    # one channel of four fires +1 at the first tick and -1 at the third
    x = np.zeros((1, 3, 4), np.float32)
    x[0, 0, 2], x[0, 2, 2] = 1.0, -1.0

    features = leaky_traces(x)

    assert features.shape == (1, 3, 30)
    # the lines themselves: four channels, then whether any of them fired
    assert features[0, :, :5].tolist() == [[0, 0, 1, 0, 1], [0, 0, 0, 0, 0], [0, 0, -1, 0, 1]]
    for place, constant in enumerate(TIME_CONSTANTS, start=1):
        keep = math.exp(-1.0 / constant)
        signed, any_event = features[0, :, 5 * place + 2], features[0, :, 5 * place + 4]
        assert signed == pytest.approx([1.0, keep, keep**2 - 1.0], abs=1e-6)
        assert any_event == pytest.approx([1.0, keep, keep**2 + 1.0], abs=1e-6)


def toy_sequences(n: int, seed: int) -> Sequences:
    """Return sequences whose class is the channel of the latest event; some ticks have none."""
    generator = np.random.default_rng(seed)
    x = np.zeros((n, 40, 4), np.float32)
    targets = np.full((n, 40), -1, np.int64)
    for row in range(n):
        for start in range(0, 40, 10):
            channel = int(generator.integers(4))
            x[row, start, channel] = 1.0
            targets[row, start : start + 8] = channel
    return Sequences(x, targets)


@pytest.mark.parametrize("hidden", [0, 16])
def test_a_control_learns_what_leaky_traces_tell(hidden: int) -> None:
    learnt, judged = toy_sequences(40, 1), toy_sequences(12, 2)

    answers = train_control(learnt, judged, hidden=hidden, passes=80, rate=0.05, seed=1)

    # eight ticks of each ten have a class
    assert [scored for _, scored in answers] == [32] * 12
    right = sum(right for right, _ in answers)
    # chance is a quarter
    assert right > 0.9 * 32 * 12


def test_a_control_answers_at_chance_where_nothing_can_be_learnt() -> None:
    generator = np.random.default_rng(3)
    learnt, judged = toy_sequences(40, 1), toy_sequences(40, 2)
    drawn = np.where(judged.targets >= 0, generator.integers(0, 4, judged.targets.shape), -1)

    answers = train_control(
        learnt, Sequences(judged.x, drawn), hidden=0, passes=20, rate=0.03, seed=1
    )

    # 1280 ticks, a quarter right by chance, standard deviation 15.5
    assert abs(sum(right for right, _ in answers) - 320) < 4 * 15.5


@pytest.mark.skipif(not ECG.exists(), reason=f"{ECG} is not here")
def test_the_test_part_is_what_the_papers_describe() -> None:
    sequences = load_sequences("test")

    assert sequences.x.shape == (141, 1301, 4)
    assert set(np.unique(sequences.x).tolist()) == {-1.0, 0.0, 1.0}
    assert sequences.targets.max() == 5
