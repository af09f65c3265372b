"""The CUDA backend, where there is a GPU on it, else in Triton's interpreter, a tick in 0.1 s.

So networks are tiny, and each claim is made with as few ticks as it takes. What every backend
promises is claimed of this one too where there is a GPU, see `test_kernel_laws`.
"""

import os
import subprocess
import sys
from itertools import pairwise, takewhile
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, NDArray

from tclif_core import (
    AdvanceResult,
    EventBlock,
    Learner,
    LearningSpec,
    NetworkSpec,
    NeuronSpec,
    SlotIndex,
    Strand,
)
from tests.oracles.tolerances import TOLERANCES
from tests.oracles.vector_player import Player
from tests.oracles.vectors import VECTOR_FOLDER, read_vectors
from tests.tclif_core.streams import (
    SEGMENT_RULES,
    SEGMENT_SGD,
    TICK_RULES,
    TICK_SGD,
    advance_one,
    assert_same_bits,
    random_counts,
    random_targets,
    slot_tensors,
    small_network,
    targets_of,
)

pytest.importorskip("triton", reason="Triton is not made for this system")
cuda = pytest.importorskip("tclif_core.kernels.cuda")
pytestmark = [pytest.mark.gpu] if torch.cuda.is_available() else []

CUDA = TOLERANCES["cuda float32"]
NETWORK = small_network(inputs=13, hidden=(5, 7))
BROADCAST = LearningSpec(optimizer="sgd", feedback="broadcast")
RULES = {
    "segment": SEGMENT_SGD,
    "tick": TICK_SGD,
    "broadcast": BROADCAST,
    "preconditioned, all else": TICK_RULES["preconditioned, all else"],
    "momentum": TICK_RULES["momentum"],
    "clip": LearningSpec(update="tick", optimizer="sgd", gradient_clip=0.05),
    "layer rates": TICK_RULES["layer rates"],
    "readout trace": SEGMENT_RULES["readout trace"],
    "mean squared": SEGMENT_RULES["mean squared"],
    "frozen": LearningSpec(update="frozen"),
}
NEURONS = [
    NeuronSpec(kind="lif", surrogate="rectangular", surrogate_width=0.3),
    NeuronSpec(kind="tclif", surrogate="fast_sigmoid"),
    NeuronSpec(kind="learnable_tclif", surrogate="arctan"),
    NeuronSpec(kind="two_compartment", reset="code"),
]
LENGTHS = (6, 1, 3)
FILES = sorted(VECTOR_FOLDER.glob("*.npz"))


def _open(network: NetworkSpec, learning: LearningSpec, kernel: str) -> tuple[Learner, np.ndarray]:
    """Return a learner with three sessions whose squares are as segments would leave them."""
    learner = Learner(network, learning, kernel=kernel, capacity=3)
    slots = np.array([learner.open(seed=seed, rate=0.01) for seed in range(3)])
    if learning.is_preconditioned:
        squares = learner.bank.second_moment
        drawn = np.random.default_rng(5).uniform(0.2, 4.0, squares.shape)
        squares.copy_(torch.from_numpy(drawn))
    return learner, slots


def _advance_three(learner: Learner, slots: np.ndarray, order: tuple[int, ...]) -> AdvanceResult:
    """Advance three sessions in one call, each by its own ticks with its own targets."""
    inputs = [random_counts(LENGTHS[n], learner.network.inputs, n) for n in order]
    targets = [random_targets(LENGTHS[n], learner.network.classes, n) for n in order]
    return learner.advance(
        slots[list(order)],
        np.zeros(3, np.int64),
        np.ones(3, np.bool_),
        EventBlock.from_dense(inputs),
        targets_of(learner, np.concatenate(targets)),
    )


def _assert_close(actual: ArrayLike, expected: ArrayLike, quantity: str) -> None:
    difference = np.abs(np.asarray(actual, np.float64) - np.asarray(expected, np.float64))
    # both are float32 here, each as far from the truth as the table allows
    assert float(difference.max(initial=0.0)) <= 2 * CUDA[quantity].allowed(expected), quantity


