"""What every backend promises, each as a claim that a backend could break."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from tclif_core import (
    EventBlock,
    Learner,
    LearningSpec,
    NeuronSpec,
    SlotIndex,
    Strand,
)
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

NETWORK = small_network()
ADAM = LearningSpec()
BROADCAST = LearningSpec(optimizer="rmsprop", feedback="broadcast")
RULES = [
    *(SEGMENT_SGD, TICK_SGD, ADAM, BROADCAST, LearningSpec(first_moment_decay=0.0)),
    *TICK_RULES.values(),
    *SEGMENT_RULES.values(),
]
NEURONS = [
    NeuronSpec(reset="code", surrogate="rectangular"),
    NeuronSpec(kind="tclif", reset="code", surrogate="fast_sigmoid"),
    NeuronSpec(kind="two_compartment", surrogate="arctan"),
]
# more than two blocks of the CPU backend, and no multiple of one
N_TICKS = 41


def _open(learner: Learner, seed: int = 1, rate: float = 0.01) -> SlotIndex:
    slot = learner.open(seed=seed, rate=rate)
    learner.begin_segment(slot, Strand.LIVE)
    return slot


@pytest.mark.parametrize("learning", RULES)
def test_a_row_is_unaffected_by_its_neighbours_and_their_order(
    kernel: str, learning: LearningSpec
) -> None:
    inputs = [random_counts(n, 9, seed) for seed, n in enumerate((N_TICKS, 5, 17))]
    targets = [random_targets(len(x), 3, seed) for seed, x in enumerate(inputs)]
    alone = Learner(NETWORK, learning, kernel=kernel, capacity=3)
    slots = [_open(alone, seed) for seed in range(3)]
    results = [advance_one(alone, slots[n], inputs[n], targets[n]) for n in range(3)]

    together = Learner(NETWORK, learning, kernel=kernel, capacity=3)
    for seed in range(3):
        _open(together, seed)
    order = [2, 0, 1]
    result = together.advance(
        np.array([slots[n] for n in order]),
        np.zeros(3, np.int64),
        np.ones(3, np.bool_),
        EventBlock.from_dense([inputs[n] for n in order]),
        targets_of(together, np.concatenate([targets[n] for n in order])),
    )

    ends = np.cumsum([0, *(len(inputs[n]) for n in order)])
    for n, (start, stop) in zip(order, pairwise(ends), strict=True):
        assert np.array_equal(result.logits[start:stop], results[n].logits)
        assert np.array_equal(result.mean_probabilities[start:stop], results[n].mean_probabilities)
        assert np.array_equal(result.loss[start:stop], results[n].loss)
        assert_same_bits(slot_tensors(together, slots[n]), slot_tensors(alone, slots[n]))


@pytest.mark.parametrize("learning", RULES)
def test_slots_that_are_not_listed_do_not_change_by_one_bit(
    kernel: str, learning: LearningSpec
) -> None:
    learner = Learner(NETWORK, learning, kernel=kernel, capacity=3)
    slots = [_open(learner, seed) for seed in range(3)]
    for slot in slots:
        advance_one(learner, slot, random_counts(9, 9, slot), random_targets(9, 3))
    before = [slot_tensors(learner, slot) for slot in (slots[0], slots[2])]

    advance_one(learner, slots[1], random_counts(N_TICKS, 9, 7), random_targets(N_TICKS, 3))
    learner.apply_update(slots[1])
    learner.begin_segment(slots[1], Strand.LIVE)

    after = [slot_tensors(learner, slot) for slot in (slots[0], slots[2])]
    for one, other in zip(before, after, strict=True):
        assert_same_bits(one, other)


@pytest.mark.parametrize("learning", [TICK_SGD, *TICK_RULES.values()])
@pytest.mark.parametrize("flipped", [0, 12, 15, 16, 30])
def test_a_tick_is_predicted_before_its_label_is_learnt(
    kernel: str, flipped: int, learning: LearningSpec
) -> None:
    x = random_counts(N_TICKS, 9)
    labels = [np.full(N_TICKS, 1), np.full(N_TICKS, 1)]
    labels[1][flipped] = 2
    logits = []
    for targets in labels:
        learner = Learner(NETWORK, learning, kernel=kernel)
        logits.append(advance_one(learner, _open(learner), x, targets).logits)

    assert np.array_equal(logits[0][: flipped + 1], logits[1][: flipped + 1])
    # the readout's bias has moved otherwise
    assert not np.array_equal(logits[0][flipped + 1], logits[1][flipped + 1])


def test_accumulated_gradients_change_no_prediction_before_the_update(kernel: str) -> None:
    x = random_counts(N_TICKS, 9)
    logits = []
    for targets in (np.full(N_TICKS, 1), np.full(N_TICKS, -1)):
        learner = Learner(NETWORK, ADAM, kernel=kernel)
        logits.append(advance_one(learner, _open(learner), x, targets).logits)

    assert np.array_equal(logits[0], logits[1])


@pytest.mark.parametrize("learning", RULES)
def test_without_a_label_nothing_is_learnt(kernel: str, learning: LearningSpec) -> None:
    learner = Learner(NETWORK, learning, kernel=kernel)
    slot = _open(learner)
    advance_one(learner, slot, random_counts(5, 9), [1] * 5)
    learner.apply_update(slot)
    before = slot_tensors(learner, slot)

    advance_one(learner, slot, random_counts(N_TICKS, 9), [-1] * N_TICKS)
    applied = learner.apply_update(slot)

    after = slot_tensors(learner, slot)
    assert applied
    # momentum of the first update must not move the weights either
    for name in ("parameters", "gradients", "first_moment", "second_moment", "updates"):
        assert_same_bits({name: before[name]}, {name: after[name]})
    assert not torch.equal(before["state"], after["state"])


@pytest.mark.parametrize("learning", RULES)
def test_a_row_that_does_not_learn_only_infers(kernel: str, learning: LearningSpec) -> None:
    learner = Learner(NETWORK, learning, kernel=kernel)
    slot = _open(learner)
    before = slot_tensors(learner, slot)

    result = advance_one(learner, slot, random_counts(N_TICKS, 9), [2] * N_TICKS, learns=False)

    after = slot_tensors(learner, slot)
    for name in ("parameters", "gradients", "updates"):
        assert_same_bits({name: before[name]}, {name: after[name]})
    traces = learner.bank.state_views(slot, Strand.LIVE)
    assert not traces["layer0.eligibility.soma"].any()
    assert not traces["layer1.soma_decay_minimum.soma"].any()
    assert (result.loss > 0).all()


def test_inferring_and_learning_rows_predict_the_same(kernel: str) -> None:
    x = random_counts(N_TICKS, 9)
    learner = Learner(NETWORK, ADAM, kernel=kernel, capacity=2)
    learnt = advance_one(learner, _open(learner), x, [1] * N_TICKS)
    inferred = advance_one(learner, _open(learner), x, [1] * N_TICKS, learns=False)

    assert np.array_equal(learnt.logits, inferred.logits)
    assert np.array_equal(learnt.mean_probabilities, inferred.mean_probabilities)


@pytest.mark.parametrize("learning", RULES)
def test_a_rate_of_zero_changes_no_weight(kernel: str, learning: LearningSpec) -> None:
    learner = Learner(NETWORK, learning, kernel=kernel)
    slot = _open(learner, rate=0.0)
    before = learner.weights(slot)

    advance_one(learner, slot, random_counts(N_TICKS, 9), random_targets(N_TICKS, 3))
    learner.apply_update(slot)

    after = learner.weights(slot)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert learner.weight_change(slot) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("learning", RULES)
@pytest.mark.parametrize("cuts", [[1] * N_TICKS, [16, 25], [3, 0, 13, 24, 1], [40, 1]])
def test_how_ticks_are_cut_into_calls_changes_no_bit(
    kernel: str, learning: LearningSpec, cuts: list[int]
) -> None:
    x, targets = random_counts(N_TICKS, 9), random_targets(N_TICKS, 3)
    whole = Learner(NETWORK, learning, kernel=kernel)
    slot = _open(whole)
    expected = advance_one(whole, slot, x, targets)

    pieces = Learner(NETWORK, learning, kernel=kernel)
    _open(pieces)
    results = []
    for start, stop in pairwise(np.cumsum([0, *cuts])):
        results.append(advance_one(pieces, slot, x[start:stop], targets[start:stop]))

    assert np.array_equal(np.concatenate([r.logits for r in results]), expected.logits)
    assert np.array_equal(
        np.concatenate([r.mean_probabilities for r in results]), expected.mean_probabilities
    )
    assert_same_bits(slot_tensors(pieces, slot), slot_tensors(whole, slot))


@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("learning", [ADAM, TICK_RULES["preconditioned, all else"]])
def test_how_ticks_are_cut_changes_no_bit_of_any_neuron(
    kernel: str, learning: LearningSpec, neuron: NeuronSpec
) -> None:
    x, targets = random_counts(N_TICKS, 9), random_targets(N_TICKS, 3)
    tensors = []
    for cuts in ([N_TICKS], [1] * N_TICKS):
        learner = Learner(small_network(neuron=neuron), learning, kernel=kernel)
        slot = _open(learner)
        for start, stop in pairwise(np.cumsum([0, *cuts])):
            advance_one(learner, slot, x[start:stop], targets[start:stop])
        tensors.append(slot_tensors(learner, slot))

    assert_same_bits(*tensors)


@pytest.mark.parametrize("feedback", ["chain", "broadcast"])
def test_a_frozen_learner_only_infers(kernel: str, feedback: str) -> None:
    frozen = LearningSpec.from_dict({"update": "frozen", "feedback": feedback})
    x = random_counts(N_TICKS, 9)
    learner, other = (Learner(NETWORK, rule, kernel=kernel) for rule in (frozen, ADAM))
    slot = _open(learner)
    before = slot_tensors(learner, slot)

    result = advance_one(learner, slot, x, [1] * N_TICKS)

    inferred = advance_one(other, _open(other), x, [1] * N_TICKS, learns=False)
    assert np.array_equal(result.logits, inferred.logits)
    assert np.array_equal(result.loss, inferred.loss)
    after = slot_tensors(learner, slot)
    for name in ("parameters", "gradients", "updates"):
        assert_same_bits({name: before[name]}, {name: after[name]})


def test_the_squared_loss_is_the_mean_over_classes_where_a_target_is_known(kernel: str) -> None:
    targets = random_targets(N_TICKS, 3)
    learner = Learner(NETWORK, SEGMENT_RULES["mean squared"], kernel=kernel)

    result = advance_one(learner, _open(learner), random_counts(N_TICKS, 9), targets)

    values = targets_of(learner, targets)
    expected = ((result.logits.astype(np.float64) - values) ** 2).mean(axis=1)
    known = targets >= 0
    assert result.loss[known] == pytest.approx(expected[known], rel=1e-5)
    assert not result.loss[~known].any()


def test_a_lesson_leaves_the_running_segment_alone(kernel: str) -> None:
    learner = Learner(NETWORK, ADAM, kernel=kernel)
    slot = _open(learner)
    advance_one(learner, slot, random_counts(7, 9), [-1] * 7, learns=False)
    live = {
        name: getattr(learner.bank, name)[slot, Strand.LIVE].clone()
        for name in ("state", "sums", "counters")
    }

    learner.begin_segment(slot, Strand.LESSON)
    advance_one(learner, slot, random_counts(N_TICKS, 9, 3), [2] * N_TICKS, strand=Strand.LESSON)
    learner.apply_update(slot)

    for name, before in live.items():
        after = getattr(learner.bank, name)[slot, Strand.LIVE]
        assert_same_bits({name: before}, {name: after})


def test_a_lesson_repeats_what_was_inferred_live(kernel: str) -> None:
    x = random_counts(N_TICKS, 9)
    learner = Learner(NETWORK, ADAM, kernel=kernel)
    slot = _open(learner)
    live = advance_one(learner, slot, x, [-1] * N_TICKS, learns=False)
    learner.begin_segment(slot, Strand.LESSON)

    lesson = advance_one(learner, slot, x, [2] * N_TICKS, strand=Strand.LESSON)

    assert np.array_equal(lesson.logits, live.logits)


def test_the_mean_prediction_is_the_mean_of_all_ticks_so_far(kernel: str) -> None:
    learner = Learner(NETWORK, ADAM, kernel=kernel)
    slot = _open(learner)

    result = advance_one(learner, slot, random_counts(N_TICKS, 9), [-1] * N_TICKS)

    p = torch.softmax(torch.from_numpy(result.logits).double(), dim=1)
    mean = p.cumsum(0) / torch.arange(1, N_TICKS + 1)[:, None]
    assert np.abs(mean.numpy() - result.mean_probabilities).max() < 1e-6


def test_the_loss_is_the_cross_entropy_where_a_target_is_known(kernel: str) -> None:
    targets = random_targets(N_TICKS, 3)
    learner = Learner(NETWORK, ADAM, kernel=kernel)
    slot = _open(learner)

    result = advance_one(learner, slot, random_counts(N_TICKS, 9), targets)

    p = torch.log_softmax(torch.from_numpy(result.logits).double(), dim=1).numpy()
    known = targets >= 0
    assert np.abs(result.loss[known] + p[known, targets[known]]).max() < 1e-5
    assert not result.loss[~known].any()
    assert learner.segment_loss(slot, Strand.LIVE) == pytest.approx(result.loss[known].mean())


@pytest.mark.parametrize("channels", [[4, 2, 4], [4, 4, 2]])
def test_pairs_of_one_channel_in_one_tick_add_up(kernel: str, channels: list[int]) -> None:
    weights = []
    by_channel = {4: [1.0, 2.0], 2: [1.0]}
    pairs = [(channel, by_channel[channel].pop()) for channel in channels]
    for listed in (pairs, [(4, 3.0), (2, 1.0)]):
        learner = Learner(NETWORK, TICK_SGD, kernel=kernel)
        slot = _open(learner)
        n = len(listed)
        block = EventBlock(
            np.array([0, 20]),
            np.arange(21) * n,
            np.array([channel for channel, _ in listed] * 20, np.int32),
            np.array([value for _, value in listed] * 20, np.float32),
        )
        learner.advance(np.array([slot]), np.array([0]), np.array([True]), block, np.full(20, 1))
        weights.append(learner.weights(slot)["layer0.w"])

    assert np.abs(weights[0] - weights[1]).max() < 1e-6


@pytest.mark.parametrize("learning", [ADAM, SEGMENT_SGD, TICK_SGD])
def test_learnt_scalars_stay_inside_their_bounds(kernel: str, learning: LearningSpec) -> None:
    learner = Learner(NETWORK, learning, kernel=kernel)
    slot = _open(learner, rate=1.0)
    for seed in range(3):
        learner.begin_segment(slot, Strand.LIVE)
        advance_one(learner, slot, random_counts(N_TICKS, 9, seed), random_targets(N_TICKS, 3))
        learner.apply_update(slot)

    weights = learner.weights(slot)
    minima = [value for name, value in weights.items() if name.endswith("decay_minimum")]
    assert all(0.0 <= value <= np.float32(0.85) for value in minima)
    assert any(value in (0.0, np.float32(0.85)) for value in minima)
    if learning.learn_couplings:
        assert all(-1.0 <= weights[f"layer{n}.soma_to_dendrite"] <= 0.0 for n in range(2))
        assert all(0.0 <= weights[f"layer{n}.dendrite_to_soma"] <= 1.0 for n in range(2))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e19])
def test_a_gradient_that_is_not_finite_is_dropped_whole(kernel: str, bad: float) -> None:
    learner = Learner(NETWORK, ADAM, kernel=kernel)
    slot = _open(learner)
    advance_one(learner, slot, random_counts(N_TICKS, 9), [1] * N_TICKS)
    learner.apply_update(slot)
    advance_one(learner, slot, random_counts(N_TICKS, 9), [1] * N_TICKS)
    learner.bank.gradient_views(slot)["layer1.w"][0, 0] = bad
    before = slot_tensors(learner, slot)

    applied = learner.apply_update(slot)

    after = slot_tensors(learner, slot)
    assert not applied
    assert not after["gradients"].any()
    for name in ("parameters", "first_moment", "second_moment"):
        assert_same_bits({name: before[name]}, {name: after[name]})
    # the next lesson starts afresh
    advance_one(learner, slot, random_counts(5, 9), [1] * 5)
    assert learner.apply_update(slot)


def test_a_weight_that_is_not_finite_is_told_with_per_tick_updates(kernel: str) -> None:
    learner = Learner(NETWORK, TICK_SGD, kernel=kernel)
    slot = _open(learner)
    advance_one(learner, slot, random_counts(5, 9), [1] * 5)
    learner.bank.parameter_views(slot)["layer0.r"][0, 0] = np.inf

    assert not learner.apply_update(slot)


@pytest.mark.parametrize("bad", ["logits", "layer0.eligibility.dendrite"])
@pytest.mark.parametrize(
    "learning",
    [
        TICK_SGD,
        LearningSpec(
            update="tick", optimizer="sgd", gradient_clip=1.0, layer_rates=(0.0, 1.0, 1.0)
        ),
        LearningSpec(update="tick", optimizer="rmsprop", momentum=0.5),
    ],
)
def test_a_tick_whose_estimate_is_not_finite_moves_no_weight_and_is_told(
    kernel: str, learning: LearningSpec, bad: str
) -> None:
    learner = Learner(NETWORK, learning, kernel=kernel)
    slot = _open(learner)
    learner.bank.state_views(slot, Strand.LIVE)[bad].fill_(np.inf)
    before = learner.weights(slot)

    advance_one(learner, slot, random_counts(20, 9), [1] * 20)

    np.testing.assert_equal(learner.weights(slot), before)
    assert not learner.apply_update(slot)
    np.testing.assert_equal(learner.weights(slot), before)
    # the next segment learns again
    learner.begin_segment(slot, Strand.LIVE)
    advance_one(learner, slot, random_counts(20, 9), [1] * 20)
    assert learner.apply_update(slot)
    assert (learner.weights(slot)["readout.b"] != before["readout.b"]).any()


def test_spikes_and_ticks_are_counted_on_the_live_strand_since_open(kernel: str) -> None:
    learner = Learner(NETWORK, ADAM, kernel=kernel)
    slot = learner.open(seed=1, rate=0.01)
    expected = np.zeros(2, np.int64)
    for seed in range(2):
        learner.begin_segment(slot, Strand.LIVE)
        for x in random_counts(10, 9, seed):
            advance_one(learner, slot, x[None], [-1], learns=False)
            views = learner.bank.state_views(slot, Strand.LIVE)
            expected += [int(views[f"layer{n}.spikes"].sum()) for n in range(2)]
    learner.begin_segment(slot, Strand.LESSON)
    advance_one(learner, slot, random_counts(10, 9), [1] * 10, strand=Strand.LESSON)

    counts, ticks = learner.spike_counts(slot)

    assert (expected > 0).all()
    assert (counts.tolist(), ticks) == (expected.tolist(), 20)


@pytest.mark.parametrize("learning", [ADAM, TICK_SGD])
def test_the_loss_falls_on_a_toy_task(kernel: str, learning: LearningSpec) -> None:
    # approximate, so no equality is claimed: two fixed patterns must become separable
    learner = Learner(NETWORK, learning, kernel=kernel)
    slot = learner.open(seed=1, rate=0.01)
    patterns = [random_counts(20, 9, seed) for seed in (1, 2)]
    losses = []
    for _ in range(60):
        for target, x in enumerate(patterns):
            learner.begin_segment(slot, Strand.LIVE)
            advance_one(learner, slot, x, [target] * 20)
            losses.append(learner.segment_loss(slot, Strand.LIVE))
            learner.apply_update(slot)

    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


def test_memory_of_a_session_does_not_grow_with_its_stream(kernel: str) -> None:
    learner = Learner(NETWORK, ADAM, kernel=kernel)
    slot = _open(learner)

    def n_bytes() -> int:
        return sum(tensor.nbytes for tensor in slot_tensors(learner, slot).values())

    sizes = []
    for n_ticks in (1, 300):
        advance_one(learner, slot, random_counts(n_ticks, 9), [1] * n_ticks)
        sizes.append(n_bytes())

    assert sizes == [Learner.session_bytes(NETWORK, ADAM)] * 2


@pytest.mark.parametrize("kind", ["adaptive_tclif", "lif"])
def test_what_a_long_silence_decays_ends_at_zero(kernel: str, kind: str) -> None:
    # a number that decays for ever would end as a denormal, which costs a hundred times as much
    neuron = NeuronSpec.from_dict({"kind": kind, "soma_decay_minimum": 0.8})
    learner = Learner(small_network(neuron=neuron), ADAM, kernel=kernel)
    slot = _open(learner)
    advance_one(learner, slot, random_counts(5, 9), [-1] * 5)

    advance_one(learner, slot, np.zeros((1500, 9)), [-1] * 1500)

    views = learner.bank.state_views(slot, Strand.LIVE)
    # the traces of the channels and of the neurons themselves; biases are zero still
    fading = [views["layer0.eligibility.soma"][:9], views["layer0.eligibility.dendrite"][:9]]
    fading += [views["layer0.dendrite"], views["layer0.soma"]]
    largest = np.finfo(np.float32).tiny if kernel == "reference" else 0.0
    assert all(float(view.abs().max()) <= largest for view in fading)
