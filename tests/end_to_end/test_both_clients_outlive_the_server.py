"""A server that ends under both clients, killed or asked to: time is lost, and nothing else."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.end_to_end.both_languages import without_waiting
from tests.end_to_end.conversation_partner import Heard, codes, converse, lessons, of_kind
from tests.end_to_end.driven_client import COMMANDS, NODE, driven
from tests.end_to_end.running_server import same_weights
from tests.faults.server_process import server_process

MESSAGES = lessons(range(24))
# five messages a lesson: the server ends within the tenth segment
N_BEFORE = 48
SETTINGS = {
    "tclif_engine__kernel": "reference",
    "tclif_storage__snapshot_every_s": "0.05",
    "tclif_socket__retry_after_ms": "0",
}


def lasting(kind: str, heard: list[Heard]) -> list[Heard]:
    """Pick what may neither be lost nor come twice: finals and lessons."""
    return without_waiting(m for m in of_kind(kind, heard) if m.get("final", True))


@pytest.mark.skipif(NODE is None, reason="node is not installed")
@pytest.mark.parametrize("is_killed", [True, False])
async def test_clients_go_on_with_a_server_that_ended(
    tmp_path: Path,
    is_killed: bool,  # noqa: FBT001 - a parameter of pytest
) -> None:
    async with server_process(tmp_path, **SETTINGS) as server, AsyncExitStack() as stack:
        expected = await converse(server.url, MESSAGES, session="raw")
        undisturbed = await server.weights("raw")
        clients = {
            language: await stack.enter_async_context(
                driven(language, server.url, {"session": language})
            )
            for language in COMMANDS
        }
        for client in clients.values():
            await client.send(*MESSAGES[:N_BEFORE])

        if is_killed:
            server.kill()
        else:
            await server.stop()
        await server.start()
        for language, client in clients.items():
            await client.send(*MESSAGES[N_BEFORE:])
            heard = await client.settle()

            assert [opened["resumed"] for opened in client.opened] == [False, True]
            assert len({opened["epoch"] for opened in client.opened}) == 1
            assert codes(heard) == []
            for kind in ("prediction", "learned"):
                assert lasting(kind, heard) == lasting(kind, expected)
            assert same_weights(await server.weights(language), undisturbed)
            assert await client.close() == {"why": "closed"}
            state = await server.state(language)
            assert state["durable"] == state["applied"] == len(MESSAGES)
