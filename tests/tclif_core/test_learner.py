from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import tclif_core
from tclif_core import EventBlock, Learner, LearningSpec, NetworkSpec, SlotIndex, Strand
from tests.tclif_core.streams import (
    SEGMENT_SGD,
    TICK_SGD,
    advance_one,
    assert_same_bits,
    random_counts,
    slot_tensors,
    small_network,
)

NETWORK = small_network()


def test_the_package_exports_its_public_names_and_nothing_else() -> None:
    public = {"AdvanceResult", "DecayProfile", "EventBlock", "Learner", "LearningSpec"}
    public |= {"NetworkSpec", "NeuronSpec", "SlotIndex", "Strand"}
    public |= {"Model", "ModelFileError", "read_model", "write_model"}
    public |= {"grow_rows", "grow_state", "pack_model", "peek_model", "unpack_model"}
    public |= {"Activity", "Operations", "inference_operations", "learning_operations"}
    public |= {"FileFault", "json_object", "peek", "seal", "unseal", "write_whole"}

    assert set(tclif_core.__all__) == public
    assert all(hasattr(tclif_core, name) for name in public)


def test_a_learner_knows_what_it_was_made_for() -> None:
    learner = Learner(NETWORK, SEGMENT_SGD, kernel="reference", capacity=2)

    assert (learner.network, learner.learning) == (NETWORK, SEGMENT_SGD)
    assert learner.kernel_name == "reference"
    assert learner.n_sessions == 0


def test_sessions_are_counted() -> None:
    learner = Learner(NETWORK, SEGMENT_SGD, kernel="reference")
    slots = [learner.open(seed=seed, rate=0.1) for seed in range(3)]
    learner.close(slots[1])

    assert learner.n_sessions == 2


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"slots": np.array([0, 0])}, "slots must be distinct"),
        ({"slots": np.array([0, 7])}, "slot 7 is not open"),
        ({"slots": np.array([0, -1])}, "slot -1 is not open"),
        ({"strands": np.array([0, 5])}, "strands must be 0 or 1"),
        ({"strands": np.array([0.0, 1.0])}, "strands must be a vector"),
        ({"learn": np.array([True])}, "learn must be a vector of length 2"),
        ({"targets": np.array([0, 0, 3])}, r"targets must lie in \[-1, 2\], got 0 to 3"),
        ({"targets": np.array([0, 0])}, "targets must be a vector of length 3"),
    ],
)
def test_a_batch_that_is_refused_changes_nothing(
    kernel: str, changes: dict[str, Any], text: str
) -> None:
    learner = Learner(NETWORK, TICK_SGD, kernel=kernel, capacity=2)
    for seed in range(2):
        learner.begin_segment(learner.open(seed=seed, rate=0.1), Strand.LIVE)
    before = [slot_tensors(learner, slot) for slot in range(2)]
    fields: dict[str, Any] = {
        "slots": np.array([0, 1]),
        "strands": np.array([0, 0]),
        "learn": np.array([True, True]),
        "block": EventBlock.from_dense([np.ones((1, 9)), np.ones((2, 9))]),
        "targets": np.array([0, 1, 2]),
    }

    with pytest.raises(ValueError, match=text):
        learner.advance(**(fields | changes))

    for slot in range(2):
        assert_same_bits(slot_tensors(learner, slot), before[slot])


@pytest.mark.parametrize("bad", [9, -1])
def test_a_channel_out_of_range_is_refused_even_in_the_last_row(kernel: str, bad: int) -> None:
    learner = Learner(NETWORK, TICK_SGD, kernel=kernel, capacity=2)
    slots = [learner.open(seed=seed, rate=0.1) for seed in range(2)]
    before = [slot_tensors(learner, slot) for slot in slots]
    block = EventBlock(
        np.array([0, 1, 2]),
        np.array([0, 1, 2]),
        np.array([0, bad], np.int32),
        np.ones(2, np.float32),
    )

    with pytest.raises(ValueError, match=r"channels must lie in \[0, 8\]"):
        learner.advance(
            np.array(slots), np.zeros(2, np.int64), np.ones(2, np.bool_), block, np.zeros(2, int)
        )

    for slot in slots:
        assert_same_bits(slot_tensors(learner, slot), before[slot])


