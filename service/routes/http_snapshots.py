"""The HTTP side of snapshots: list, take, roll back."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from service.access.audit import Act, record
from service.access.principals import SessionKey
from service.errors import NotStored, Refusal, SnapshotUnreadable
from service.routes.callers import Caller
from service.routes.session_report import JsonObject, describe_snapshot
from service.sessions.session_registry import SessionRegistry

router = APIRouter()


class RollbackRequest(BaseModel):
    """Which snapshot's weights a session shall have again."""

    model_config = ConfigDict(extra="forbid", strict=True)

    snapshot: Annotated[str, Field(pattern=r"^[0-9]{20}$")]


def _registry(request: Request) -> SessionRegistry:
    registry: SessionRegistry = request.app.state.service.registry
    return registry


@router.get("/v1/sessions/{name}/snapshots")
async def list_snapshots(request: Request, principal: Caller, name: str) -> JsonObject:
    """List a session's snapshots, newest first; a parked session stays parked."""
    registry, key = _registry(request), SessionKey(principal.name, name)
    registry.check_exists(key)
    stored = await registry.archive.snapshots(key)
    return {"snapshots": [describe_snapshot(snapshot) for snapshot in stored]}


@router.post("/v1/sessions/{name}/snapshot")
async def take_snapshot(request: Request, principal: Caller, name: str) -> JsonObject:
    """Store a session now, until all that was read before is durable, and keep that snapshot."""
    registry = _registry(request)
    async with registry.hold(SessionKey(principal.name, name)) as session:
        stored = await registry.keeper.store(session, requested=True)
        return describe_snapshot(stored) | {"durable": session.ack().durable}


@router.post("/v1/sessions/{name}/rollback")
async def roll_back(
    request: Request, principal: Caller, name: str, wanted: RollbackRequest
) -> JsonObject:
    """Give a session the weights of a snapshot, store it, then answer.

    Weights, optimiser, rate and whether it learns are the snapshot's; sequence numbers, the clock,
    the running segment and the score stay.
    """
    registry = _registry(request)
    async with registry.hold(SessionKey(principal.name, name)) as session:
        try:
            await registry.keeper.roll_back(session, int(wanted.snapshot))
        except NotStored:
            raise Refusal(
                "not_found", f"snapshot {wanted.snapshot} came; expected one of the session's list"
            ) from None
        except SnapshotUnreadable as error:
            raise Refusal(error.code, f"snapshot {wanted.snapshot} is damaged") from error
        record(Act.ROLLBACK, **session.log_fields, snapshot=wanted.snapshot)
        durable = session.ack().durable
        return {"snapshot": wanted.snapshot, "applied": session.applied, "durable": durable}
