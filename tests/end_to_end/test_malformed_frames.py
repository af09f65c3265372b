"""Bytes that are no events message, or no WebSocket message at all: answered, without harm."""

import struct

import pytest

from tests.end_to_end.conversation_partner import (
    Message,
    begin_us,
    connected,
    frame,
    lessons,
    of_kind,
    segment,
)
from tests.end_to_end.running_server import RunningServer

BEFORE: list[Message] = [*lessons(range(1)), *segment(1)[:2]]
NEXT = len(BEFORE) + 1
T_US = begin_us(1) + 15_000

EVENTS = [(T_US, 3), (T_US + 10, 4)]
GOOD = frame(NEXT, T_US, EVENTS)

MALFORMED: dict[str, tuple[bytes, int | None]] = {
    "no byte": (b"", None),
    "one byte": (GOOD[:1], None),
    "a header cut short": (GOOD[:23], None),
    "an event cut short": (GOOD[:-1], NEXT),
    "an event missing": (GOOD[:-8], NEXT),
    "a byte too many": (GOOD + b"\0", NEXT),
    "an event too many": (GOOD + bytes(8), NEXT),
    "a count too high": (frame(NEXT, T_US, EVENTS, count=3), NEXT),
    "a count too low": (frame(NEXT, T_US, EVENTS, count=1), NEXT),
    "the highest count": (frame(NEXT, T_US, EVENTS, count=2**32 - 1), NEXT),
    "kind 0": (frame(NEXT, T_US, EVENTS, kind=0), NEXT),
    "kind 2": (frame(NEXT, T_US, EVENTS, kind=2), NEXT),
    "a reserved byte": (frame(NEXT, T_US, EVENTS, reserved=(1, 0)), NEXT),
    "a reserved word": (frame(NEXT, T_US, EVENTS, reserved=(0, 256)), NEXT),
    "a number of 2**53": (frame(2**53, T_US, EVENTS), None),
    "the highest number": (frame(2**64 - 1, T_US, EVENTS), None),
    "a base of 2**53": (frame(NEXT, 2**53, []), NEXT),
    "an event at 2**53": (frame(NEXT, 2**53 - 1, [(2**53, 0)]), NEXT),
    "JSON as bytes": (b'{"type": "close"}', None),
    "the other byte order": (
        struct.pack(">BBHIQQ", 1, 0, 0, 1, NEXT, T_US) + struct.pack(">II", 0, 3),
        None,
    ),
}


@pytest.mark.parametrize(("data", "sequence"), list(MALFORMED.values()), ids=list(MALFORMED))
async def test_a_malformed_frame_is_answered_and_changes_nothing(
    server: RunningServer, data: bytes, sequence: int | None
) -> None:
    async with connected(server.url) as partner, connected(server.url) as again:
        await partner.open()
        await partner.send(*BEFORE)
        await partner.settle()
        before = await server.fingerprint()

        await partner.say(data)
        close_code = await partner.closed()

        error = partner.heard[-1]
        assert (error["type"], error["code"], close_code) == ("error", "bad_message", 4400)
        assert error.get("sequence") == sequence
        assert await server.fingerprint() == before
        opened = await again.open()
        assert opened["next_sequence"] == NEXT
        await again.say(GOOD)
        assert (await again.until("ack", applied=NEXT))["applied"] == NEXT


def masked(opcode: int, payload: bytes) -> bytes:
    """Write a WebSocket frame of a client, with a key of zeros."""
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload


WEBSOCKET_ERRORS: dict[str, tuple[bytes, int]] = {
    "text that is not UTF-8": (masked(1, b'{"type": "\xff"}'), 1007),
    "a frame without mask": (bytes([0x82, 4]) + b"abcd", 1002),
    "an unknown opcode": (masked(3, b"abcd"), 1002),
    "a continuation of nothing": (masked(0, b"abcd"), 1002),
}


@pytest.mark.parametrize(
    ("data", "code"), list(WEBSOCKET_ERRORS.values()), ids=list(WEBSOCKET_ERRORS)
)
async def test_bytes_that_are_no_websocket_message_cost_the_connection_only(
    server: RunningServer, data: bytes, code: int
) -> None:
    async with connected(server.url) as partner, connected(server.url) as again:
        await partner.open()
        await partner.send(*BEFORE)
        await partner.settle()
        before = await server.fingerprint()

        partner.socket.transport.write(data)

        assert await partner.closed() == code
        assert await server.fingerprint() == before
        assert (await again.open())["next_sequence"] == NEXT
        await again.send(*segment(1)[2:])
        assert of_kind("prediction", await again.settle())[-1]["final"]


async def test_a_message_in_fragments_is_one_message(server: RunningServer) -> None:
    async with connected(server.url) as partner:
        await partner.open()
        await partner.send(*BEFORE)
        await partner.settle()

        # the first fragment of a binary message, two continuations, the last with FIN
        parts = [bytes([0x02]), bytes([0x00]), bytes([0x80])]
        pieces = [GOOD[:7], GOOD[7:30], GOOD[30:]]
        for head, piece in zip(parts, pieces, strict=True):
            data = head + bytes([0x80 | len(piece)]) + bytes(4) + piece
            partner.socket.transport.write(data)

        assert await partner.until("ack", applied=NEXT)
