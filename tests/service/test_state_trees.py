"""A session captured between any two messages goes on elsewhere bit for bit, in every situation."""

import json
from collections.abc import Callable
from itertools import count
from typing import cast

import numpy as np
import pytest

from service.network.visit import Delivery
from service.state_tree import (
    Tree,
    array,
    branch,
    listed,
    text,
    truth,
    whole,
    whole_or_none,
)
from service.stream.intake import SessionMessage
from service.stream.work import Applied, AtBoundary
from service.wire_protocol import AddClasses, Label
from tclif_core import SlotIndex
from tests.service.client_messages import begin, end, events, label, learning
from tests.service.session_bench import Bench, codes, lessons, spikes

Step = Callable[[int], SessionMessage]

ARRAYS = (np.float32, np.float64, np.int64)


def plain(tree: object) -> object:
    """Return a tree without arrays, for comparison; refuse leaves that no snapshot could hold."""
    if isinstance(tree, dict):
        return {name: plain(value) for name, value in tree.items()}
    if isinstance(tree, np.ndarray):
        assert tree.dtype in ARRAYS
        return (tree.dtype.name, tree.shape, tree.tobytes())
    return json.loads(json.dumps(tree))


def stored(tree: Tree) -> Tree:
    """Return a tree as storage gives it back: read-only arrays that share nothing with anyone."""
    copied: Tree = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            copied[name] = stored(value)
        elif isinstance(value, np.ndarray):
            copy = value.copy()
            copy.flags.writeable = False
            copied[name] = copy
        else:
            copied[name] = json.loads(json.dumps(value))
    return copied


def capture_everywhere(bench: Bench, messages: list[SessionMessage]) -> list[Tree]:
    """Take all messages in before anything is computed, capturing at each boundary."""
    trees: list[Tree] = []

    def look() -> None:
        intake = bench.intake.capture()
        bench.inbox.append(
            AtBoundary(
                lambda: trees.append(
                    stored({"intake": intake(), "network": bench.network.capture()})
                ),
                lambda _: None,
            )
        )

    look()
    for message in messages:
        bench.inbox.extend(bench.intake.take(message))
        bench.inbox.append(Applied(message.sequence or 0, 0.0))
        look()
    return trees


def captured(bench: Bench) -> Tree:
    """Capture a session that has nothing left to do."""
    return stored({"intake": bench.intake.capture()(), "network": bench.network.capture()})


def restored(fields: dict[str, object], tree: Tree) -> Bench:
    bench = Bench(**fields)
    bench.intake.restore(branch(tree, "intake"))
    bench.network.restore(branch(tree, "network"), bench.intake.segmentation.open_segment)
    return bench


def check_every_cut(fields: dict[str, object], messages: list[SessionMessage]) -> Delivery:
    """Cut a conversation at each boundary, and compare what follows with the whole of it."""
    whole_run = Bench(**fields)
    trees = capture_everywhere(whole_run, messages)
    told = whole_run.compute(7)
    at_the_end = plain(captured(whole_run))

    assert len(trees) == len(messages) + 1
    for n_before, tree in enumerate(trees):
        bench = restored(fields, tree)
        assert plain(captured(bench)) == plain(tree)
        after = bench.take(*messages[n_before:], visit_ticks=5)
        assert after.messages == told.messages[len(told.messages) - len(after.messages) :]
        assert plain(captured(bench)) == at_the_end
    return told


def numbered(*steps: Step) -> list[SessionMessage]:
    return [step(sequence) for step, sequence in zip(steps, count(1), strict=False)]


def marks(number: int, action: Callable[[int, int, int], SessionMessage], t_us: int) -> Step:
    return lambda sequence: action(sequence, number, t_us)


def frame(number: int, seed: int, *, n_events: int = 30) -> Step:
    begin_us = 10_000 * number + 500 * seed
    return lambda s: events(s, *spikes(number * 7 + seed, begin_us, n_events, 500))


def told(number: int, target: int) -> Step:
    return lambda sequence: label(sequence, number, target)


def whole_segment(number: int) -> list[Step]:
    return [
        marks(number, begin, 10_000 * number),
        frame(number, 0),
        frame(number, 1),
        marks(number, end, 10_000 * number + 1050),
    ]


