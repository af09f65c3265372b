"""A session's network at work: predict, then learn; failures; and that cutting changes nothing."""

import math
from collections.abc import Sequence
from concurrent.futures import Future

import numpy as np
import pytest
from typing_extensions import override

from service.errors import InternalFailure, Refusal
from service.network.visit import Answer
from service.stream.event_binning import TickBlock
from service.stream.intake import SessionMessage
from service.stream.work import (
    Applied,
    AtBoundary,
    ChangeRate,
    ChangeReport,
    ComputeTicks,
    Refuse,
    Work,
)
from service.wire_protocol import ErrorMessage, Prediction, ReportRequest
from tclif_core import Learner, LearningSpec, SlotIndex, Strand
from tests.service.client_messages import begin, end, events, label, learning
from tests.service.session_bench import (
    N_INPUTS,
    WHOLE,
    Bench,
    codes,
    event_block,
    lessons,
    one_segment,
    predictions,
    same_weights,
    spikes,
)

# --- predictions


def test_predictions_come_every_so_many_ticks_and_at_the_end() -> None:
    bench = Bench(report={"every_ticks": 4})

    told = predictions(bench.take(*one_segment(n_ticks=10)))

    # ten ticks of 100 us from 0: after 4, after 8, and the final one
    assert [(p.tick, p.t_us, p.final) for p in told] == [
        (4, 400, False),
        (8, 800, False),
        (10, 1000, True),
    ]


def test_a_final_prediction_is_told_beside_one_of_the_same_tick() -> None:
    bench = Bench(report={"every_ticks": 5})

    told = predictions(bench.take(*one_segment(n_ticks=10)))

    assert [(p.tick, p.final) for p in told] == [(5, False), (10, False), (10, True)]
    assert told[1].confidence == told[2].confidence


def test_with_every_ticks_zero_only_finals_are_told() -> None:
    bench = Bench(report={"every_ticks": 0})

    assert [p.final for p in predictions(bench.take(*one_segment()))] == [True]


