"""Backend for the CPU: compiled loops (`compiled_ticks`, `compiled_updates`) on the bank's rows.

Rows are walked one after the other on the caller's thread, which lets go of the interpreter lock
meanwhile.
"""

from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from tclif_core import segment_update
from tclif_core.batch import AdvanceResult, Batch, EventBlock
from tclif_core.hyperparameters import LearningSpec, NetworkSpec
from tclif_core.kernels import compiled_updates as updates
from tclif_core.kernels.compiled_ticks import advance_rows
from tclif_core.kernels.compiled_workbench import lay_out
from tclif_core.kernels.cpu_plan import make_plan, make_rows, make_workspace
from tclif_core.optimizers import LARGEST_GRADIENT, OptimizerRows
from tclif_core.slot_bank import SlotBank

_Number = TypeVar("_Number", bound=np.generic)
# made once: each call compares eight arrays with them
_INT64, _INT32 = np.dtype(np.int64), np.dtype(np.int32)
_FLOAT32, _BOOL = np.dtype(np.float32), np.dtype(np.bool_)
_LARGEST_GRADIENT = np.float32(LARGEST_GRADIENT)
_LARGEST_NUMBER = np.finfo(np.float32).max
# together they run through every loop; `advance_rows` is one for all
_RULES = (
    LearningSpec(optimizer="sgd", momentum=0.5, gradient_clip=1.0),
    LearningSpec(optimizer="rmsprop"),
    LearningSpec(optimizer="adam"),
)


class CpuKernel:
    """Backend compiled with Numba; see `kernels.Kernel` for what it promises."""

    def __init__(self, bank: SlotBank) -> None:
        """Lay out the loops for a bank of which nothing is missing here."""
        self._bank = bank
        self._no_values = np.zeros((0, bank.network.classes), np.float32)
        self._lay_out()

    def advance(self, batch: Batch) -> AdvanceResult:
        """See `kernels.Kernel.advance`."""
        bank, block = self._bank, batch.block
        result = AdvanceResult.allocate(block.n_ticks, bank.network.classes, np.float32)
        target_values: NDArray[Any] = batch.targets if batch.targets.ndim == 2 else self._no_values  # noqa: PLR2004 - ticks by numbers
        if self._capacity != bank.capacity:
            # the bank has grown: its rows lie elsewhere now
            self._lay_out()
        advance_rows(
            self._bench,
            _plain(batch.slots, _INT64),
            _plain(batch.strands, _INT64),
            _plain(batch.learn, _BOOL),
            _plain(block.row_ticks, _INT64),
            _plain(block.tick_events, _INT64),
            _plain(block.channels, _INT32),
            _plain(block.values, _FLOAT32),
            _plain(batch.labelled, _INT64),
            _plain(target_values, _FLOAT32),
            result.logits,
            result.mean_probabilities,
            result.loss,
        )
        return result

    def _lay_out(self) -> None:
        bank, plan = self._bank, make_plan(self._bank)
        self._bench = lay_out(plan, make_rows(bank), make_workspace(bank, plan))
        self._capacity = bank.capacity

    def apply_update(self, slot: int) -> bool:
        """See `kernels.Kernel.apply_update`."""
        return segment_update.apply_update(self._bank, slot, CompiledArithmetic())

    def apply_updates(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        """See `kernels.Kernel.apply_updates`."""
        return np.array([self.apply_update(slot) for slot in slots.tolist()], np.bool_)

    def warm_up(self) -> None:
        """Compile, or load from disk, what any bank needs, by running it on banks of its own."""
        # compiled code knows types, not sizes: the smallest network warms up for all
        smallest = NetworkSpec(inputs=1, hidden=(1,), classes=2)
        for learning in _RULES:
            bank = SlotBank(smallest, learning)
            slot, kernel = bank.open(seed=0, rate=0.0), CpuKernel(bank)
            zero = np.zeros(1, np.int64)
            block = EventBlock.from_dense([np.ones((1, 1))])
            batch = Batch(np.array([slot]), zero, np.array([True]), block, zero)
            batch.check_ranges(1, 2, "cross_entropy")
            kernel.advance(batch)
            kernel.apply_update(slot)


class CompiledArithmetic:
    """`optimizers.Arithmetic` in compiled loops."""

    def is_usable(self, gradient: torch.Tensor) -> bool:
        """See `optimizers.Arithmetic.is_usable`."""
        return bool(updates.is_below(gradient.numpy(), _LARGEST_GRADIENT))

    def is_finite(self, parameters: torch.Tensor) -> bool:
        """See `optimizers.Arithmetic.is_finite`."""
        # no float32 but an infinity lies above the largest; torch writes three rows to find out
        return bool(updates.is_below(parameters.numpy(), _LARGEST_NUMBER))

    def length(self, gradient: torch.Tensor) -> float:
        """See `optimizers.Arithmetic.length`."""
        return float(updates.length(gradient.numpy()))

    def step(
        self, learning: LearningSpec, rows: OptimizerRows, *, rate: float, n_updates: int
    ) -> None:
        """See `optimizers.Arithmetic.step`."""
        parameters, gradient, first, second = (row.numpy() for row in rows)
        rate_, epsilon = np.float32(rate), np.float32(learning.epsilon)
        if learning.optimizer != "adam" and learning.keeps_first_moment:
            velocity, momentum = first, np.float32(learning.momentum)
            updates.step_velocity(velocity, gradient, momentum)
        else:
            velocity = gradient
        if learning.optimizer == "sgd":
            updates.step_sgd(parameters, velocity, rate_)
            return
        if learning.optimizer == "rmsprop":
            keep, one = np.float32(learning.square_decay), np.float32(1.0)
            updates.step_rmsprop(parameters, gradient, velocity, second, rate_, keep, epsilon, one)
            return
        keep = np.float32(learning.second_moment_decay)
        square_scale = np.float32(1.0 / (1.0 - learning.second_moment_decay**n_updates))
        if not learning.keeps_first_moment:
            updates.step_rmsprop(
                parameters, gradient, gradient, second, rate_, keep, epsilon, square_scale
            )
            return
        updates.step_adam(
            parameters,
            gradient,
            first,
            second,
            rate_,
            np.float32(learning.first_moment_decay),
            keep,
            epsilon,
            np.float32(1.0 / (1.0 - learning.first_moment_decay**n_updates)),
            square_scale,
        )


def what_is_missing(bank: SlotBank) -> str | None:
    """Name what a bank asks for and these loops do not compute; None if they compute it all."""
    asked = {
        f"numbers of type {bank.dtype}": bank.dtype != torch.float32,
        "filtered hidden traces with per-tick updates": (
            bank.learning.filter_hidden_traces and bank.learning.update == "tick"
        ),
    }
    return next((name for name, is_asked in asked.items() if is_asked), None)


def _plain(array: NDArray[Any], dtype: np.dtype[_Number]) -> NDArray[_Number]:
    """Return the array itself if it is contiguous, writeable and of that type, else a copy.

    Compiled code is made for one memory layout; another one would be compiled for while serving.
    """
    flags = array.flags
    if array.dtype == dtype and flags.c_contiguous and flags.writeable:
        return array
    return np.array(array, dtype, order="C")