# three segments wait, labels come in another order, one for the open segment; events outside, late
# events, refusals and changes of learning in between; the last segment stays open with a label
DELAYED: list[Step] = [
    *whole_segment(0),
    *whole_segment(1),
    lambda s: events(s, (15_000, 0)),
    told(1, 2),
    told(1, 2),
    *whole_segment(2),
    marks(3, begin, 30_000),
    frame(3, 0),
    lambda s: learning(s, rate=0.05),
    told(0, 1),
    lambda s: AddClasses(sequence=s, add=("three", "four")),
    told(3, 4),
    lambda s: events(s, (30_010, 1)),
    lambda s: events(s, base_us=31_000),
    marks(3, end, 31_020),
    lambda s: learning(s, mode="off"),
    told(2, 2),
    lambda s: learning(s, mode="delayed"),
    marks(4, begin, 40_000),
    frame(4, 0),
    told(4, 1),
    frame(4, 1),
]
AHEAD: list[Step] = [
    *whole_segment(0),
    marks(1, begin, 10_000),
    told(1, 1),
    frame(1, 0),
    frame(1, 1),
    marks(1, end, 11_000),
    told(0, 1),
    marks(2, begin, 20_000),
    told(2, 2),
    frame(2, 0),
]


@pytest.mark.parametrize(
    ("rule", "carry_state", "late_us"),
    [
        ({"optimizer": "adam"}, True, 0),
        ({"optimizer": "adam"}, False, 250),
        ({"optimizer": "sgd", "momentum": 0.5, "feedback": "broadcast"}, False, 0),
        ({"optimizer": "rmsprop", "filter_readout_trace": True}, True, 250),
        ({"update": "tick", "optimizer": "sgd"}, True, 250),
        ({"update": "tick", "optimizer": "rmsprop"}, False, 0),
    ],
)
def test_a_session_captured_at_any_boundary_goes_on_bit_for_bit(
    rule: dict[str, object],
    carry_state: bool,  # noqa: FBT001 - a parameter of pytest
    late_us: int,
) -> None:
    fields: dict[str, object] = {
        "learning": {"rate": 0.01} | rule,
        "carry_state": carry_state,
        "late_us": late_us,
        "report": {"every_ticks": 3, "probabilities": True},
    }

    told = check_every_cut(fields, numbered(*DELAYED))

    assert [learned.segment for learned in lessons(told)] == [1, 0, 3, 2]
    assert "label_duplicate" in codes(told)


@pytest.mark.parametrize("carry_state", [False, True])
@pytest.mark.parametrize("update", ["segment", "tick"])
def test_a_session_that_learns_ahead_goes_on_bit_for_bit(
    update: str,
    carry_state: bool,  # noqa: FBT001 - a parameter of pytest
) -> None:
    fields: dict[str, object] = {
        "learning": {"mode": "ahead", "update": update, "optimizer": "sgd", "rate": 0.05},
        "carry_state": carry_state,
    }

    told = check_every_cut(fields, numbered(*AHEAD))

    assert [learned.segment for learned in lessons(told)] == [1]
    assert codes(told) == ["label_too_late"]


def about(from_us: int, to_us: int, target: int) -> Step:
    return lambda s: Label(sequence=s, from_us=from_us, to_us=to_us, target=target)


def burst(seed: int, begin_us: int) -> Step:
    return lambda s: events(s, *spikes(seed, begin_us, 40, 400))


def clock(time_us: int) -> Step:
    return lambda s: events(s, base_us=time_us)


# bursts of 400 us with silences of 300 us and more between them; some of it late or refused
SERVER_CUT: list[Step] = [
    clock(50),
    told(0, 1),
    burst(1, 100),
    burst(2, 300),
    lambda s: events(s, (10, 0), (650, 1)),
    burst(3, 1100),
    told(0, 2),
    told(1, 0),
    clock(1900),
    told(2, 1),
    about(300, 600, 1),
    about(700, 1300, 2),
    lambda s: learning(s, rate=0.02),
    lambda s: AddClasses(sequence=s, add=("three",)),
    burst(4, 2000),
    about(1300, 1350, 0),
    burst(5, 2350),
    clock(3000),
    about(1500, 2500, 0),
    burst(6, 3100),
]


