"""Ctrl-C and SIGTERM as a wish to stop in order."""

import contextlib
import os
import signal
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STDERR = 2
_NOTED = b"\ntclif-train: noted, stopping in order; a second Ctrl-C ends without saving\n"


class Interruption:
    """Notes the first signal while the context lasts, and says so; a second ends the program.

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
        # past Python's streams, which may be in mid-write; who can't be told stops all the same
        with contextlib.suppress(OSError):
            os.write(_STDERR, _NOTED)

    def _put_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
