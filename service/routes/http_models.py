"""The models that sessions begin from: shown, and made from sessions."""

import asyncio

from fastapi import APIRouter, HTTPException, Request

from service.access.audit import Act, record
from service.access.principals import SessionKey
from service.errors import Refusal
from service.routes.callers import Caller
from service.routes.session_report import JsonObject, model_of
from service.storage.model_store import EVERYBODY, ModelRecord, ModelStore
from service.wire_protocol.fields import StoredName, WireForm
from tclif_core import ModelFileError

router = APIRouter()


class Promotion(WireForm):
    """A session's network is to become a stored model."""

    session: StoredName
    name: StoredName
    publish: bool = False
    """For everybody, which takes an administrator; else for the principal alone."""


@router.get("/v1/models")
async def list_models(request: Request, principal: Caller) -> JsonObject:
    """List the newest version of every model that the caller may begin from, by name."""
    records = await asyncio.to_thread(_models(request).visible, principal.name)
    return {"models": [_line(each) for each in records]}


@router.get("/v1/models/{name}")
async def show_model(request: Request, principal: Caller, name: str) -> JsonObject:
    """Show the model that the caller means by a name, and which versions there are."""
    records = await asyncio.to_thread(_models(request).records, principal.name, name)
    document = records[-1].document
    return _line(records[-1]) | {
        "versions": [each.version.version for each in records],
        "network": document["network"],
        "learning": document["learning"],
        "sensor": document["sensor"],
        "provenance": document["provenance"],
    }


@router.post("/v1/models", status_code=201)
async def promote(request: Request, principal: Caller, promotion: Promotion) -> JsonObject:
    """Store a session's network as the next version of a model, between two of its messages."""
    if promotion.publish and not principal.is_administrator:
        raise HTTPException(
            403, f"publish true came from {principal.name!r}; expected it of an administrator"
        )
    registry = request.app.state.service.registry
    async with registry.hold(SessionKey(principal.name, promotion.session)) as session:
        model = await model_of(session)
    owner = EVERYBODY if promotion.publish else principal.name
    try:
        version = await asyncio.to_thread(_models(request).add, owner, promotion.name, model)
    except ModelFileError as error:
        raise Refusal("bad_value", f"session {promotion.session!r} is no model: {error}") from error
    record(
        Act.PROMOTE,
        session=promotion.session,
        model=version.name,
        version=version.version,
        published=version.is_published,
    )
    return {
        "name": version.name,
        "version": version.version,
        "published": version.is_published,
    }


def _models(request: Request) -> ModelStore:
    models: ModelStore = request.app.state.service.models
    return models


def _line(known: ModelRecord) -> JsonObject:
    document = known.document
    return {
        "name": known.version.name,
        "version": known.version.version,
        "published": known.version.is_published,
        "inputs": document["network"]["inputs"],
        "hidden": document["network"]["hidden"],
        "classes": document["classes"],
        "tick_us": document["tick_us"],
        "bytes": known.n_bytes,
        "stored": document["provenance"]["stored"]["stored"],
    }
