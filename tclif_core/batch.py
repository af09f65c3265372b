"""What goes into an advance and what comes out: some sessions, the ticks of each, the answers.

Shapes: S rows, one a session; B ticks of all rows, one row after the other; E events of all ticks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NewType

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tclif_core.hyperparameters import Loss
from tclif_core.short_loops import (
    LARGEST_NUMBER,
    has_beyond,
    has_more_than,
    has_outside,
    is_ascent,
)

Targets = NDArray[np.int64] | NDArray[np.floating]
"""Classes ``[B]`` with -1, or numbers ``[B, C]`` with NaN, where a tick has no target."""

SlotIndex = NewType("SlotIndex", int)
"""Place of a session in the bank, not to be mixed up with its row in one batch."""


_TYPES: dict[type[np.generic], np.dtype[Any]] = {
    kind: np.dtype(kind) for kind in (np.int32, np.int64, np.bool_)
}
_FLOATS = np.dtype(np.float32), np.dtype(np.float64)


class Strand(IntEnum):
    """Which of a session's two states a row moves; the weights are the same."""

    LIVE = 0
    """The running segment."""

    LESSON = 1
    """A finished segment's kept ticks, learnt while the running segment goes on."""


_STRANDS = frozenset(map(int, Strand))


@dataclass(frozen=True, slots=True)
class EventBlock:
    """The input of a batch: for each row its ticks, for each tick its (channel, value) pairs.

    Values are any real numbers; pairs of one channel in one tick add up, and a tick's pairs are
    summed in the order given.

    Attributes:
        row_ticks: The ticks of row s are ``row_ticks[s] : row_ticks[s + 1]``, int64 ``[S + 1]``.
        tick_events: The pairs of tick b are ``tick_events[b] : tick_events[b + 1]``, int64
            ``[B + 1]``.
        channels: int32 ``[E]``.
        values: float32 ``[E]`` (float64 for a learner that computes in it).

    Raises:
        ValueError: A type, dimension or length is another, or offsets do not rise from 0 to the
            length of what they divide.
    """

    row_ticks: NDArray[np.int64]
    tick_events: NDArray[np.int64]
    channels: NDArray[np.int32]
    values: NDArray[np.floating]

    def __post_init__(self) -> None:
        check_vector("row_ticks", self.row_ticks, np.int64)
        check_vector("tick_events", self.tick_events, np.int64)
        check_vector("channels", self.channels, np.int32, len(self.values))
        if self.values.dtype not in _FLOATS or self.values.ndim != 1:
            raise ValueError(f"values must be a vector of floats, got {_described(self.values)}")
        _check_offsets("row_ticks", self.row_ticks, len(self.tick_events) - 1)
        _check_offsets("tick_events", self.tick_events, len(self.channels))

    @classmethod
    def from_dense(
        cls,
        rows: Sequence[NDArray[np.floating]],
        dtype: type[np.float32] | type[np.float64] = np.float32,
    ) -> "EventBlock":
        """Build a block from dense input.

        Args:
            rows: The input ``[T, inputs]`` of each row; T may differ.
            dtype: Type of the values.
        """
        lengths = [len(row) for row in rows]
        pairs = [np.nonzero(row) for row in rows]
        per_tick = [
            np.bincount(ticks, minlength=length)
            for (ticks, _), length in zip(pairs, lengths, strict=True)
        ]
        channels = [channel.astype(np.int32) for _, channel in pairs]
        values = [row[pair].astype(dtype) for row, pair in zip(rows, pairs, strict=True)]
        return cls(
            np.cumsum([0, *lengths]),
            np.cumsum(np.concatenate([[0], *per_tick]), dtype=np.int64),
            np.concatenate([np.zeros(0, np.int32), *channels]),
            np.concatenate([np.zeros(0, dtype), *values]),
        )

    @property
    def n_rows(self) -> int:
        """S."""
        return len(self.row_ticks) - 1

    @property
    def n_ticks(self) -> int:
        """B, the ticks of all rows."""
        return len(self.tick_events) - 1


