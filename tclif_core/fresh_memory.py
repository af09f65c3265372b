"""Memory that a bank keeps ready and nobody uses yet."""

import math

import numpy as np
import torch

_LINE_BYTES = 64


def fresh_zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Return zeros, which in main memory take none before they are written.

    The system hands pages out at the first write to each of them; torch would write all.
    """
    if device.type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    n_bytes = math.prod(shape) * dtype.itemsize
    raw = np.zeros(n_bytes + _LINE_BYTES, np.uint8)
    # rows begin where lines of the cache do, as torch has it
    begin = -raw.ctypes.data % _LINE_BYTES
    return torch.from_numpy(raw[begin : begin + n_bytes]).view(dtype).view(shape)
