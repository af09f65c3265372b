"""Backends that advance sessions: what each promises, and the choice of one."""

import logging
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from tclif_core.batch import AdvanceResult, Batch
from tclif_core.kernels.reference import ReferenceKernel
from tclif_core.slot_bank import SlotBank

_log = logging.getLogger(__name__)

KERNEL_NAMES = ("cpu", "cuda", "reference")


class Kernel(Protocol):
    """Advances some slots of one bank by consecutive ticks.

    Every backend promises:
      * slots that are not listed stay bit for bit the same;
      * a tick's ``logits`` are those of the weights before that tick's update, and all signals of
        a tick use those weights too;
      * a tick whose target is -1 moves state and eligibility but neither weights nor gradients;
      * a row's numbers depend on nothing but its own slot and input, bit for bit;
      * how a row's ticks are cut into calls changes no bit;
      * every element of the result is written; scratch memory may hold anything before.
    """

    def advance(self, batch: Batch) -> AdvanceResult:
        """Infer, and learn where a row learns and a target is known; the bank is written in place.

        Args:
            batch: Checked against the bank already.
        """
        ...

    def apply_update(self, slot: int) -> bool:
        """Take an optimiser step from a slot's accumulated gradient, and clear the gradient.

        See `segment_update.apply_update`.
        """
        ...

    def apply_updates(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Do the same for some distinct slots; return what it returns for each ``[S]``."""
        ...

    def warm_up(self) -> None:
        """Compile all that serving needs; a second call does nothing."""
        ...


def has_device(name: str) -> bool:
    """Tell whether this machine has what a backend computes on; only ``cuda`` asks for anything.

    It needs Triton, and a CUDA device or Triton's interpreter.
    """
    if name != "cuda":
        return True
    if find_spec("triton") is None:
        return False
    return import_module("tclif_core.kernels.cuda_compilation").find_device() is not None


def choose_kernel(name: str, bank: SlotBank) -> tuple[str, Kernel]:
    """Return the backend of that name for a bank, or ``reference`` where it can't serve the bank.

    ``auto`` is ``cuda`` where there are a CUDA device and Triton, else ``cpu``.

    Returns:
        The name of the backend chosen, and the backend.

    Raises:
        ValueError: There is no such backend, or no device for it.
        ImportError: A package that it needs is not installed.
    """
    if name == "auto":
        # the interpreter is for those who ask for it
        name = "cuda" if torch.cuda.is_available() and has_device("cuda") else "cpu"
    if name == "reference":
        return name, ReferenceKernel(bank)
    if name not in KERNEL_NAMES:
        raise ValueError(f"kernel must be one of auto, {', '.join(KERNEL_NAMES)}, got {name!r}")
    try:
        module = import_module(f"tclif_core.kernels.{name}")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"kernel {name!r} needs the package {error.name!r}: install it"
        ) from error
    missing: str | None = module.what_is_missing(bank)
    if missing is not None:
        _log.warning("kernel %r does not compute %s: 'reference' does it, slowly", name, missing)
        return "reference", ReferenceKernel(bank)
    kernel: Kernel = module.CpuKernel(bank) if name == "cpu" else module.CudaKernel(bank)
    return name, kernel
