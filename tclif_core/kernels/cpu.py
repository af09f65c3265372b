"""Backend for the CPU: compiled loops (`compiled_ticks`, `compiled_updates`) on the bank's rows.

Rows are walked one after the other on the caller's thread, which lets go of the interpreter lock
meanwhile.
"""

from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from tclif_core.batch import AdvanceResult, Batch, EventBlock
from tclif_core.hyperparameters import LearningSpec, NetworkSpec
from tclif_core.kernels import compiled_updates as updates
from tclif_core.kernels.compiled_ticks import advance_rows
from tclif_core.kernels.cpu_plan import make_plan, make_rows, make_workspace
from tclif_core.optimizers import LARGEST_GRADIENT
from tclif_core.row_layout import scalars_offset
from tclif_core.slot_bank import N_PENDING, N_UPDATES, SlotBank

_Number = TypeVar("_Number", bound=np.generic)
_LARGEST_GRADIENT = np.float32(LARGEST_GRADIENT)
_OPTIMIZERS = (
    LearningSpec(optimizer="sgd"),
    LearningSpec(optimizer="rmsprop"),
    LearningSpec(optimizer="adam"),
)
_LARGEST_WEIGHT = np.finfo(np.float32).max


class CpuKernel:
    """Backend compiled with Numba; see `kernels.Kernel` for what it promises."""

    def __init__(self, bank: SlotBank) -> None:
        """Lay out the loops for a bank.

        Raises:
            ValueError: The bank's numbers are not float32.
        """
        if bank.dtype != torch.float32:
            raise ValueError(f"kernel 'cpu' computes in torch.float32, got {bank.dtype}")
        self._bank = bank
        self._plan = make_plan(bank)
        self._rows = make_rows(bank)
        self._work = make_workspace(bank, self._plan)

    def advance(self, batch: Batch) -> AdvanceResult:
        """See `kernels.Kernel.advance`."""
        bank, block = self._bank, batch.block
        result = AdvanceResult.allocate(block.n_ticks, bank.network.classes, np.float32)
        if len(self._rows.rates) != bank.capacity:
            # the bank has grown: its rows lie elsewhere now
            self._rows = make_rows(bank)
        advance_rows(
            self._plan,
            self._rows,
            self._work,
            _plain(batch.slots, np.int64),
            _plain(batch.strands, np.int64),
            _plain(batch.learn, np.bool_),
            _plain(block.row_ticks, np.int64),
            _plain(block.tick_events, np.int64),
            _plain(block.channels, np.int32),
            _plain(block.values, np.float32),
            _plain(batch.targets, np.int64),
            result.logits,
            result.mean_probabilities,
            result.loss,
        )
        return result

    def apply_update(self, slot: int) -> bool:
        """See `kernels.Kernel.apply_update`."""
        bank = self._bank
        parameters, gradient = bank.parameters[slot].numpy(), bank.gradients[slot].numpy()
        finite = bool(updates.is_below(gradient, _LARGEST_GRADIENT))
        if finite and bank.learning.update == "tick":
            finite = bool(updates.is_below(parameters, _LARGEST_WEIGHT))
        if finite:
            bank.updates[slot, N_UPDATES] += 1
            self._step(slot, parameters[bank.accumulated_from :], gradient)
            tail = bank.parameters[slot, scalars_offset(bank.parameter_layout) :]
            tail.clamp_(bank.scalar_bounds[0], bank.scalar_bounds[1])
        else:
            gradient.fill(0.0)
        bank.updates[slot, N_PENDING] = 0
        return finite

    def warm_up(self) -> None:
        """Compile, or load from disk, what any bank needs, by running it on banks of its own."""
        # compiled code knows types, not sizes: the smallest network warms up for all
        smallest = NetworkSpec(inputs=1, hidden=(1,), classes=2)
        for learning in _OPTIMIZERS:
            bank = SlotBank(smallest, learning)
            slot, kernel = bank.open(seed=0, rate=0.0), CpuKernel(bank)
            zero = np.zeros(1, np.int64)
            block = EventBlock.from_dense([np.ones((1, 1))])
            kernel.advance(Batch(np.array([slot]), zero, np.array([True]), block, zero))
            kernel.apply_update(slot)

    def _step(
        self, slot: int, parameters: NDArray[np.float32], gradient: NDArray[np.float32]
    ) -> None:
        bank, learning = self._bank, self._bank.learning
        rate, epsilon = np.float32(float(bank.rates[slot])), np.float32(learning.epsilon)
        first, second = bank.first_moment[slot].numpy(), bank.second_moment[slot].numpy()
        if learning.optimizer == "sgd":
            updates.step_sgd(parameters, gradient, rate)
            return
        if learning.optimizer == "rmsprop":
            keep, one = np.float32(learning.square_decay), np.float32(1.0)
            updates.step_rmsprop(parameters, gradient, second, rate, keep, epsilon, one)
            return
        n_updates = int(bank.updates[slot, N_UPDATES])
        keep = np.float32(learning.second_moment_decay)
        square_scale = np.float32(1.0 / (1.0 - learning.second_moment_decay**n_updates))
        if not learning.keeps_first_moment:
            updates.step_rmsprop(parameters, gradient, second, rate, keep, epsilon, square_scale)
            return
        updates.step_adam(
            parameters,
            gradient,
            first,
            second,
            rate,
            np.float32(learning.first_moment_decay),
            keep,
            epsilon,
            np.float32(1.0 / (1.0 - learning.first_moment_decay**n_updates)),
            square_scale,
        )


def _plain(array: NDArray[Any], dtype: type[_Number]) -> NDArray[_Number]:
    """Return the array itself if it is contiguous, writeable and of that type, else a copy.

    Compiled code is made for one memory layout; another one would be compiled for while serving.
    """
    if array.dtype == dtype and array.flags.c_contiguous and array.flags.writeable:
        return array
    return np.array(array, dtype, order="C")
