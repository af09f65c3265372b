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
from tclif_core.kernels.compiled_ticks import advance_rows
from tclif_core.kernels.compiled_updates import update_rows
from tclif_core.kernels.compiled_workbench import Workbench, lay_out
from tclif_core.kernels.cpu_plan import make_plan, make_rows, make_workspace
from tclif_core.kernels.cpu_update_plan import make_rules
from tclif_core.slot_bank import SlotBank

_Number = TypeVar("_Number", bound=np.generic)
# made once: each call compares eight arrays with them
_INT64, _INT32 = np.dtype(np.int64), np.dtype(np.int32)
_FLOAT32, _BOOL = np.dtype(np.float32), np.dtype(np.bool_)


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
        advance_rows(
            self._laid_out(),
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
        self._bench = lay_out(plan, make_rows(bank), make_workspace(bank, plan), make_rules(bank))
        self._capacity = bank.capacity

    def _laid_out(self) -> Workbench:
        if self._capacity != self._bank.capacity:
            # the bank has grown: its rows lie elsewhere now
            self._lay_out()
        return self._bench

    def apply_update(self, slot: int) -> bool:
        """See `kernels.Kernel.apply_update`."""
        return bool(self.apply_updates(np.array([slot], np.int64))[0])

    def apply_updates(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        """See `kernels.Kernel.apply_updates`."""
        usable = np.zeros(len(slots), np.bool_)
        update_rows(self._laid_out(), _plain(slots, _INT64), usable)
        return usable

    def warm_up(self) -> None:
        """Compile, or load from disk, what any bank needs, by running it on a bank of its own."""
        # compiled code knows types, not sizes: the smallest network warms up for all
        bank = SlotBank(NetworkSpec(inputs=1, hidden=(1,), classes=2), LearningSpec())
        slot, kernel = bank.open(seed=0, rate=0.0), CpuKernel(bank)
        zero = np.zeros(1, np.int64)
        block = EventBlock.from_dense([np.ones((1, 1))])
        batch = Batch(np.array([slot]), zero, np.array([True]), block, zero)
        batch.check_ranges(1, 2, "cross_entropy")
        kernel.advance(batch)
        kernel.apply_update(slot)


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
    if array.flags.carray and array.dtype == dtype:
        return array
    return np.array(array, dtype, order="C")