def test_strands_may_be_bytes(kernel: str) -> None:
    learner = Learner(NETWORK, SEGMENT_SGD, kernel=kernel)
    slot = learner.open(seed=0, rate=0.1)

    learner.advance(
        np.array([slot]),
        np.array([Strand.LESSON], np.uint8),
        np.array([False]),
        EventBlock.from_dense([np.ones((2, 9))]),
        np.array([-1, -1]),
    )

    ticks = learner.bank.counters[slot, :, 0]
    assert ticks.tolist() == [0, 2]


def test_an_empty_batch_is_no_work(kernel: str) -> None:
    learner = Learner(NETWORK, SEGMENT_SGD, kernel=kernel)
    none = np.zeros(0, np.int64)

    result = learner.advance(none, none, np.zeros(0, np.bool_), EventBlock.from_dense([]), none)

    assert result.logits.shape == (0, 3)


def test_weights_are_copies_by_name() -> None:
    learner = Learner(NETWORK, SEGMENT_SGD, kernel="reference")
    slot = learner.open(seed=0, rate=0.1)

    weights = learner.weights(slot)
    weights["layer0.w"][:] = 0.0

    assert weights["layer0.w"].shape == (9, 7)
    assert weights["layer1.r"].shape == (5, 5)
    assert weights["readout.w"].shape == (5, 3)
    assert weights["layer1.dendrite_decay_minimum"].shape == ()
    assert learner.weights(slot)["layer0.w"].any()


def test_weight_change_is_relative_to_the_weights_of_the_seed() -> None:
    learner = Learner(NETWORK, SEGMENT_SGD, kernel="reference")
    slot = learner.open(seed=3, rate=0.1)
    views = learner.bank.parameter_views(slot)
    for name in ("w", "r", "b"):
        views[f"layer1.{name}"] *= 1.5
    views["readout.w"] *= 0.0

    # half of itself away; all of itself away
    assert learner.weight_change(slot) == pytest.approx([0.0, 0.5, 1.0])


def test_weight_change_from_nothing_is_the_length_of_the_weights() -> None:
    learner = Learner(replace(NETWORK, readout_gain=0.0), SEGMENT_SGD, kernel="reference")
    slot = learner.open(seed=1, rate=0.1)
    assert learner.weight_change(slot)[-1] == 0.0
    weights = learner.weights(slot)
    weights["readout.b"][:2] = 3.0, 4.0

    learner.load_weights(slot, weights)

    assert learner.weight_change(slot)[-1] == 5.0


def test_a_state_of_another_type_is_not_restored() -> None:
    learner = Learner(NETWORK, SEGMENT_SGD, kernel="reference")
    slot = learner.open(seed=1, rate=0.1)
    state = learner.copy_state(slot, Strand.LIVE)

    with pytest.raises(ValueError, match=r"must be torch.float32 \[\d+\], got float64"):
        learner.restore_state(slot, Strand.LIVE, state.astype(np.float64) + 1.0)

    assert not learner.copy_state(slot, Strand.LIVE).any()


def test_a_lesson_resumed_from_a_kept_state_goes_on_as_one_from_the_begin(kernel: str) -> None:
    """The state before tick 3 and the clock hold all that ticks 0 to 2 left behind."""
    learners = [Learner(NETWORK, SEGMENT_SGD, kernel=kernel) for _ in range(2)]
    dense = np.random.default_rng(5).integers(0, 3, (8, NETWORK.inputs)).astype(np.float32)
    learns, slots = np.array([True]), np.array([0], np.int64)

    def run(learner: Learner, strand: Strand, start: int, stop: int, target: int) -> None:
        block = EventBlock.from_dense([dense[start:stop]])
        targets = np.full(stop - start, target, np.int64)
        learner.advance(slots, np.array([strand], np.int64), learns, block, targets)

    whole, resumed = learners
    for learner in learners:
        assert learner.open(seed=1, rate=0.1) == 0
        for strand in Strand:
            learner.begin_segment(SlotIndex(0), strand)
    run(whole, Strand.LESSON, 0, 3, -1)
    run(resumed, Strand.LIVE, 0, 3, -1)
    kept = resumed.copy_state(SlotIndex(0), Strand.LIVE)
    run(resumed, Strand.LIVE, 3, 8, -1)
    resumed.resume_segment(SlotIndex(0), Strand.LESSON, kept, tick=3)
    for learner in learners:
        run(learner, Strand.LESSON, 3, 8, 1)
        assert learner.apply_update(SlotIndex(0))

    assert whole.segment_loss(SlotIndex(0), Strand.LESSON) == resumed.segment_loss(
        SlotIndex(0), Strand.LESSON
    )
    assert all(
        np.array_equal(one, other)
        for one, other in zip(
            whole.weights(SlotIndex(0)).values(),
            resumed.weights(SlotIndex(0)).values(),
            strict=True,
        )
    )


