"""A session takes the same memory however long its stream, and all of it is in its export."""

import gc
import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import tclif_core
from benchmarks.live_memory import reachable_bytes
from tclif_core import EventBlock, Learner, LearningSpec, NetworkSpec, SlotIndex, Strand
from tclif_core.kernels import cpu
from tests.tclif_core.streams import (
    TICK_SGD,
    advance_one,
    assert_same_bits,
    random_counts,
    random_targets,
    slot_tensors,
    small_network,
)

LEARNINGS = {
    "segment adam": LearningSpec(),
    "tick sgd with momentum": LearningSpec(update="tick", optimizer="sgd", momentum=0.9),
    "tick rmsprop": LearningSpec(update="tick", optimizer="rmsprop"),
}

ROOM = str(Path(tclif_core.__file__).parent)


def _stream(learner: Learner, slot: SlotIndex, n_ticks: int, call_ticks: int) -> None:
    """Advance a session through one endless segment, labelled now and then."""
    x = random_counts(call_ticks, learner.network.inputs)
    block = EventBlock.from_dense([x])
    targets = random_targets(call_ticks, learner.network.classes)
    row, strand, learns = np.array([slot]), np.zeros(1, np.int64), np.array([True])
    for _ in range(n_ticks // call_ticks):
        learner.advance(row, strand, learns, block, targets)
        learner.apply_update(slot)


def _traced_bytes() -> int:
    """Return what Python's and NumPy's objects take that the learner made since tracing began."""
    gc.collect()
    total = 0
    for trace in tracemalloc.take_snapshot().traces:
        files = [frame.filename for frame in trace.traceback]
        # the compiled call gives back small objects without the tracer hearing of it
        if files[-1] != cpu.__file__ and any(name.startswith(ROOM) for name in files):
            total += trace.size
    return total


@pytest.mark.parametrize("learning", [LearningSpec(), TICK_SGD], ids=["segment", "tick"])
def test_a_session_takes_the_same_bytes_after_a_hundred_and_a_million_ticks(
    learning: LearningSpec,
) -> None:
    network = small_network(inputs=6, hidden=(4, 3))
    learner = Learner(network, learning, kernel="cpu")
    slot = learner.open(seed=1, rate=1e-5)
    assert learner.kernel_name == "cpu"
    _stream(learner, slot, 100, call_ticks=100)
    early = reachable_bytes(learner)
    tracemalloc.start(8)
    _stream(learner, slot, 10_000, call_ticks=10_000)
    early_objects = _traced_bytes()

    _stream(learner, slot, 990_000, call_ticks=10_000)

    late_objects = _traced_bytes()
    tracemalloc.stop()
    counts, n_ticks = learner.spike_counts(slot)
    assert n_ticks == 1_000_100
    assert counts.min() > 10_000
    assert reachable_bytes(learner) == early >= Learner.session_bytes(network, learning)
    # a hundredth of a byte a tick would be 9,900
    assert abs(late_objects - early_objects) < 4_000


def test_the_reference_keeps_nothing_of_its_ticks_either() -> None:
    network = small_network(inputs=6, hidden=(4, 3))
    learner = Learner(network, LearningSpec(), kernel="reference")
    slot = learner.open(seed=1, rate=1e-5)
    _stream(learner, slot, 100, call_ticks=100)
    early = reachable_bytes(learner)

    _stream(learner, slot, 2_000, call_ticks=100)

    assert reachable_bytes(learner) == early


@pytest.mark.parametrize("learning", LEARNINGS.values(), ids=LEARNINGS)
@pytest.mark.parametrize("network", [small_network(), small_network(recurrent=False)], ids=str)
def test_an_export_is_as_many_bytes_as_a_session_is_said_to_take(
    network: NetworkSpec, learning: LearningSpec
) -> None:
    learner = Learner(network, learning, kernel="reference")

    rows = learner.export(learner.open(seed=0, rate=0.1))

    assert sum(row.nbytes for row in rows.values()) == Learner.session_bytes(network, learning)


SEGMENT_TICKS, N_TICKS = 30, 120


def _play(learner: Learner, slot: SlotIndex, first: int, last: int) -> list[np.ndarray]:
    """Advance ticks ``[first, last)`` of a stream of segments; return their logits."""
    x = random_counts(N_TICKS, learner.network.inputs, seed=4)
    targets = random_targets(N_TICKS, learner.network.classes, seed=4)
    cuts = sorted({first, last, *range(0, N_TICKS + 1, SEGMENT_TICKS)})
    logits = []
    for start, stop in pairwise(cut for cut in cuts if first <= cut <= last):
        if start % SEGMENT_TICKS == 0:
            learner.begin_segment(slot, Strand.LIVE)
        logits.append(advance_one(learner, slot, x[start:stop], targets[start:stop]).logits)
        if stop % SEGMENT_TICKS == 0:
            assert learner.apply_update(slot)
    return logits


@pytest.mark.parametrize("learning", LEARNINGS.values(), ids=LEARNINGS)
def test_an_export_taken_at_any_tick_goes_on_bit_for_bit_elsewhere(
    kernel: str, learning: LearningSpec
) -> None:
    network = small_network()
    undisturbed = Learner(network, learning, kernel=kernel)
    slot = undisturbed.open(seed=5, rate=0.01)
    expected = np.concatenate(_play(undisturbed, slot, 0, N_TICKS))
    start = undisturbed.weights(undisturbed.open(seed=5, rate=0.0))
    moved = np.abs(undisturbed.weights(slot)["layer0.w"] - start["layer0.w"]).max()
    assert moved > 1e-3, "weights that stand still show nothing"

    for tick in np.random.default_rng(8).integers(1, N_TICKS, 5).tolist():
        first, second = (Learner(network, learning, kernel=kernel) for _ in range(2))
        before = first.open(seed=5, rate=0.01)
        logits = _play(first, before, 0, tick)
        second.open(seed=7, rate=0.5)
        after = second.open(seed=6, rate=0.5)
        second.replace(after, first.export(before))
        logits += _play(second, after, tick, N_TICKS)

        assert np.concatenate(logits).tobytes() == expected.tobytes(), tick
        assert_same_bits(slot_tensors(second, after), slot_tensors(undisturbed, slot))


@pytest.mark.parametrize("learning", LEARNINGS.values(), ids=LEARNINGS)
def test_taking_an_export_changes_nothing(kernel: str, learning: LearningSpec) -> None:
    learners = [Learner(small_network(), learning, kernel=kernel) for _ in range(2)]
    plain, watched = (learner.open(seed=5, rate=0.01) for learner in learners)
    _play(learners[0], plain, 0, N_TICKS)

    for first, last in pairwise([0, 7, 30, 31, 64, N_TICKS]):
        _play(learners[1], watched, first, last)
        for row in learners[1].export(watched).values():
            # copies: what is written into them stays there
            row.zero_()

    assert_same_bits(slot_tensors(learners[1], watched), slot_tensors(learners[0], plain))