def _assert_agreement(learner: Learner, truth: Learner, slots: np.ndarray) -> None:
    for slot in slots:
        ours, theirs = slot_tensors(learner, slot), slot_tensors(truth, slot)
        # a spike that rounding decides would show here: choose another seed
        assert torch.equal(ours["counters"], theirs["counters"])
        assert torch.equal(ours["updates"], theirs["updates"])
        _assert_close(ours["state"], theirs["state"], "eligibility")
        _assert_close(ours["parameters"], theirs["parameters"], "after")
        _assert_close(ours["gradients"], theirs["gradients"], "gradient")
        _assert_close(ours["first_moment"], theirs["first_moment"], "gradient")
        _assert_close(ours["sums"], theirs["sums"], "logits")


def _assert_answers_agree(actual: AdvanceResult, expected: AdvanceResult) -> None:
    _assert_close(actual.logits, expected.logits, "logits")
    _assert_close(actual.mean_probabilities, expected.mean_probabilities, "probabilities")
    _assert_close(actual.loss, expected.loss, "logits")


@pytest.mark.parametrize("learning", RULES.values(), ids=RULES)
def test_several_sessions_in_one_launch_agree_with_the_reference(learning: LearningSpec) -> None:
    learner, slots = _open(NETWORK, learning, "cuda")
    truth, _ = _open(NETWORK, learning, "reference")

    actual = _advance_three(learner, slots, (0, 1, 2))

    assert learner.kernel_name == "cuda"
    _assert_answers_agree(actual, _advance_three(truth, slots, (0, 1, 2)))
    _assert_agreement(learner, truth, slots)
    assert truth.spike_counts(slots[0])[0].all()


@pytest.mark.parametrize("neuron", NEURONS, ids=lambda neuron: neuron.kind)
def test_every_neuron_agrees_with_the_reference(neuron: NeuronSpec) -> None:
    network = small_network(inputs=13, hidden=(5,), recurrent=False, neuron=neuron)
    learner, slots = _open(network, SEGMENT_SGD, "cuda")
    truth, _ = _open(network, SEGMENT_SGD, "reference")
    x, targets = random_counts(4, 13, 3), [1, -1, 2, 0]

    actual = advance_one(learner, slots[0], x, targets)

    _assert_answers_agree(actual, advance_one(truth, slots[0], x, targets))
    _assert_agreement(learner, truth, slots)


@pytest.mark.skipif(not FILES, reason=f"no vector files in {VECTOR_FOLDER}")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_first_ticks_of_every_vector_file_agree(path: Path) -> None:
    player = Player(read_vectors(path), "cuda", torch.float32)

    first = list(takewhile(lambda one: one.tick < 4, player.measure(from_file=True)))

    assert player.learner.kernel_name == "cuda"
    assert first[-1].tick == 3
    for measured in first:
        difference = float(np.abs(measured.actual - measured.expected).max())
        assert difference <= CUDA[measured.quantity].allowed(measured.expected), measured.where


@pytest.mark.parametrize("learning", [TICK_SGD, RULES["preconditioned, all else"], SEGMENT_SGD])
def test_how_ticks_are_cut_into_calls_changes_no_bit(learning: LearningSpec) -> None:
    # more labelled ticks than a block, no two calls alike
    n_ticks, cuts = 19, [3, 0, 12, 1, 3]
    network = small_network(inputs=13, hidden=(5, 2))
    x, targets = random_counts(n_ticks, 13), [1, 0, 2] * 6 + [1]
    whole, slots = _open(network, learning, "cuda")
    expected = advance_one(whole, slots[0], x, targets)

    pieces, _ = _open(network, learning, "cuda")
    results = [
        advance_one(pieces, slots[0], x[start:stop], targets[start:stop])
        for start, stop in pairwise(np.cumsum([0, *cuts]))
    ]

    assert np.array_equal(np.concatenate([r.logits for r in results]), expected.logits)
    assert np.array_equal(np.concatenate([r.loss for r in results]), expected.loss)
    assert_same_bits(slot_tensors(pieces, slots[0]), slot_tensors(whole, slots[0]))


