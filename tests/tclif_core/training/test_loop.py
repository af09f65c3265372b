"""The offline loop: it learns, can be interrupted anywhere, and stops when it should."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tclif_core import EventBlock, LearningSpec
from tclif_core.training import Training
from tclif_core.training.examples import Example
from tclif_core.training.reports import NotFinite, OtherTraining, PassReport, UpdateReport
from tclif_core.training.spec import Method, TrainingSpec
from tests.tclif_core.toy_examples import (
    CLASSES,
    INPUTS,
    assert_same_state,
    stored,
    toy_examples,
    toy_network,
    toy_training,
)

METHODS: tuple[Method, ...] = ("eprop", "bptt")


def passes_of(training: Training) -> list[PassReport]:
    return [report for report in training.run() if isinstance(report, PassReport)]


@pytest.mark.parametrize(("method", "size"), [("eprop", 1), ("eprop", 2), ("bptt", 4)])
def test_both_methods_learn_a_task(method: Method, size: int) -> None:
    training = toy_training(
        method, passes=6, rate=0.02, examples_per_update=size, examples=toy_examples(24)
    )

    passes = passes_of(training)

    # chance is 1/3, and of six held-out examples one may be missed
    assert passes[-1].validation_score is not None
    assert passes[-1].validation_score >= 5 / 6
    assert passes[-1].train_loss is not None
    assert passes[0].train_loss is not None
    assert passes[-1].train_loss < passes[0].train_loss / 2


def test_every_update_and_every_pass_is_told() -> None:
    training = toy_training(examples_per_update=5, passes=2)

    reports = list(training.run())

    # twelve examples are three updates: five, five, two
    updates = [(r.pass_number, r.n_done) for r in reports if isinstance(r, UpdateReport)]
    assert updates == [(1, 5), (1, 10), (1, 12), (2, 5), (2, 10), (2, 12)]
    assert [isinstance(r, PassReport) for r in reports] == [False, False, False, True] * 2
    assert training.stop_reason == "passes"
    assert training.history == [r for r in reports if isinstance(r, PassReport)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_before", [2, 4, 6])
def test_an_interrupted_training_goes_on_bit_for_bit(method: Method, n_before: int) -> None:
    """Three updates and the report of a pass: in mid-pass, at its end, in the next one."""

    def fresh() -> Training:
        return toy_training(
            method,
            passes=3,
            examples_per_update=4,
            event_drop_out=0.2,
            time_stretch=0.1,
            rate_schedule="cosine",
            average_last=2,
            patience=3,
        )

    whole = fresh()
    expected = list(whole.run())
    interrupted = fresh()
    for _ in range(n_before):
        interrupted.advance()

    continued = fresh()
    continued.restore(stored(interrupted.state()))
    rest = list(continued.run())

    assert rest == expected[n_before:]
    assert_same_state(continued.state(), whole.state())


@pytest.mark.parametrize("optimizer", ["rmsprop", "sgd"])
def test_moments_of_other_optimizers_are_part_of_the_state(optimizer: str) -> None:
    learning = LearningSpec.from_dict({"optimizer": optimizer, "momentum": 0.9})

    def fresh() -> Training:
        return toy_training("bptt", learning=learning, passes=2, examples_per_update=4)

    whole = fresh()
    list(whole.run())
    interrupted = fresh()
    interrupted.advance()

    continued = fresh()
    continued.restore(stored(interrupted.state()))
    list(continued.run())

    assert_same_state(continued.state(), whole.state())


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"rate": 0.02}, "training.rate"),
        ({"seed": 5}, "training.seed"),
        ({"event_drop_out": 0.5}, "training.event_drop_out"),
    ],
)
def test_a_state_of_other_settings_is_refused_by_name(
    changed: dict[str, float], field: str
) -> None:
    state = toy_training().state()
    training = toy_training("eprop", **changed)  # type: ignore[arg-type]  # settings alone
    before = training.state()

    with pytest.raises(OtherTraining, match=field) as caught:
        training.restore(state)

    assert caught.value.field == field
    assert_same_state(training.state(), before)


def test_a_state_of_other_examples_is_refused() -> None:
    state = toy_training().state()

    with pytest.raises(OtherTraining, match=r"examples\.training"):
        toy_training(examples=toy_examples(12, seed=9)).restore(state)


@pytest.mark.parametrize("method", METHODS)
def test_validation_moves_no_weight(method: Method) -> None:
    few = toy_training(method)
    many = toy_training(method, validation=toy_examples(30, seed=4))

    list(few.run())
    list(many.run())

    for name, weight in few.weights().items():
        np.testing.assert_array_equal(weight, many.weights()[name])


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_decides_everything(method: Method) -> None:
    def weights(seed: int) -> np.ndarray:
        training = toy_training(method, seed=seed, passes=1, event_drop_out=0.2)
        list(training.run())
        return training.weights()["layer0.w"]

    np.testing.assert_array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))


def test_patience_ends_a_training_that_gets_no_better_and_keeps_the_best() -> None:
    # a rate of zero: every pass is as good as the first, so the first stays the best
    training = toy_training(rate=0.0, passes=9, patience=2)

    passes = passes_of(training)

    assert training.stop_reason == "patience"
    assert [report.is_best for report in passes] == [True, False, False]
    assert training.kept_pass == 1


def test_with_patience_the_best_weights_are_kept_not_the_last() -> None:
    training = toy_training(passes=6, patience=6, rate=0.3)

    after_pass = [toy_weights(training) for r in training.run() if isinstance(r, PassReport)]
    best = max(
        training.history, key=lambda r: (r.validation_score, -(r.validation_loss or 0.0))
    ).pass_number

    assert training.kept_pass == best
    np.testing.assert_array_equal(training.weights()["layer0.w"], after_pass[best - 1])


def toy_weights(training: Training) -> np.ndarray:
    """Return the first layer's weights after the latest pass, whichever are kept."""
    return training.state().tensors["recent0.layer0.w"].numpy()


