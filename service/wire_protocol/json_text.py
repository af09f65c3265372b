"""JSON text to messages and back, with no more trust than the sender deserves.

Stricter than ``json.loads``: duplicate keys, NaN and Infinity, numbers too large to be exact,
nesting that exhausts the stack and lone surrogates are refused, and so is every byte beyond the
limit. Whatever the text, the only error is `service.errors.ProtocolViolation`.
"""

import json
import math
import reprlib
from collections import Counter
from collections.abc import Mapping
from typing import Final, Never, TypeVar

from pydantic import BaseModel, ValidationError

from service.errors import FrameTooLarge, ProtocolViolation
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
from service.wire_protocol.fields import MAX_MESSAGE_BYTES, NUMBER_LIMIT
from service.wire_protocol.server_messages import (
    Ack,
    ErrorMessage,
    Goodbye,
    Learned,
    Opened,
    Prediction,
    ServerMessage,
)

_CLIENT_MESSAGES: Final[dict[str, type[ClientMessage]]] = {
    "open": Open,
    "segment": SegmentMark,
    "label": Label,
    "learning": LearningChange,
    "classes": AddClasses,
    "snapshot": SnapshotRequest,
    "close": Close,
}
_SERVER_MESSAGES: Final[dict[str, type[ServerMessage]]] = {
    "opened": Opened,
    "prediction": Prediction,
    "learned": Learned,
    "ack": Ack,
    "error": ErrorMessage,
    "goodbye": Goodbye,
}

M = TypeVar("M", bound=BaseModel)

MAX_SERVER_BYTES: Final = 16 * MAX_MESSAGE_BYTES
"""Longest text of the server that is decoded: class names and probabilities may add up."""

# more than any message has; each unknown one would be described before it is refused
_MAX_FIELDS: Final = 64
_EXPECTED_CHARACTERS: Final = 200
_FIELD_CHARACTERS: Final = 100
_UNION_PARTS: Final = frozenset({"bool", "constrained-int", "constrained-str", "float", "str"})
# sixteen digits and a sign: the longest integer whose magnitude may lie below 2**53
_INTEGER_CHARACTERS: Final = 17


def encode(message: ClientMessage | ServerMessage) -> str:
    """Write one JSON message; fields that are ``None`` are left out."""
    return message.model_dump_json(exclude_none=True)


def decode_client_text(text: str, *, max_bytes: int = MAX_MESSAGE_BYTES) -> ClientMessage:
    """Read one JSON message of a client.

    Raises:
        FrameTooLarge: The text has more than ``max_bytes`` bytes in UTF-8.
        ProtocolViolation: It is not one of the client's messages. It carries the message's
            sequence number where the text was JSON and had a valid one.
    """
    return _decode(text, _CLIENT_MESSAGES, max_bytes)


def decode_server_text(text: str, *, max_bytes: int = MAX_SERVER_BYTES) -> ServerMessage:
    """Read one JSON message of the server; fields that this version does not know are ignored.

    Raises:
        ProtocolViolation: It is not one of the server's messages.
    """
    return _decode(text, _SERVER_MESSAGES, max_bytes)


def _decode(text: str, messages: Mapping[str, type[M]], max_bytes: int) -> M:
    fields = _parse_object(text, max_bytes)
    sequence = _readable_sequence(fields)
    kind = fields.get("type")
    form = messages.get(kind) if isinstance(kind, str) else None
    if form is None:
        raise ProtocolViolation(
            f"message type {reprlib.repr(kind)} came, one of {', '.join(messages)} was expected",
            sequence=sequence,
        )
    try:
        return form.model_validate(fields)
    except ValidationError as refusal:
        raise ProtocolViolation(_sentence(str(kind), refusal), sequence=sequence) from None


def _readable_sequence(fields: dict[str, object]) -> int | None:
    sequence = fields.get("sequence")
    # the exact type, because True is an int too
    if type(sequence) is int and 0 <= sequence < NUMBER_LIMIT:
        return sequence
    return None


def _sentence(kind: str, refusal: ValidationError) -> str:
    """Say in one sentence of bounded length where the first bad field is and what was expected."""
    errors = [
        (_field_name(error["loc"]), error)
        for error in refusal.errors(include_url=False, include_context=False)
    ]
    # a field that may be of two types has an error for each; the one that goes deeper fits better
    alternatives = [field for field, _ in errors if field.startswith(errors[0][0])]
    field = max(alternatives, key=len)
    same = [error for other, error in errors if other == field]
    first = same[0]
    expected = "; or: ".join(error["msg"].removeprefix("Value error, ") for error in same)
    came = f", {reprlib.repr(first['input'])} came" if field and first["type"] != "missing" else ""
    where = f"{kind}.{field}" if field else kind
    # JSON has lists where Python has tuples
    expected = expected.replace("valid tuple", "valid list")[:_EXPECTED_CHARACTERS]
    return f"{where[:_FIELD_CHARACTERS]}: {expected}{came}"


def _field_name(location: tuple[int | str, ...]) -> str:
    """Join the parts of a field's name, without those that pydantic adds for a union's types."""
    return ".".join(
        str(part)
        for part in location
        if part not in _UNION_PARTS and not str(part).startswith("function-after[")
    )


def _parse_object(text: str, max_bytes: int) -> dict[str, object]:
    # a character has one byte or more: overlong text need not be encoded to be refused
    if len(text) > max_bytes:
        raise FrameTooLarge(f"{len(text)} characters came, at most {max_bytes} bytes are read")
    try:
        n_bytes = len(text.encode())
        if n_bytes > max_bytes:
            raise FrameTooLarge(f"{n_bytes} bytes came, at most {max_bytes} are read")
        parsed = json.loads(
            text,
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_no_constant,
            object_pairs_hook=_distinct,
        )
        # an escaped lone surrogate is legal JSON, but no text: nobody could send it on
        json.dumps(parsed, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise ProtocolViolation(
            f"text that is not JSON came: {error.msg} at character {error.pos}"
        ) from None
    except UnicodeEncodeError:
        raise ProtocolViolation("a lone surrogate came, Unicode text was expected") from None
    except RecursionError:
        raise ProtocolViolation("JSON nested too deeply came") from None
    if not isinstance(parsed, dict):
        raise ProtocolViolation(f"JSON {reprlib.repr(parsed)} came, an object was expected")
    return parsed


def _integer(digits: str) -> int:
    if len(digits) > _INTEGER_CHARACTERS:
        raise ProtocolViolation(
            f"an integer of {len(digits)} characters came, magnitudes below 2**53 were expected"
        )
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ProtocolViolation(f"the number {digits[:40]} came, a finite one was expected")
    return number


def _no_constant(word: str) -> Never:
    raise ProtocolViolation(f"{word} came, which is not JSON")


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(pairs) > _MAX_FIELDS:
        raise ProtocolViolation(
            f"an object of {len(pairs)} fields came, at most {_MAX_FIELDS} are read"
        )
    fields = dict(pairs)
    if len(fields) != len(pairs):
        [(double, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise ProtocolViolation(f"the field {reprlib.repr(double)} came twice in one object")
    return fields
