"""What a process holds at this moment: arrays that an object reaches, pages it has in memory."""

import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch


def reachable_bytes(thing: object) -> int:
    """Return how much memory the arrays and tensors cover that can be reached from an object.

    Attributes, slots too, dictionaries, lists, tuples and sets are followed; memory that several
    share counts once.
    """
    spans = []
    for array in _arrays(thing, set()):
        start = array.data_ptr() if isinstance(array, torch.Tensor) else array.ctypes.data
        spans.append((start, start + array.nbytes))
    covered, end = 0, 0
    for low, high in sorted(spans):
        covered += max(high, end) - max(low, end)
        end = max(end, high)
    return covered


def _arrays(thing: object, seen: set[int]) -> Iterator[torch.Tensor | np.ndarray]:
    """Yield every tensor and array that can be reached from an object, each object once."""
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, torch.Tensor | np.ndarray):
        yield thing
        return
    inside: list[object] = list(getattr(thing, "__dict__", {}).values())
    slots = (slot for kind in type(thing).__mro__ for slot in getattr(kind, "__slots__", ()))
    inside += [getattr(thing, slot, None) for slot in slots]
    if isinstance(thing, dict):
        inside += thing.values()
    elif isinstance(thing, list | tuple | set):
        inside += thing
    for each in inside:
        yield from _arrays(each, seen)


def resident_bytes(pid: int | str = "self") -> int:
    """Return what a process has in memory now; Linux only."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def open_files(pid: int | str = "self") -> int:
    """Return how many files and sockets a process has open now; Linux only."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def forget_peak() -> None:
    """Let `peak_resident_bytes` start anew from what the process has in memory now; Linux only."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_resident_bytes() -> int:
    """Return the most that the process had in memory since it began or `forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024