def test_a_segment_is_not_resumed_before_its_begin() -> None:
    learner = Learner(NETWORK, SEGMENT_SGD, kernel="reference")
    slot = learner.open(seed=1, rate=0.1)
    state = learner.copy_state(slot, Strand.LIVE)

    with pytest.raises(ValueError, match="tick must be 0 or more, got -1"):
        learner.resume_segment(slot, Strand.LESSON, state, tick=-1)


def test_segment_loss_is_not_a_number_without_labels(kernel: str) -> None:
    learner = Learner(NETWORK, SEGMENT_SGD, kernel=kernel)
    slot = learner.open(seed=0, rate=0.1)
    advance_one(learner, slot, random_counts(3, 9), [1, 1, 1])
    assert learner.segment_loss(slot, Strand.LIVE) > 0

    learner.begin_segment(slot, Strand.LIVE)

    assert np.isnan(learner.segment_loss(slot, Strand.LIVE))


def test_carried_state_continues_the_neurons(kernel: str) -> None:
    x = random_counts(6, 9)
    learner = Learner(NETWORK, SEGMENT_SGD, kernel=kernel)
    slot = learner.open(seed=0, rate=0.1)
    somas = []
    for carry_state in (False, True):
        learner.begin_segment(slot, Strand.LIVE)
        advance_one(learner, slot, x, [-1] * 6)
        learner.begin_segment(slot, Strand.LIVE, carry_state=carry_state)
        advance_one(learner, slot, x[:1], [-1])
        somas.append(learner.bank.state_views(slot, Strand.LIVE)["layer0.soma"].clone())

    assert not torch.equal(somas[0], somas[1])


def test_the_rate_of_a_session_is_its_own(kernel: str) -> None:
    learner = Learner(NETWORK, TICK_SGD, kernel=kernel, capacity=2)
    still, moving = learner.open(seed=0, rate=0.1), learner.open(seed=0, rate=0.0)
    learner.set_rate(still, 0.0)
    learner.set_rate(moving, 0.1)
    for slot in (still, moving):
        advance_one(learner, slot, random_counts(5, 9), [1] * 5)

    assert learner.weight_change(still) == [0.0, 0.0, 0.0]
    assert min(learner.weight_change(moving)) > 0.0


@pytest.mark.parametrize(
    "action",
    [
        lambda learner: learner.apply_update(5),
        lambda learner: learner.weights(5),
        lambda learner: learner.weight_change(5),
        lambda learner: learner.segment_loss(5, Strand.LIVE),
        lambda learner: learner.spike_counts(5),
        lambda learner: learner.begin_segment(5, Strand.LIVE),
        lambda learner: learner.set_rate(5, 0.1),
        lambda learner: learner.close(5),
    ],
)
def test_a_slot_that_is_not_open_is_refused(action: Any) -> None:  # noqa: ANN401 - eight methods
    learner = Learner(NETWORK, SEGMENT_SGD, kernel="reference", capacity=8)

    with pytest.raises(ValueError, match="slot 5 is not open"):
        action(learner)


def test_session_bytes_allocate_nothing() -> None:
    # 4 GiB of parameters alone: allocating them to count them would be noticed
    huge = NetworkSpec(inputs=2**20, hidden=(1024,), classes=10)

    assert Learner.session_bytes(huge, LearningSpec()) > 4 * 2**32


def test_sessions_of_a_grown_bank_go_on(kernel: str) -> None:
    x = random_counts(20, 9)
    logits = []
    for capacity in (1, 4):
        learner = Learner(NETWORK, TICK_SGD, kernel=kernel, capacity=capacity)
        first = learner.open(seed=1, rate=0.1)
        advance_one(learner, first, x[:10], [1] * 10)
        for seed in range(2):
            learner.open(seed=seed, rate=0.1)
        logits.append(advance_one(learner, first, x[10:], [1] * 10).logits)

    assert np.array_equal(logits[0], logits[1])