@dataclass(frozen=True, slots=True)
class Batch:
    """One advance: which slots, which strand of each, whether it learns, its ticks and targets.

    Attributes:
        slots: Distinct slot numbers, int64 ``[S]``.
        strands: `Strand` of each row, int64 ``[S]``.
        learn: Whether a row moves eligibility and learns where a target is known, bool ``[S]``.
        block: The input.
        targets: Class of each tick, -1 where none is known, int64 ``[B]``; or what the logits of
            each tick should be, NaN where that is not known, floats ``[B, C]``.

    Raises:
        ValueError: A type or length is another, a slot is listed twice, or a strand is unknown.
    """

    slots: NDArray[np.int64]
    strands: NDArray[np.int64] | NDArray[np.uint8]
    learn: NDArray[np.bool_]
    block: EventBlock
    targets: Targets

    def __post_init__(self) -> None:
        n_rows = self.block.n_rows
        check_vector("slots", self.slots, np.int64, n_rows)
        check_vector("strands", self.strands, np.int64, n_rows)
        check_vector("learn", self.learn, np.bool_, n_rows)
        n_ticks = self.block.n_ticks
        if self.targets.ndim == 1:
            check_vector("targets", self.targets, np.int64, n_ticks)
        elif self.targets.dtype.kind != "f" or len(self.targets) != n_ticks:
            raise ValueError(
                f"targets must be {n_ticks} classes or {n_ticks} rows of floats,"
                f" got {_described(self.targets)}"
            )
        if len(set(self.slots.tolist())) != n_rows:
            raise ValueError(f"slots must be distinct, got {self.slots.tolist()}")
        if not _STRANDS.issuperset(self.strands.tolist()):
            raise ValueError(f"strands must be 0 or 1, got {self.strands.tolist()}")

    def check_ranges(self, n_inputs: int, n_classes: int, loss: Loss) -> None:
        """Compare what a batch addresses with a network and its loss.

        Raises:
            ValueError: A channel or target is out of range, targets are not those of the loss, or
                a value is not finite in single precision.
        """
        block = self.block
        channels = block.channels
        if has_more_than(block.tick_events, n_inputs):
            n_most = int(np.diff(block.tick_events).max())
            raise ValueError(f"a tick holds at most {n_inputs} pairs, one a channel, got {n_most}")
        if has_outside(channels, 0, n_inputs):
            raise ValueError(
                f"channels must lie in [0, {n_inputs - 1}],"
                f" got {channels.min()} to {channels.max()}"
            )
        if has_beyond(block.values, LARGEST_NUMBER):
            raise ValueError("values must be finite in single precision, got one that is not")
        if loss == "cross_entropy":
            _check_classes(self.targets, n_classes)
        else:
            _check_target_values(self.targets, n_classes)

    @property
    def labelled(self) -> NDArray[np.int64]:
        """Which ticks have a target, ``[B]``: its class, 0 for numbers, -1 without one."""
        if self.targets.ndim == 1:
            return self.targets  # type: ignore[return-value]  # checked when made
        return -np.isnan(self.targets[:, 0]).astype(np.int64)


@dataclass(frozen=True, slots=True)
class AdvanceResult:
    """What a batch computed, tick by tick in the order of its block.

    Attributes:
        logits: Of each tick, from the weights before that tick's update, ``[B, C]``.
        mean_probabilities: Mean of the class probabilities over the segment's ticks so far,
            ``[B, C]``: the segment's prediction as of that tick.
        loss: Of each tick, 0 where it has no target, ``[B]``.

    All are float32, or float64 from a learner that computes in it.
    """

    logits: NDArray[np.float32]
    mean_probabilities: NDArray[np.float32]
    loss: NDArray[np.float32]

    @classmethod
    def allocate(cls, n_ticks: int, n_classes: int, dtype: DTypeLike) -> "AdvanceResult":
        """Make room for a result; a kernel writes every element of it."""
        return cls(
            np.empty((n_ticks, n_classes), dtype),
            np.empty((n_ticks, n_classes), dtype),
            np.empty(n_ticks, dtype),
        )


def check_vector(
    name: str, array: object, dtype: type[np.generic], length: int | None = None
) -> None:
    """Refuse what is not a vector of this type and length.

    Raises:
        ValueError: With what came and what was expected.
    """
    # a type made of its name compares many times faster than the name
    is_vector = isinstance(array, np.ndarray) and array.dtype == _TYPES[dtype] and array.ndim == 1
    if not is_vector or (length is not None and len(array) != length):  # type: ignore[arg-type]  # is_vector says it is an array
        size = "" if length is None else f" of length {length}"
        raise ValueError(
            f"{name} must be a vector{size} of {dtype.__name__}, got {_described(array)}"
        )


def _check_classes(targets: Targets, n_classes: int) -> None:
    if targets.ndim != 1:
        raise ValueError(f"loss 'cross_entropy' needs a class a tick, got {_described(targets)}")
    if has_outside(targets, -1, n_classes):  # type: ignore[arg-type]  # classes, as checked when made
        raise ValueError(
            f"targets must lie in [-1, {n_classes - 1}], got {targets.min()} to {targets.max()}"
        )


def _check_target_values(targets: Targets, n_classes: int) -> None:
    if targets.ndim != 2 or targets.shape[1] != n_classes:  # noqa: PLR2004 - ticks by numbers
        raise ValueError(
            f"loss 'mean_squared' needs {n_classes} numbers a tick, got {_described(targets)}"
        )
    unknown = np.isnan(targets)
    is_too_large = (np.abs(targets) > LARGEST_NUMBER).any()
    if is_too_large or (unknown.any(axis=1) != unknown.all(axis=1)).any():
        raise ValueError("a tick's target must be finite numbers, or NaN in all of them")


def _described(array: object) -> str:
    if isinstance(array, np.ndarray):
        return f"{array.dtype} {list(array.shape)}"
    return repr(array)


def _check_offsets(name: str, offsets: NDArray[np.int64], total: int) -> None:
    if not is_ascent(offsets, total):
        raise ValueError(f"{name} must rise from 0 to {total}, got {offsets.tolist()}")
