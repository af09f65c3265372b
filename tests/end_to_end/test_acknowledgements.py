"""What an ack promises: all that its message caused was said before it."""

from tests.end_to_end.conftest import Serve
from tests.end_to_end.conversation_partner import (
    Heard,
    begin,
    connected,
    end,
    label,
    lessons,
    of_kind,
    segment,
)
from tests.end_to_end.running_server import RunningServer


def number(message: Heard, field: str) -> int:
    value = message[field]
    assert isinstance(value, int)
    return value


def first_ack_of(heard: list[Heard], sequence: int) -> int:
    """Return the place of the first ack that covers a message."""
    return next(
        place
        for place, message in enumerate(heard)
        if message["type"] == "ack" and number(message, "applied") >= sequence
    )


def place_of(heard: list[Heard], **fields: object) -> int:
    return next(place for place, message in enumerate(heard) if message.items() >= fields.items())


async def test_everything_a_message_causes_is_said_before_its_ack(server: RunningServer) -> None:
    async with connected(server.url) as partner:
        await partner.open()
        # a refused begin after each lesson, all sent without waiting
        for segment_number in range(4):
            await partner.send(*segment(segment_number, 1), begin(segment_number, 0))
        await partner.settle()
        heard = partner.heard

    for segment_number in range(4):
        # begin, two frames, end, label, and the refused begin
        end_, label_, refused = (6 * segment_number + place for place in (4, 5, 6))
        final = place_of(heard, type="prediction", segment=segment_number, final=True)
        learned = place_of(heard, type="learned", segment=segment_number)
        error = place_of(heard, type="error", sequence=refused)
        assert final < first_ack_of(heard, end_)
        assert learned < first_ack_of(heard, label_)
        assert error < first_ack_of(heard, refused)
        assert final < learned < error


async def test_acks_rise_and_end_at_the_last_message(server: RunningServer) -> None:
    script = lessons(range(3))
    async with connected(server.url) as partner:
        await partner.open()
        await partner.send(*script)
        await partner.settle()
        applied = [number(ack, "applied") for ack in of_kind("ack", partner.heard)]

    assert applied == sorted(applied)
    assert (applied[0], applied[-1]) == (0, len(script))


async def test_an_ack_follows_opened_at_once(server: RunningServer) -> None:
    async with connected(server.url) as first:
        await first.open()
        await first.send(*segment(0, 1))
        await first.settle()
    async with connected(server.url) as again:
        await again.open()

    assert [message["type"] for message in first.heard[:2]] == ["opened", "ack"]
    assert again.heard[1] == again.heard[1] | {"type": "ack", "applied": 5}


async def test_acks_come_again_and_again_though_nothing_happens(serve: Serve) -> None:
    async with (
        serve(socket={"ack_every_s": 0.05}, storage={"snapshot_every_s": 3600}) as server,
        connected(server.url) as partner,
    ):
        await partner.open()
        await partner.send(begin(0, 0))
        await partner.settle()

        acks = [await partner.receive() for _ in range(3)]

    assert acks == [{"type": "ack", "applied": 1, "durable": 0, "credit_ticks": 8192}] * 3


async def test_after_a_close_everything_is_durable(server: RunningServer) -> None:
    async with connected(server.url) as partner:
        await partner.open()
        await partner.send(begin(0, 0), end(0, 500), label(0, 1))
        await partner.say({"type": "close", "sequence": 4})
        assert await partner.closed() == 1000

    said = [message["durable"] for message in partner.heard if "durable" in message]
    assert (said[0], said[-1]) == (0, 4)
    assert partner.heard[-2] == partner.heard[-2] | {"type": "ack", "applied": 4}
