"""The HTTP side: sessions, their state and weights, metrics, health."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response

from service.callers import Caller
from service.principals import SessionKey
from service.session_registry import SessionRegistry
from service.session_report import JsonObject, export_weights, report_state, summarise

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
    sessions = _registry(request).sessions_of(principal.name)
    later = [session for session in sessions if session.name > after]
    page = later[:limit]
    return {
        "sessions": [summarise(session) for session in page],
        "next": page[-1].name if len(later) > limit else None,
    }


@router.get("/v1/sessions/{name}")
async def show_session(request: Request, principal: Caller, name: str) -> JsonObject:
    """Show one session's configuration, counters, rates, accuracy and memory."""
    return await report_state(_registry(request).find(SessionKey(principal.name, name)))


@router.delete("/v1/sessions/{name}", status_code=204)
async def delete_session(request: Request, principal: Caller, name: str) -> Response:
    """Erase a session, attached or not."""
    session = _registry(request).find(SessionKey(principal.name, name))
    await _registry(request).delete(session.key)
    return Response(status_code=204)


@router.get("/v1/sessions/{name}/weights", response_class=Response)
async def download_weights(request: Request, principal: Caller, name: str) -> Response:
    """Download a session's weights as safetensors, with the specification in their metadata."""
    content = await export_weights(_registry(request).find(SessionKey(principal.name, name)))
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
        service.telemetry.page(),
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
