"""What every test gets: the same random numbers each time."""

import random

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def _seeds() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - libraries may still draw from the old generator
    torch.manual_seed(0)
