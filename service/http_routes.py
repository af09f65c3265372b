"""The HTTP side: sessions, their state and weights, metrics, health."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response

from service.session_report import JsonObject, export_weights, report_state, summarise
from service.sessions import Session

router = APIRouter()

PAGE_SIZE = 50


def _session(request: Request, name: str) -> Session:
    session: Session | None = request.app.state.service.registry.get(name)
    if session is None:
        raise HTTPException(404, f"session {name!r} came; expected one of GET /v1/sessions")
    return session


@router.get("/v1/sessions")
async def list_sessions(
    request: Request,
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = PAGE_SIZE,
) -> JsonObject:
    """List sessions in order of their names, a page at a time.

    ``next`` is what to give as ``after`` for the following page, or null on the last.
    """
    registry = request.app.state.service.registry
    later = [session for session in registry if session.name > after]
    page = later[:limit]
    return {
        "sessions": [summarise(session) for session in page],
        "next": page[-1].name if len(later) > limit else None,
    }


@router.get("/v1/sessions/{name}")
async def show_session(request: Request, name: str) -> JsonObject:
    """Show one session's configuration, counters, rates, accuracy and memory."""
    return await report_state(_session(request, name))


@router.delete("/v1/sessions/{name}", status_code=204)
async def delete_session(request: Request, name: str) -> Response:
    """Erase a session, attached or not."""
    _session(request, name)
    await request.app.state.service.registry.delete(name)
    return Response(status_code=204)


@router.get("/v1/sessions/{name}/weights", response_class=Response)
async def download_weights(request: Request, name: str) -> Response:
    """Download a session's weights as safetensors, with the specification in their metadata."""
    content = await export_weights(_session(request, name))
    return Response(
        content,
        media_type="application/octet-stream",
        headers={"Content-Disposition": 'attachment; filename="weights.safetensors"'},
    )


@router.get("/metrics", response_class=Response)
async def show_metrics(request: Request) -> Response:
    """Show the server's metrics in Prometheus' text format."""
    return Response(
        request.app.state.service.telemetry.page(),
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
