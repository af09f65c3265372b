"""Timestamped events become spikes per tick.

`tick_grid` says where ticks lie. The horizon H is the greatest event time seen so far (or the time
of an empty frame); ticks that end at or before H - late_us are complete. Events earlier than that,
coming in a later frame, are late: they are dropped and counted. The result depends on the events
and their frames alone, never on when the frames arrived.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from service.state_tree import Tree, array, whole, whole_or_none
from service.stream.compiled_binning import divide, gather, n_below
from service.stream.tick_grid import TickGrid
from service.wire_protocol import SensorRequest

_Number = TypeVar("_Number", bound=np.generic)

MAX_COUNT: Final = 255
"""Events of one input in one tick beyond this many saturate."""


class TickBlock(NamedTuple):
    """Inputs of consecutive ticks of one session, sparse, tick after tick.

    Attributes:
        sizes: ``[T]`` int64, how many non-zero inputs each tick has.
        channels: ``[E]`` int32, rising within a tick, each at most once a tick.
        values: ``[E]`` float32, events of the channel in the tick.
    """

    sizes: NDArray[np.int64]
    channels: NDArray[np.int32]
    values: NDArray[np.float32]

    @property
    def n_ticks(self) -> int:
        """How many ticks the block has."""
        return len(self.sizes)

    @property
    def n_inputs(self) -> int:
        """How many non-zero inputs the block has."""
        return len(self.channels)

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where ticks begin, ``[T + 1]``; inputs of tick k are ``offsets[k]:offsets[k + 1]``."""
        offsets = np.zeros(self.n_ticks + 1, np.int64)
        self.sizes.cumsum(out=offsets[1:])
        return offsets

    def cut(self, start: int, stop: int) -> "TickBlock":
        """Return ticks ``start`` to ``stop`` (exclusive) as views of this block."""
        if stop - start == self.n_ticks:
            return self
        sizes = self.sizes[start:stop]
        first = int(self.sizes[:start].sum())
        last = first + int(sizes.sum())
        return TickBlock(sizes, self.channels[first:last], self.values[first:last])

    @staticmethod
    def join(blocks: Sequence["TickBlock"]) -> "TickBlock":
        """Return one block with the ticks of all ``blocks``, in their order; of one, itself."""
        if len(blocks) == 1:
            return blocks[0]
        if not blocks:
            return NO_TICKS
        sizes, channels, values = zip(*blocks, strict=True)
        return TickBlock(
            _in_a_row(sizes, np.int64), _in_a_row(channels, np.int32), _in_a_row(values, np.float32)
        )

    def capture(self) -> Tree:
        """Return the block as a tree."""
        channels = self.channels.astype(np.int64)
        return {"offsets": self.offsets, "channels": channels, "values": self.values}

    @staticmethod
    def restored(tree: Tree) -> "TickBlock":
        """Return the block that `capture` described."""
        return TickBlock(
            np.diff(array(tree, "offsets", np.int64)),
            array(tree, "channels", np.int64).astype(np.int32),
            array(tree, "values", np.float32),
        )


NO_TICKS: Final = TickBlock(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))
"""A block of nothing."""


def _in_a_row(pieces: Sequence[NDArray[_Number]], kind: type[_Number]) -> NDArray[_Number]:
    """Return vectors one after the other, as `numpy.concatenate` does.

    It lets go of the interpreter lock meanwhile, and may wait for it much longer than this takes.
    """
    # an array is a buffer, which its types tell from Python 3.12 on only
    return np.frombuffer(bytearray().join(cast("Sequence[bytes]", pieces)), kind)


class BinnedFrame(NamedTuple):
    """What one frame did to the segment.

    Attributes:
        block: The ticks it completed, possibly none.
        n_late: Events dropped because their tick may be complete.
        n_outside: Events dropped because they lie before the segment's begin.
        n_saturated: Events beyond ``MAX_COUNT`` in the completed ticks.
    """

    block: TickBlock
    n_late: int
    n_outside: int
    n_saturated: int


