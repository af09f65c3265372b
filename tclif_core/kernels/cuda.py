"""Backend for NVIDIA's GPUs: programs in Triton (`cuda_ticks`) on the bank's rows.

The rows live on the device. A call sends its batch there, launches one grid of programs, and waits
for the answers; the interpreter lock is free meanwhile.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tclif_core.batch import AdvanceResult, Batch, EventBlock
from tclif_core.kernels.cuda_compilation import LAUNCH, find_device
from tclif_core.kernels.cuda_plan import MOST_LAYERS, MOST_LINES, MOST_NEURONS, make_plan
from tclif_core.kernels.cuda_ticks import advance_rows
from tclif_core.kernels.cuda_update_plan import make_rules, make_update_plan
from tclif_core.kernels.cuda_updates import update_rows
from tclif_core.kernels.cuda_values import BatchRows, Rows
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
        self._update_plan, self._rules = make_update_plan(bank), make_rules(bank)
        self._most_programs = _PROGRAMS_INTERPRETED
        if self._device.type == "cuda":
            processors = torch.cuda.get_device_properties(self._device).multi_processor_count
            self._most_programs = processors * _PROGRAMS_A_PROCESSOR
        self._floats, self._integers = self._scratch(0)

    def advance(self, batch: Batch) -> AdvanceResult:
        """See `kernels.Kernel.advance`."""
        n_ticks, n_classes = batch.block.n_ticks, self._bank.network.classes
        answers = self.launch(self.send(batch), batch.block.n_rows, n_ticks).cpu().numpy()
        split = n_ticks * n_classes
        return AdvanceResult(
            answers[:split].reshape(n_ticks, n_classes),
            answers[split : 2 * split].reshape(n_ticks, n_classes),
            answers[2 * split :],
        )

    def send(self, batch: Batch) -> BatchRows:
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

    def launch(self, sent: BatchRows, n_rows: int, n_ticks: int) -> torch.Tensor:
        """Start the programs for a batch that was sent; return what they will have answered.

        Args:
            sent: The batch.
            n_rows: S.
            n_ticks: B.

        Returns:
            Logits ``[B, C]``, mean probabilities ``[B, C]`` and losses ``[B]``, in one vector.
        """
        n_classes = self._bank.network.classes
        result = torch.empty(n_ticks * (2 * n_classes + 1), device=self._device)
        n_programs = min(n_rows, self._most_programs)
        if len(self._floats) < n_programs:
            self._floats, self._integers = self._scratch(n_programs)
        advance_rows[(n_programs,)](
            self._rows(),
            sent,
            result,
            self._floats,
            self._integers,
            self._plan,
            n_rows,
            n_ticks,
            **LAUNCH,
        )
        return result

    def apply_update(self, slot: int) -> bool:
        """See `kernels.Kernel.apply_update`."""
        return bool(self.apply_updates(np.array([slot]))[0])

    def apply_updates(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        """See `kernels.Kernel.apply_updates`."""
        usable = torch.empty(len(slots), dtype=torch.int32, device=self._device)
        update_rows[(len(slots),)](
            self._rows(),
            self._rules,
            self._on_device(slots),
            usable,
            self._update_plan,
            **LAUNCH,
        )
        return usable.cpu().numpy().astype(np.bool_)

    def warm_up(self) -> None:
        """Compile, or load from disk, the programs of this bank's kind; they serve no other."""
        # no program is launched for nobody
        none = np.zeros(0, np.int64)
        self.advance(Batch(none, none, np.zeros(0, np.bool_), EventBlock.from_dense([]), none))
        self.apply_updates(none)

    def _rows(self) -> Rows:
        """Return the bank's rows, where they lie since it grew last."""
        return Rows(*(getattr(self._bank, name) for name in Rows._fields))

    def _scratch(self, n_programs: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Make room for so many programs; nothing in it needs a value."""
        return (
            torch.empty((n_programs, self._plan.n_floats.value), device=self._device),
            torch.empty(
                (n_programs, self._plan.n_integers.value), dtype=torch.int32, device=self._device
            ),
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
        f"more than {MOST_LAYERS} hidden layers": len(network.hidden) > MOST_LAYERS,
        f"more than {MOST_NEURONS} neurons or classes in a layer": widest > MOST_NEURONS,
        f"more than {MOST_LINES} input channels": lines > MOST_LINES,
    }
    return next((name for name, is_asked in asked.items() if is_asked), None)