@pytest.mark.parametrize("carry_state", [False, True])
@pytest.mark.parametrize("mode", ["delayed", "ahead"])
@pytest.mark.parametrize(
    "segmentation",
    [
        {"by": "silence", "gap_us": 250},
        {"by": "window", "length_us": 450},
        {"by": "none"},
    ],
    ids=lambda segmentation: segmentation["by"],
)
def test_a_stream_that_the_server_cuts_goes_on_bit_for_bit(
    segmentation: dict[str, object],
    mode: str,
    carry_state: bool,  # noqa: FBT001 - a parameter of pytest
) -> None:
    if mode == "ahead" and segmentation["by"] == "none":
        mode = "off"
    fields: dict[str, object] = {
        "segmentation": segmentation,
        "learning": {"mode": mode, "optimizer": "adam", "rate": 0.01},
        "carry_state": carry_state,
        "late_us": 150,
        "report": {"every_ticks": 3, "probabilities": True},
    }

    told = check_every_cut(fields, numbered(*SERVER_CUT))

    assert lessons(told)
    assert codes(told)


class StubbornLearning(Bench):
    """A session whose learning has stopped."""

    def __init__(self, **fields: object) -> None:
        super().__init__(**fields)
        learner = self.learner
        apply_update = learner.apply_update

        def refuse(slot: SlotIndex) -> bool:
            apply_update(slot)
            return False

        learner.apply_update = refuse  # type: ignore[method-assign]  # of this instance alone


def test_learning_that_has_stopped_stays_so() -> None:
    bench = StubbornLearning()
    bench.take(*numbered(*whole_segment(0), told(0, 1)))
    before = bench.weights()

    other = restored({}, captured(bench))
    delivery = other.take(*numbered(*whole_segment(1), told(1, 2)))

    assert other.network.teaching.learning_stopped
    assert [learned.loss for learned in lessons(delivery)] == [None]
    assert all(np.array_equal(before[name], value) for name, value in other.weights().items())


def test_what_became_of_old_segments_is_captured() -> None:
    bench = Bench()
    bench.take(*numbered(*[step for n in range(70) for step in whole_segment(n)], told(69, 0)))

    other = restored({}, captured(bench))

    # 64 were kept: the first six were dropped, the last one is labelled
    assert other.intake.segmentation.kept.n_dropped == 6
    delivery = other.take(label(1, 5, 0), label(2, 69, 0), label(3, 70, 0), label(4, 6, 0))
    assert codes(delivery) == ["label_too_late", "label_duplicate", "unknown_segment"]
    assert [learned.segment for learned in lessons(delivery)] == [6]


def test_the_open_segment_is_one_object_on_both_sides() -> None:
    bench = Bench()
    bench.take(*numbered(*whole_segment(0)[:2]))

    other = restored({}, captured(bench))
    delivery = other.take(end(3, 0, 600), label(4, 0, 1))

    # the engine's final prediction is what the label is compared with
    assert [learned.segment for learned in lessons(delivery)] == [0]
    final = [message for message in delivery.messages if message.type == "prediction"][-1]
    assert lessons(delivery)[0].correct == (final.index == 1)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (branch, 3),
        (listed, {}),
        (whole, True),
        (whole, 1.0),
        (whole_or_none, "1"),
        (truth, 0),
        (text, None),
        (lambda tree, name: array(tree, name, np.int64), np.zeros(2, np.float32)),
        (lambda tree, name: array(tree, name, np.int64), [1, 2]),
    ],
)
def test_a_value_of_another_type_is_named(
    read: Callable[[Tree, str], object], value: object
) -> None:
    with pytest.raises(ValueError, match=r"state 'x': .* came; expected "):
        read({"x": value}, "x")
    with pytest.raises(ValueError, match="state 'y': None came"):
        read({"x": value}, "y")


def test_none_counts_where_it_may_stand() -> None:
    assert whole_or_none({"x": None}, "x") is None


def test_a_tree_of_another_network_is_refused() -> None:
    tree = captured(Bench())
    other = Bench(network={"hidden": [5], "classes": 3})

    with pytest.raises(ValueError, match="must be"):
        other.network.restore(cast("Tree", tree["network"]), None)
