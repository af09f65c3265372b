"""When a server is killed: moments drawn at random, over the whole stream and while it starts."""

import asyncio
import random
from collections.abc import Callable
from typing import NamedTuple

from tests.faults.resuming_client import ResumingClient
from tests.faults.server_process import ServerProcess

_SENT_MEANWHILE = 100


class Kill(NamedTuple):
    """One moment.

    Attributes:
        sequence: The message that must have been applied once; 0: none, it may still be starting.
        delay_s: How long after that. Meanwhile the client may send no more than some messages, so
            that it can't be done before the server was killed often enough.
    """

    sequence: int
    delay_s: float


def kill_plan(generator: random.Random, n_kills: int, n_messages: int) -> list[Kill]:
    """Draw moments: four of five while it streams, the others while it starts and opens."""
    n_starting = n_kills // 5
    places = sorted(generator.randrange(1, n_messages) for _ in range(n_kills - n_starting))
    delays = [generator.choice((0.0, 0.02, 0.3)) * generator.random() for _ in places]
    kills = [Kill(place, delay_s) for place, delay_s in zip(places, delays, strict=True)]
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
        ceiling = max(kill.sequence, client.farthest) + _SENT_MEANWHILE
        client.let_send_until(min(ceiling, client.n_messages - 1))
        await client.reached(kill.sequence)
        await asyncio.sleep(kill.delay_s)
        server.kill()
        server.spawn()
        if tell is not None and number % 10 == 0:
            tell(
                f"{number} of {len(kills)} kills, message {client.farthest} applied,"
                f" {client.durable} durable, {client.n_connections} connections"
            )
    client.let_send_until(None)
