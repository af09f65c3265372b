"""The door for streams: who may have a WebSocket here, and for how long it is counted."""

from fastapi import APIRouter, WebSocket

from service.access.access import SUBPROTOCOL_PREFIX
from service.access.origin_check import problem
from service.errors import ServiceError
from service.routes.callers import Caller
from service.routes.connection import Connection
from service.wire_protocol import SUBPROTOCOL

router = APIRouter()


@router.websocket("/v1/stream")
async def stream(socket: WebSocket, principal: Caller) -> None:
    """Serve one connection from its handshake to its close."""
    if SUBPROTOCOL not in socket.scope["subprotocols"]:
        # all but a token: no error quotes one
        offered = [s for s in socket.scope["subprotocols"] if not s.startswith(SUBPROTOCOL_PREFIX)]
        refusal = f"subprotocols {offered} came; expected {SUBPROTOCOL!r} among them"
        await socket.send_denial_response(problem(400, "bad_message", refusal))
        return
    await socket.accept(SUBPROTOCOL)
    service = socket.app.state.service
    traffic = service.traffic.of(principal.name)
    connection = Connection(
        socket,
        principal,
        traffic=traffic,
        registry=service.registry,
        settings=service.settings.socket,
        telemetry=service.telemetry,
    )
    service.connections.add(connection)
    service.telemetry.connection_opened()
    try:
        traffic.connect()
        # a token that was revoked during the handshake found no connection to end
        service.tokens.check(principal)
    except ServiceError as error:
        connection.end(error)
    try:
        await connection.serve()
    finally:
        traffic.disconnect()
        service.connections.discard(connection)
        service.telemetry.connection_closed(connection.close_code)
