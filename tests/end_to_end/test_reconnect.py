"""Lost connections, resends, take-overs: nothing is lost and nothing is learnt twice."""

import pytest

from tests.end_to_end.conversation_partner import (
    Heard,
    Partner,
    begin,
    begin_us,
    connected,
    end,
    events,
    frame,
    label,
    learning,
    lessons,
    numbered,
    of_kind,
    segment,
    spikes,
)
from tests.end_to_end.running_server import RunningServer, Weights, same_weights

SCRIPT = lessons(range(3))


async def run_undisturbed(server: RunningServer) -> tuple[list[Heard], Weights]:
    async with connected(server.url) as partner:
        await partner.open(session="undisturbed")
        partner.fresh()
        await partner.send(*SCRIPT)
        return await partner.settle(), await server.weights("undisturbed")


def without_doubles(heard: list[Heard]) -> list[Heard]:
    """Drop what was told again, as a client does: finals and lessons by their segment."""
    seen: set[tuple[object, object]] = set()
    kept = []
    for message in heard:
        key = (message["type"], message.get("segment"))
        if message["type"] == "learned" or message.get("final"):
            if key in seen:
                continue
            seen.add(key)
        kept.append(message)
    return kept


def of_stream(heard: list[Heard]) -> list[Heard]:
    """Pick finals and lessons: what may not be lost."""
    return without_doubles(
        [m for m in heard if m["type"] == "learned" or (m["type"] == "prediction" and m["final"])]
    )


async def send_from(partner: Partner, first: int) -> None:
    """Send the script's messages from a number on."""
    for sequence, message in enumerate(SCRIPT[first - 1 :], start=first):
        await partner.say(numbered(message, sequence))
    partner.next_sequence = len(SCRIPT) + 1


async def what_was_learnt(server: RunningServer) -> tuple[list[object], Weights]:
    """Return all of a session that a message could have changed, but its number."""
    state = await server.state()
    names = ("ticks", "events", "segments", "dropped_events", "learning", "prequential_accuracy")
    return [state[name] for name in names], await server.weights()


# --- resends


@pytest.mark.parametrize("is_reconnected", [False, True])
async def test_a_resend_changes_nothing(
    server: RunningServer,
    is_reconnected: bool,  # noqa: FBT001 - a parameter of pytest
) -> None:
    async with connected(server.url) as first, connected(server.url) as second:
        await first.open()
        await first.send(*SCRIPT)
        await first.settle()
        state, weights = await what_was_learnt(server)
        if is_reconnected:
            await second.open()
        partner = second if is_reconnected else first
        partner.fresh()

        await send_from(partner, first=1)
        # a new message shows that all before it was read
        await partner.send(learning(rate=0.01))
        heard = await partner.settle()
        state_after, weights_after = await what_was_learnt(server)

    assert heard == retold_to(second, of_stream(first.heard))
    assert state_after == state
    assert same_weights(weights_after, weights)


def retold_to(partner: Partner, stream: list[Heard]) -> list[Heard]:
    """Return what a connection hears of the past: nothing unless it was opened later."""
    return stream if partner.heard else []


async def test_a_resend_is_acknowledged_with_what_is_applied(server: RunningServer) -> None:
    async with connected(server.url) as partner:
        await partner.open()
        await partner.send(*SCRIPT)
        await partner.settle()

        await partner.say(numbered(SCRIPT[0], 1))
        ack = await partner.until("ack")

    assert ack["applied"] == len(SCRIPT)


async def test_a_resend_need_not_be_what_was_sent_first(server: RunningServer) -> None:
    async with connected(server.url) as partner:
        await partner.open()
        await partner.send(*SCRIPT)
        await partner.settle()
        state, weights = await what_was_learnt(server)

        # ignored by its number alone: not even its meaning is looked at
        await partner.say(numbered(label(0, 2), 2))
        await partner.say(numbered(label(999, "nobody"), 3))
        await partner.send(learning(rate=0.01))
        heard = await partner.settle()

        assert heard == []
        state_after, weights_after = await what_was_learnt(server)
    assert state_after == state
    assert same_weights(weights_after, weights)


# --- lost connections


@pytest.mark.parametrize("n_sent", [1, 2, 3, 4, 7, 12])
async def test_a_run_with_a_lost_connection_equals_an_undisturbed_one(
    server: RunningServer, n_sent: int
) -> None:
    expected_heard, expected_weights = await run_undisturbed(server)

    async with connected(server.url) as partner:
        first = await partner.open()
        await partner.send(*SCRIPT[:n_sent])
        partner.vanish()
    async with connected(server.url) as again:
        second = await again.open(epoch=first["epoch"])
        assert again.next_sequence <= n_sent + 1
        await send_from(again, again.next_sequence)
        await again.settle()
    heard = of_stream([*partner.heard, *again.heard])

    assert (first["resumed"], second["resumed"]) == (False, True)
    assert heard == of_stream(expected_heard)
    assert same_weights(await server.weights(), expected_weights)


