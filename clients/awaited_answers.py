"""Answers that somebody waits for: refusals of single messages, final predictions of segments."""

import contextlib
from collections.abc import Iterator

from clients.inbox import StreamMessage
from service.wire_protocol import ErrorMessage, Prediction


class AwaitedAnswers:
    """Keeps of what the server says what was asked for, as long as it is asked for."""

    def __init__(self) -> None:
        self._refusals: dict[int, ErrorMessage | None] = {}
        self._finals: dict[int, Prediction | None] = {}

    def note(self, message: StreamMessage) -> None:
        """Look at what the server says, once."""
        if isinstance(message, ErrorMessage):
            if message.sequence in self._refusals:
                self._refusals[message.sequence] = message
        elif isinstance(message, Prediction) and message.final and message.segment in self._finals:
            self._finals[message.segment] = message

    def refusal(self, sequence: int) -> ErrorMessage | None:
        """Return why a message was refused; None if it was not so far."""
        return self._refusals[sequence]

    def final(self, segment: int) -> Prediction | None:
        """Return a segment's final prediction; None if it was not said so far."""
        return self._finals[segment]

    @contextlib.contextmanager
    def await_refusal(self, sequence: int) -> Iterator[None]:
        """Ask for what is said of a message."""
        self._refusals[sequence] = None
        try:
            yield
        finally:
            del self._refusals[sequence]

    @contextlib.contextmanager
    def await_final(self, segment: int) -> Iterator[None]:
        """Ask for the final prediction of a segment."""
        self._finals[segment] = None
        try:
            yield
        finally:
            del self._finals[segment]
