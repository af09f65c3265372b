"""What a client does once its connection is gone: come back, or end and say why."""

from dataclasses import dataclass

from clients.connection_errors import (
    ClientError,
    ServerUnreachable,
    SessionLost,
    SessionRefused,
    TakenOver,
)
from service.wire_protocol import ErrorMessage, Goodbye

_REASON_OF_CODE = {
    1007: "bad_message",
    1009: "frame_too_large",
    1012: "draining",
    1013: "overloaded",
    4400: "bad_message",
    4401: "unauthorized",
    4404: "deleted",
    4408: "idle",
    4429: "quota",
    4500: "internal",
}
# close codes after which the same messages would only fail again
_FINAL_CODES = frozenset({1007, 1009, 4400, 4401})
_ORDERLY = 1000
_DELETED = 4404
# how long a server is left alone that does not say how long it wants to be
_LEAVE_ALONE_S = {1012: 1.0, 1013: 1.0, 4429: 5.0}
LOST = 1006
"""Close code of a connection that ended without a close frame."""


@dataclass(frozen=True, slots=True)
class Farewell:
    """How a connection ended.

    Attributes:
        close_code: Of the server's close frame; 1006 if none came.
        error: The last fatal error that the server told.
        goodbye: The server's last message, if it ended in order.
        unreachable: Why no connection came about, if none did.
        asked_s: How long a refused handshake asks to wait.
    """

    close_code: int = LOST
    error: ErrorMessage | None = None
    goodbye: Goodbye | None = None
    unreachable: ServerUnreachable | None = None
    asked_s: float = 0.0

    @property
    def retry_after_s(self) -> float:
        """How long the server wants to be left alone."""
        goodbye_ms = 0 if self.goodbye is None else self.goodbye.retry_after_ms
        error_ms = 0 if self.error is None else self.error.retry_after_ms or 0
        told_s = max(goodbye_ms, error_ms) / 1000
        return max(self.asked_s, told_s) or _LEAVE_ALONE_S.get(self.close_code, 0.0)

    @property
    def failure(self) -> ClientError | None:
        """Why the client must not come back by itself; None if it should."""
        reason = None if self.goodbye is None else self.goodbye.reason
        if reason == "taken_over":
            return TakenOver("another connection opened this session")
        if reason == "deleted" or self.close_code == _DELETED:
            return SessionLost("the session was deleted")
        if self.close_code == _ORDERLY:
            return SessionLost("the server ended the connection in order without being asked")
        if self.close_code not in _FINAL_CODES:
            return None
        if self.error is not None and self.error.code == "epoch_mismatch":
            return SessionLost(self.error.message)
        return self.refusal

    @property
    def refusal(self) -> ClientError:
        """The end of the connection as an error, in the server's words where it gave some."""
        if self.unreachable is not None:
            return self.unreachable
        if self.error is not None:
            return SessionRefused(self.error.code, self.error.message, close_code=self.close_code)
        reason = _REASON_OF_CODE.get(self.close_code, "connection_lost")
        sentence = f"the connection was closed with {self.close_code}"
        return SessionRefused(reason, sentence, close_code=self.close_code)
