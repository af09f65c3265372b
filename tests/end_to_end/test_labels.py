"""Labels in time, late, wrong and double; marks out of order: told, consumed, and nothing more."""

import math

import pytest

from tests.end_to_end.conftest import Serve
from tests.end_to_end.conversation_partner import (
    Message,
    begin,
    begin_us,
    clock,
    codes,
    connected,
    converse,
    end,
    events,
    label,
    learning,
    of_kind,
    segment,
    spikes,
)
from tests.end_to_end.running_server import RunningServer, same_weights

# --- labels that are learnt


async def test_final_and_learned_come_in_this_order(server: RunningServer) -> None:
    heard = await converse(server.url, segment(0, 1))

    *predictions, final, learned = heard
    assert [(p["tick"], p["final"]) for p in predictions] == [
        (5, False),
        (10, False),
        (15, False),
        (20, False),
    ]
    assert (final["tick"], final["final"], final["t_us"]) == (20, True, 20_000)
    assert learned == learned | {
        "type": "learned",
        "segment": 0,
        "target": 1,
        "correct": final["index"] == 1,
        "segments_labelled": 1,
        "prequential_accuracy": float(final["index"] == 1),
    }
    assert isinstance(learned["loss"], float)


async def test_a_label_for_the_current_segment_is_learnt_at_its_end(
    server: RunningServer,
) -> None:
    first, *rest = segment(0)

    early = await converse(server.url, [first, label(0, 1), *rest], session="early")
    late = await converse(server.url, segment(0, 1), session="late")

    # the prediction is not touched by a label that is known already
    assert early == late
    assert same_weights(await server.weights("early"), await server.weights("late"))


async def test_a_late_label_is_learnt_while_another_segment_runs(server: RunningServer) -> None:
    running = segment(1)
    messages = [*segment(0), *running[:2], label(0, 1), *running[2:]]

    heard = await converse(server.url, messages)

    kinds = [(m["type"], m["segment"], m.get("final")) for m in heard if m["type"] != "ack"]
    # the lesson of segment 0 comes between the predictions of segment 1, in sequence order
    place = kinds.index(("learned", 0, None))
    assert kinds[place - 1] == ("prediction", 1, False)
    assert kinds[-1] == ("prediction", 1, True)


@pytest.mark.parametrize(("target", "index"), [("two", 2), (0, 0)])
async def test_a_target_is_a_name_or_an_index(
    server: RunningServer, target: int | str, index: int
) -> None:
    heard = await converse(server.url, [*segment(0), label(0, target)])

    assert of_kind("learned", heard)[0]["target"] == index


async def test_a_segment_of_zero_ticks_has_a_uniform_final_and_can_be_labelled(
    server: RunningServer,
) -> None:
    final, learned = await converse(server.url, [begin(3, 500), end(3, 500), label(3, 2)])

    assert (final["tick"], final["t_us"], final["final"]) == (0, 500, True)
    assert final["probabilities"] == [pytest.approx(1 / 3)] * 3
    assert learned["loss"] == pytest.approx(math.log(3))


async def test_a_segment_of_zero_ticks_can_be_taught_ahead(server: RunningServer) -> None:
    heard = await converse(
        server.url, [begin(3, 500), label(3, 2), end(3, 500)], learning={"mode": "ahead"}
    )

    final, learned = heard
    assert final["final"]
    assert learned["loss"] == pytest.approx(math.log(3))


# --- refusals: not fatal, consumed, the session otherwise unchanged

REFUSED: list[tuple[str, list[Message], Message, str]] = [
    ("never begun", [], label(5, 1), "unknown_segment"),
    ("labelled before", segment(0, 1), label(0, 1), "label_duplicate"),
    ("labelled while open", [begin(0, 0), label(0, 1)], label(0, 2), "label_duplicate"),
    ("no such class", segment(0), label(0, "seven"), "bad_value"),
    ("no such index", segment(0), label(0, 3), "bad_value"),
    ("a negative index", segment(0), label(0, -1), "bad_value"),
    (
        "an interval",
        segment(0),
        {"type": "label", "from_us": 0, "to_us": 9, "target": 1},
        "bad_value",
    ),
    (
        "an empty interval",
        [],
        {"type": "label", "from_us": 9, "to_us": 9, "target": 1},
        "bad_value",
    ),
    ("begin while open", [begin(0, 0)], begin(1, 0), "bad_segment"),
    ("a number that does not rise", segment(3), begin(3, 0), "bad_segment"),
    ("end without begin", [], end(0, 0), "bad_segment"),
    ("end of another", [begin(0, 0)], end(1, 0), "bad_segment"),
    ("end before the begin", [begin(0, 500)], end(0, 499), "bad_segment"),
    ("a rate out of range", [], learning(rate=1.5), "bad_value"),
    ("a negative rate", [], learning(rate=-0.1), "bad_value"),
    ("a change of nothing", [], learning(), "bad_value"),
    ("no classes", [], {"type": "classes", "add": []}, "bad_value"),
]


