"""The Python client, driven by lines of JSON; see `driven_client`."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator

import numpy as np

from clients.connection_errors import (
    ClientError,
    ServerUnreachable,
    SessionLost,
    SessionRefused,
    TakenOver,
)
from clients.sdk import StreamingClient
from service.wire_protocol import Open, encode

_LINE_BYTES = 1 << 24


def tell(name: str, value: object) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps({name: value}) + "\n")
    sys.stdout.flush()


async def lines() -> AsyncIterator[dict[str, object]]:
    """Read the lines of the input."""
    reader = asyncio.StreamReader(limit=_LINE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        yield json.loads(line)


class Listener:
    """Writes down what a client hears, attachments included."""

    def __init__(self, client: StreamingClient) -> None:
        self._client = client
        self._n_connections = 0

    async def listen(self) -> None:
        """Write down everything until the client ends."""
        async for message in self._client:
            self.note_attachment()
            tell("heard", json.loads(encode(message)))

    def note_attachment(self) -> None:
        """Say so if the client has come back since the last time."""
        if self._client.n_connections > self._n_connections:
            self._n_connections = self._client.n_connections
            tell("opened", json.loads(encode(self._client.opened)))


async def perform(client: StreamingClient, listener: Listener, call: dict[str, object]) -> None:  # noqa: C901 - a table of calls
    """Do what a line says."""
    match call:
        case {"call": "segment", "action": "begin", "segment": int(number), "t_us": int(t_us)}:
            await client.begin_segment(number, t_us=t_us)
        case {"call": "segment", "action": "end", "segment": int(number), "t_us": int(t_us)}:
            await client.end_segment(number, t_us=t_us)
        case {"call": "events", "times_us": list(times), "addresses": list(addresses)}:
            await client.send_events(np.array(times), np.array(addresses))
        case {"call": "advance", "t_us": int(t_us)}:
            await client.advance_to(t_us)
        case {"call": "label", "segment": int(number), "target": int() | str() as target}:
            await client.label(number, target)
        case {"call": "label", "from_us": int(start), "to_us": int(stop), "target": target}:
            assert isinstance(target, int | str)
            await client.label_interval(start, stop, target)
        case {"call": "learning", "rate": float(rate)}:
            await client.change_learning(rate=rate)
        case {"call": "classes", "add": list(names)}:
            await client.add_classes(names)
        case {"call": "snapshot"}:
            await client.snapshot()
        case {"call": "settle"}:
            await client.drain()
            await client.until_read()
            listener.note_attachment()
        case _:
            raise AssertionError(f"{call} is no call of this driver")


async def converse() -> None:
    """Open the session of the first line and do what the others say."""
    calls = lines()
    first = await anext(calls)
    request = Open.model_validate(first["request"])
    token = first["token"]
    assert token is None or isinstance(token, str)
    client = StreamingClient.open(str(first["url"]), request, token=token)
    async with client, asyncio.TaskGroup() as tasks:
        listener = Listener(client)
        listener.note_attachment()
        listening = tasks.create_task(listener.listen())
        async for call in calls:
            if call["call"] == "close":
                break
            await perform(client, listener, call)
            tell("done", {})
        await client.drain()
        await client.until_read()
        listening.cancel()


def end_of(error: ClientError) -> dict[str, object]:
    """Put an error in words that all drivers share."""
    if isinstance(error, SessionRefused):
        return {"why": "refused", "code": error.code, "close_code": error.close_code}
    reasons: dict[type[ClientError], str] = {
        TakenOver: "taken_over",
        SessionLost: "lost",
        ServerUnreachable: "unreachable",
    }
    return {"why": reasons[type(error)]}


def leaves(group: BaseExceptionGroup[ClientError]) -> Iterator[ClientError]:
    """Return the errors of a group, however they are nested."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


async def main() -> None:
    """Converse, and say at last how the client ended."""
    end: dict[str, object] = {"why": "closed"}
    try:
        await converse()
    except* ClientError as group:
        # several tasks may have failed, all of them by the same end of the client
        [error] = {str(one): one for one in leaves(group)}.values()
        end = end_of(error)
    tell("ended", end)


if __name__ == "__main__":
    asyncio.run(main())
