"""Learning delayed, ahead and off; rates; and that no prediction saw its own label."""

import pytest

from tests.end_to_end.conversation_partner import (
    Heard,
    Message,
    connected,
    converse,
    events,
    label,
    learning,
    of_kind,
    segment,
    spikes,
)
from tests.end_to_end.running_server import RunningServer, same_weights


def ahead(number: int, target: int) -> list[Message]:
    """Return a segment whose label precedes its first event."""
    first, *rest = segment(number)
    return [first, label(number, target), *rest]


def options(mode: str, update: str = "segment", rate: float = 0.05) -> dict[str, object]:
    return {"mode": mode, "update": update, "optimizer": "sgd", "rate": rate}


def probabilities(heard: list[Heard]) -> list[object]:
    return [message["probabilities"] for message in of_kind("prediction", heard)]


# --- predict, then learn


@pytest.mark.parametrize("mode", ["delayed", "ahead"])
async def test_predictions_of_a_segment_do_not_depend_on_its_label(
    server: RunningServer, mode: str
) -> None:
    def script(target: int) -> list[Message]:
        lesson = segment(0, target) if mode == "delayed" else ahead(0, target)
        return [*lesson, *segment(1)]

    told = [
        await converse(server.url, script(target), session=f"t{target}", learning=options(mode))
        for target in (0, 1)
    ]

    first, second = (probabilities(heard) for heard in told)
    # every fifth tick and the final one: five a segment
    assert first[:5] == second[:5]
    # the other label taught something else, so the next segment is seen otherwise
    assert first[5:] != second[5:]


async def test_with_updates_every_tick_only_the_first_prediction_saw_no_label(
    server: RunningServer,
) -> None:
    told = [
        await converse(
            server.url,
            ahead(0, target),
            session=f"t{target}",
            learning=options("ahead", "tick"),
            report={"every_ticks": 1, "probabilities": True},
        )
        for target in (0, 1)
    ]

    first, second = (probabilities(heard) for heard in told)
    # tick 1 is predicted by the weights before its own update, tick 2 by weights that learnt
    assert first[0] == second[0]
    assert first[1] != second[1]


# --- ahead


async def test_ahead_with_segment_updates_equals_delayed(server: RunningServer) -> None:
    taught = await converse(
        server.url, ahead(0, 1) + ahead(1, 2), session="ahead", learning=options("ahead")
    )
    delayed = await converse(
        server.url,
        segment(0, 1) + segment(1, 2),
        session="delayed",
        learning=options("delayed"),
    )

    assert taught == delayed
    assert same_weights(await server.weights("ahead"), await server.weights("delayed"))


async def test_ahead_with_updates_every_tick_does_not_count_in_accuracy(
    server: RunningServer,
) -> None:
    heard = await converse(server.url, ahead(0, 1), learning=options("ahead", "tick"))

    [learned] = of_kind("learned", heard)
    assert "prequential_accuracy" not in learned
    assert learned["segment"] == 0
    accuracy = (await server.state())["prequential_accuracy"]
    assert accuracy == {"windowed": 0, "overall": 0}


@pytest.mark.parametrize(
    "before_the_label",
    [segment(0)[:2], segment(0)],
    ids=["an event", "the end"],
)
async def test_a_label_ahead_that_comes_later_is_too_late(
    server: RunningServer, before_the_label: list[Message]
) -> None:
    async with connected(server.url) as partner:
        await partner.open(learning=options("ahead"))
        before = await server.weights()
        await partner.send(*before_the_label)
        sequence = await partner.send(label(0, 1))
        heard = await partner.settle()

        [error] = of_kind("error", heard)
        assert (error["code"], error["sequence"]) == ("label_too_late", sequence)
        await partner.send(*segment(0)[len(before_the_label) :])
        await partner.settle()
        assert same_weights(await server.weights(), before)


# --- off, and changes


async def test_with_learning_off_a_label_scores_and_moves_no_weight(
    server: RunningServer,
) -> None:
    async with connected(server.url) as partner:
        await partner.open(learning=options("off"))
        before = await server.weights()
        await partner.send(*segment(0, 1))
        heard = await partner.settle()

        final = of_kind("prediction", heard)[-1]
        [learned] = of_kind("learned", heard)
        assert learned["correct"] == (final["index"] == 1)
        assert "loss" not in learned
        assert learned["segments_labelled"] == 1
        assert same_weights(await server.weights(), before)


async def test_without_labels_nothing_is_learnt(server: RunningServer) -> None:
    async with connected(server.url) as partner:
        await partner.open()
        before = await server.weights()
        await partner.send(*segment(0), *segment(1))
        await partner.settle()

        assert same_weights(await server.weights(), before)


