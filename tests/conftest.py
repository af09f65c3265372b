"""What every test gets: the same random numbers each time, and a place to run CUDA programs."""

import os
import random

import numpy as np
import pytest
import torch

# before Triton is imported anywhere: without a GPU its interpreter runs the programs
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture(autouse=True)
def _seeds() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - libraries may still draw from the old generator
    torch.manual_seed(0)
