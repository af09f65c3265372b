"""What is particular to the compiled backend."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tclif_core import EventBlock, Learner, LearningSpec, NetworkSpec, NeuronSpec, compilation
from tclif_core.kernels import compiled_ticks, compiled_updates, compiled_workbench
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


def _n_compiled() -> int:
    loops: tuple[Any, ...] = (
        compiled_ticks.advance_rows,
        compiled_workbench.lay_out,
        compiled_updates.update_rows,
    )
    return sum(len(loop.signatures) for loop in loops)


@pytest.mark.parametrize("reset", ["paper", "code"])
@pytest.mark.parametrize(
    "learning",
    [
        TICK_SGD,
        *TICK_RULES.values(),
        *SEGMENT_RULES.values(),
        LearningSpec(first_moment_decay=0.0, gradient_clip=1.0),
        LearningSpec(optimizer="rmsprop", momentum=0.5, gradient_clip=1.0),
        LearningSpec(optimizer="rmsprop", feedback="broadcast"),
        LearningSpec(optimizer="sgd", momentum=0.5, gradient_clip=1.0),
        LearningSpec(update="frozen", feedback="broadcast"),
    ],
)
def test_after_warm_up_nothing_more_is_compiled(learning: LearningSpec, reset: str) -> None:
    tiny = NetworkSpec(inputs=2, hidden=(2,), classes=2)
    Learner(tiny, LearningSpec()).warm_up()
    before = _n_compiled()

    neuron = NeuronSpec.from_dict({"reset": reset, "surrogate": "arctan"})
    learner = Learner(small_network(hidden=(5, 4), neuron=neuron), learning, capacity=2)
    slots = np.array([learner.open(seed=seed, rate=0.1) for seed in range(3)])
    block = EventBlock.from_dense([random_counts(4, 9)] * 3)
    for array in (block.channels, block.values, block.row_ticks, block.tick_events):
        # what comes from a socket can't be written
        array.flags.writeable = False
    targets = targets_of(learner, np.tile(np.array([0, 1]), 12))[::2]
    strands = np.zeros(6, np.int64)[::2]
    learner.advance(slots, strands, np.ones(3, np.bool_), block, targets)
    assert learner.apply_update(slots[0])
    assert learner.kernel_name == "cpu"

    assert _n_compiled() == before


def test_input_in_double_precision_is_rounded_once() -> None:
    x = random_counts(5, 9) * 0.1
    logits = []
    for dtype in (np.float32, np.float64):
        learner = Learner(small_network(), SEGMENT_SGD)
        slot = learner.open(seed=0, rate=0.1)
        result = learner.advance(
            np.array([slot]),
            np.array([0]),
            np.array([True]),
            EventBlock.from_dense([x], dtype),
            np.zeros(5, np.int64),
        )
        logits.append(result.logits)

    assert logits[0].dtype == logits[1].dtype == np.float32
    assert np.array_equal(logits[0], logits[1])


@pytest.mark.parametrize("learning", [TICK_SGD, *TICK_RULES.values(), *SEGMENT_RULES.values()])
def test_how_ticks_are_cut_changes_no_bit_of_layers_of_wide_and_narrow_tiles(
    learning: LearningSpec,
) -> None:
    # 147 = 128 + 16 + 3 and 84 = 64 + 16 + 4: lines go through every loop that a tile has
    network = small_network(inputs=20, hidden=(147, 84), classes=3)
    x, targets = random_counts(41, 20), random_targets(41, 3)
    tensors = []
    # a block is 16 ticks: within it, one longer, one shorter, and ticks one by one
    for cuts in ([41], [7, 17, 15, 2], [1] * 41):
        learner = Learner(network, learning)
        slot = learner.open(seed=1, rate=0.01)
        for start, stop in pairwise(np.cumsum([0, *cuts])):
            advance_one(learner, slot, x[start:stop], targets[start:stop])
        tensors.append(slot_tensors(learner, slot))

    assert_same_bits(tensors[0], tensors[1])
    assert_same_bits(tensors[0], tensors[2])


def test_scratch_of_one_session_does_not_reach_another() -> None:
    learner = Learner(small_network(), SEGMENT_SGD, capacity=2)
    alone = Learner(small_network(), SEGMENT_SGD)
    first, second = (learner.open(seed=seed, rate=0.1) for seed in (0, 1))
    advance_one(learner, first, random_counts(20, 9, 5), [2] * 20)

    after_another = advance_one(learner, second, random_counts(20, 9), [1] * 20)

    by_itself = advance_one(alone, alone.open(seed=1, rate=0.1), random_counts(20, 9), [1] * 20)
    assert np.array_equal(after_another.logits, by_itself.logits)


def test_copies_on_disk_are_tied_to_the_sources_of_the_whole_package() -> None:
    cache_file = compiled_ticks.advance_rows._cache._cache_file  # type: ignore[attr-defined]  # noqa: SLF001 - there is no public way

    assert cache_file._source_stamp == compilation.hash_of_sources(compilation.PACKAGE)  # noqa: SLF001 - as above


def test_any_changed_added_or_renamed_source_changes_the_hash(tmp_path: Path) -> None:
    (tmp_path / "kernels").mkdir()
    source = tmp_path / "kernels" / "loop.py"
    hashes = set()
    for text in ("BLOCK = 16", "BLOCK = 8"):
        source.write_text(text)
        hashes.add(compilation.hash_of_sources(tmp_path))
    (tmp_path / "layout.py").write_text("")
    hashes.add(compilation.hash_of_sources(tmp_path))
    source.rename(tmp_path / "kernels" / "loops.py")
    hashes.add(compilation.hash_of_sources(tmp_path))
    (tmp_path / "notes.txt").write_text("no source")
    hashes.add(compilation.hash_of_sources(tmp_path))

    assert len(hashes) == 4


def test_loops_are_compiled_without_copies_where_no_folder_can_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr("numba.core.dispatcher.Dispatcher.enable_caching", refuse)

    doubled = compilation.compiled(_double)

    assert doubled(np.float32(1.5)) == 3.0


def _double(number: np.float32) -> np.float32:
    return np.float32(2.0) * number
