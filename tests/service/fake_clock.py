"""Clocks for tests: one that stands still, one that moves with every look."""

from typing_extensions import override


class FakeClock:
    """Seconds that pass by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds


class RunningClock(FakeClock):
    """A clock on which each look costs fifteen milliseconds."""

    @override
    def __call__(self) -> float:
        self.advance(0.015)
        return self.now_s
