"""What a session shows of itself: its state as JSON, its weights as safetensors."""

import asyncio
import json
from datetime import UTC, datetime
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from service.configuration.configuration import describe
from service.network.energy_report import measure_activity, report_energy
from service.network.session_network import SessionNetwork
from service.sessions.sessions import Session
from service.storage.model_store import ModelVersion
from service.storage.snapshot_format import Manifest
from service.storage.snapshot_store import StoredSnapshot
from tclif_core import Activity, Learner, Model, NetworkSpec

JsonObject = dict[str, object]


def summarise(session: Session) -> JsonObject:
    """Return one line of the list of sessions."""
    return {
        "session": session.name,
        "state": _state(session),
        "attached": session.is_attached,
        "failed": session.failure is not None,
        "ticks": session.n_ticks,
        "events": session.intake.n_events,
        "applied": session.applied,
        "durable": session.ack().durable,
    }


def summarise_parked(manifest: Manifest) -> JsonObject:
    """Return the line of a session that is stored and not in memory."""
    return {
        "session": manifest.session,
        "state": "parked",
        "attached": False,
        "failed": False,
        "ticks": manifest.ticks,
        "events": manifest.events,
        "applied": manifest.applied,
        "durable": manifest.applied,
    }


def describe_snapshot(stored: StoredSnapshot) -> JsonObject:
    """Return what is told of a snapshot."""
    manifest = stored.manifest
    return {
        "snapshot": stored.name,
        "applied": manifest.applied,
        "ticks": manifest.ticks,
        "taken": datetime.fromtimestamp(manifest.taken_s, UTC).isoformat(),
        "bytes": stored.n_bytes,
        "requested": manifest.requested,
    }


def _state(session: Session) -> str:
    if session.failure is not None:
        return "failed"
    return "attached" if session.is_attached else "detached"


async def report_state(session: Session) -> JsonObject:
    """Return everything about a session; what its network is, read between two of its messages.

    Raises:
        InternalFailure: The session is quarantined or was deleted meanwhile.
    """
    network = session.network
    state = await asyncio.wrap_future(session.at_boundary(lambda: _read_network(network)))
    return _report(session, state)


async def export_weights(session: Session) -> bytes:
    """Return a session's weights in the safetensors format, read between two of its messages.

    Raises:
        InternalFailure: The session is quarantined or was deleted meanwhile.
    """
    network = session.network
    weights, spec, classes = await asyncio.wrap_future(
        session.at_boundary(lambda: _read_weights(network))
    )
    specification = {
        "network": spec.to_dict(),
        "learning": network.learner.learning.to_dict(),
        "tick_us": session.configuration.tick_us,
        "classes": classes,
        "seed": session.seed,
    }
    return safetensors.numpy.save(
        weights, metadata={"format": "tclif", "specification": json.dumps(specification)}
    )


async def model_of(session: Session) -> Model:
    """Return a session's network as a model, read between two of its messages.

    Raises:
        InternalFailure: The session is quarantined or was deleted meanwhile.
    """
    network, configuration = session.network, session.configuration
    # the weights are those after this message
    received = session.received
    (weights, spec, classes), state = await asyncio.wrap_future(
        session.at_boundary(lambda: (_read_weights(network), _read_network(network)))
    )
    return Model(
        network=spec,
        learning=network.learner.learning,
        weights=weights,
        classes=classes,
        tick_us=configuration.tick_us,
        sensor=describe(configuration.sensor),
        provenance={
            "session": session.name,
            "epoch": session.epoch,
            "sequence": received,
            "seed": session.seed,
            "began_from": describe_model(configuration.model),
            "segments_labelled": state.n_labelled,
            "lessons": state.n_lessons,
            "prequential_accuracy": state.windowed_accuracy,
            "server": version("tclif"),
        },
    )


def describe_model(model: ModelVersion | None) -> JsonObject | None:
    """Return which model a session began from, as JSON values."""
    if model is None:
        return None
    return {"name": model.name, "version": model.version, "published": model.is_published}


class _Weights(NamedTuple):
    """A network as of one moment: classes may be added at the next."""

    weights: dict[str, NDArray[np.floating]]
    network: NetworkSpec
    classes: tuple[str, ...]


def _read_weights(network: SessionNetwork) -> _Weights:
    learner = network.learner
    return _Weights(learner.weights(network.slot), learner.network, network.running.class_names)


class _NetworkState(NamedTuple):
    """What only the engine thread may read."""

    n_parameters: int
    n_labelled: int
    n_lessons: int
    learning_stopped: bool
    windowed_accuracy: float
    overall_accuracy: float
    firing_rates: list[float]
    weight_change: list[float]
    drift: JsonObject
    activity: Activity


def _read_network(network: SessionNetwork) -> _NetworkState:
    learner, accuracy = network.learner, network.teaching.accuracy
    return _NetworkState(
        n_parameters=learner.n_parameters,
        n_labelled=network.teaching.n_labelled,
        n_lessons=network.teaching.n_lessons,
        learning_stopped=network.teaching.learning_stopped,
        windowed_accuracy=accuracy.windowed,
        overall_accuracy=accuracy.overall,
        firing_rates=network.firing_rates(),
        weight_change=learner.weight_change(network.slot),
        drift={
            "drifting": accuracy.drift.is_drifting,
            "changes": accuracy.drift.n_changes,
            "drops": accuracy.drift.n_drops,
        },
        activity=measure_activity(network),
    )


def _report(session: Session, state: _NetworkState) -> JsonObject:
    learner, segmentation = session.network.learner, session.intake.segmentation
    counters, open_segment = segmentation.counters, segmentation.open_segment
    return summarise(session) | {
        "epoch": session.epoch,
        "seed": session.seed,
        "kernel": learner.kernel_name,
        "configuration": describe(session.configuration.request),
        "model": describe_model(session.configuration.model),
        "parameters": state.n_parameters,
        "received": session.received,
        "segments": {
            "open": None if open_segment is None else open_segment.number,
            "kept": len(segmentation.kept),
            "dropped": segmentation.kept.n_dropped,
            "labelled": state.n_labelled,
        },
        "dropped_events": {
            "late": counters.n_late,
            "outside_segments": counters.n_outside,
            "saturated": counters.n_saturated,
        },
        "learning": {
            "mode": session.intake.mode,
            "lessons": state.n_lessons,
            "stopped": state.learning_stopped,
        },
        "prequential_accuracy": {
            "windowed": state.windowed_accuracy,
            "overall": state.overall_accuracy,
        },
        "firing_rates": state.firing_rates,
        "weight_change": state.weight_change,
        "drift": state.drift,
        "spikes": state.activity.spikes,
        "energy": report_energy(learner, state.activity).to_json(),
        "memory_bytes": {
            "network": Learner.session_bytes(learner.network, learner.learning),
            "kept_ticks": segmentation.kept_bytes - segmentation.checkpoint_bytes,
            "checkpoints": segmentation.checkpoint_bytes,
        },
    }
