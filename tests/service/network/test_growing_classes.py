"""Classes that come while a session runs: names, kept states, refusals, and what stays."""

import numpy as np
import pytest

from service.configuration.configuration import SessionConfiguration
from service.stream.intake import Intake
from service.wire_protocol import AddClasses, Label
from tclif_core import Strand
from tests.service.client_messages import begin, end, events, label
from tests.service.session_bench import (
    SETTINGS,
    Bench,
    codes,
    lessons,
    one_segment,
    predictions,
    spikes,
)


def more(sequence: int, *names: str) -> AddClasses:
    return AddClasses(sequence=sequence, add=names)


def test_old_columns_stay_and_new_ones_are_zero_until_they_are_learnt() -> None:
    bench = Bench()
    bench.take(*one_segment(0, target=1))
    before = bench.weights()

    bench.take(more(5, "three", "four"))
    grown = bench.weights()
    [learned] = lessons(bench.take(*one_segment(1), label(9, 1, "four")))
    after = bench.weights()

    assert np.array_equal(grown["readout.w"][:, :3], before["readout.w"])
    assert not grown["readout.w"][:, 3:].any()
    same = grown.keys() - {"readout.w", "readout.b"}
    assert all(np.array_equal(grown[name], before[name]) for name in same)
    assert learned.target == 4
    assert after["readout.w"][:, 4].any()


def test_predictions_know_new_classes_from_the_message_on() -> None:
    bench = Bench(report={"every_ticks": 5, "probabilities": True})
    first, *rest = one_segment(0)

    told = predictions(bench.take(first, events(2, *spikes(0, 0, 30, 520)), more(3, "three")))
    later = predictions(bench.take(*rest[1:]))

    assert [len(p.probabilities or ()) for p in told] == [3]
    assert [len(p.probabilities or ()) for p in later] == [4, 4]
    # the mean over ten ticks of which five did not know it still adds up to one
    assert sum(later[-1].probabilities or ()) == pytest.approx(1, abs=1e-5)
    assert 0 < (later[-1].probabilities or ())[3] < 1 / 4


def test_an_empty_segment_is_a_guess_among_all_classes() -> None:
    bench = Bench()

    [final] = predictions(bench.take(begin(1, 0, 0), more(2, "three"), end(3, 0, 0)))

    assert final.confidence == 0.25


def test_a_segment_kept_from_before_may_have_a_new_class() -> None:
    bench = Bench(carry_state=True)
    bench.take(*one_segment(0), *one_segment(1))

    told = bench.take(more(7, "three"), label(8, 1, "three"), label(9, 0, 0))

    assert [learned.target for learned in lessons(told)] == [3, 0]
    assert codes(told) == []


@pytest.mark.parametrize("segmentation", [{"by": "none"}, {"by": "window", "length_us": 450}])
def test_kept_states_grow_with_the_network(segmentation: dict[str, object]) -> None:
    bench, large = (
        Bench(
            segmentation=segmentation,
            carry_state=True,
            learning={"rate": 0.05, "feedback": "broadcast", "filter_readout_trace": True},
        )
        for _ in range(2)
    )
    frames = events(1, (0, 0), *spikes(3, 0, 150, 2000)), events(2, base_us=2000)
    interval = Label(sequence=4, from_us=700, to_us=1100, target=2)

    # growing before or after the stream leaves the same states to start a lesson from, since
    # the logit of a class without weights is 0
    bench.take(*frames, more(3, "three"), interval)
    large.take(more(1, "three"), *frames, interval)

    one, other = bench.weights(), large.weights()
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert np.array_equal(
        bench.learner.copy_state(bench.slot, Strand.LIVE),
        large.learner.copy_state(large.slot, Strand.LIVE),
    )


def test_learning_ahead_goes_on_across_new_classes() -> None:
    bench = Bench(learning={"mode": "ahead", "optimizer": "sgd", "rate": 0.1})
    first, *rest = one_segment(0)

    [learned] = lessons(bench.take(first, label(2, 0, 1), rest[0], more(4, "three"), *rest[1:]))

    assert learned.target == 1
    assert bench.network.teaching.n_lessons == 1


def test_names_that_are_there_are_refused_as_a_whole() -> None:
    bench = Bench()

    told = bench.take(more(1, "three", "one"), more(2, "three"), more(3, "three"))

    assert codes(told) == ["bad_value", "bad_value"]
    assert bench.intake.class_names == ("zero", "one", "two", "three")
    assert bench.learner.network.classes == 4


def test_more_classes_than_a_list_may_hold_are_refused() -> None:
    bench = Bench(network={"hidden": [2], "classes": 9_999})

    told = bench.take(more(1, "a", "b"), more(2, "c"))

    assert codes(told) == ["bad_value"]
    assert bench.learner.network.classes == 10_000


def test_classes_beyond_the_sessions_bound_are_refused_and_the_session_stays() -> None:
    bench = Bench()
    grown_by: list[int] = []
    configuration = SessionConfiguration.resolve(bench.request, SETTINGS)
    now, then = configuration.network_bytes(3), configuration.network_bytes(4)
    # room for one class more, to the byte
    bounds = SETTINGS.model_copy(update={"max_session_bytes": then})
    bench.intake = Intake(configuration, bounds, grown_by.append)

    told = bench.take(
        more(1, "three", "four"),
        begin(2, 0, 0),
        end(3, 0, 0),
        label(4, 0, "three"),
        more(5, "three"),
    )

    assert codes(told) == ["quota", "bad_value"]
    assert grown_by == [then - now]
    assert bench.learner.network.classes == 4


def test_a_rollback_takes_back_what_was_learnt_and_leaves_the_new_classes() -> None:
    bench = Bench()
    bench.take(*one_segment(0, target=1))
    before, stored = bench.weights(), bench.network.capture()
    bench.take(more(5, "three"), *one_segment(1), label(9, 1, "three"))

    bench.network.roll_back(stored)

    after = bench.weights()
    assert np.array_equal(after["readout.w"][:, :3], before["readout.w"])
    assert not after["readout.w"][:, 3].any()
    assert np.array_equal(after["layer0.w"], before["layer0.w"])
    assert [one.target for one in lessons(bench.take(*one_segment(2), label(12, 2, 3)))] == [3]
