"""Ctrl-C and SIGTERM as a wish to stop in order."""

import signal
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Notes the first signal while the context lasts; a second one ends the program.

    Attributes:
        received: Number of the signal that came; None before.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._put_back()

    @property
    def exit_code(self) -> int:
        """What the shell expects of a program that a signal ended."""
        assert self.received is not None, "no signal came"
        return 128 + self.received

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.received = number
        self._put_back()

    def _put_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
