"""What both clients are asked to do: to be equal to a raw conversation, which knows neither."""

from collections.abc import Iterable

import pytest

from tests.end_to_end.conversation_partner import Heard, Message, converse, of_kind
from tests.end_to_end.driven_client import NODE, driven
from tests.end_to_end.running_server import RunningServer, same_weights

LANGUAGES = [
    "python",
    pytest.param(
        "javascript", marks=pytest.mark.skipif(NODE is None, reason="node is not installed")
    ),
]
both = pytest.mark.parametrize("language", LANGUAGES)


def by_kind(heard: Iterable[Heard]) -> dict[str, list[Heard]]:
    """Sort messages by kind: a client may have a stream for each, and then their order is free."""
    listed = list(heard)
    return {kind: of_kind(kind, listed) for kind in ("prediction", "learned", "error")}


def without_waiting(heard: Iterable[Heard]) -> list[Heard]:
    """Leave out what depends on how quickly a reader reads."""
    return [{name: v for name, v in m.items() if name != "skipped"} for m in heard]


async def assert_as_raw(
    server: RunningServer, language: str, messages: list[Message], **fields: object
) -> list[Heard]:
    """Say the same by a client and raw; both must hear the same and leave the same network."""
    raw = await converse(server.url, messages, session="raw", **fields)
    async with driven(language, server.url, {"session": "driven"} | fields) as client:
        await client.send(*messages)
        heard = await client.settle()
        assert await client.close() == {"why": "closed"}

    assert by_kind(heard) == by_kind(raw)
    assert same_weights(await server.weights("driven"), await server.weights("raw"))
    return heard
