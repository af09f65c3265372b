"""The binary message: a 24-byte header and then pairs of (microseconds after base_us, address).

    offset  type  field                  offset  type  field
    0       u8    1 = events             8       u64   sequence
    1       u8    0, reserved            16      u64   base_us
    2       u16   0, reserved            24+8i   u32   event i: microseconds after base_us
    4       u32   count                  28+8i   u32   event i: address

All of it little-endian. A frame whose count is 0 carries no events and moves the clock to
``base_us``.
"""

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from service.errors import BadAddress, FrameTooLarge, ProtocolViolation
from service.wire_protocol.fields import MAX_MESSAGE_BYTES, NUMBER_LIMIT

UInt32Array = npt.NDArray[np.uint32]
Int64Array = npt.NDArray[np.int64]

_HEADER: Final = struct.Struct("<BBHIQQ")
_EVENT_KIND: Final = 1
_PAIR_BYTES: Final = 8
_WORD_LIMIT: Final = 2**32

HEADER_BYTES: Final = _HEADER.size


@dataclass(frozen=True, slots=True, eq=False)
class EventFrame:
    """Some of a sensor's events, in any order; both arrays ``[count]`` are read-only views."""

    sequence: int
    base_us: int
    offsets_us: UInt32Array
    addresses: UInt32Array

    @property
    def count(self) -> int:
        """Number of events; 0: the frame only moves the clock."""
        return len(self.offsets_us)

    @property
    def times_us(self) -> Int64Array:
        """Sensor time of each event ``[count]``, a new array."""
        return self.offsets_us.astype(np.int64) + self.base_us

    def check_addresses(self, n_addresses: int) -> None:
        """Refuse the frame if an address lies outside ``[0, n_addresses)``.

        Raises:
            BadAddress: With the first such address.
        """
        if self.count and int(self.addresses.max()) >= n_addresses:
            first = int(np.argmax(self.addresses >= n_addresses))
            raise BadAddress(
                f"event {first} has address {self.addresses[first]}, "
                f"the sensor's are 0 to {n_addresses - 1}",
                sequence=self.sequence,
            )


def events_within(message_bytes: int) -> int:
    """Number of events that fit a message of so many bytes."""
    return max(0, (message_bytes - HEADER_BYTES) // _PAIR_BYTES)


def decode_binary(data: bytes, *, max_bytes: int = MAX_MESSAGE_BYTES) -> EventFrame:
    """Read one binary message without copying its events.

    Args:
        data: The whole message; the frame's arrays are views of it.
        max_bytes: Longest message that is read.

    Raises:
        FrameTooLarge: The message is longer than ``max_bytes``.
        ProtocolViolation: Anything else is not as the table above says, or a number reaches 2**53.
            It carries the frame's sequence number where that could be read.
    """
    if len(data) < HEADER_BYTES:
        raise ProtocolViolation(
            f"a binary message of {len(data)} bytes came, the header alone has {HEADER_BYTES}"
        )
    kind, reserved_byte, reserved_word, count, sequence, base_us = _HEADER.unpack_from(data)
    readable = sequence if sequence < NUMBER_LIMIT else None
    if len(data) > max_bytes:
        raise FrameTooLarge(
            f"a message of {len(data)} bytes came, at most {max_bytes} are read", sequence=readable
        )
    if kind != _EVENT_KIND:
        raise ProtocolViolation(
            f"binary message kind {kind} came, {_EVENT_KIND} (events) was expected",
            sequence=readable,
        )
    if reserved_byte or reserved_word:
        raise ProtocolViolation(
            f"reserved bytes hold {reserved_byte} and {reserved_word}, zeros were expected",
            sequence=readable,
        )
    if readable is None or base_us >= NUMBER_LIMIT:
        _check_range("sequence", sequence, readable)
        _check_range("base_us", base_us, readable)
    if len(data) != HEADER_BYTES + _PAIR_BYTES * count:
        raise ProtocolViolation(
            f"a frame of {count} events came in {len(data)} bytes, "
            f"{HEADER_BYTES + _PAIR_BYTES * count} were expected",
            sequence=readable,
        )
    pairs = np.frombuffer(data, dtype="<u4", offset=HEADER_BYTES).reshape(count, 2)
    pairs.flags.writeable = False
    frame = EventFrame(sequence, base_us, pairs[:, 0], pairs[:, 1])
    if count:
        _check_range("the last event's time", base_us + int(frame.offsets_us.max()), readable)
    return frame


def _check_range(name: str, number: int, sequence: int | None) -> None:
    if number >= NUMBER_LIMIT:
        raise ProtocolViolation(
            f"{name} is {number}, a number below 2**53 was expected", sequence=sequence
        )


def encode_event_frame(
    sequence: int,
    base_us: int,
    offsets_us: npt.NDArray[np.integer],
    addresses: npt.NDArray[np.integer],
) -> bytes:
    """Write one binary message.

    Args:
        sequence: The message's number, 0 <= sequence < 2**53.
        base_us: Sensor time that the offsets count from, 0 <= base_us < 2**53.
        offsets_us: Microseconds after ``base_us`` ``[count]``, each 0 <= offset < 2**32.
        addresses: Address of each event ``[count]``, each 0 <= address < 2**32.

    Raises:
        ValueError: A number or a shape is outside of that.
    """
    if offsets_us.ndim != 1 or offsets_us.shape != addresses.shape:
        raise ValueError(
            f"offsets {offsets_us.shape} and addresses {addresses.shape}, "
            "two arrays [count] were expected"
        )
    for name, number in (("sequence", sequence), ("base_us", base_us)):
        if not 0 <= number < NUMBER_LIMIT:
            raise ValueError(f"{name} is {number}, 0 to 2**53 - 1 was expected")
    count = offsets_us.size
    for name, words in (("an offset", offsets_us), ("an address", addresses)):
        if count and not 0 <= int(words.min()) <= int(words.max()) < _WORD_LIMIT:
            raise ValueError(f"{name} lies outside 0 to 2**32 - 1")
    if count and base_us + int(offsets_us.max()) >= NUMBER_LIMIT:
        raise ValueError("an event's time reaches 2**53")
    pairs = np.empty((count, 2), dtype="<u4")
    pairs[:, 0] = offsets_us
    pairs[:, 1] = addresses
    return _HEADER.pack(_EVENT_KIND, 0, 0, count, sequence, base_us) + pairs.tobytes()