@pytest.mark.parametrize(
    ("before", "refused", "code"),
    [case[1:] for case in REFUSED],
    ids=[case[0] for case in REFUSED],
)
async def test_what_has_no_meaning_is_refused_and_consumed(
    server: RunningServer, before: list[Message], refused: Message, code: str
) -> None:
    async with connected(server.url) as partner:
        await partner.open()
        await partner.send(*before)
        await partner.settle()
        state, weights = await server.state(), await server.weights()

        sequence = await partner.send(refused)
        heard = await partner.settle()

        [error] = heard
        assert (error["type"], error["fatal"]) == ("error", False)
        assert (error["code"], error["sequence"]) == (code, sequence)
        after = await server.state()
        assert (after.pop("applied"), after.pop("received")) == (sequence, sequence)
        assert after.items() <= state.items()
        assert same_weights(await server.weights(), weights)
        # and the conversation goes on
        await partner.send(learning(rate=0.5))
        assert await partner.settle() == []


async def test_a_label_for_a_dropped_segment_is_too_late(serve: Serve) -> None:
    async with serve(session={"kept_segments": 2}) as server:
        heard = await converse(
            server.url,
            [*segment(0), *segment(1), *segment(2), label(0, 1), label(1, 1), label(0, 1)],
            report={"every_ticks": 0},
        )
        state = await server.state()

    tail = [(m["type"], m.get("code"), m.get("segment")) for m in heard[3:]]
    assert tail == [
        ("error", "label_too_late", None),
        ("learned", None, 1),
        ("error", "label_too_late", None),
    ]
    assert state["segments"] == {"open": None, "kept": 1, "dropped": 1, "labelled": 1}


@pytest.mark.parametrize("is_told_at_once", [True, False])
async def test_a_segment_that_is_longer_than_the_server_keeps_is_never_learnt(
    serve: Serve,
    is_told_at_once: bool,  # noqa: FBT001 - a parameter of pytest
) -> None:
    first, *rest = segment(0)
    told: list[Message] = [label(0, 1)]
    messages = [first, *told, *rest] if is_told_at_once else [first, *rest, *told]

    async with serve(session={"kept_ticks": 19}) as server:
        heard = await converse(server.url, messages)
        state = await server.state()

    assert codes(heard) == ["label_too_late"]
    assert of_kind("learned", heard) == []
    assert of_kind("prediction", heard)[-1]["final"]
    assert state["learning"] == {"mode": "delayed", "lessons": 0, "stopped": False}


async def test_which_segments_are_dropped_depends_on_the_messages_alone(serve: Serve) -> None:
    messages = [message for number in range(6) for message in segment(number)]
    told = [label(number, 0) for number in range(6)]

    async with serve(session={"kept_ticks": 65}) as server:
        at_once = await converse(server.url, [*messages, *told], session="at-once")
        async with connected(server.url) as partner:
            await partner.open(session="one-by-one")
            partner.fresh()
            one_by_one = []
            for message in [*messages, *told]:
                await partner.send(message)
                one_by_one += await partner.settle()

    # 65 ticks: three segments of twenty
    assert codes(at_once) == ["label_too_late"] * 3
    assert one_by_one == at_once


# --- events out of place


async def test_events_outside_a_segment_are_ignored_counted_and_move_no_clock(
    server: RunningServer,
) -> None:
    stray = events([(5, 0), (9_000_000, 1)])

    heard = await converse(server.url, [stray, clock(9_000_000), *segment(0)], session="stray")
    plain = await converse(server.url, segment(0), session="plain")

    assert heard == plain
    dropped = (await server.state("stray"))["dropped_events"]
    assert dropped == {"late": 0, "outside_segments": 2, "saturated": 0}


async def test_late_events_are_reported_once_a_frame_and_the_rest_is_taken(
    server: RunningServer,
) -> None:
    pairs = spikes(0)
    horizon = begin_us(0) + 10_000
    early = [pair for pair in pairs if pair[0] < horizon]
    rest = [pair for pair in pairs if pair[0] >= horizon]
    late = [(horizon - 1, 0), (horizon - 5000, 1), (horizon - 9000, 2)]
    begun, ended = begin(0, begin_us(0)), end(0, begin_us(0) + 20_000)

    messages = [begun, events(early), clock(horizon), events([*late, *rest]), ended]
    heard = await converse(server.url, messages, session="late")
    without = [begun, events(early), clock(horizon), events(rest), ended]
    plain = await converse(server.url, without, session="plain")

    [error] = of_kind("error", heard)
    assert (error["code"], error["sequence"], error["fatal"]) == ("late_events", 4, False)
    assert [m for m in heard if m is not error] == plain
    dropped = (await server.state("late"))["dropped_events"]
    assert dropped == {"late": 3, "outside_segments": 0, "saturated": 0}


async def test_a_grace_takes_events_that_come_late(server: RunningServer) -> None:
    pairs = spikes(0)
    # each second event comes a frame later than its neighbours, up to 20 ms behind the horizon
    mixed = [
        begin(0, begin_us(0)),
        events(pairs[::2]),
        events(pairs[1::2]),
        end(0, begin_us(0) + 20_000),
    ]

    heard = await converse(server.url, mixed, session="mixed", late_us=20_000)
    plain = await converse(server.url, segment(0), session="plain")

    assert codes(heard) == []
    assert heard == plain


async def test_counts_beyond_255_saturate_and_are_counted(server: RunningServer) -> None:
    def burst(n_events: int) -> list[Message]:
        pairs = [(begin_us(0) + 500, 3)] * n_events
        return [begin(0, begin_us(0)), events(pairs), end(0, begin_us(0) + 5000)]

    many = await converse(server.url, burst(300), session="many")
    most = await converse(server.url, burst(255), session="most")

    assert many == most
    dropped = (await server.state("many"))["dropped_events"]
    assert dropped == {"late": 0, "outside_segments": 0, "saturated": 45}
