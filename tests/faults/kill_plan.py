"""When a server is killed: moments drawn at random, over the whole stream and while it starts."""

import asyncio
import random
from collections.abc import Callable
from typing import NamedTuple

from tests.faults.resuming_client import ResumingClient
from tests.faults.server_process import ServerProcess


class Kill(NamedTuple):
    """One moment.

    Attributes:
        sequence: The message that must have been applied once; 0: none, it may still be starting.
        delay_s: How long after that.
    """

    sequence: int
    delay_s: float


def kill_plan(generator: random.Random, n_kills: int, n_messages: int) -> list[Kill]:
    """Draw moments: four of five while it streams, the others while it starts and opens."""
    n_starting = n_kills // 5
    places = sorted(generator.randrange(1, n_messages) for _ in range(n_kills - n_starting))
    kills = [Kill(place, generator.uniform(0, 0.3)) for place in places]
    for _ in range(n_starting):
        kills.insert(generator.randrange(len(kills) + 1), Kill(0, generator.uniform(0, 5)))
    return kills


async def kill_at(
    kills: list[Kill],
    server: ServerProcess,
    client: ResumingClient,
    tell: Callable[[str], None] | None = None,
) -> None:
    """Kill the server at each of these moments and start it again at once."""
    for number, kill in enumerate(kills, start=1):
        await client.reached(kill.sequence)
        await asyncio.sleep(kill.delay_s)
        server.kill()
        server.spawn()
        if tell is not None and number % 10 == 0:
            tell(
                f"{number} of {len(kills)} kills, message {client.farthest} applied,"
                f" {client.durable} durable, {client.n_connections} connections"
            )
