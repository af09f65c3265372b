"""Backends that advance sessions: what each promises, and the choice of one."""

from importlib import import_module
from typing import Protocol

from tclif_core.batch import AdvanceResult, Batch
from tclif_core.kernels.reference import ReferenceKernel
from tclif_core.slot_bank import SlotBank

KERNEL_NAMES = ("cpu", "reference")


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

        The learnt ones of a layer's four numbers are kept inside their bounds.

        Returns:
            False if the gradient, or with per-tick updates a weight, is not finite: then no
            parameter and no optimiser state has changed.
        """
        ...

    def warm_up(self) -> None:
        """Compile all that serving needs; a second call does nothing."""
        ...


def choose_kernel(name: str, bank: SlotBank) -> Kernel:
    """Return the backend of that name for a bank.

    Raises:
        ValueError: There is no such backend, or it can't compute in the bank's type.
        ImportError: A package that it needs is not installed.
    """
    if name == "reference":
        return ReferenceKernel(bank)
    if name != "cpu":
        raise ValueError(f"kernel must be one of {', '.join(KERNEL_NAMES)}, got {name!r}")
    try:
        module = import_module("tclif_core.kernels.cpu")
    except ModuleNotFoundError as error:
        raise ImportError(f"kernel 'cpu' needs the package {error.name!r}: install it") from error
    kernel: Kernel = module.CpuKernel(bank)
    return kernel
