"""Messages of a socket one by one, however many came together; which frame closes another."""

from typing import TYPE_CHECKING, cast

import pytest
from fastapi import WebSocketDisconnect

from service.errors import ProtocolViolation
from service.routes.incoming_messages import IncomingMessages
from service.wire_protocol import EventFrame, SegmentMark, encode_event_frame
from tests.service.client_messages import events

if TYPE_CHECKING:
    from fastapi import WebSocket
    from starlette.types import Message

BEGIN = '{"type": "segment", "action": "begin", "segment": 0, "t_us": 0, "sequence": 1}'


def written(frame: EventFrame) -> bytes:
    return encode_event_frame(frame.sequence, frame.base_us, frame.offsets_us, frame.addresses)


FRAME, EMPTY = written(events(2, (10, 4))), written(events(3, base_us=400))


def binary(data: bytes) -> "Message":
    return {"type": "websocket.receive", "bytes": data}


class HandfulSocket:
    """Brings events together, once."""

    def __init__(self, first: "Message", *also: "Message") -> None:
        self._event: Message = {**first, "also": list(also)} if also else first

    async def receive(self) -> "Message":
        """Return the first with the others beside it."""
        return self._event


async def incoming(first: "Message", *also: "Message") -> IncomingMessages:
    socket = cast("WebSocket", HandfulSocket(first, *also))
    messages = IncomingMessages(socket, 1 << 20)
    await messages.wait()
    return messages


async def test_what_came_together_is_taken_in_its_order_until_nothing_is_left() -> None:
    text: Message = {"type": "websocket.receive", "text": BEGIN}
    messages = await incoming(text, binary(FRAME), {"type": "websocket.disconnect", "code": 1001})

    begin, frame = messages.take(), messages.take()

    assert isinstance(begin, SegmentMark)
    assert isinstance(frame, EventFrame)
    assert (frame.sequence, frame.count) == (2, 1)
    assert messages
    with pytest.raises(WebSocketDisconnect):
        messages.take()
    assert not messages


async def test_an_empty_frame_of_the_next_number_closes_a_frame() -> None:
    messages = await incoming(binary(FRAME), binary(EMPTY))
    frame = messages.take()
    assert isinstance(frame, EventFrame)

    closing = messages.take_closing(frame)

    assert closing is not None
    assert (closing.sequence, closing.count, closing.base_us) == (3, 0, 400)
    assert not messages


@pytest.mark.parametrize(
    "after",
    [
        binary(written(events(4, base_us=400))),
        binary(written(events(3, (20, 1)))),
        {"type": "websocket.receive", "text": BEGIN},
        {"type": "websocket.disconnect", "code": 1000},
    ],
    ids=["another number", "with events", "no frame", "the end"],
)
async def test_anything_else_waits_for_its_turn(after: "Message") -> None:
    messages = await incoming(binary(FRAME), after)
    frame = messages.take()
    assert isinstance(frame, EventFrame)

    assert messages.take_closing(frame) is None

    assert messages


async def test_a_broken_frame_is_answered_in_its_turn() -> None:
    broken = b"\x07" + EMPTY[1:]
    messages = await incoming(binary(FRAME), binary(broken))
    frame = messages.take()
    assert isinstance(frame, EventFrame)

    assert messages.take_closing(frame) is None

    with pytest.raises(ProtocolViolation, match="binary message kind 7 came"):
        messages.take()


async def test_an_empty_frame_is_closed_by_none() -> None:
    messages = await incoming(binary(EMPTY), binary(written(events(4, base_us=800))))
    frame = messages.take()
    assert isinstance(frame, EventFrame)

    assert messages.take_closing(frame) is None
