"""Recordings as a training takes them: input and targets tick by tick.

Shapes: T ticks of one example, B ticks of several, S sequences in a batch, C classes.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tclif_core.batch import EventBlock, Targets


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One recording, or one sequence of a stream.

    Attributes:
        block: Its input, one row of at least one tick.
        targets: Class of each tick ``[T]`` int64, -1 where none is known; or what the logits
            should be ``[T, C]`` floats, NaN where that is not known.
        label: Class of the whole, which its mean prediction is scored by; None: every tick with
            a target is scored by itself.
        group: Whom or what it shares with others, such as its speaker.

    Raises:
        ValueError: There is not exactly one row, no tick, or not one target a tick.
    """

    block: EventBlock
    targets: Targets
    label: int | None = None
    group: str = ""

    def __post_init__(self) -> None:
        if self.block.n_rows != 1 or not self.block.n_ticks:
            raise ValueError(
                "an example is one row of at least one tick,"
                f" got {self.block.n_rows} rows of {self.block.n_ticks} ticks in all"
            )
        if len(self.targets) != self.block.n_ticks:
            raise ValueError(
                f"an example of {self.block.n_ticks} ticks needs as many targets,"
                f" got {len(self.targets)}"
            )

    @classmethod
    def of_class(cls, block: EventBlock, label: int, *, group: str = "") -> Self:
        """Make an example whose class holds at every tick, as a labelled segment is learnt."""
        return cls(block, np.full(block.n_ticks, label, np.int64), label, group)

    @property
    def n_ticks(self) -> int:
        """T."""
        return self.block.n_ticks

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Which ticks have a target ``[T]``."""
        return self.targets >= 0 if self.targets.ndim == 1 else ~np.isnan(self.targets[:, 0])


def digest(examples: Sequence[Example]) -> str:
    """Return a fingerprint of the examples and their order."""
    seen = hashlib.sha256()
    for example in examples:
        block = example.block
        seen.update(f"{block.n_ticks} {example.label} {example.targets.dtype}".encode())
        for array in (block.tick_events, block.channels, block.values, example.targets):
            seen.update(np.ascontiguousarray(array).tobytes())
    return seen.hexdigest()[:16]


def dense_input(examples: Sequence[Example], n_inputs: int) -> NDArray[np.float32]:
    """Return the input of a batch ``[T, S, inputs]``, short examples padded with zeros."""
    longest = max(example.n_ticks for example in examples)
    x = np.zeros((longest, len(examples), n_inputs), np.float32)
    for row, example in enumerate(examples):
        block = example.block
        ticks = np.repeat(np.arange(block.n_ticks), np.diff(block.tick_events))
        places = (ticks * len(examples) + row) * n_inputs + block.channels
        # pairs of one channel in one tick add up
        np.add.at(x.reshape(-1), places, block.values.astype(np.float32))
    return x


def dense_targets(examples: Sequence[Example]) -> Targets:
    """Return the targets of a batch ``[T, S]`` or ``[T, S, C]``, padding without a target."""
    longest = max(example.n_ticks for example in examples)
    first = examples[0].targets
    if first.ndim == 1:
        padded: Targets = np.full((longest, len(examples)), -1, np.int64)
    else:
        padded = np.full((longest, len(examples), first.shape[1]), np.nan, np.float32)
    for row, example in enumerate(examples):
        padded[: example.n_ticks, row] = example.targets
    return padded