def test_a_prediction_is_the_mean_over_the_ticks_so_far() -> None:
    bench = Bench(report={"every_ticks": 0, "probabilities": True})
    direct = Bench()
    [final] = predictions(bench.take(*one_segment()))

    [ticks] = [w for w in _work(direct, one_segment()) if isinstance(w, ComputeTicks)][:1]
    direct.learner.begin_segment(direct.slot, Strand.LIVE)
    result = direct.learner.advance(
        np.array([direct.slot], np.int64),
        np.array([Strand.LIVE], np.int64),
        np.array([False]),
        event_block(ticks.block),
        np.full(ticks.block.n_ticks, -1, np.int64),
    )

    # nine ticks are complete before the end of the segment, which completes the tenth
    assert ticks.block.n_ticks == 9
    p = np.exp(result.logits) / np.exp(result.logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(result.mean_probabilities[-1], p.mean(axis=0), rtol=1e-5)
    assert final.probabilities is not None
    assert final.index == int(np.argmax(final.probabilities))
    assert final.confidence == max(final.probabilities)
    assert final.label == ("zero", "one", "two")[final.index]
    assert sum(final.probabilities) == pytest.approx(1, abs=1e-5)


def _work(bench: Bench, messages: Sequence[SessionMessage]) -> list[Work]:
    return [work for message in messages for work in bench.intake.take(message)]


def test_a_segment_without_ticks_gets_a_uniform_final_prediction() -> None:
    bench = Bench(report={"probabilities": True})

    [final] = predictions(bench.take(begin(1, 5, 700), end(2, 5, 700)))

    third = float(np.float32(1 / 3))
    assert final == Prediction(
        segment=5,
        tick=0,
        t_us=700,
        index=0,
        label="zero",
        confidence=third,
        probabilities=(third, third, third),
        final=True,
    )


def test_a_partial_last_tick_ends_at_the_segments_end() -> None:
    bench = Bench(report={"every_ticks": 1})

    *_, whole, final = predictions(bench.take(begin(1, 0, 0), end(2, 0, 250)))

    # the third tick is [200, 300): it ends at 300, the segment at 250
    assert (whole.tick, whole.t_us) == (3, 300)
    assert (final.tick, final.t_us) == (3, 250)


def test_a_changed_report_counts_from_there_on() -> None:
    bench = Bench(report={"every_ticks": 0})
    bench.take(begin(1, 0, 0), events(2, base_us=300))
    bench.inbox.append(ChangeReport(ReportRequest(every_ticks=2, probabilities=True)))

    told = predictions(bench.take(events(3, base_us=800)))

    # ticks 1 to 3 went by before; of 4 to 8 every second of the segment is told
    assert [p.tick for p in told] == [4, 6, 8]
    assert all(p.probabilities is not None for p in told)


# --- lessons


def test_a_prediction_is_made_before_its_lesson() -> None:
    bench, silent = Bench(), Bench()

    labelled = bench.take(*one_segment(target=1))
    unlabelled = silent.take(*one_segment())

    assert predictions(labelled) == predictions(unlabelled)
    assert not same_weights(bench.weights(), silent.weights())


def test_a_lesson_replays_the_segment_as_the_learner_would() -> None:
    bench, direct = Bench(), Bench()
    blocks = [w.block for w in _work(direct, one_segment()) if isinstance(w, ComputeTicks)]
    block = TickBlock.join(blocks)

    [learned] = lessons(bench.take(*one_segment(target=1)))
    learner, slot = direct.learner, direct.slot
    learner.begin_segment(slot, Strand.LESSON)
    learner.advance(
        np.array([slot], np.int64),
        np.array([Strand.LESSON], np.int64),
        np.array([True]),
        event_block(block),
        np.full(block.n_ticks, 1, np.int64),
    )
    assert learner.apply_update(slot)

    assert same_weights(bench.weights(), direct.weights())
    assert learned.loss == learner.segment_loss(slot, Strand.LESSON)


@pytest.mark.parametrize("visit_ticks", [1, 3, 64])
@pytest.mark.parametrize("mode", ["delayed", "ahead"])
def test_how_ticks_are_cut_into_visits_changes_nothing(visit_ticks: int, mode: str) -> None:
    fields: dict[str, object] = {
        "learning": {"mode": mode, "optimizer": "adam", "rate": 0.01},
        "report": {"every_ticks": 3, "probabilities": True},
    }
    whole, cut = Bench(**fields), Bench(**fields)
    messages: list[SessionMessage] = []
    for number in range(3):
        first, *rest = one_segment(number, n_ticks=20)
        told = label(4, number, number)
        messages += [first, told, *rest] if mode == "ahead" else [first, *rest, told]

    at_once = whole.take(*messages)
    in_visits = cut.take(*messages, visit_ticks=visit_ticks)

    assert len(lessons(at_once)) == 3
    assert in_visits.messages == at_once.messages
    assert same_weights(cut.weights(), whole.weights())


def frames_in_inbox(bench: Bench, *messages: SessionMessage) -> None:
    for message in messages:
        bench.inbox.extend(bench.intake.take(message))
        bench.inbox.append(Applied(message.sequence or 0, 0.0))


def test_ticks_of_several_messages_are_computed_in_one_visit() -> None:
    bench = Bench()
    frames = [events(2 + n, *spikes(n, 10_000 + 1000 * n)) for n in range(3)]
    frames_in_inbox(bench, begin(1, 1, 10_000), *frames, end(5, 1, 13_000))

    row = bench.network.next_row(bench.inbox, 64)

    # three milliseconds are thirty ticks of 100 us, the last of them completed by the segment's end
    assert row is not None
    assert row.block.n_ticks == 30


def test_a_visit_takes_no_further_message_than_it_has_room_for() -> None:
    bench = Bench()
    frames = [events(2 + n, *spikes(n, 10_000 + 1000 * n)) for n in range(3)]
    frames_in_inbox(bench, begin(1, 1, 10_000), *frames, end(5, 1, 13_000))

    row = bench.network.next_row(bench.inbox, 15)
    waiting = sum(isinstance(work, ComputeTicks) for work in bench.inbox)

    # the frames complete 9, 10 and 10 ticks, the end the last one
    assert row is not None
    assert (row.block.n_ticks, waiting) == (15, 2)


def test_messages_are_done_once_the_visit_with_their_ticks_is() -> None:
    bench = Bench()
    frames = [events(2 + n, *spikes(n, 10_000 + 1000 * n)) for n in range(3)]
    frames_in_inbox(bench, begin(1, 1, 10_000), *frames)

    bench.network.next_row(bench.inbox, 64)
    before = bench.network.findings.collect()
    after = bench.compute()

    assert (before.applied, before.n_applied) == (1, 1)
    assert (after.applied, after.n_applied) == (4, 3)


def test_each_message_that_caused_a_prediction_counts_for_the_lag() -> None:
    bench = Bench(report={"every_ticks": 10, "probabilities": False})
    # a prediction after 10, 20 and 30 ticks; the frames end after 9, 19 and 29
    frames = [events(2 + n, *spikes(n, 10_000 + 1000 * n)) for n in range(3)]
    messages: list[SessionMessage] = [begin(1, 1, 10_000), *frames, end(5, 1, 13_000)]
    for number, message in enumerate(messages, start=1):
        bench.inbox.extend(bench.intake.take(message))
        bench.inbox.append(Applied(number, float(number)))

    delivery = bench.compute()

    # the second frame brought the tenth tick, the third the twentieth, the end the thirtieth and
    # the final one
    assert delivery.answered_s == [3.0, 4.0, 5.0]
    assert delivery.n_applied == 5


def test_ticks_are_not_joined_across_what_lies_between_them() -> None:
    bench = Bench(segmentation={"by": "none"})
    # with a checkpoint every four ticks the states between them are kept
    frames_in_inbox(bench, events(1, *spikes(1, 10_000)))

    row = bench.network.next_row(bench.inbox, 64)

    assert row is not None
    assert row.block.n_ticks == 4


def test_a_lesson_runs_while_the_live_segment_stands_where_it_was() -> None:
    bench, undisturbed = Bench(), Bench()
    running: list[SessionMessage] = [begin(4, 1, 10_000), events(5, *spikes(9, 10_000))]
    rest: list[SessionMessage] = [events(7, *spikes(8, 11_000)), end(8, 1, 12_000)]

    bench.take(*one_segment(0), learning(4, rate=0), *running)
    bench.take(label(6, 0, 1))
    disturbed_final = predictions(bench.take(*rest))[-1]
    undisturbed.take(*one_segment(0), *running)
    final = predictions(undisturbed.take(*rest))[-1]

    # at rate 0 the lesson moves no weight, so the running segment may not move by a bit
    assert disturbed_final == final


def test_rate_zero_moves_no_weight() -> None:
    bench = Bench()
    before = bench.weights()
    bench.inbox.append(ChangeRate(0.0))

    [learned] = lessons(bench.take(*one_segment(target=1)))

    assert learned.loss is not None
    assert same_weights(bench.weights(), before)


def test_learning_off_scores_without_a_loss_and_moves_no_weight() -> None:
    bench = Bench(learning={"mode": "off", "optimizer": "sgd", "rate": 0.1})
    before = bench.weights()

    delivery = bench.take(*one_segment(target=1))

    [learned], [final] = lessons(delivery), predictions(delivery)[-1:]
    assert (learned.target, learned.correct, learned.loss) == (1, final.index == 1, None)
    assert (learned.segments_labelled, delivery.n_lessons) == (1, 0)
    assert same_weights(bench.weights(), before)


def test_no_label_no_learning() -> None:
    bench = Bench()
    before = bench.weights()

    bench.take(*one_segment(0), *one_segment(1))

    assert same_weights(bench.weights(), before)


def test_a_lesson_without_ticks_has_the_loss_of_a_uniform_guess() -> None:
    bench = Bench()
    before = bench.weights()

    [learned] = lessons(bench.take(begin(1, 0, 0), end(2, 0, 0), label(3, 0, 2)))

    # three classes, index 0 is told of a uniform prediction
    assert (learned.loss, learned.correct) == (math.log(3), False)
    assert same_weights(bench.weights(), before)


def test_accuracy_is_that_of_the_finals_over_the_window() -> None:
    bench = Bench(learning={"mode": "off"})
    finals = [predictions(bench.take(*one_segment(number)))[-1].index for number in range(5)]
    targets = [finals[0], finals[1], (finals[2] + 1) % 3, finals[3], (finals[4] + 1) % 3]

    told = [lessons(bench.take(label(9, n, target)))[0] for n, target in enumerate(targets)]

    # right, right, wrong, right, wrong; a window of three
    assert [learned.correct for learned in told] == [True, True, False, True, False]
    assert [learned.prequential_accuracy for learned in told] == [1, 1, 2 / 3, 2 / 3, 1 / 3]
    assert [learned.segments_labelled for learned in told] == [1, 2, 3, 4, 5]
    assert bench.network.teaching.accuracy.overall == 3 / 5


# --- learning ahead


def ahead(update: str = "segment") -> dict[str, object]:
    return {"learning": {"mode": "ahead", "update": update, "optimizer": "sgd", "rate": 0.1}}


def test_a_segment_taught_ahead_ends_as_a_lesson_after_it_would() -> None:
    taught, later = Bench(**ahead()), Bench()
    first, *rest = one_segment(0)

    told = taught.take(first, label(2, 0, 1), *rest)
    told_later = later.take(*one_segment(0, target=1))

    assert told.messages == told_later.messages
    assert same_weights(taught.weights(), later.weights())


def test_with_updates_every_tick_a_segment_taught_ahead_is_not_scored() -> None:
    bench = Bench(**ahead("tick"))
    first, *rest = one_segment(0)
    before = bench.weights()

    [learned] = lessons(bench.take(first, label(2, 0, 1), *rest))

    assert (learned.segments_labelled, learned.prequential_accuracy) == (1, None)
    assert not same_weights(bench.weights(), before)


def test_a_segment_without_label_learns_nothing_ahead() -> None:
    bench = Bench(**ahead("tick"))
    before = bench.weights()
    first, *rest = one_segment(1)

    delivery = bench.take(*one_segment(0), first, *rest)

    assert lessons(delivery) == []
    assert same_weights(bench.weights(), before)


def test_a_target_taught_ahead_ends_with_its_segment() -> None:
    bench = Bench(**ahead("tick"))
    first, *rest = one_segment(0)
    bench.take(first, label(2, 0, 1), *rest)
    after_the_first = bench.weights()

    bench.take(*one_segment(1))

    assert same_weights(bench.weights(), after_the_first)


@pytest.mark.parametrize("update", ["segment", "tick"])
def test_a_segment_without_ticks_may_be_taught_ahead(update: str) -> None:
    bench = Bench(**ahead(update))
    before = bench.weights()

    delivery = bench.take(begin(1, 0, 0), label(2, 0, 2), end(3, 0, 0))

    [learned] = lessons(delivery)
    assert learned.loss == math.log(3)
    assert same_weights(bench.weights(), before)


# --- state that is carried


def test_a_carried_state_makes_the_second_segment_differ() -> None:
    carried, fresh = Bench(carry_state=True), Bench()

    with_memory = predictions(carried.take(*one_segment(0), *one_segment(1)))
    without = predictions(fresh.take(*one_segment(0), *one_segment(1)))

    assert with_memory[0] == without[0]
    assert with_memory[-1] != without[-1]


def test_a_lesson_starts_from_the_state_that_its_segment_started_from() -> None:
    delayed = Bench(carry_state=True)
    taught = Bench(carry_state=True, **ahead())
    first, *rest = one_segment(2)

    # between segment and label another segment moves the state on
    delayed.take(*one_segment(1), *one_segment(2), *one_segment(3), label(9, 2, 1))
    taught.take(*one_segment(1), first, label(2, 2, 1), *rest)

    # the same ticks from the same state and weights: the same lesson, bit for bit
    assert same_weights(delayed.weights(), taught.weights())


# --- order and bookkeeping


def test_refusals_are_told_in_their_place() -> None:
    bench = Bench(report={"every_ticks": 0})

    delivery = bench.take(
        *one_segment(0), label(4, 7, 1), label(5, 0, 1), label(6, 0, 1), begin(7, 1, 9_000)
    )

    kinds = [getattr(message, "code", message.type) for message in delivery.messages]
    assert kinds == ["prediction", "unknown_segment", "learned", "label_duplicate"]


def test_a_refusal_keeps_code_text_and_number() -> None:
    bench = Bench()
    bench.inbox.append(Refuse(Refusal("bad_segment", "no such thing", sequence=12)))

    assert bench.compute().messages == [
        ErrorMessage(code="bad_segment", message="no such thing", sequence=12, fatal=False)
    ]


def test_applied_follows_the_work_of_its_message() -> None:
    bench = Bench()
    for message in one_segment(target=1):
        bench.inbox.extend(bench.intake.take(message))
        bench.inbox.append(Applied(message.sequence or 0, 0.0))

    # begin and events, up to the first of nine ticks that the events complete
    bench.network.next_row(bench.inbox, 4)
    assert bench.network.findings.collect().applied == 1
    delivery = bench.compute(4)

    assert (delivery.applied, delivery.n_applied) == (4, 3)
    # ten ticks in the segment, ten again in its lesson
    assert (delivery.n_ticks, delivery.n_lesson_ticks, delivery.n_lessons) == (10, 10, 1)


def test_only_messages_that_cause_a_prediction_count_as_answered() -> None:
    bench = Bench(report={"every_ticks": 0})
    for sequence, message in enumerate(one_segment(target=1), start=1):
        bench.inbox.extend(bench.intake.take(message))
        bench.inbox.append(Applied(sequence, arrived_s=float(sequence)))

    # only the end of the segment, message 3, brings one
    assert bench.compute().answered_s == [3.0]


def test_what_waits_for_a_boundary_runs_between_two_messages() -> None:
    bench = Bench()
    seen: list[bool] = []
    before = bench.weights()
    look = AtBoundary(lambda: seen.append(same_weights(bench.weights(), before)), lambda _: None)
    bench.inbox.extend(_work(bench, one_segment(0)))
    bench.inbox.append(look)
    bench.inbox.extend(_work(bench, [label(4, 0, 1)]))
    bench.inbox.append(look)

    bench.compute(3)

    assert seen == [True, False]


def test_firing_rates_are_spikes_a_neuron_and_tick() -> None:
    bench = Bench(report={"every_ticks": 0})
    bench.take(*one_segment(0))
    (first, second), n_ticks = bench.learner.spike_counts(bench.slot)

    # four neurons in the first layer, three in the second
    assert n_ticks == 10
    assert bench.network.firing_rates() == [first / 40, second / 30]


def test_the_network_of_these_tests_fires_in_every_layer() -> None:
    bench = Bench()
    bench.take(*one_segment(0))

    assert all(0.05 < rate < 0.7 for rate in bench.network.firing_rates())


def test_firing_rates_are_zero_before_the_first_tick() -> None:
    assert Bench().network.firing_rates() == [0.0, 0.0]


# --- what goes wrong


class StubbornLearner(Learner):
    """Its gradients are never finite."""

    @override
    def apply_update(self, slot: SlotIndex) -> bool:
        super().apply_update(slot)
        return False

    @override
    def segment_loss(self, slot: SlotIndex, strand: Strand) -> float:
        return math.nan


class StubbornBench(Bench):
    """A session with such a learner."""

    learner_class = StubbornLearner


@pytest.mark.parametrize("mode", ["delayed", "ahead"])
def test_a_gradient_that_is_not_finite_stops_learning_but_not_predicting(mode: str) -> None:
    bench = StubbornBench(
        learning={"mode": mode, "update": "tick", "optimizer": "sgd", "rate": 0.1}
    )
    messages: list[list[SessionMessage]] = [
        [
            begin(1, n, 10_000 * n),
            *([label(2, n, 1)] if mode == "ahead" else []),
            *one_segment(n)[1:],
            *([label(4, n, 1)] if mode == "delayed" else []),
        ]
        for n in range(2)
    ]

    first = bench.take(*messages[0])
    stopped = bench.weights()
    second = bench.take(*messages[1])

    assert codes(first) == ["learning_stopped"]
    assert bench.network.teaching.learning_stopped
    assert codes(second) == []
    assert [learned.loss for learned in (*lessons(first), *lessons(second))] == [None, None]
    assert predictions(second)[-1].final
    assert same_weights(bench.weights(), stopped)
    assert second.n_lessons == 0


def test_probabilities_that_are_not_finite_are_a_failure() -> None:
    bench = Bench()
    bench.inbox.extend(_work(bench, one_segment(0)))
    row = bench.network.next_row(bench.inbox, WHOLE)
    assert row is not None
    mean = np.full((row.block.n_ticks, 3), 1 / 3, np.float32)
    mean[-1, 1] = np.nan

    with pytest.raises(InternalFailure, match="not finite"):
        bench.network.take_results(row, Answer(mean, mean))


def test_a_failed_network_computes_nothing_more_and_tells_who_waits() -> None:
    bench = Bench()
    waiting: Future[None] = Future()
    failure = InternalFailure("broken")
    bench.inbox.extend(_work(bench, one_segment(0)))
    bench.network.next_row(bench.inbox, 2)
    bench.inbox.append(AtBoundary(lambda: waiting.set_result(None), waiting.set_exception))

    bench.network.fail(failure, bench.inbox)

    assert waiting.exception() is failure
    assert bench.network.findings.collect().failure is failure
    assert not bench.network.has_work(bench.inbox)


def test_work_for_a_failed_network_is_refused_when_it_is_looked_at() -> None:
    bench = Bench()
    failure = InternalFailure("broken")
    bench.network.fail(failure, bench.inbox)
    waiting: Future[None] = Future()
    bench.inbox.extend(_work(bench, one_segment(0)))
    bench.inbox.append(AtBoundary(lambda: waiting.set_result(None), waiting.set_exception))

    assert bench.network.next_row(bench.inbox, WHOLE) is None
    assert waiting.exception() is failure
    assert not bench.inbox


def test_specs_of_the_learner_are_those_of_the_request() -> None:
    bench = Bench()

    network = bench.learner.network
    assert (network.inputs, network.hidden, network.classes) == (N_INPUTS, (4, 3), 3)
    assert bench.learner.learning == LearningSpec(update="segment", optimizer="sgd")
