"""Whole conversations of random messages: no exception escapes, no invalid message acts."""

import asyncio
import itertools
import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.conversation_fuzz import FuzzedConversation, FuzzedServer, fuzzed_server
from tests.fuzz.message_maker import MessageMaker
from tests.fuzz.test_wire_protocol import near_messages

OPENINGS: list[dict[str, object]] = [
    {},
    {"late_us": 3000, "carry_state": True},
    {"learning": {"mode": "ahead", "update": "tick", "optimizer": "sgd", "rate": 0.01}},
]


class Stage:
    """A server on a loop that only runs while something is asked of it."""

    def __init__(self, runner: asyncio.Runner, server: FuzzedServer) -> None:
        self.runner = runner
        self.server = server
        self.names = (f"s{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with asyncio.Runner() as runner:
        running = fuzzed_server(tmp_path_factory.mktemp("fuzz"))
        server = runner.run(running.__aenter__())
        yield Stage(runner, server)
        runner.run(running.__aexit__(None, None, None))


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    generator=st.randoms(use_true_random=False),
    opening=st.sampled_from(OPENINGS),
    n_messages=st.integers(1, 40),
    asides=st.lists(near_messages | st.text() | st.binary(max_size=60), max_size=4),
)
def test_no_message_escapes_and_no_invalid_one_changes_the_session(
    stage: Stage,
    generator: random.Random,
    opening: dict[str, object],
    n_messages: int,
    asides: list[str | bytes],
) -> None:
    async def converse() -> None:
        maker = MessageMaker(generator)
        conversation = FuzzedConversation(stage.server, next(stage.names), **opening)
        for _ in range(n_messages):
            await conversation.say(maker.make(conversation.due))
        for aside in asides:
            await conversation.say(aside)
        await conversation.end()

    stage.runner.run(converse())


def test_the_random_messages_reach_what_they_should(stage: Stage) -> None:
    async def converse() -> FuzzedConversation:
        maker = MessageMaker(random.Random(5))
        conversation = FuzzedConversation(stage.server, next(stage.names))
        for _ in range(1500):
            await conversation.say(maker.make(conversation.due))
        return conversation

    conversation = stage.runner.run(converse())

    expected = {
        *("bad_message", "bad_address", "sequence_gap", "bad_segment", "bad_value"),
        *("label_duplicate", "label_too_late", "unknown_segment", "late_events"),
    }
    assert expected <= conversation.codes.keys()
    assert conversation.due > 500