def address_to_input(sensor: SensorRequest, addresses: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Map wire addresses to network inputs, pooling n x n pixels of a camera into one.

    Args:
        sensor: The session's sensor.
        addresses: ``[E]``, all below ``sensor.n_addresses``. Left untouched.

    Returns:
        Inputs ``[E]`` in ``[0, sensor.n_inputs)``.
    """
    wide: NDArray[np.int64] = addresses.astype(np.int64)
    if sensor.kind != "dvs" or sensor.pool == 1:
        return wide
    rows, x = np.divmod(wide, sensor.width)
    polarity, y = np.divmod(rows, sensor.height)
    row = polarity * sensor.pooled_height + y // sensor.pool
    pooled: NDArray[np.int64] = row * sensor.pooled_width + x // sensor.pool
    return pooled


class EventBinner:
    """The ticks of one grid: complete ones leave, the open ones wait here.

    Memory is bounded: waiting events are held as counts per (tick, input), and no more than
    ``late_us / tick_us + 2`` ticks wait at a time.
    """

    def __init__(self, grid: TickGrid, *, late_us: int, n_inputs: int) -> None:
        self.grid = grid
        self._late_us = late_us
        self._n_inputs = n_inputs
        self.n_complete = 0
        self._horizon_us: int | None = None
        # waiting events as sorted keys (tick * n_inputs + input) and their counts
        self._keys: NDArray[np.int64] = np.empty(0, np.int64)
        self._counts: NDArray[np.int64] = np.empty(0, np.int64)

    @property
    def horizon_us(self) -> int | None:
        """How far the clock has come; None before the first frame."""
        return self._horizon_us

    def ticks_completed_by(self, horizon_us: int) -> int:
        """Return how many further ticks would be complete if the horizon moved to this time."""
        if self._horizon_us is not None:
            horizon_us = max(horizon_us, self._horizon_us)
        return max(0, self.grid.n_ended_by(horizon_us - self._late_us) - self.n_complete)

    @property
    def due_us(self) -> int:
        """Events before this time are dropped: their tick may be complete, or they lie outside."""
        if self._horizon_us is None:
            return self.grid.begin_us
        return max(self.grid.begin_us, self._horizon_us - self._late_us)

    def add(
        self, times_us: NDArray[np.int64], inputs: NDArray[np.int64], horizon_us: int
    ) -> BinnedFrame:
        """Bin the events of one frame, in any order, and move the horizon.

        Args:
            times_us: ``[E]`` microseconds of sensor time, at least one.
            inputs: ``[E]``, each in ``[0, n_inputs)``.
            horizon_us: The greatest of the times, or a later one by which all events have come.
        """
        due_us, begin_us = self.due_us, self.grid.begin_us
        n_outside = n_late = 0
        if int(times_us.min()) < due_us:
            n_outside = int(np.count_nonzero(times_us < begin_us))
            kept = times_us >= due_us
            n_late = len(times_us) - n_outside - int(np.count_nonzero(kept))
            times_us, inputs = times_us[kept], inputs[kept]
        self._wait(times_us, inputs)
        block, n_saturated = self._settle(horizon_us)
        return BinnedFrame(block, n_late, n_outside, n_saturated)

    def move_horizon(self, time_us: int) -> BinnedFrame:
        """Take a frame without events: everything before ``time_us`` (less the grace) is here."""
        block, n_saturated = self._settle(time_us)
        return BinnedFrame(block, 0, 0, n_saturated)

    def ticks_until(self, end_us: int) -> int:
        """Return how many further ticks a segment's end at ``end_us`` would complete."""
        return max(0, self.grid.n_begun_before(end_us) - self.n_complete)

    def has_events_in(self, start: int, stop: int) -> bool:
        """Tell whether an event of the open ticks ``start`` to ``stop`` (exclusive) waits."""
        low, high = np.searchsorted(self._keys, [start * self._n_inputs, stop * self._n_inputs])
        return bool(low < high)

    def end(self, end_us: int) -> BinnedFrame:
        """Complete every tick that begins before ``end_us``; a partial last one counts as a tick.

        Events of ticks beyond the last lie outside the segment. Ticks that are complete stay so,
        even if they lie beyond the end.
        """
        tick, _ = np.divmod(self._keys, self._n_inputs)
        n_complete = self.n_complete + self.ticks_until(end_us)
        n_outside = int(self._counts[tick >= n_complete].sum())
        block, n_saturated = self._take(n_complete)
        return BinnedFrame(block, 0, n_outside, n_saturated)

    def capture(self) -> Tree:
        """Return the open ticks; what is captured is never written again."""
        return {
            "n_complete": self.n_complete,
            "horizon_us": self._horizon_us,
            "keys": self._keys,
            "counts": self._counts,
        }

    def restore(self, tree: Tree) -> None:
        """Go on from what `capture` returned."""
        self.n_complete = whole(tree, "n_complete")
        self._horizon_us = whole_or_none(tree, "horizon_us")
        self._keys, self._counts = array(tree, "keys", np.int64), array(tree, "counts", np.int64)

    def _wait(self, times_us: NDArray[np.int64], inputs: NDArray[np.int64]) -> None:
        """Add events, none late and none before the begin, to those that wait."""
        grid, n_most = self.grid, len(self._keys) + len(times_us)
        keys, counts = np.empty(n_most, np.int64), np.empty(n_most, np.int64)
        n_keys = gather(
            self._keys,
            self._counts,
            times_us,
            inputs,
            grid.begin_us,
            grid.tick_us,
            grid.window_us or 0,
            grid.window_ticks or 0,
            self._n_inputs,
            keys,
            counts,
        )
        self._keys, self._counts = keys[:n_keys], counts[:n_keys]

    def _settle(self, horizon_us: int) -> tuple[TickBlock, int]:
        n_complete = self.n_complete + self.ticks_completed_by(horizon_us)
        if horizon_us >= self.grid.begin_us:
            self._horizon_us = max(horizon_us, self._horizon_us or 0)
        return self._take(n_complete)

    def _take(self, n_complete: int) -> tuple[TickBlock, int]:
        """Take out the events of the ticks below ``n_complete``, as a block."""
        if n_complete == self.n_complete:
            return NO_TICKS, 0
        n_taken = n_below(self._keys, n_complete * self._n_inputs)
        sizes = np.empty(n_complete - self.n_complete, np.int64)
        channels, values = np.empty(n_taken, np.int32), np.empty(n_taken, np.float32)
        n_saturated = divide(
            self._keys[:n_taken],
            self._counts[:n_taken],
            self.n_complete,
            self._n_inputs,
            MAX_COUNT,
            sizes,
            channels,
            values,
        )
        self._keys, self._counts = self._keys[n_taken:], self._counts[n_taken:]
        self.n_complete = n_complete
        return TickBlock(sizes, channels, values), n_saturated
