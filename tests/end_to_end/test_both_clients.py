"""The clients of both languages, in the same conversations with a real server.

What a client hears and what its session's network becomes is compared with a raw conversation,
which knows nothing of either client: so both clients leave the same weights, to the last bit.
"""

import asyncio
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.access.principals import Role
from service.access.token_file import new_token, write_tokens
from tests.end_to_end.both_languages import assert_as_raw, both, by_kind, without_waiting
from tests.end_to_end.conftest import Serve
from tests.end_to_end.conversation_partner import (
    TIMEOUT_S,
    Heard,
    Message,
    begin,
    clock,
    codes,
    converse,
    end,
    events,
    label,
    learning,
    lessons,
    of_kind,
    segment,
    spikes,
)
from tests.end_to_end.driven_client import NODE, driven
from tests.end_to_end.held_wire import held_wire
from tests.end_to_end.running_server import RunningServer, same_weights
from tests.faults.unsteady_proxy import unsteady_proxy


@both
async def test_a_client_predicts_and_learns_as_a_raw_conversation(
    server: RunningServer, language: str
) -> None:
    await assert_as_raw(server, language, lessons(range(6)))


@both
async def test_labels_may_come_late_by_name_and_while_another_segment_runs(
    server: RunningServer, language: str
) -> None:
    running = segment(3)
    late = [label(2, "two"), *running[:2], label(0, "one"), *running[2:], label(3, 0), label(1, 1)]

    await assert_as_raw(server, language, [*segment(0), *segment(1), *segment(2), *late])


@both
@pytest.mark.parametrize("update", ["segment", "tick"])
async def test_labels_may_come_ahead(server: RunningServer, language: str, update: str) -> None:
    def taught(number: int) -> list[Message]:
        first, *rest = segment(number)
        return [first, label(number, number % 3), *rest]

    messages = [message for number in range(4) for message in taught(number)]
    rule = {"mode": "ahead", "update": update, "rate": 0.01, "optimizer": "sgd"}

    await assert_as_raw(server, language, messages, learning=rule)


@both
async def test_learning_changes_from_its_place_on(server: RunningServer, language: str) -> None:
    messages = [*lessons(range(2)), learning(rate=0.5), *lessons(range(2, 4))]

    await assert_as_raw(server, language, messages)


@both
async def test_a_client_cuts_events_to_what_the_server_takes(serve: Serve, language: str) -> None:
    # 60 ticks of 6 events; (1024 - 24) / 8 = 125 of them fit a message
    pairs = spikes(0, n_ticks=60)
    mixed = random.Random(1).sample(pairs, len(pairs))
    first, *last = begin(0, 0), end(0, 60_000), label(0, 1)
    cut_by_hand = [events(pairs[start : start + 120]) for start in (0, 120, 240)]

    async with serve(socket={"max_message_bytes": 1024}) as server:
        raw = await converse(server.url, [first, *cut_by_hand, *last], session="raw")
        async with driven(language, server.url, {"session": "driven"}) as client:
            await client.send(first, events(mixed), *last)
            heard = await client.settle()

        assert by_kind(heard) == by_kind(raw)
        assert same_weights(await server.weights("driven"), await server.weights("raw"))


@both
async def test_a_client_moves_the_clock_where_one_message_would_go_too_far(
    server: RunningServer, language: str
) -> None:
    # 9000 ticks without a word, of which one message may complete 4096
    start, last = begin(0, 0), [end(0, 9_000_000), label(0, 1)]
    far = events([(500, 0), (4_900_000, 3), (2_000_000, 5)])
    by_hand = [
        events([(500, 0), (2_000_000, 5)]),
        clock(4_000_000),
        events([(4_900_000, 3)]),
        clock(7_000_000),
    ]
    finals_only: dict[str, object] = {"report": {"every_ticks": 0, "probabilities": True}}

    raw = await converse(server.url, [start, *by_hand, *last], session="raw", **finals_only)
    async with driven(language, server.url, {"session": "driven"} | finals_only) as client:
        await client.send(start, far, *last)
        heard = await client.settle()

    assert by_kind(heard) == by_kind(raw)
    assert same_weights(await server.weights("driven"), await server.weights("raw"))


@both
async def test_refusals_are_told_with_their_number_and_the_session_goes_on(
    server: RunningServer, language: str
) -> None:
    messages = [
        label(5, 1),
        *segment(0, 1),
        label(0, 2),
        label(0, "seven"),
        begin(0, 500_000),
        end(7, 600_000),
        *segment(8, 1),
    ]

    async with driven(language, server.url) as client:
        await client.send(*messages)
        heard = await client.settle()

    # five messages of segment 0 follow the first label
    assert [(error["code"], error["sequence"]) for error in of_kind("error", heard)] == [
        ("unknown_segment", 1),
        ("label_duplicate", 7),
        ("bad_value", 8),
        ("bad_segment", 9),
        ("bad_segment", 10),
    ]
    assert [learned["segment"] for learned in of_kind("learned", heard)] == [0, 8]


