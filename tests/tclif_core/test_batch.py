from typing import Any

import numpy as np
import pytest

from tclif_core.batch import AdvanceResult, Batch, EventBlock

ROWS, TICKS = np.array([0, 1, 3]), np.array([0, 2, 2, 3])
CHANNELS, VALUES = np.array([4, 0, 1], np.int32), np.array([1, 2, -0.5], np.float32)


def _batch(**changes: Any) -> Batch:  # noqa: ANN401 - whatever a test breaks
    fields: dict[str, Any] = {
        "slots": np.array([3, 1]),
        "strands": np.array([0, 1]),
        "learn": np.array([True, False]),
        "block": EventBlock(ROWS, TICKS, CHANNELS, VALUES),
        "targets": np.array([-1, 0, 1]),
    }
    return Batch(**(fields | changes))


def test_a_block_knows_its_rows_and_ticks() -> None:
    block = EventBlock(ROWS, TICKS, CHANNELS, VALUES)

    assert (block.n_rows, block.n_ticks) == (2, 3)


def test_dense_input_becomes_its_pairs() -> None:
    first = np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    second = np.array([[-1.5, 0.0, 1.0]])

    block = EventBlock.from_dense([first, second])

    assert block.row_ticks.tolist() == [0, 2, 3]
    assert block.tick_events.tolist() == [0, 1, 1, 3]
    assert block.channels.tolist() == [1, 0, 2]
    assert block.values.tolist() == [2.0, -1.5, 1.0]
    assert block.channels.dtype == np.int32
    assert block.values.dtype == np.float32


def test_dense_input_may_be_empty() -> None:
    assert EventBlock.from_dense([]).n_rows == 0
    assert EventBlock.from_dense([np.zeros((0, 4))]).n_ticks == 0


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"row_ticks": np.array([0, 1, 2])}, r"row_ticks must rise from 0 to 3"),
        ({"row_ticks": np.array([1, 1, 3])}, r"row_ticks must rise from 0 to 3"),
        ({"row_ticks": np.array([0, 4, 3])}, r"row_ticks must rise from 0 to 3"),
        ({"row_ticks": np.array([], np.int64)}, r"row_ticks must rise from 0 to 3"),
        ({"row_ticks": np.array([0.0, 3.0])}, r"row_ticks must be a vector of int64"),
        ({"tick_events": np.array([0, 2, 1, 3])}, r"tick_events must rise from 0 to 3"),
        ({"tick_events": [0, 2, 2, 3]}, r"tick_events must be a vector of int64"),
        ({"channels": np.array([4, 0, 1])}, r"channels must be a vector of length 3 of int32"),
        ({"channels": CHANNELS[:2]}, r"channels must be a vector of length 3 of int32"),
        ({"values": np.array([1, 2, 3])}, r"values must be a vector of floats, got int64 \[3\]"),
        ({"values": np.ones((3, 1), np.float32)}, r"values must be a vector of floats"),
    ],
)
def test_a_block_that_does_not_fit_together_is_refused(changes: dict[str, Any], text: str) -> None:
    fields: dict[str, Any] = {
        "row_ticks": ROWS,
        "tick_events": TICKS,
        "channels": CHANNELS,
        "values": VALUES,
    }

    with pytest.raises(ValueError, match=text):
        EventBlock(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"slots": np.array([1, 1])}, "slots must be distinct"),
        ({"slots": np.array([1])}, "slots must be a vector of length 2"),
        ({"strands": np.array([0, 2])}, "strands must be 0 or 1"),
        ({"strands": np.array([0])}, "strands must be a vector of length 2"),
        ({"learn": np.array([1, 0])}, "learn must be a vector of length 2 of bool"),
        ({"targets": np.array([0, 1])}, "targets must be a vector of length 3"),
    ],
)
def test_a_batch_that_does_not_fit_together_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        _batch(**changes)


