"""Bytes and text of the wire protocol, version 1: what either side says, and when it may say it.

No I/O, no clock, no thread: text or bytes in, messages out, or a
`service.errors.ProtocolViolation`.
`docs/wire_protocol.md` is the same for readers who write a client in another language.
"""

from service.errors import ProtocolViolation
from service.wire_protocol.client_messages import (
    AddClasses,
    ClientMessage,
    Close,
    Label,
    LearningChange,
    Open,
    SegmentMark,
    SnapshotRequest,
)
from service.wire_protocol.conversation import ConnectionState, Conversation, Disposition
from service.wire_protocol.event_frame import (
    HEADER_BYTES,
    EventFrame,
    decode_binary,
    encode_event_frame,
    events_within,
)
from service.wire_protocol.fields import MAX_LIST_ITEMS, MAX_MESSAGE_BYTES, NUMBER_LIMIT
from service.wire_protocol.json_text import (
    MAX_SERVER_BYTES,
    decode_client_text,
    decode_server_text,
    encode,
)
from service.wire_protocol.server_messages import (
    Ack,
    ErrorMessage,
    Goodbye,
    GoodbyeReason,
    Learned,
    Limits,
    Opened,
    Prediction,
    ServerMessage,
)
from service.wire_protocol.session_request import (
    CochleaSensor,
    DvsSensor,
    LearningMode,
    LearningRequest,
    NetworkRequest,
    RawSensor,
    ReportRequest,
    Segmentation,
    SegmentedByClient,
    SegmentedBySilence,
    SegmentedByWindow,
    SensorRequest,
    Unsegmented,
)

SUBPROTOCOL = "tclif.v1"
"""What a client offers at the handshake, and the server echoes."""

__all__ = [
    "HEADER_BYTES",
    "MAX_LIST_ITEMS",
    "MAX_MESSAGE_BYTES",
    "MAX_SERVER_BYTES",
    "NUMBER_LIMIT",
    "SUBPROTOCOL",
    "Ack",
    "AddClasses",
    "ClientMessage",
    "Close",
    "CochleaSensor",
    "ConnectionState",
    "Conversation",
    "Disposition",
    "DvsSensor",
    "ErrorMessage",
    "EventFrame",
    "Goodbye",
    "GoodbyeReason",
    "Label",
    "Learned",
    "LearningChange",
    "LearningMode",
    "LearningRequest",
    "Limits",
    "NetworkRequest",
    "Open",
    "Opened",
    "Prediction",
    "ProtocolViolation",
    "RawSensor",
    "ReportRequest",
    "SegmentMark",
    "Segmentation",
    "SegmentedByClient",
    "SegmentedBySilence",
    "SegmentedByWindow",
    "SensorRequest",
    "ServerMessage",
    "SnapshotRequest",
    "Unsegmented",
    "decode_binary",
    "decode_client_text",
    "decode_server_text",
    "encode",
    "encode_event_frame",
    "events_within",
]
