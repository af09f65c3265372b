"""The way into a stream: subprotocol, Host, Origin, and no compression."""

import json
from collections.abc import Sequence

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.end_to_end.conversation_partner import SMALL_OPEN, TIMEOUT_S
from tests.end_to_end.running_server import RunningServer


async def shake_hands(
    server: RunningServer,
    *,
    subprotocols: Sequence[str] | None = ("tclif.v1",),
    host: str | None = None,
    origin: str | None = None,
    path: str = "/v1/stream",
    compression: str | None = None,
) -> ClientConnection:
    """Connect to the server, under another name if one is given."""
    address, port = server.host.split(":")
    return await connect(
        f"ws://{host or address}:{port}{path}",
        host=address,
        port=int(port),
        subprotocols=None if subprotocols is None else [Subprotocol(s) for s in subprotocols],
        additional_headers={} if origin is None else {"Origin": origin},
        compression=compression,
        open_timeout=TIMEOUT_S,
        proxy=None,
    )


async def refusal(server: RunningServer, **fields: object) -> tuple[int, dict[str, object]]:
    with pytest.raises(InvalidStatus) as refused:
        await shake_hands(server, **fields)  # type: ignore[arg-type]  # handed on
    response = refused.value.response
    assert response.headers["Content-Type"] == "application/problem+json"
    body: dict[str, object] = json.loads(response.body)
    return response.status_code, body


async def test_the_subprotocol_is_echoed_and_nothing_is_compressed(server: RunningServer) -> None:
    socket = await shake_hands(
        server, subprotocols=("bearer.abc", "tclif.v1"), compression="deflate"
    )

    assert socket.subprotocol == "tclif.v1"
    assert socket.protocol.extensions == []
    await socket.close()


@pytest.mark.parametrize("subprotocols", [None, ["tclif.v2"], ["TCLIF.V1"]])
async def test_without_the_subprotocol_the_handshake_is_refused(
    server: RunningServer, subprotocols: list[str] | None
) -> None:
    status, body = await refusal(server, subprotocols=subprotocols)

    assert (status, body["status"], body["code"]) == (400, 400, "bad_message")
    assert "tclif.v1" in str(body["detail"])


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example"])
async def test_a_foreign_host_is_refused(server: RunningServer, host: str) -> None:
    status, body = await refusal(server, host=host)

    assert (status, body["code"]) == (403, "unauthorized")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://localhost.evil"])
async def test_a_foreign_page_is_refused(server: RunningServer, origin: str) -> None:
    status, body = await refusal(server, origin=origin)

    assert (status, body["code"]) == (403, "unauthorized")


@pytest.mark.parametrize("origin", ["http://localhost:5173", "http://127.0.0.1"])
async def test_a_page_of_this_machine_may_connect(server: RunningServer, origin: str) -> None:
    socket = await shake_hands(server, host="localhost", origin=origin)

    await socket.send(json.dumps(SMALL_OPEN))
    assert json.loads(await socket.recv())["type"] == "opened"
    await socket.close()


async def test_there_is_no_other_stream(server: RunningServer) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await shake_hands(server, path="/v2/stream")

    assert refused.value.response.status_code == 403
