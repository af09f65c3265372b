"""What the tests of several rooms share."""

import pytest
from hypothesis import settings

from tests.service.fake_clock import FakeClock

# examples are judged by what they show, never by how long a busy machine takes for them
settings.register_profile("untimed", deadline=None, derandomize=True)
settings.load_profile("untimed")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