@pytest.mark.parametrize("learning", [TICK_SGD, SEGMENT_SGD])
def test_a_row_is_unaffected_by_its_neighbours_and_their_order(learning: LearningSpec) -> None:
    together, slots = _open(NETWORK, learning, "cuda")
    result = _advance_three(together, slots, (2, 0, 1))

    alone, _ = _open(NETWORK, learning, "cuda")
    x, targets = random_counts(LENGTHS[0], 13, 0), random_targets(LENGTHS[0], 3, 0)
    single = advance_one(alone, slots[0], x, targets)

    assert np.array_equal(result.logits[LENGTHS[2] : LENGTHS[2] + LENGTHS[0]], single.logits)
    assert_same_bits(slot_tensors(together, slots[0]), slot_tensors(alone, slots[0]))
    # nobody advanced the others of the second learner
    fresh, _ = _open(NETWORK, learning, "cuda")
    for slot in slots[1:]:
        assert_same_bits(slot_tensors(alone, slot), slot_tensors(fresh, slot))


def test_a_tick_is_predicted_before_its_label_is_learnt() -> None:
    logits = []
    for flipped in (1, 2):
        learner, slots = _open(NETWORK, TICK_SGD, "cuda")
        targets = [1, 1, flipped, 1]
        logits.append(advance_one(learner, slots[0], random_counts(4, 13), targets).logits)

    assert np.array_equal(logits[0][:3], logits[1][:3])
    # the readout's bias has moved otherwise
    assert not np.array_equal(logits[0][3], logits[1][3])


def test_a_row_that_does_not_learn_only_infers() -> None:
    learner, slots = _open(NETWORK, TICK_SGD, "cuda")
    before = slot_tensors(learner, slots[0])

    result = advance_one(learner, slots[0], random_counts(3, 13), [2] * 3, learns=False)

    after = slot_tensors(learner, slots[0])
    for name in ("parameters", "gradients", "updates"):
        assert_same_bits({name: before[name]}, {name: after[name]})
    traces = learner.bank.state_views(slots[0], Strand.LIVE)
    assert not traces["layer0.eligibility.soma"].any()
    assert (result.loss > 0).all()


def test_a_lesson_leaves_the_running_segment_alone() -> None:
    learner, slots = _open(NETWORK, SEGMENT_SGD, "cuda")
    advance_one(learner, slots[0], random_counts(2, 13), [-1] * 2, learns=False)
    before = slot_tensors(learner, slots[0])

    advance_one(learner, slots[0], random_counts(2, 13), [2] * 2, strand=Strand.LESSON)

    after = slot_tensors(learner, slots[0])
    for name in ("state", "sums", "counters"):
        live = {name: before[name][Strand.LIVE]}, {name: after[name][Strand.LIVE]}
        assert_same_bits(*live)
        assert not torch.equal(before[name][Strand.LESSON], after[name][Strand.LESSON])


def _listed(pairs: list[tuple[int, float]]) -> EventBlock:
    channels = np.array([channel for channel, _ in pairs] * 2, np.int32)
    values = np.array([value for _, value in pairs] * 2, np.float32)
    return EventBlock(np.array([0, 2]), np.arange(3) * len(pairs), channels, values)


def test_pairs_of_one_channel_in_one_tick_add_up() -> None:
    # 70 pairs on 35 channels are more than a program takes up at a time
    channels = list(range(35))
    states = []
    for pairs in ([(c, 1.0) for c in channels * 2], [(c, 2.0) for c in channels]):
        learner, slots = _open(small_network(inputs=70, hidden=(3,)), SEGMENT_SGD, "cuda")
        learner.advance(
            slots[:1], np.array([0]), np.array([True]), _listed(pairs), np.array([1, 1])
        )
        states.append(slot_tensors(learner, slots[0])["state"])

    _assert_close(states[0], states[1], "eligibility")
    assert states[0].any()


def test_more_lines_than_a_program_moves_at_a_time_agree() -> None:
    network = small_network(inputs=1030, hidden=(3,))
    learner, slots = _open(network, TICK_SGD, "cuda")
    truth, _ = _open(network, TICK_SGD, "reference")
    x = random_counts(2, 1030, rate=0.02)

    actual = advance_one(learner, slots[0], x, [1, 0])

    _assert_answers_agree(actual, advance_one(truth, slots[0], x, [1, 0]))
    _assert_agreement(learner, truth, slots)


