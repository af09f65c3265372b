"""Labels for intervals: which ticks are learnt, from which state, and what is refused."""

import numpy as np
import pytest
from numpy.typing import NDArray

from service.configuration.configuration import SessionConfiguration
from service.network.session_network import SessionNetwork
from service.network.visit import Delivery
from service.settings import SessionSettings
from service.stream.intake import Intake
from service.wire_protocol import Label
from tclif_core import EventBlock, Strand
from tests.service.client_messages import end, events, label, learning
from tests.service.session_bench import (
    N_INPUTS,
    TICK_US,
    Bench,
    codes,
    lessons,
    same_weights,
    spikes,
)

NONE: dict[str, object] = {"by": "none"}
# five ticks a window, the last one of half length
WINDOW: dict[str, object] = {"by": "window", "length_us": 450}
CHECKPOINT_TICKS = 4


def about(sequence: int, from_us: int, to_us: int, target: int) -> Label:
    return Label(sequence=sequence, from_us=from_us, to_us=to_us, target=target)


def bench_of(segmentation: dict[str, object], **fields: object) -> Bench:
    """Return a session that keeps a state every four ticks."""
    return bounded(SessionSettings(checkpoint_ticks=CHECKPOINT_TICKS), segmentation, **fields)


def bounded(settings: SessionSettings, segmentation: dict[str, object], **fields: object) -> Bench:
    bench = Bench(**({"segmentation": segmentation, "report": {"every_ticks": 0}} | fields))
    configuration = SessionConfiguration.resolve(bench.request, settings)
    bench.intake = Intake(configuration, settings)
    bench.network = SessionNetwork(bench.pool, bench.network.seat, configuration, settings)
    return bench


def stream_of(n_ticks: int = 20) -> list[tuple[int, int]]:
    """Return events of so many ticks, the first one at 0."""
    return [(0, 0), *spikes(3, 0, 8 * n_ticks, n_ticks * TICK_US)]


def streamed(bench: Bench, n_ticks: int = 20) -> Delivery:
    return bench.take(events(1, *stream_of(n_ticks)), events(2, base_us=n_ticks * TICK_US))


