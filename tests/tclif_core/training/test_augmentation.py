"""Variations of training examples."""

import numpy as np

from tclif_core import EventBlock
from tclif_core.training.augmentation import vary
from tclif_core.training.examples import Example, dense_input
from tclif_core.training.order import generator
from tclif_core.training.spec import TrainingSpec
from tests.tclif_core.toy_examples import INPUTS, toy_examples


def dense(example: Example, n_inputs: int = INPUTS) -> np.ndarray:
    return dense_input([example], n_inputs)[:, 0]


def ones(n_ticks: int, n_inputs: int, value: float = 1.0) -> Example:
    return Example.of_class(EventBlock.from_dense([np.full((n_ticks, n_inputs), value)]), 1)


def test_equal_generators_give_equal_variations() -> None:
    spec = TrainingSpec(event_drop_out=0.3, channel_shift=2, time_stretch=0.2)
    example = toy_examples(1)[0]

    one, same, other = (
        dense(vary(example, spec, INPUTS, generator(0, 3, number))) for number in (1, 1, 2)
    )

    np.testing.assert_array_equal(one, same)
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_drop_out_leaves_out_that_share_of_single_events() -> None:
    # 100 ticks by 100 channels by 2 events: 20,000, of which 15,000 +- 61 stay
    example = ones(100, 100, 2.0)

    kept = dense(vary(example, TrainingSpec(event_drop_out=0.25), 100, generator(1)), 100)

    assert abs(kept.sum() - 15_000) < 5 * 61
    assert set(np.unique(kept)) == {0.0, 1.0, 2.0}


def test_drop_out_takes_other_values_as_a_whole_and_keeps_signs() -> None:
    x = np.tile([-1.0, 0.5], (500, 1))
    example = Example.of_class(EventBlock.from_dense([x]), 0)

    kept = dense(vary(example, TrainingSpec(event_drop_out=0.5), 2, generator(1)), 2)

    assert set(np.unique(kept[:, 0])) == {-1.0, 0.0}
    assert set(np.unique(kept[:, 1])) == {0.0, 0.5}


def test_all_events_can_be_dropped() -> None:
    varied = vary(ones(4, 3), TrainingSpec(event_drop_out=1.0), 3, generator(0))

    assert varied.n_ticks == 4
    assert not varied.block.channels.size


def test_a_shift_moves_all_events_alike_and_loses_those_beyond_the_ends() -> None:
    x = np.zeros((5, INPUTS))
    x[np.arange(5), [0, 2, 4, 6, 8]] = 1.0
    example = Example.of_class(EventBlock.from_dense([x]), 1)
    shifts = set()

    for number in range(40):
        moved = dense(vary(example, TrainingSpec(channel_shift=2), INPUTS, generator(number)))
        matching = [
            shift for shift in range(-2, 3) if np.array_equal(moved, np.roll(_cut(x, shift), shift))
        ]
        assert len(matching) == 1
        shifts.add(matching[0])

    assert shifts == {-2, -1, 0, 1, 2}


def test_jitter_moves_each_event_by_itself_and_loses_those_beyond_the_ends() -> None:
    n_channels = 101
    x = np.zeros((400, n_channels))
    x[:, 50] = 1.0
    example = Example.of_class(EventBlock.from_dense([x]), 1)

    near = vary(example, TrainingSpec(channel_jitter=10.0), n_channels, generator(3))
    far = vary(example, TrainingSpec(channel_jitter=1e4), n_channels, generator(3))

    ticks, channels = np.nonzero(dense(near, n_channels))
    # no event lies five standard deviations away; the error of a spread of 400 is 10 / sqrt(800)
    assert ticks.tolist() == list(range(400))
    assert abs(channels.mean() - 50) < 4 * 10 / 20
    assert abs(channels.std() - 10) < 4 * 10 / 800**0.5
    # two standard deviations of 1e4 hold 95 of 100 events; 101 channels next to none
    assert len(far.block.channels) < 20


def _cut(x: np.ndarray, shift: int) -> np.ndarray:
    """Return input without what a shift pushes over the edge, so that a roll loses nothing."""
    kept = x.copy()
    if shift > 0:
        kept[:, -shift:] = 0
    if shift < 0:
        kept[:, :-shift] = 0
    return kept


def test_a_stretch_keeps_every_event_and_the_order_of_time() -> None:
    n_ticks = 100
    example = ones(n_ticks, 1)
    lengths = set()

    for number in range(20):
        varied = vary(example, TrainingSpec(time_stretch=0.3), 1, generator(number))
        lengths.add(varied.n_ticks)
        assert dense(varied, 1).sum() == n_ticks

    assert 70 <= min(lengths) < 90
    assert 110 < max(lengths) <= 130


def test_targets_are_stretched_with_the_events() -> None:
    targets = np.repeat([0, 1], 50)
    x = np.zeros((100, 2))
    x[np.arange(100), targets] = 1.0
    example = Example(EventBlock.from_dense([x]), targets)

    varied = vary(example, TrainingSpec(time_stretch=0.3), 2, generator(5))

    # a tick at the border may hold events of both halves
    said = dense(varied, 2)
    disagreeing = sum(
        said[tick].argmax() != target
        for tick, target in enumerate(varied.targets)
        if said[tick].any()
    )
    assert varied.n_ticks != 100
    assert disagreeing <= 1


def test_the_example_itself_is_left_untouched() -> None:
    example = toy_examples(1)[0]
    before = dense(example).copy()

    vary(
        example,
        TrainingSpec(event_drop_out=0.5, channel_shift=3, time_stretch=0.3),
        INPUTS,
        generator(0),
    )

    np.testing.assert_array_equal(dense(example), before)