def test_what_a_batch_addresses_must_exist() -> None:
    _batch().check_ranges(n_inputs=5, n_classes=2, loss="cross_entropy")
    with pytest.raises(ValueError, match=r"channels must lie in \[0, 3\], got 0 to 4"):
        _batch().check_ranges(n_inputs=4, n_classes=2, loss="cross_entropy")
    with pytest.raises(ValueError, match=r"targets must lie in \[-1, 0\], got -1 to 1"):
        _batch().check_ranges(n_inputs=5, n_classes=1, loss="cross_entropy")
    with pytest.raises(ValueError, match=r"targets must lie in \[-1, 1\], got -2 to 0"):
        _batch(targets=np.array([-2, 0, 0])).check_ranges(
            n_inputs=5, n_classes=2, loss="cross_entropy"
        )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_input_must_be_finite(bad: float) -> None:
    values = np.array([1, bad, 1], np.float32)
    batch = _batch(block=EventBlock(ROWS, TICKS, CHANNELS, values))

    with pytest.raises(ValueError, match="values must be finite"):
        batch.check_ranges(n_inputs=5, n_classes=2, loss="cross_entropy")


def test_a_double_that_is_no_float32_is_refused() -> None:
    values = np.array([1.0, -1e39, 1.0])
    batch = _batch(block=EventBlock(ROWS, TICKS, CHANNELS, values))

    with pytest.raises(ValueError, match="values must be finite in single precision"):
        batch.check_ranges(n_inputs=5, n_classes=2, loss="cross_entropy")


def test_a_negative_channel_is_out_of_range() -> None:
    block = EventBlock(ROWS, TICKS, np.array([4, -1, 1], np.int32), VALUES)

    with pytest.raises(ValueError, match="got -1 to 4"):
        _batch(block=block).check_ranges(n_inputs=5, n_classes=2, loss="cross_entropy")


def test_room_for_a_result_has_a_place_for_each_tick() -> None:
    result = AdvanceResult.allocate(7, 3, np.float32)

    assert result.logits.shape == result.mean_probabilities.shape == (7, 3)
    assert result.loss.shape == (7,)


def test_a_tick_has_no_more_pairs_than_the_network_has_inputs() -> None:
    ones = np.ones(3, np.float32)
    block = EventBlock(np.array([0, 1]), np.array([0, 3]), np.array([0, 1, 0], np.int32), ones)
    batch = Batch(np.array([0]), np.array([0]), np.array([True]), block, np.array([0]))

    with pytest.raises(ValueError, match="at most 2 pairs, one a channel, got 3"):
        batch.check_ranges(n_inputs=2, n_classes=2, loss="cross_entropy")


def _numbers(*rows: tuple[float, float]) -> Batch:
    return _batch(targets=np.array(rows))


NO_TARGET = (np.nan, np.nan)


def test_targets_may_be_numbers_with_none_where_they_are_not_known() -> None:
    batch = _numbers((0.5, -7.0), NO_TARGET, (0.0, 0.0))

    batch.check_ranges(n_inputs=5, n_classes=2, loss="mean_squared")

    assert batch.labelled.tolist() == [0, -1, 0]


def test_classes_are_labelled_by_themselves() -> None:
    assert _batch().labelled.tolist() == [-1, 0, 1]


@pytest.mark.parametrize(
    ("batch", "text"),
    [
        (_numbers((0.0, np.inf), NO_TARGET, NO_TARGET), "must be finite numbers, or NaN in all"),
        (_numbers((0.0, 1e39), NO_TARGET, NO_TARGET), "must be finite numbers, or NaN in all"),
        (_numbers((0.0, np.nan), NO_TARGET, NO_TARGET), "must be finite numbers, or NaN in all"),
        (_batch(targets=np.zeros((3, 3))), r"needs 2 numbers a tick, got float64 \[3, 3\]"),
        (_batch(targets=np.zeros((3, 2, 1))), "needs 2 numbers a tick"),
        (_batch(), r"needs 2 numbers a tick, got int64 \[3\]"),
    ],
)
def test_numbers_that_a_network_can_not_follow_are_refused(batch: Batch, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        batch.check_ranges(n_inputs=5, n_classes=2, loss="mean_squared")


def test_classes_are_needed_where_the_loss_is_of_classes() -> None:
    with pytest.raises(ValueError, match=r"needs a class a tick, got float64 \[3, 2\]"):
        _numbers(NO_TARGET, NO_TARGET, NO_TARGET).check_ranges(
            n_inputs=5, n_classes=2, loss="cross_entropy"
        )


@pytest.mark.parametrize("targets", [np.zeros((2, 2)), np.zeros((3, 2), np.int64)])
def test_targets_must_be_a_row_of_floats_for_each_tick(targets: np.ndarray) -> None:
    with pytest.raises(ValueError, match="targets must be 3 classes or 3 rows of floats"):
        _batch(targets=targets)
