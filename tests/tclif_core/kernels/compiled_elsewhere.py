"""Compile the CUDA programs for a GPU that is not there, with all options: ``python -m … 90``.

Prints the header of the PTX, which names the target. In a process of its own, for Triton must not
be interpreting.
"""

import sys

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

from tclif_core.kernels.cuda_compilation import LAUNCH
from tclif_core.kernels.cuda_plan import make_plan
from tclif_core.kernels.cuda_ticks import advance_rows
from tclif_core.kernels.cuda_update_plan import make_rules, make_update_plan
from tclif_core.kernels.cuda_updates import update_rows
from tclif_core.kernels.cuda_values import BatchRows, Rows
from tclif_core.slot_bank import SlotBank
from tests.tclif_core.streams import TICK_RULES, small_network


class AbsentDevice:
    """What Triton asks of a driver before it compiles."""

    def __init__(self, capability: int) -> None:
        self._capability = capability

    def get_current_target(self) -> GPUTarget:
        """Say which GPU to compile for."""
        return GPUTarget("cuda", self._capability, 32)

    def get_current_device(self) -> int:
        """Say that there is one."""
        return 0

    def get_current_stream(self, _device: int) -> int:
        """Say that it has one."""
        return 0


def main(capability: int) -> None:
    """Compile both programs, and print what they are compiled for."""
    driver.set_active(AbsentDevice(capability))
    bank = SlotBank(small_network(hidden=(5, 7)), TICK_RULES["preconditioned, all else"])
    integers, floats = torch.zeros(16, dtype=torch.int64), torch.zeros(16)
    small = integers.int()
    rows = Rows(*(getattr(bank, name) for name in Rows._fields))
    update = update_rows.warmup(
        rows, make_rules(bank), integers, small, make_update_plan(bank), grid=(1,), **LAUNCH
    )
    assert update.asm["cubin"], "machine code is made"
    compiled = advance_rows.warmup(
        rows,
        BatchRows(
            **dict.fromkeys(BatchRows._fields, integers)
            | {"channels": small, "event_values": floats, "target_values": floats}
        ),
        floats,
        floats,
        small,
        make_plan(bank),
        1,
        1,
        grid=(1,),
        **LAUNCH,
    )
    assert compiled.asm["cubin"], "machine code is made"
    sys.stdout.write(compiled.asm["ptx"][:400])


if __name__ == "__main__":
    main(int(sys.argv[1]))