@both
async def test_cut_connections_lose_nothing_and_teach_nothing_twice(
    server: RunningServer, language: str
) -> None:
    n_cuts, generator = 6, random.Random(5)
    messages = lessons(range(16))
    expected = await converse(server.url, messages, session="raw")

    # a handshake and an open take about 700 bytes; the rest is cut anywhere, in frames too
    quotas = iter([generator.randrange(800, 6000) for _ in range(n_cuts)])
    wire = unsteady_proxy(server.port, generator, quotas, slow_chance=0)
    async with wire as (url, proxy), driven(language, url, {"session": "driven"}) as client:
        await client.send(*messages)
        heard = await client.settle()
        assert await client.close() == {"why": "closed"}

    assert proxy.n_cuts == n_cuts
    assert {opened["epoch"] for opened in client.opened} == {client.opened[0]["epoch"]}
    for kind in ("prediction", "learned"):
        finals = [m for m in of_kind(kind, heard) if m.get("final", True)]
        assert without_waiting(finals) == without_waiting(
            m for m in of_kind(kind, expected) if m.get("final", True)
        )
    assert codes(heard) == []
    state = await server.state("driven")
    assert state["learning"] == {"mode": "delayed", "lessons": 16, "stopped": False}
    assert same_weights(await server.weights("driven"), await server.weights("raw"))


@both
async def test_a_client_whose_session_is_taken_over_ends_and_leaves_it_alone(
    server: RunningServer, language: str
) -> None:
    messages = lessons(range(4))
    expected = await converse(server.url, messages, session="raw")

    async with driven(language, server.url) as first:
        await first.send(*messages[:7])
        await first.settle()
        async with driven(language, server.url) as second:
            assert await first.ended() == {"why": "taken_over"}
            [opened] = second.opened
            assert (opened["resumed"], opened["next_sequence"]) == (True, 8)
            await second.send(*messages[7:])
            heard = await second.settle()

    assert of_kind("learned", heard)[-1] == of_kind("learned", expected)[-1]
    assert same_weights(await server.weights(), await server.weights("raw"))


@pytest.mark.skipif(NODE is None, reason="node is not installed")
@pytest.mark.parametrize("languages", [["python", "javascript"], ["javascript", "python"]])
async def test_one_client_goes_on_where_the_other_left(
    server: RunningServer, languages: list[str]
) -> None:
    messages = lessons(range(4))
    expected = await converse(server.url, messages, session="raw")

    # 13 messages: the third segment is open at the end of the first client
    opened: list[Heard] = []
    heard: list[Heard] = []
    for language, part in zip(languages, (messages[:13], messages[13:]), strict=True):
        async with driven(language, server.url) as client:
            await client.send(*part)
            await client.settle()
            assert await client.close() == {"why": "closed"}
        opened, heard = client.opened, client.heard

    assert [o.get("open_segment") for o in opened] == [2]
    assert of_kind("learned", heard)[-1] == of_kind("learned", expected)[-1]
    assert same_weights(await server.weights(), await server.weights("raw"))


@both
async def test_a_refused_session_is_told_with_its_code(
    server: RunningServer, language: str
) -> None:
    await converse(server.url, [])
    async with driven(language, server.url, {"tick_us": 999}) as client:
        end_told = await client.ended()

    assert end_told == {"why": "refused", "code": "config_mismatch", "close_code": 4400}


@both
async def test_a_deleted_session_ends_its_client(server: RunningServer, language: str) -> None:
    async with driven(language, server.url) as client:
        await server.http.delete("/v1/sessions/s")

        assert await client.ended() == {"why": "lost"}


@both
async def test_a_slow_reader_misses_predictions_on_the_way_and_nothing_else(
    serve: Serve, language: str
) -> None:
    # predictions of 8 kB, 7 MB in all: more than sockets and buffers between hold; and no more
    # ticks than a client may have computed that hears of no credit meanwhile
    n_ticks = 900
    wordy = {
        "network": {"hidden": [8], "classes": 400},
        "report": {"every_ticks": 1, "probabilities": True},
    }
    bounds: dict[str, object] = {"outbox_predictions": 4}
    async with (
        serve(socket=bounds) as server,
        held_wire(server.port) as (url, wire),
        driven(language, url, wordy) as client,
    ):
        wire.hold()
        await client.send(begin(0, 0), *[clock(1000 * (n + 1)) for n in range(n_ticks)])
        await client.send(end(0, n_ticks * 1000), label(0, 1))
        async with asyncio.timeout(TIMEOUT_S):
            while (await server.state())["applied"] != n_ticks + 3:
                pass
        wire.free()
        heard = await client.settle()

    predictions = of_kind("prediction", heard)
    skipped = sum(int(str(prediction["skipped"])) for prediction in predictions)
    assert skipped > 0
    # every tick and the final one: heard or counted
    assert len(predictions) + skipped == n_ticks + 1
    assert predictions[-1]["final"]
    assert len(of_kind("learned", heard)) == 1


@both
async def test_a_client_shows_its_token(serve: Serve, language: str, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.json"
    secret, entry = new_token("alice", Role.CLIENT, datetime(2026, 1, 2, tzinfo=UTC))
    write_tokens(tokens, (entry,))
    async with serve(access={"tokens_file": str(tokens)}) as server:
        async with driven(language, server.url, token=secret) as client:
            await client.send(*lessons(range(1)))
            await client.settle()
            assert await client.close() == {"why": "closed"}
        server.http.headers["Authorization"] = f"Bearer {secret}"
        state = await server.state()

    assert state["applied"] == 5