def test_the_last_passes_are_averaged() -> None:
    alone, averaged = toy_training(passes=3), toy_training(passes=3, average_last=2)

    after_pass = [
        alone.weights()["layer0.w"].astype(np.float64)
        for report in alone.run()
        if isinstance(report, PassReport)
    ]
    list(averaged.run())

    expected = ((after_pass[1] + after_pass[2]) / 2).astype(np.float32)
    np.testing.assert_array_equal(averaged.weights()["layer0.w"], expected)


def test_a_cosine_schedule_falls_to_zero() -> None:
    training = toy_training(passes=2, rate=0.01, rate_schedule="cosine", examples_per_update=6)

    passes = passes_of(training)

    # two updates a pass, four in all: the last of each pass has done 1/4 and 3/4 of them, where
    # (1 + cos(pi / 4)) / 2 = 0.8535534 and (1 + cos(3 pi / 4)) / 2 = 0.1464466
    assert [report.rate for report in passes] == pytest.approx([0.008535534, 0.001464466])


@pytest.mark.parametrize("method", METHODS)
def test_a_gradient_that_is_not_finite_stops_training_with_the_last_weights(
    method: Method,
) -> None:
    # e-prop adds what comes from a value of 3e38 to an infinite gradient, and backpropagation too
    huge = EventBlock.from_dense([np.full((20, INPUTS), 3e38)])
    examples = [*toy_examples(6), Example.of_class(huge, 0)]
    training = toy_training(method, examples=examples, passes=1)
    before, failure = training.state(), ""

    while not failure:
        try:
            training.advance()
            before = training.state()
        except NotFinite as error:
            failure = str(error)

    assert "no longer finite in pass 1, after" in failure
    assert_same_state_but_for_segment(training, before.tensors)
    with pytest.raises(NotFinite):
        training.advance()


def assert_same_state_but_for_segment(training: Training, before: dict[str, torch.Tensor]) -> None:
    """Fail unless weights and moments are those of before; the segment itself has been run."""
    parts = ("parameters", "first_moment", "second_moment", "held", "n_updates")
    compared = [
        name for name in before if name.startswith(tuple(f"method.{part}" for part in parts))
    ]
    assert compared
    for name in compared:
        after = training.state().tensors[name]
        assert after.isfinite().all()
        assert after.equal(before[name]), name


def test_a_stream_whose_class_changes_is_scored_tick_by_tick() -> None:
    targets = np.repeat([0, 1, -1, 2], 10)
    x = np.zeros((40, INPUTS))
    for tick, target in enumerate(targets):
        x[tick, 3 * target : 3 * target + 3] = 1.0 if target >= 0 else 0.0
    stream = Example(EventBlock.from_dense([x]), targets.astype(np.int64))
    spec = TrainingSpec(passes=25, rate=0.02)
    network = replace(toy_network(), readout_decay=0.3)
    training = Training(network, LearningSpec(), spec, [stream], [stream])

    passes = passes_of(training)

    # of 30 labelled ticks those right after a change may be missed; the third of them is chance
    assert passes[-1].validation_score is not None
    assert passes[-1].validation_score > 2 / 3
    assert passes[-1].validation_score * 30 == pytest.approx(
        round(passes[-1].validation_score * 30)
    )


@pytest.mark.parametrize("method", METHODS)
def test_targets_can_be_numbers(method: Method) -> None:
    """The logits are to follow one-hot targets; the second half of each example has none."""

    def in_numbers(example: Example) -> Example:
        targets = np.eye(CLASSES)[example.targets]
        targets[example.n_ticks // 2 :] = np.nan
        return Example(example.block, targets)

    examples = [in_numbers(example) for example in toy_examples(9)]
    learning = LearningSpec(loss="mean_squared")
    training = toy_training(
        method,
        learning=learning,
        examples=examples,
        validation=examples,
        passes=2,
        time_stretch=0.1,
    )

    passes = passes_of(training)

    assert passes[0].validation_loss is not None
    assert passes[1].validation_loss is not None
    assert passes[1].validation_loss < passes[0].validation_loss


def test_a_training_without_validation_keeps_the_last_pass() -> None:
    training = toy_training(validation=[])

    passes = passes_of(training)

    assert [report.validation_score for report in passes] == [None, None]
    assert not any(report.is_best for report in passes)
    assert all(0 < rate < 1 for rate in passes[-1].firing_rates)
    assert training.kept_pass == 2


def test_what_can_not_be_trained_is_refused() -> None:
    with pytest.raises(ValueError, match="no examples"):
        toy_training(examples=[])
    with pytest.raises(ValueError, match="patience 3 needs validation"):
        toy_training(patience=3, validation=[])
    with pytest.raises(ValueError, match="'frozen' learns nothing"):
        toy_training(learning=LearningSpec(update="frozen"))
    with pytest.raises(ValueError, match="'bptt' needs update 'segment', got 'tick'"):
        toy_training("bptt", learning=LearningSpec(update="tick", optimizer="sgd"))


def test_weights_are_there_once_a_pass_has_ended() -> None:
    training = toy_training(passes=1)

    with pytest.raises(ValueError, match="no pass has ended"):
        training.weights()
    list(training.run())

    assert training.weights()["readout.w"].shape == (8, CLASSES)
    with pytest.raises(ValueError, match="finished after 1 passes"):
        training.advance()