# --- moving sessions and weights


def _trained(seed: int = 1) -> tuple[Learner, SlotIndex]:
    learner = Learner(NETWORK, LearningSpec(), kernel="reference")
    slot = learner.open(seed=seed, rate=0.01)
    learner.begin_segment(slot, Strand.LIVE)
    advance_one(learner, slot, random_counts(10, 9), [1] * 10)
    learner.apply_update(slot)
    advance_one(learner, slot, random_counts(5, 9, seed=1), [2] * 5)
    return learner, slot


def test_a_replaced_session_goes_on_bit_for_bit() -> None:
    learner, slot = _trained()
    other = Learner(NETWORK, LearningSpec(), kernel="reference", capacity=3)
    other.open(seed=5, rate=0.5)
    moved = other.open(seed=6, rate=0.5)

    other.replace(moved, learner.export(slot))
    for one, at in ((learner, slot), (other, moved)):
        advance_one(one, at, random_counts(5, 9, seed=2), [0] * 5)
        one.apply_update(at)

    assert_same_bits(slot_tensors(other, moved), slot_tensors(learner, slot))


def test_exported_rows_are_copies() -> None:
    learner, slot = _trained()
    before = slot_tensors(learner, slot)

    learner.export(slot)["parameters"].zero_()

    assert_same_bits(slot_tensors(learner, slot), before)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"sums": None}, "rows .* are expected"),
        ({"weather": torch.zeros(1)}, "rows .* are expected"),
        ({"parameters": torch.zeros(3)}, "parameters must be torch.float32"),
        ({"sums": torch.zeros(2, 4)}, "sums must be torch.float64"),
    ],
)
def test_rows_that_do_not_fit_replace_nothing(changes: dict[str, Any], text: str) -> None:
    learner, slot = _trained()
    other, target = _trained(seed=2)
    before = slot_tensors(other, target)
    rows = {k: v for k, v in (learner.export(slot) | changes).items() if v is not None}

    with pytest.raises(ValueError, match=text):
        other.replace(target, rows)

    assert_same_bits(slot_tensors(other, target), before)


@pytest.mark.parametrize(
    ("name", "place", "value", "text"),
    [
        ("parameters", 0, float("nan"), "parameters holds 1 numbers that are not finite"),
        ("gradients", 2, float("inf"), "gradients holds 1 numbers that are not finite"),
        ("second_moment", 1, -1e-9, "second_moment holds a number below 0"),
        ("counters", (0, 0), -1, "counters holds a number below 0"),
        ("counters", (1, 2), 2**53 + 1, "counters holds a number above"),
        ("updates", 0, -3, "updates holds a number below 0"),
        ("rates", (), 100.5, "rate must lie in"),
        ("seeds", (), -1, "seeds holds a number below 0"),
    ],
)
def test_rows_that_can_not_have_come_about_replace_nothing(
    name: str, place: int | tuple[int, ...], value: float, text: str
) -> None:
    learner, slot = _trained()
    other, target = _trained(seed=2)
    before = slot_tensors(other, target)
    rows = learner.export(slot)
    rows[name][place] = value

    with pytest.raises(ValueError, match=text):
        other.replace(target, rows)

    assert_same_bits(slot_tensors(other, target), before)


def test_a_number_of_a_layer_outside_its_interval_replaces_nothing() -> None:
    learner, slot = _trained()
    rows = learner.export(slot)
    field = learner.bank.parameter_layout.fields["layer0.soma_decay_minimum"]
    rows["parameters"][field.offset] = 1.5

    with pytest.raises(ValueError, match=r"layer0.soma_decay_minimum must lie in"):
        learner.replace(slot, rows)


