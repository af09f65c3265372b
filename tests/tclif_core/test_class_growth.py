"""More classes: what was there stays bit for bit, what comes is zero and learns from there on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tclif_core import Learner, LearningSpec, NetworkSpec, SlotIndex, Strand, grow_rows, grow_state
from tests.tclif_core.streams import (
    advance_one,
    assert_same_bits,
    random_counts,
    random_targets,
    slot_tensors,
    small_network,
)

NETWORK = small_network()
N_MORE = 2
LARGER = replace(NETWORK, classes=NETWORK.classes + N_MORE)
RULES = [
    LearningSpec(optimizer="adam"),
    LearningSpec(optimizer="sgd", momentum=0.5, feedback="broadcast"),
    LearningSpec(optimizer="rmsprop", filter_readout_trace=True),
    LearningSpec(update="tick", optimizer="sgd"),
    LearningSpec(update="tick", optimizer="rmsprop", feedback="broadcast"),
]


def taught(kernel: str, rule: LearningSpec, network: NetworkSpec = NETWORK) -> Learner:
    """Return a learner whose one session has learnt, and stands in the middle of a segment."""
    learner = Learner(network, rule, kernel=kernel)
    slot = learner.open(seed=3, rate=0.05)
    for number in range(3):
        learner.begin_segment(slot, Strand.LIVE)
        ticks = random_counts(12, NETWORK.inputs, number)
        advance_one(learner, slot, ticks, random_targets(12, NETWORK.classes, number))
        if number < 2:
            assert learner.apply_update(slot)
    return learner


def grown(learner: Learner, n_classes: int = LARGER.classes) -> Learner:
    """Return a learner whose one session is that one with more classes."""
    larger = Learner(
        replace(learner.network, classes=n_classes), learner.learning, kernel=learner.kernel_name
    )
    slot = larger.open(seed=0, rate=0.0)
    rows = grow_rows(learner.network, learner.learning, learner.export(SlotIndex(0)), n_classes)
    larger.replace(slot, rows)
    return larger


@pytest.mark.parametrize("rule", RULES)
def test_what_was_there_stays_and_what_comes_is_zero(kernel: str, rule: LearningSpec) -> None:
    before = taught(kernel, rule)
    after = grown(before)
    bank, larger = before.bank, after.bank
    n = NETWORK.classes

    views = [
        (bank.parameter_views(0), larger.parameter_views(0)),
        (bank.gradient_views(0), larger.gradient_views(0)),
        (bank.state_views(0, Strand.LIVE), larger.state_views(0, Strand.LIVE)),
    ]
    views += [
        (
            bank.parameter_layout.views(getattr(bank, name)[0]),
            larger.parameter_layout.views(getattr(larger, name)[0]),
        )
        for name in ("first_moment", "second_moment")
        if getattr(bank, name).shape[1]
    ]
    for small, large in views:
        assert small.keys() == large.keys()
        for name, was in small.items():
            now = large[name]
            if name in ("readout.w", "readout.b", "logits"):
                assert not now[..., n:].any()
                now = now[..., :n]
            assert torch.equal(was, now), name
    assert torch.equal(bank.sums[0, :, :n], larger.sums[0, :, :n])
    assert torch.equal(bank.sums[0, :, n], larger.sums[0, :, -1])
    assert not larger.sums[0, :, n:-1].any()
    same = ("counters", "updates", "rates", "seeds", "first_classes")
    one, other = slot_tensors(before, 0), slot_tensors(after, 0)
    assert_same_bits({name: one[name] for name in same}, {name: other[name] for name in same})


def test_feedback_of_new_classes_is_that_of_the_seed() -> None:
    rule = LearningSpec(optimizer="sgd", feedback="broadcast")
    before = taught("reference", rule)
    after = grown(before)
    fresh = Learner(LARGER, rule, kernel="reference")
    fresh.open(seed=3, rate=0.0)

    n = NETWORK.classes
    small, large, seeded = (
        learner.bank.feedback_layout.views(learner.bank.feedback[0])
        for learner in (before, after, fresh)
    )
    for name, was in small.items():
        assert torch.equal(large[name][:n], was)
        assert torch.equal(large[name][n:], seeded[name][n:])
        assert seeded[name][n:].any()


@pytest.mark.parametrize("rule", RULES[:1])
def test_logits_of_old_classes_go_on_and_new_ones_stay_at_zero(
    kernel: str, rule: LearningSpec
) -> None:
    before = taught(kernel, rule)
    after = grown(before)
    ticks, unlabelled = random_counts(9, NETWORK.inputs, 8), np.full(9, -1, np.int64)

    was = advance_one(before, SlotIndex(0), ticks, unlabelled)
    now = advance_one(after, SlotIndex(0), ticks, unlabelled)

    n = NETWORK.classes
    assert was.logits.tobytes() == np.ascontiguousarray(now.logits[:, :n]).tobytes()
    assert not now.logits[:, n:].any()


@pytest.mark.parametrize("rule", RULES)
def test_a_new_class_is_learnt(kernel: str, rule: LearningSpec) -> None:
    learner = grown(taught(kernel, rule))
    slot = SlotIndex(0)
    before = learner.weights(slot)
    ticks, targets = random_counts(20, NETWORK.inputs, 4), np.full(20, LARGER.classes - 1, np.int64)
    losses = []
    for _ in range(8):
        learner.begin_segment(slot, Strand.LESSON)
        advance_one(learner, slot, ticks, targets, strand=Strand.LESSON)
        assert learner.apply_update(slot)
        losses.append(learner.segment_loss(slot, Strand.LESSON))

    assert losses[-1] < losses[0]
    assert (learner.weights(slot)["readout.w"][:, -1] != before["readout.w"][:, -1]).any()


def test_both_kernels_learn_new_classes_alike() -> None:
    rule = LearningSpec(optimizer="sgd")
    reference, cpu = (grown(taught(kernel, rule)) for kernel in ("reference", "cpu"))
    ticks, targets = random_counts(9, NETWORK.inputs, 4), np.full(9, LARGER.classes - 1, np.int64)

    one, other = (
        advance_one(learner, SlotIndex(0), ticks, targets) for learner in (reference, cpu)
    )

    np.testing.assert_allclose(one.logits, other.logits, rtol=1e-4, atol=1e-5)


def test_a_kept_state_grows_as_the_session_does() -> None:
    rule = RULES[2]
    before = taught("reference", rule)
    kept = before.copy_state(SlotIndex(0), Strand.LIVE)

    larger = grow_state(NETWORK, rule, kept, LARGER.classes)

    assert np.array_equal(larger, grown(before).copy_state(SlotIndex(0), Strand.LIVE))


def test_growing_twice_is_growing_at_once() -> None:
    before = taught("reference", RULES[1])

    twice = grown(grown(before, NETWORK.classes + 1))

    assert_same_bits(slot_tensors(twice, 0), slot_tensors(grown(before), 0))


def test_weights_change_from_the_first_ones_and_from_zero_for_later_classes() -> None:
    before = taught("reference", RULES[0])
    after = grown(before)
    slot = SlotIndex(0)

    assert after.weight_change(slot) == pytest.approx(before.weight_change(slot), rel=1e-6)


def test_fewer_or_as_many_classes_are_refused() -> None:
    learner = taught("reference", RULES[0])
    rows = learner.export(SlotIndex(0))

    with pytest.raises(ValueError, match=f"above {NETWORK.classes} is expected, got"):
        grow_rows(NETWORK, RULES[0], rows, NETWORK.classes)


@pytest.mark.parametrize("first", [0, NETWORK.classes + 1])
def test_first_classes_that_can_not_be_are_refused(first: int) -> None:
    learner = taught("reference", RULES[0])
    rows = learner.export(SlotIndex(0)) | {"first_classes": torch.tensor(first)}

    with pytest.raises(ValueError, match="first_classes must lie in"):
        learner.replace(SlotIndex(0), rows)
