"""The HTTP side: sessions, their state and weights, metrics, health."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response

from service.access.principals import SessionKey
from service.routes.callers import Caller
from service.routes.session_report import (
    JsonObject,
    describe_snapshot,
    export_weights,
    report_state,
    summarise,
    summarise_parked,
)
from service.sessions.session_registry import SessionRegistry

router = APIRouter()

PAGE_SIZE = 50


def _registry(request: Request) -> SessionRegistry:
    registry: SessionRegistry = request.app.state.service.registry
    return registry


@router.get("/v1/sessions")
async def list_sessions(
    request: Request,
    principal: Caller,
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = PAGE_SIZE,
) -> JsonObject:
    """List the caller's sessions in order of their names, a page at a time.

    ``next`` is what to give as ``after`` for the following page, or null on the last.
    """
    registry = _registry(request)
    lines = {session.name: summarise(session) for session in registry.sessions_of(principal.name)}
    for manifest in registry.parked_of(principal.name):
        lines.setdefault(manifest.session, summarise_parked(manifest))
    later = sorted(name for name in lines if name > after)
    page = later[:limit]
    return {
        "sessions": [lines[name] for name in page],
        "next": page[-1] if len(later) > limit else None,
    }


@router.get("/v1/sessions/{name}")
async def show_session(request: Request, principal: Caller, name: str) -> JsonObject:
    """Show one session's configuration, counters, rates, accuracy and memory."""
    registry = _registry(request)
    async with registry.hold(SessionKey(principal.name, name)) as session:
        newest = registry.keeper.newest(session)
        shown = None if newest is None else describe_snapshot(newest)
        return await report_state(session) | {"last_snapshot": shown}


@router.delete("/v1/sessions/{name}", status_code=204)
async def delete_session(request: Request, principal: Caller, name: str) -> Response:
    """Erase a session, attached or not."""
    key = SessionKey(principal.name, name)
    _registry(request).check_exists(key)
    await _registry(request).delete(key)
    return Response(status_code=204)


@router.get("/v1/sessions/{name}/weights", response_class=Response)
async def download_weights(request: Request, principal: Caller, name: str) -> Response:
    """Download a session's weights as safetensors, with the specification in their metadata."""
    async with _registry(request).hold(SessionKey(principal.name, name)) as session:
        content = await export_weights(session)
    return Response(
        content,
        media_type="application/octet-stream",
        headers={"Content-Disposition": 'attachment; filename="weights.safetensors"'},
    )


@router.get("/metrics", response_class=Response)
async def show_metrics(request: Request) -> Response:
    """Show the server's metrics in Prometheus' text format."""
    service = request.app.state.service
    await service.vital_signs.refresh()
    return Response(
        await service.telemetry.page(),
        media_type="text/plain; version=0.0.4; charset=utf-8",
    )


@router.get("/health/live")
async def is_live() -> JsonObject:
    """Answer as long as the event loop runs."""
    return {"status": "live"}


@router.get("/health/ready")
async def is_ready(request: Request) -> JsonObject:
    """Answer 200 once the kernel is compiled and sessions can be opened."""
    if not request.app.state.service.is_ready:
        raise HTTPException(503, "the server is starting or draining; try again")
    return {"status": "ready"}
