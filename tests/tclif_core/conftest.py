"""What tests of the core get: backends one by one, and memory that shows unwritten elements."""

from typing import Any

import numpy as np
import pytest
import torch

_CUDA = [pytest.param("cuda", marks=pytest.mark.gpu)] if torch.cuda.is_available() else []


@pytest.fixture(params=["reference", "cpu", *_CUDA])
def kernel(request: pytest.FixtureRequest) -> str:
    """Name of a backend; a test that takes it runs once for each."""
    return str(request.param)


@pytest.fixture(autouse=True)
def _poisoned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill fresh memory with NaN (integers: a huge negative one), so that reading it shows."""
    numpy_empty, torch_empty = np.empty, torch.empty

    def poisoned_array(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - passes on what came
        array = numpy_empty(*args, **kwargs)
        if array.dtype.kind in "fi":
            array.fill(np.nan if array.dtype.kind == "f" else np.iinfo(array.dtype).min)
        return array

    def poisoned_tensor(*args: Any, **kwargs: Any) -> torch.Tensor:  # noqa: ANN401 - likewise
        tensor = torch_empty(*args, **kwargs)
        if tensor.is_floating_point():
            return tensor.fill_(float("nan"))
        return tensor if tensor.dtype == torch.bool else tensor.fill_(torch.iinfo(tensor.dtype).min)

    monkeypatch.setattr(np, "empty", poisoned_array)
    monkeypatch.setattr(torch, "empty", poisoned_tensor)