# interpreted programs warn as NumPy does
@pytest.mark.filterwarnings("ignore:(invalid value|overflow) encountered:RuntimeWarning")
@pytest.mark.parametrize("bad", ["logits", "layer0.eligibility.dendrite"])
def test_a_tick_whose_estimate_is_not_finite_moves_no_weight_and_is_told(bad: str) -> None:
    learner, slots = _open(NETWORK, TICK_SGD, "cuda")
    slot = SlotIndex(int(slots[0]))
    learner.bank.state_views(slot, Strand.LIVE)[bad].fill_(np.inf)
    before = learner.weights(slot)

    advance_one(learner, slot, random_counts(2, 13), [1] * 2)

    np.testing.assert_equal(learner.weights(slot), before)
    assert not learner.apply_update(slot)


def test_what_decays_to_next_to_nothing_ends_at_zero() -> None:
    learner, slots = _open(NETWORK, SEGMENT_SGD, "cuda")
    views = learner.bank.state_views(slots[0], Strand.LIVE)
    for name in ("layer0.dendrite", "layer0.soma", "layer0.eligibility.dendrite"):
        views[name].fill_(1e-19)

    advance_one(learner, slots[0], np.zeros((1, 13)), [-1])

    assert not views["layer0.dendrite"].any()
    # all lines but the bias, which is always 1
    assert not views["layer0.eligibility.dendrite"][:-1].any()


def test_a_batch_without_rows_or_ticks_is_answered() -> None:
    learner, slots = _open(NETWORK, SEGMENT_SGD, "cuda")
    none: NDArray[np.int64] = np.zeros(0, np.int64)

    empty = learner.advance(none, none, none.astype(bool), EventBlock.from_dense([]), none)
    idle = advance_one(learner, slots[0], np.zeros((0, 13)), [])

    assert empty.logits.shape == idle.logits.shape == (0, 3)


def test_a_bank_that_grew_is_advanced_where_it_lies_now() -> None:
    learner, slots = _open(NETWORK, SEGMENT_SGD, "cuda")
    x = random_counts(1, 13)
    grown = learner.open(seed=0, rate=0.01)

    actual = advance_one(learner, grown, x, [1])

    assert learner.bank.capacity > len(slots)
    assert np.array_equal(actual.logits, advance_one(learner, slots[0], x, [1]).logits)


@pytest.mark.parametrize(
    ("network", "learning", "dtype", "said"),
    [
        (NETWORK, SEGMENT_SGD, torch.float64, "numbers of type torch.float64"),
        (NETWORK, SEGMENT_RULES["hidden traces"], torch.float32, "filtered hidden traces"),
        (small_network(hidden=(2,) * 5), SEGMENT_SGD, torch.float32, "more than 4 hidden layers"),
        (
            small_network(hidden=(1025,)),
            SEGMENT_SGD,
            torch.float32,
            "more than 1024 neurons or classes in a layer",
        ),
        (
            small_network(inputs=65_537, hidden=(1,)),
            SEGMENT_SGD,
            torch.float32,
            "more than 65536 input channels",
        ),
    ],
)
def test_what_it_lacks_the_reference_does_and_the_log_says(
    caplog: pytest.LogCaptureFixture,
    network: NetworkSpec,
    learning: LearningSpec,
    dtype: torch.dtype,
    said: str,
) -> None:
    learner = Learner(network, learning, kernel="cuda", dtype=dtype)

    assert learner.kernel_name == "reference"
    assert learner.bank.parameters.device.type == "cpu"
    assert f"kernel 'cuda' does not compute {said}" in caplog.text


def test_without_a_device_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "find_device", lambda: None)

    with pytest.raises(
        ValueError, match="kernel 'cuda' needs a CUDA device, and PyTorch sees none"
    ):
        Learner(NETWORK, SEGMENT_SGD, kernel="cuda")


def test_its_programs_compile_for_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    environment = os.environ | {"TRITON_CACHE_DIR": str(tmp_path), "TRITON_INTERPRET": "0"}
    command = [sys.executable, "-m", "tests.tclif_core.kernels.compiled_elsewhere", "90"]

    done = subprocess.run(  # noqa: S603 - this interpreter, this repository
        command, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "sm_90" in done.stdout