class ByHand:
    """The learner alone, over dense ticks, from the begin of the stream: no state is kept."""

    def __init__(self, **fields: object) -> None:
        bench = Bench(**fields)
        self.learner, self.slot = bench.learner, bench.slot
        self.ticks = np.zeros((40, N_INPUTS), np.float32)
        for t_us, address in stream_of():
            self.ticks[t_us // TICK_US, address] += 1

    def run(
        self, strand: Strand, ticks: NDArray[np.float32], targets: list[int]
    ) -> NDArray[np.floating]:
        """Go through ticks; return their logits."""
        result = self.learner.advance(
            np.array([self.slot], np.int64),
            np.array([strand], np.int64),
            np.array([True]),
            EventBlock.from_dense([ticks]),
            np.array(targets, np.int64),
        )
        return result.logits

    def lesson(self, targets: list[int]) -> float:
        """Learn from tick 0 on, with a target where one is told; return the loss."""
        self.learner.begin_segment(self.slot, Strand.LESSON)
        self.run(Strand.LESSON, self.ticks[: len(targets)], targets)
        assert self.learner.apply_update(self.slot)
        return self.learner.segment_loss(self.slot, Strand.LESSON)


# --- what is learnt


@pytest.mark.parametrize(
    ("interval", "first", "stop"),
    [
        # begins of ticks that lie in it: 500 to 900
        ((500, 1000), 5, 10),
        # 401 leaves tick 4 out, 801 takes tick 8 in
        ((401, 801), 5, 9),
        # from a kept state on, without a lead
        ((800, 900), 8, 9),
        ((0, 300), 0, 3),
        ((0, 2000), 0, 20),
    ],
)
@pytest.mark.parametrize("update", ["segment", "tick"])
def test_a_lesson_of_an_interval_is_that_of_its_ticks(
    interval: tuple[int, int], first: int, stop: int, update: str
) -> None:
    rule: dict[str, object] = {
        "learning": {"update": update, "optimizer": "sgd", "rate": 0.05, "feedback": "broadcast"}
    }
    bench, by_hand = bench_of(NONE, **rule), ByHand(**rule)
    streamed(bench)

    # no weight has moved yet: a replay from the begin is in the kept states, bit for bit
    [learned] = lessons(bench.take(about(3, *interval, 2)))
    loss = by_hand.lesson([-1] * first + [2] * (stop - first))

    assert learned.loss == loss
    assert same_weights(bench.weights(), by_hand.learner.weights(by_hand.slot))
    assert (learned.segment, learned.from_us, learned.to_us) == (None, *interval)


def test_a_second_lesson_starts_from_the_state_that_was_kept_not_from_new_weights() -> None:
    bench, by_hand = bench_of(NONE), ByHand()
    learner, slot = by_hand.learner, by_hand.slot
    streamed(bench)
    learner.begin_segment(slot, Strand.LIVE)
    by_hand.run(Strand.LIVE, by_hand.ticks[:8], [-1] * 8)
    kept = learner.copy_state(slot, Strand.LIVE)
    by_hand.lesson([0, 0])

    # tick 10 begins at 1000; the state before tick 8 is the last one kept before it
    bench.take(about(3, 0, 200, 0), about(4, 1000, 1100, 1))
    learner.resume_segment(slot, Strand.LESSON, kept, tick=8)
    by_hand.run(Strand.LESSON, by_hand.ticks[8:11], [-1, -1, 1])
    assert learner.apply_update(slot)

    assert same_weights(bench.weights(), learner.weights(slot))


def test_the_stream_runs_on_untouched_while_an_interval_is_learnt() -> None:
    bench, undisturbed = (bench_of(NONE, report={"every_ticks": 1}) for _ in range(2))
    for one in (bench, undisturbed):
        one.take(learning(1, rate=0))
        streamed(one)
    rest = [events(5, *spikes(8, 2000, 50, 700)), events(6, base_us=2700)]

    bench.take(about(4, 300, 1500, 1))

    assert bench.take(*rest).messages == undisturbed.take(*rest).messages


@pytest.mark.parametrize("visit_ticks", [1, 3])
def test_how_ticks_are_cut_into_visits_changes_nothing(visit_ticks: int) -> None:
    whole, cut = (bench_of(NONE, report={"every_ticks": 3}) for _ in range(2))
    labels = about(3, 700, 1300, 1), about(4, 100, 700, 2)
    frames = events(1, *stream_of()), events(2, base_us=2000)

    expected = whole.take(*frames, *labels)
    told = cut.take(*frames, *labels, visit_ticks=visit_ticks)

    assert told.messages == expected.messages
    assert same_weights(cut.weights(), whole.weights())


@pytest.mark.parametrize("carry_state", [False, True])
def test_a_window_named_by_its_number_is_its_interval(
    carry_state: bool,  # noqa: FBT001 - a parameter of pytest
) -> None:
    by_number, by_time = (bench_of(WINDOW, carry_state=carry_state) for _ in range(2))
    for bench in (by_number, by_time):
        streamed(bench)

    [one] = lessons(by_number.take(label(3, 2, 1)))
    [other] = lessons(by_time.take(about(3, 900, 1350, 1)))

    assert one.loss == other.loss
    assert same_weights(by_number.weights(), by_time.weights())


@pytest.mark.parametrize("carry_state", [False, True])
def test_an_interval_may_span_windows_for_one_update(
    carry_state: bool,  # noqa: FBT001 - a parameter of pytest
) -> None:
    bench = bench_of(WINDOW, carry_state=carry_state)
    by_hand = ByHand(carry_state=carry_state)
    learner, slot = by_hand.learner, by_hand.slot
    streamed(bench)

    # [600, 1000): ticks 2, 3, 4 of window 1, which begin at 650, 750, 850, and tick 0 of window 2
    [learned] = lessons(bench.take(about(3, 600, 1000, 2)))
    losses = []
    blocks = window_ticks()
    for number in range(3):
        learner.begin_segment(slot, Strand.LESSON, carry_state=carry_state)
        targets = [[-1] * 5, [-1, -1, 2, 2, 2], [2]][number]
        by_hand.run(Strand.LESSON, blocks[number][: len(targets)], targets)
        losses.append(learner.segment_loss(slot, Strand.LESSON))
    assert learner.apply_update(slot)

    assert learned.loss == (losses[1] * 3 + losses[2]) / 4
    assert same_weights(bench.weights(), learner.weights(slot))


def window_ticks() -> list[NDArray[np.float32]]:
    windows = [np.zeros((5, N_INPUTS), np.float32) for _ in range(6)]
    for t_us, address in stream_of():
        windows[t_us // 450][(t_us % 450) // TICK_US, address] += 1
    return windows


def test_correct_is_what_most_of_the_ticks_were_taken_for() -> None:
    bench, by_hand = bench_of(NONE), ByHand()
    by_hand.learner.begin_segment(by_hand.slot, Strand.LIVE)
    logits = by_hand.run(Strand.LIVE, by_hand.ticks[:20], [-1] * 20)
    votes = np.bincount(logits[3:17].argmax(axis=1), minlength=3)
    streamed(bench)

    learned = lessons(
        bench.take(learning(3, mode="off"), about(4, 300, 1000, 0), about(5, 1000, 1700, 1))
    )

    first = np.bincount(logits[3:10].argmax(axis=1), minlength=3).argmax()
    second = np.bincount(logits[10:17].argmax(axis=1), minlength=3).argmax()
    assert [one.correct for one in learned] == [first == 0, second == 1]
    assert [one.loss for one in learned] == [None, None]
    assert bench.network.teaching.n_labelled == 2
    assert votes.sum() == 14


# --- what is refused


@pytest.mark.parametrize("segmentation", [NONE, WINDOW])
def test_intervals_that_can_not_be_learnt_are_refused(segmentation: dict[str, object]) -> None:
    bench = bench_of(segmentation)

    before = bench.take(about(1, 0, 100, 0))
    bench.take(events(2, (1000, 0)), events(3, base_us=2000))
    after = bench.take(
        # ends where the stream begins; beyond the complete ticks, of which the last begins at 1900
        about(4, 0, 1000, 0),
        about(5, 1900, 2051, 0),
        # between two begins
        about(6, 1101, 1199, 0),
        # learnt, then again, in part
        about(7, 1100, 1300, 0),
        about(8, 1200, 1400, 0),
        about(9, 1300, 1400, 9),
    )

    assert codes(before) == ["unknown_segment"]
    assert codes(after) == [
        "unknown_segment",
        "unknown_segment",
        "bad_value",
        "label_duplicate",
        "bad_value",
    ]
    assert len(lessons(after)) == 1


def test_an_interval_may_begin_before_the_stream() -> None:
    bench = bench_of(NONE)
    bench.take(events(1, (1000, 0)), events(2, base_us=2000))

    assert len(lessons(bench.take(about(3, 0, 1001, 0)))) == 1


@pytest.mark.parametrize("segmentation", [{"by": "client"}, {"by": "silence"}])
def test_streams_of_segments_take_no_intervals(segmentation: dict[str, object]) -> None:
    bench = bench_of(segmentation)
    bench.take(events(1, (0, 0)))

    assert codes(bench.take(about(2, 0, 100, 0))) == ["bad_value"]


def test_a_stream_without_cuts_takes_no_labels_for_segments_and_no_mode_ahead() -> None:
    bench = bench_of(NONE)
    bench.take(events(1, (0, 0)))

    delivery = bench.take(label(2, 0, 1), learning(3, mode="ahead"), end(4, 0, 10))

    assert codes(delivery) == ["bad_value", "bad_value", "bad_segment"]


def test_a_window_that_learnt_an_interval_takes_no_label_and_the_other_way_round() -> None:
    bench = bench_of(WINDOW)
    streamed(bench)

    delivery = bench.take(
        about(3, 0, 100, 0), label(4, 0, 1), label(5, 1, 1), about(6, 800, 1000, 0), label(7, 4, 0)
    )

    # window 4 is open: its label waits, and so does its time
    assert codes(delivery) == ["label_duplicate", "label_duplicate"]
    assert codes(bench.take(about(8, 1800, 1900, 0))) == ["label_duplicate"]


def test_intervals_are_too_late_for_learning_ahead() -> None:
    bench = bench_of(WINDOW, learning={"mode": "ahead"})
    streamed(bench)

    assert codes(bench.take(about(3, 0, 100, 0))) == ["label_too_late"]


@pytest.mark.parametrize("carry_state", [False, True])
def test_the_oldest_stretches_are_dropped_first(
    carry_state: bool,  # noqa: FBT001 - a parameter of pytest
) -> None:
    settings = SessionSettings(checkpoint_ticks=4, kept_ticks=10)
    bench = bounded(settings, NONE, carry_state=carry_state)
    streamed(bench)

    # stretches of four ticks: 20 ticks are kept as the last two of them, from tick 12 on
    delivery = bench.take(about(3, 1199, 1200, 0), about(4, 1100, 1300, 0), about(5, 1200, 1300, 0))

    assert codes(delivery) == ["bad_value", "label_too_late"]
    assert len(lessons(delivery)) == 1


def test_the_oldest_windows_are_dropped_first() -> None:
    bench = bounded(SessionSettings(checkpoint_ticks=4, kept_segments=2), WINDOW)
    streamed(bench)

    # windows 0 to 3 have ended at 1800, two of them are kept
    delivery = bench.take(about(3, 450, 500, 0), about(4, 800, 1000, 0), about(5, 900, 1000, 0))

    assert codes(delivery) == ["label_too_late", "label_too_late"]
    assert len(lessons(delivery)) == 1
    assert codes(bench.take(label(6, 1, 0))) == ["label_too_late"]


def test_kept_states_and_ticks_are_counted() -> None:
    bench = bench_of(NONE)
    streamed(bench)
    segment = bench.intake.segmentation.open_segment
    assert segment is not None

    # 20 ticks: stretches begin at 0, 4, 8, 12 and 16, and all but the first one keep a state
    n_bytes = bench.learner.copy_state(bench.slot, Strand.LIVE).nbytes
    assert [s.first_tick for s in segment.stretches] == [0, 4, 8, 12, 16]
    assert bench.intake.segmentation.kept_bytes == 4 * n_bytes + 8 * (segment.n_kept_inputs + 20)