def test_loaded_weights_begin_with_nothing_behind_them() -> None:
    learner, slot = _trained()
    weights = learner.weights(slot)
    other, target = _trained(seed=2)

    other.load_weights(target, weights)

    rows = slot_tensors(other, target)
    for name, weight in other.weights(target).items():
        np.testing.assert_array_equal(weight, weights[name])
    for name in ("gradients", "first_moment", "second_moment", "state", "sums", "counters"):
        assert not rows[name].any(), name
    # rate and feedback are the session's own
    assert (float(rows["rates"]), int(rows["seeds"])) == (0.01, 2)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("readout.b", None, "lack readout.b"),
        ("readout.c", np.zeros(3), "unknown readout.c"),
        ("readout.b", np.zeros(2), r"readout.b must be \[3\], got \[2\]"),
        ("readout.b", np.array([0, np.nan, 0]), "readout.b holds a number that is not finite"),
        # a double that is no float32
        ("readout.b", np.array([0, 1e300, 0]), "readout.b holds a number that is not finite"),
        ("layer1.soma_decay_minimum", np.array(0.9), r"\[0, 0.85\], got 0.9"),
        ("layer0.soma_to_dendrite", np.array(-1.5), r"\[-1, 0\], got -1.5"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(
    name: str, value: np.ndarray | None, text: str
) -> None:
    learner, slot = _trained()
    before = slot_tensors(learner, slot)
    weights = learner.weights(slot)
    del weights[name.replace("readout.c", "readout.b")]
    if name == "readout.c":
        weights["readout.b"] = np.zeros(3)
    if value is not None:
        weights[name] = value

    with pytest.raises(ValueError, match=text):
        learner.load_weights(slot, weights)

    assert_same_bits(slot_tensors(learner, slot), before)


# --- frozen


FROZEN = LearningSpec(update="frozen")


def test_a_frozen_session_takes_its_weights_and_its_state_alone() -> None:
    network = NetworkSpec(inputs=2, hidden=(3,), classes=2, recurrent=False)

    # parameters 2*3 + 3 + 3*2 + 2 + 4 scalars = 21, padded to 32; state 4*3 + 2 logits = 14,
    # padded to 16, twice; sums 2*(2 + 1) doubles, counters 2*(3 + 1), and five numbers more
    assert Learner.session_bytes(network, FROZEN) == 4 * (32 + 2 * 16) + 8 * (6 + 8 + 5)
    assert Learner.session_bytes(
        network, LearningSpec(update="frozen", feedback="broadcast", filter_hidden_traces=True)
    ) == Learner.session_bytes(network, FROZEN)


def test_a_frozen_learner_predicts_and_learns_nothing() -> None:
    logits = []
    for learning, learns in ((FROZEN, True), (SEGMENT_SGD, False)):
        learner = Learner(NETWORK, learning, kernel="reference")
        slot = learner.open(seed=1, rate=0.5)
        first = learner.weights(slot)
        learner.begin_segment(slot, Strand.LIVE)
        result = advance_one(learner, slot, random_counts(9, 9), [1] * 9, learns=learns)
        assert learner.apply_update(slot)
        logits.append(result.logits)
        assert (result.loss > 0).all()
        for name, weight in learner.weights(slot).items():
            np.testing.assert_array_equal(weight, first[name])

    assert np.array_equal(logits[0], logits[1])


def test_updates_of_several_sessions_are_those_of_each(kernel: str) -> None:
    together, apart = (Learner(NETWORK, LearningSpec(), kernel=kernel) for _ in range(2))
    for learner in (together, apart):
        for seed in range(3):
            # the last session has not learnt anything
            targets = [1 if seed < 2 else -1] * 5
            advance_one(
                learner, learner.open(seed=seed, rate=0.1), random_counts(5, 9, seed), targets
            )

    usable = together.apply_updates(np.array([2, 0, 1]))

    assert usable.tolist() == [apart.apply_update(SlotIndex(slot)) for slot in (2, 0, 1)]
    for slot in range(3):
        assert_same_bits(slot_tensors(together, slot), slot_tensors(apart, slot))


@pytest.mark.parametrize(
    ("slots", "said"), [([0, 0], "slots must be distinct, got"), ([0, 1], "slot 1 is not open")]
)
def test_updates_of_slots_that_are_not_distinct_and_open_are_refused(
    slots: list[int], said: str
) -> None:
    learner = Learner(NETWORK, LearningSpec())
    slot = learner.open(seed=0, rate=0.1)
    advance_one(learner, slot, random_counts(5, 9), [1] * 5)
    before = slot_tensors(learner, slot)

    with pytest.raises(ValueError, match=said):
        learner.apply_updates(np.array(slots))

    assert_same_bits(before, slot_tensors(learner, slot))