async def test_rate_zero_moves_no_weight(server: RunningServer) -> None:
    async with connected(server.url) as partner:
        await partner.open(learning=options("delayed", rate=0))
        before = await server.weights()
        await partner.send(*segment(0, 1))
        heard = await partner.settle()

        assert "loss" in of_kind("learned", heard)[0]
        assert same_weights(await server.weights(), before)


async def test_a_changed_rate_holds_from_its_message_on(server: RunningServer) -> None:
    changed: list[Message] = [*segment(0, 1), learning(rate=0.5), *segment(1, 2)]
    await converse(server.url, changed, session="changed", learning=options("delayed"))
    await converse(
        server.url, segment(0, 1), session="same", learning=options("delayed", rate=0.05)
    )
    async with connected(server.url) as partner:
        # another connection's rate changes nothing: rates change by numbered messages alone
        await partner.open(session="same", learning=options("delayed", rate=0.9))
        await partner.send(learning(rate=0.5), *segment(1, 2))
        await partner.settle()

    assert same_weights(await server.weights("changed"), await server.weights("same"))


async def test_a_changed_mode_holds_from_its_message_on(server: RunningServer) -> None:
    messages: list[Message] = [
        *segment(0, 1),
        learning(mode="off"),
        *segment(1, 1),
        learning(mode="ahead"),
        *ahead(2, 1),
        learning(mode="delayed", rate=0.05),
        *segment(3, 1),
    ]

    heard = await converse(server.url, messages, learning=options("delayed"))

    assert ["loss" in learned for learned in of_kind("learned", heard)] == [
        True,
        False,
        True,
        True,
    ]
    state = await server.state()
    assert state["learning"] == {"mode": "delayed", "lessons": 3, "stopped": False}


async def test_a_report_is_each_connections_own(server: RunningServer) -> None:
    await converse(server.url, segment(0), report={"every_ticks": 10, "probabilities": False})
    async with connected(server.url) as partner:
        await partner.open(report={"every_ticks": 0, "probabilities": True})
        await partner.send(*segment(1))
        heard = await partner.settle()

    # the final of segment 0 is told again as it was; segment 1 by the new report
    told = [(p["segment"], p["tick"], "probabilities" in p) for p in of_kind("prediction", heard)]
    assert told == [(0, 20, False), (1, 20, True)]


async def test_state_that_is_carried_over_changes_what_follows(server: RunningServer) -> None:
    messages = segment(0) + segment(1)

    carried = await converse(server.url, messages, session="carried", carry_state=True)
    fresh = await converse(server.url, messages, session="fresh")

    assert probabilities(carried)[:5] == probabilities(fresh)[:5]
    assert probabilities(carried)[5:] != probabilities(fresh)[5:]


async def test_lessons_with_carried_state_equal_teaching_ahead(server: RunningServer) -> None:
    delayed = segment(0) + segment(1) + segment(2) + [label(1, 2)]
    taught = segment(0) + ahead(1, 2) + segment(2)

    await converse(server.url, delayed, session="a", carry_state=True, learning=options("delayed"))
    await converse(server.url, taught, session="b", carry_state=True, learning=options("ahead"))

    # the lesson began from the state that segment 1 began from, not from where segment 2 ended
    assert same_weights(await server.weights("a"), await server.weights("b"))


async def test_learning_makes_a_recording_known(server: RunningServer) -> None:
    """A network that hears the same three segments again and again knows them in the end."""
    messages: list[Message] = []
    for round_ in range(25):
        for kind in range(3):
            begin_us = (3 * round_ + kind) * 100_000
            shift = begin_us - kind * 100_000
            pairs = [(t_us + shift, address) for t_us, address in spikes(kind)]
            messages += _heard_again(3 * round_ + kind, begin_us, pairs, target=kind)

    heard = await converse(
        server.url,
        messages,
        learning={"optimizer": "adam", "rate": 0.02},
        report={"every_ticks": 0},
    )

    correct = [learned["correct"] for learned in of_kind("learned", heard)]
    losses = [float(str(learned["loss"])) for learned in of_kind("learned", heard)]
    assert all(correct[-9:])
    assert sum(losses[-9:]) < sum(losses[:9]) / 2


def _heard_again(
    number: int, begin_us: int, pairs: list[tuple[int, int]], target: int
) -> list[Message]:
    return [
        {"type": "segment", "action": "begin", "segment": number, "t_us": begin_us},
        events(pairs),
        {"type": "segment", "action": "end", "segment": number, "t_us": begin_us + 20_000},
        label(number, target),
    ]