@pytest.mark.parametrize("n_bytes", [1, 5, 20, 100])
@pytest.mark.parametrize("is_orderly", [True, False], ids=["FIN", "RST"])
async def test_a_client_that_vanishes_within_a_frame_can_resume(
    server: RunningServer,
    n_bytes: int,
    is_orderly: bool,  # noqa: FBT001 - a parameter of pytest
) -> None:
    _, expected_weights = await run_undisturbed(server)

    async with connected(server.url) as bystander, connected(server.url) as partner:
        await bystander.open(session="bystander")
        await bystander.send(*segment(0)[:2])
        await bystander.settle()
        before = await server.fingerprint("bystander")
        await partner.open()
        await partner.send(*SCRIPT[:2])
        await partner.settle()
        # message 3 as a masked WebSocket frame of 16-bit length with a key of zeros, cut short
        payload = frame(3, begin_us(0), spikes(0))
        masked = bytes([0x82, 0xFE]) + len(payload).to_bytes(2, "big") + bytes(4) + payload
        partner.socket.transport.write(masked[:n_bytes])
        if is_orderly:
            partner.socket.transport.close()
        else:
            partner.vanish()

        async with connected(server.url) as again:
            opened = await again.open()
            assert (opened["resumed"], opened["next_sequence"]) == (True, 3)
            await send_from(again, 3)
            await again.settle()
        assert await server.fingerprint("bystander") == before
        await bystander.send(*segment(0)[2:])
        heard = await bystander.settle()

    assert of_kind("prediction", heard)[-1]["final"]
    assert same_weights(await server.weights(), expected_weights)


async def test_a_session_goes_on_computing_when_its_client_is_gone(server: RunningServer) -> None:
    _, expected_weights = await run_undisturbed(server)

    async with connected(server.url) as partner:
        await partner.open()
        await partner.send(*SCRIPT)
        # an orderly close of the socket, with all that was sent before it, and without `close`
        await partner.socket.close()

    # the page is read at a message boundary: after everything that was read before
    async with connected(server.url) as again:
        opened = await again.open()
    assert opened["next_sequence"] == len(SCRIPT) + 1
    assert same_weights(await server.weights(), expected_weights)


async def test_an_open_segment_stays_open_over_a_close(server: RunningServer) -> None:
    async with connected(server.url) as partner:
        await partner.open()
        await partner.send(*segment(0)[:2])
        await partner.settle()
        await partner.say({"type": "close", "sequence": 3})
        assert await partner.closed() == 1000

    async with connected(server.url) as partner:
        opened = await partner.open()
        await partner.send(*segment(0)[2:])
        heard = await partner.settle()

    # the close consumed number 3
    assert opened["next_sequence"] == 4
    assert of_kind("prediction", heard)[-1]["tick"] == 20


# --- what is told again


async def test_finals_and_lessons_are_told_again_after_opened(server: RunningServer) -> None:
    async with connected(server.url) as partner:
        await partner.open()
        await partner.send(*SCRIPT, begin(0, 0), *segment(9))
        heard = await partner.settle()

    async with connected(server.url) as again:
        await again.open()
        await again.send(begin(100, 0))
        retold = await again.settle()

    # neither errors nor predictions within a segment
    assert of_kind("error", heard)
    assert retold[0]["type"] == "opened"
    assert retold[1:] == of_stream(heard)


async def test_only_the_last_sixty_four_are_told_again(server: RunningServer) -> None:
    async with connected(server.url) as partner:
        await partner.open()
        for number in range(70):
            await partner.send(begin(number, 0), end(number, 0))
        await partner.settle()

    async with connected(server.url) as again:
        await again.open()
        await again.send(begin(100, 0))
        retold = await again.settle()

    assert [message["segment"] for message in retold[1:]] == list(range(6, 70))


# --- taking over


async def test_a_second_connection_takes_over_and_the_first_one_hears_why(
    server: RunningServer,
) -> None:
    _, expected_weights = await run_undisturbed(server)

    async with connected(server.url) as old, connected(server.url) as new:
        await old.open()
        await old.send(*SCRIPT[:7])
        # no wait: what was read before the take-over counts, what was not is to be sent again
        opened = await new.open()
        code = await old.closed()
        await send_from(new, new.next_sequence)
        await new.settle()

    goodbye = old.heard[-1]
    assert (goodbye["type"], goodbye["reason"], code) == ("goodbye", "taken_over", 1000)
    assert opened["resumed"]
    assert 1 <= int(str(opened["next_sequence"])) <= 8
    assert same_weights(await server.weights(), expected_weights)


async def test_the_new_connection_is_told_the_number_after_all_that_was_applied(
    server: RunningServer,
) -> None:
    async with connected(server.url) as old, connected(server.url) as new:
        await old.open()
        await old.send(*SCRIPT[:7])
        await old.settle()

        opened = await new.open()

    assert opened["next_sequence"] == 8
    assert new.heard[1] == new.heard[1] | {"type": "ack", "applied": 7}


async def test_connections_may_take_over_from_each_other_again_and_again(
    server: RunningServer,
) -> None:
    _, expected_weights = await run_undisturbed(server)

    async with connected(server.url) as one, connected(server.url) as two:
        await one.open()
        await one.send(*SCRIPT[:5])
        await two.open()
        await send_from(two, two.next_sequence)
        async with connected(server.url) as three:
            await three.open()
            await send_from(three, three.next_sequence)
            await three.settle()
            assert await one.closed() == await two.closed() == 1000

    assert same_weights(await server.weights(), expected_weights)


async def test_a_close_that_is_overtaken_does_not_close_the_new_connection(
    server: RunningServer,
) -> None:
    async with connected(server.url) as old, connected(server.url) as new:
        await old.open()
        await old.send(*SCRIPT[:-1], events(spikes(50)))
        await old.say({"type": "close"})
        await new.open()

        await new.send(begin(1000, 0))
        await new.settle()

        assert await old.closed() == 1000
        assert of_kind("goodbye", new.heard) == []


async def test_a_session_that_was_opened_anew_has_another_epoch(server: RunningServer) -> None:
    async with connected(server.url) as partner:
        first = await partner.open()
        response = await server.http.delete("/v1/sessions/s")
        assert response.status_code == 204
        await partner.closed()

    async with connected(server.url) as partner:
        second = await partner.open()

    assert not second["resumed"]
    assert second["epoch"] != first["epoch"]
    assert second["next_sequence"] == 1
