"""The CUDA backend where only a GPU is fast enough: whole vector files, networks of SHD's size."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tclif_core import EventBlock, Learner, LearningSpec, NetworkSpec, Strand
from tests.oracles.check_vectors import compare
from tests.oracles.vectors import VECTOR_FOLDER, read_vectors
from tests.tclif_core.streams import assert_same_bits, random_counts, slot_tensors

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]

FILES = sorted(VECTOR_FOLDER.glob("*.npz"))
SHD = NetworkSpec(inputs=700, hidden=(128, 128), classes=20, input_gain=5.0, hidden_gain=6.0)
RULES = [LearningSpec(), LearningSpec(update="tick", optimizer="sgd", momentum=0.9)]
N_SESSIONS, N_TICKS = 300, 40


def _advance(learner: Learner, n_sessions: int, cuts: list[int]) -> None:
    slots = np.array([learner.open(seed=seed, rate=1e-3) for seed in range(n_sessions)])
    inputs = [random_counts(N_TICKS, 700, seed, rate=0.06) for seed in range(n_sessions)]
    begin = 0
    for n_ticks in cuts:
        block = EventBlock.from_dense([x[begin : begin + n_ticks] for x in inputs])
        targets = np.repeat(np.arange(n_sessions) % 20, n_ticks)
        strands, learns = np.zeros(n_sessions, np.int64), np.ones(n_sessions, np.bool_)
        learner.advance(slots, strands, learns, block, targets)
        begin += n_ticks


@pytest.mark.skipif(not FILES, reason=f"no vector files in {VECTOR_FOLDER}")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_vector_file_agrees_to_its_end(path: Path) -> None:
    findings, remark = compare(read_vectors(path), "cuda float32")

    assert [finding for finding in findings if finding.failed] == []
    assert remark == ""


@pytest.mark.parametrize("learning", RULES)
def test_hundreds_of_sessions_are_each_what_they_are_alone_however_cut(
    learning: LearningSpec,
) -> None:
    together, alone = (Learner(SHD, learning, kernel="cuda", capacity=n) for n in (N_SESSIONS, 1))

    _advance(together, N_SESSIONS, [7, 1, 16, 16])
    _advance(alone, 1, [N_TICKS])

    assert_same_bits(slot_tensors(together, 0), slot_tensors(alone, 0))


@pytest.mark.parametrize("learning", RULES)
def test_what_is_computed_twice_is_the_same_twice(learning: LearningSpec) -> None:
    learners = [Learner(SHD, learning, kernel="cuda", capacity=N_SESSIONS) for _ in range(2)]

    for learner in learners:
        _advance(learner, N_SESSIONS, [N_TICKS])

    for slot in range(N_SESSIONS):
        assert_same_bits(slot_tensors(learners[0], slot), slot_tensors(learners[1], slot))


def test_a_network_of_shds_size_spikes_as_on_the_cpu() -> None:
    counts = []
    for kernel in ("cpu", "cuda"):
        learner = Learner(SHD, LearningSpec(), kernel=kernel)
        _advance(learner, 1, [N_TICKS])
        counts.append(learner.bank.counters[0, Strand.LIVE].cpu().numpy()[3:])

    # a spike that rounding decides changes those after it, so all but some agree
    assert counts[0].min() > 100
    assert np.abs(counts[0] - counts[1]).max() < 0.02 * counts[0].min()
