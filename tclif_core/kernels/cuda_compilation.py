"""How the programs of the CUDA backend are compiled, and what they may be asked to run on.

Triton compiles for NVIDIA's GPUs, or with ``TRITON_INTERPRET=1`` in the environment before this
module is imported runs the same programs in NumPy, slowly: that is how they are tested where there
is no GPU.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
import triton
from triton import knobs

_Function = TypeVar("_Function", bound=Callable[..., Any])

IS_INTERPRETED = bool(knobs.runtime.interpret)
"""Whether programs run in NumPy."""

LAUNCH = {"num_warps": 4, "num_stages": 1, "enable_fp_fusion": True}
"""How programs are compiled: threads in fours of 32, loads in their order, multiply-adds fused."""


def part(function: _Function) -> _Function:
    """Compile a function into the programs that call it."""
    compiled: _Function = triton.jit(function)
    return compiled


def program(
    *, varying: tuple[str, ...], unaligned: tuple[str, ...]
) -> Callable[[Callable[..., None]], Any]:
    """Compile a function that is launched, ``function[grid](...)``.

    Args:
        varying: Numbers that differ from call to call. Compiled anew for some of them, sums would
            be taken in another order, and how ticks are cut into calls would change bits.
        unaligned: Memory that may begin anywhere, for the same reason.
    """

    def compiled(function: Callable[..., None]) -> Any:  # noqa: ANN401 - Triton has no types
        return triton.jit(
            function,
            do_not_specialize=varying,
            do_not_specialize_on_alignment=unaligned,
        )

    return compiled


def find_device() -> torch.device | None:
    """Return where programs can run: a GPU, or the processor where they are interpreted."""
    if IS_INTERPRETED:
        return torch.device("cpu")
    return torch.device("cuda") if torch.cuda.is_available() else None
