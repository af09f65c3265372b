"""Everything that can go wrong on purpose, and what the client is told.

ServiceError                the client hears its code and text
    ProtocolViolation       the client broke the wire protocol; fatal, nothing was applied
        BadAddress          an event's address lies outside the sensor
        SequenceGap         a sequence number was skipped
        FrameTooLarge       one message exceeds ``limits.max_message_bytes``
    Unauthorized            the token is honoured no longer; fatal
    UnknownSession          nobody has opened a session of that name; by HTTP only
    OpenRefused             the session can't be opened as asked; fatal
        ConfigMismatch      an existing session was created otherwise
        EpochMismatch       another incarnation of the session lives here now
        UnknownModel        no model of that name
        QuotaExceeded       more sessions or bytes than allowed
            MemoryFull      the server's memory is full; it may help to park sessions
    Refusal                 well formed but can't be done; not fatal, its number is consumed
    Detached                the server ends the connection; the session stays
        SlowReader          the client does not read what the server sends
        Idle                the client sent nothing for too long, or no ``open`` in time
        Draining            the server is shutting down
        Overloaded          the server can't do it now; later it may
            AtCapacity      the sessions in real time would miss their deadlines
        InternalFailure     a defect or a network that is no longer finite
    StorageFailure          the data folder can't be read or written
        NotStored           what is looked for is not there
        DataInUse           another server works on the data folder
    SnapshotUnreadable      a stored snapshot is damaged, or from another schema
    SnapshotFailed          a snapshot could not be stored; not fatal, it is tried again
"""

from enum import IntEnum
from typing import ClassVar


class CloseCode(IntEnum):
    """WebSocket close codes of the wire protocol."""

    ORDERLY = 1000
    FRAME_TOO_LARGE = 1009
    DRAINING = 1012
    TRY_AGAIN = 1013
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    DELETED = 4404
    IDLE = 4408
    QUOTA = 4429
    INTERNAL = 4500


class ServiceError(Exception):
    """What a client may hear: a code, a sentence with what came and what was expected.

    Attributes:
        code: The wire protocol's name of the error.
        fatal: Whether the connection is closed after it.
        close_code: The close code of a fatal one.
        http_status: What an HTTP request that causes it is answered with.
        reason: Why a session was not opened, for the metrics.
        retry_after_ms: When it may help to try again, if that is known.
        sequence: Number of the message that caused it, if it has one.
    """

    code: str = "internal"
    reason: str = "request"
    retry_after_ms: int | None = None
    fatal: ClassVar[bool] = True
    close_code: ClassVar[CloseCode] = CloseCode.INTERNAL
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, sequence: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.sequence = sequence


class ProtocolViolation(ServiceError):
    """The client broke the wire protocol: nothing of the message was applied."""

    code = "bad_message"
    close_code = CloseCode.BAD_REQUEST
    http_status = 400


class BadAddress(ProtocolViolation):
    """An event's address lies outside the sensor."""

    code = "bad_address"


class SequenceGap(ProtocolViolation):
    """A sequence number was skipped: a message is missing."""

    code = "sequence_gap"


class FrameTooLarge(ProtocolViolation):
    """One message exceeds ``limits.max_message_bytes``."""

    code = "frame_too_large"
    close_code = CloseCode.FRAME_TOO_LARGE


class Unauthorized(ServiceError):
    """The token that a connection came with is honoured no longer."""

    code = "unauthorized"
    close_code = CloseCode.UNAUTHORIZED
    http_status = 401


class UnknownSession(ServiceError):
    """The principal has no session of that name."""

    code = "not_found"
    close_code = CloseCode.BAD_REQUEST
    http_status = 404


class OpenRefused(ServiceError):
    """The session can't be opened as asked."""

    code = "bad_message"
    close_code = CloseCode.BAD_REQUEST
    http_status = 400


class ConfigMismatch(OpenRefused):
    """An existing session was created with another configuration."""

    code = "config_mismatch"
    http_status = 409


class EpochMismatch(OpenRefused):
    """Another incarnation of the session lives here now."""

    code = "epoch_mismatch"
    http_status = 409


class UnknownModel(OpenRefused):
    """No model of that name is stored."""

    code = "unknown_model"
    http_status = 404


class QuotaExceeded(OpenRefused):
    """More sessions or bytes than this principal may have."""

    code = "quota"
    reason = "quota"
    close_code = CloseCode.QUOTA
    http_status = 429


class MemoryFull(QuotaExceeded):
    """The server's memory is full; it may help to park sessions."""

    reason = "memory"


class Refusal(ServiceError):
    """A well-formed message that can't be done; its number is consumed, nothing else changes."""

    fatal = False
    http_status = 409

    def __init__(self, code: str, message: str, *, sequence: int | None = None) -> None:
        super().__init__(message, sequence=sequence)
        self.code = code


class Detached(ServiceError):
    """The server ends the connection; the session stays and can be resumed."""


class SlowReader(Detached):
    """The client does not read what the server sends."""

    code = "slow_reader"
    close_code = CloseCode.TRY_AGAIN


class Idle(Detached):
    """The client sent nothing for ``limits.idle_s``, or no ``open`` in time."""

    code = "idle"
    close_code = CloseCode.IDLE


class Draining(Detached):
    """The server is shutting down."""

    code = "draining"
    reason = "draining"
    close_code = CloseCode.DRAINING
    http_status = 503


class Overloaded(Detached):
    """The server can't do it now; later it may."""

    code = "overloaded"
    reason = "storage"
    close_code = CloseCode.TRY_AGAIN
    http_status = 503


class AtCapacity(Overloaded):
    """One more session in real time, and those that are there would miss their deadlines."""

    def __init__(self, message: str, *, reason: str, retry_after_ms: int) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after_ms = retry_after_ms


class InternalFailure(Detached):
    """A defect, or a network whose weights are no longer finite."""


class StorageFailure(ServiceError):
    """The data folder can't be read or written; the text says what and where, for the log."""

    code = "storage"
    http_status = 503


class NotStored(StorageFailure):
    """What is looked for is not there."""

    code = "not_found"
    http_status = 404


class DataInUse(StorageFailure):
    """Another server works on the data folder."""


class SnapshotUnreadable(ServiceError):
    """A stored snapshot is damaged, from another schema, or does not fit together."""

    code = "snapshot_unreadable"


class SnapshotFailed(ServiceError):
    """A snapshot could not be stored; what is durable stands still."""

    code = "snapshot_failed"
    fatal = False
    http_status = 503
