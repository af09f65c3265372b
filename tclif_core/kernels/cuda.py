"""Backend for NVIDIA's GPUs: programs in Triton (`cuda_ticks`) on the bank's rows.

The rows live on the device. A call sends its batch there, launches one grid of programs, and waits
for the answers; the interpreter lock is free meanwhile.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tclif_core import segment_update
from tclif_core.batch import AdvanceResult, Batch, EventBlock
from tclif_core.kernels.cuda_compilation import LAUNCH, find_device
from tclif_core.kernels.cuda_plan import MOST_LINES, MOST_NEURONS, BatchRows, Rows, make_plan
from tclif_core.kernels.cuda_ticks import advance_rows
from tclif_core.optimizers import PlainArithmetic
from tclif_core.slot_bank import SlotBank

_PROGRAMS_A_PROCESSOR = 4
_PROGRAMS_INTERPRETED = 2
"""Fewer than the rows of a test, so that programs take several."""


class CudaKernel:
    """Backend compiled with Triton; see `kernels.Kernel` for what it promises."""

    def __init__(self, bank: SlotBank) -> None:
        """Move a bank, of which nothing is missing here, to the device.

        Raises:
            ValueError: There is no device.
        """
        self._bank, self._device = bank, device()
        bank.move_to(self._device)
        self._plan = make_plan(bank)
        self._most_programs = _PROGRAMS_INTERPRETED
        if self._device.type == "cuda":
            processors = torch.cuda.get_device_properties(self._device).multi_processor_count
            self._most_programs = processors * _PROGRAMS_A_PROCESSOR
        self._floats, self._integers = self._scratch(0)

    def advance(self, batch: Batch) -> AdvanceResult:
        """See `kernels.Kernel.advance`."""
        block, n_classes = batch.block, self._bank.network.classes
        n_rows, n_ticks = block.n_rows, block.n_ticks
        result = torch.empty(n_ticks * (2 * n_classes + 1), device=self._device)
        n_programs = min(n_rows, self._most_programs)
        if len(self._floats) < n_programs:
            self._floats, self._integers = self._scratch(n_programs)
        if n_programs:
            advance_rows[(n_programs,)](
                Rows(*(getattr(self._bank, name) for name in Rows._fields)),
                self._send(batch),
                result,
                self._floats,
                self._integers,
                self._plan,
                n_rows,
                n_ticks,
                **LAUNCH,
            )
        answers = result.cpu().numpy()
        split = n_ticks * n_classes
        return AdvanceResult(
            answers[:split].reshape(n_ticks, n_classes),
            answers[split : 2 * split].reshape(n_ticks, n_classes),
            answers[2 * split :],
        )

    def apply_update(self, slot: int) -> bool:
        """See `kernels.Kernel.apply_update`."""
        return segment_update.apply_update(self._bank, slot, PlainArithmetic())

    def warm_up(self) -> None:
        """Compile, or load from disk, the program of this bank's kind; others are compiled then."""
        # a row without ticks changes nothing, whether its slot is open or not
        zero, none = np.zeros(1, np.int64), np.zeros(0, np.int64)
        block = EventBlock.from_dense([np.zeros((0, self._bank.network.inputs))])
        self.advance(Batch(zero, zero, np.array([False]), block, none))

    def _scratch(self, n_programs: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Make room for so many programs; nothing in it needs a value."""
        return (
            torch.empty((n_programs, self._plan.n_floats.value), device=self._device),
            torch.empty(
                (n_programs, self._plan.n_integers.value), dtype=torch.int32, device=self._device
            ),
        )

    def _send(self, batch: Batch) -> BatchRows:
        """Copy what comes in to the device, integers of one type together."""
        block = batch.block
        pieces = (
            *(batch.slots, batch.strands, batch.learn),
            *(block.row_ticks, block.tick_events, batch.labelled),
        )
        integers = self._on_device(np.concatenate([piece.astype(np.int64) for piece in pieces]))
        ends = np.cumsum([0, *(len(piece) for piece in pieces)])
        slots, strands, learn, row_ticks, tick_events, labels = (
            integers[start:stop] for start, stop in pairwise(ends)
        )
        target_values = batch.targets if batch.targets.ndim > 1 else np.zeros(0)
        return BatchRows(
            slots,
            strands,
            learn,
            row_ticks,
            tick_events,
            labels,
            self._on_device(block.channels),
            self._on_device(block.values.astype(np.float32)),
            self._on_device(target_values.astype(np.float32)),
        )

    def _on_device(self, array: NDArray[Any]) -> torch.Tensor:
        # torch warns of arrays that it may not write
        writeable = array if array.flags.writeable else array.copy()
        return torch.from_numpy(writeable).to(self._device)


def device() -> torch.device:
    """Return where programs run.

    Raises:
        ValueError: There is no CUDA device, and nobody asked for the interpreter.
    """
    found = find_device()
    if found is None:
        raise ValueError(
            "kernel 'cuda' needs a CUDA device, and PyTorch sees none;"
            " with TRITON_INTERPRET=1 in the environment its programs run on the CPU, for tests"
        )
    return found


def what_is_missing(bank: SlotBank) -> str | None:
    """Name what a bank asks for and these programs do not compute; None if they compute it all."""
    network = bank.network
    widest, lines = max(*network.hidden, network.classes), network.inputs
    asked = {
        f"numbers of type {bank.dtype}": bank.dtype != torch.float32,
        "filtered hidden traces": bank.learning.filter_hidden_traces,
        f"more than {MOST_NEURONS} neurons or classes in a layer": widest > MOST_NEURONS,
        f"more than {MOST_LINES} input channels": lines > MOST_LINES,
    }
    return next((name for name, is_asked in asked.items() if is_asked), None)
