"""The pages of a running server: sessions, weights, metrics, health, and their errors."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Iterator

import httpx
import numpy as np
import pytest
import safetensors.numpy
from prometheus_client.parser import text_string_to_metric_families

from tclif_core import LearningSpec, NetworkSpec
from tests.end_to_end.conversation_partner import (
    CLASSES,
    TICK_US,
    TIMEOUT_S,
    begin,
    clock,
    connected,
    converse,
    lessons,
    segment,
)
from tests.end_to_end.running_server import RunningServer, ServerThread, server_thread, visited


@pytest.fixture(scope="module")
def shared_server() -> Iterator[ServerThread]:
    with server_thread({"engine": {"kernel": "reference"}}) as running:
        yield running


@pytest.fixture
async def server(shared_server: ServerThread) -> AsyncIterator[RunningServer]:
    async with visited(shared_server) as running:
        yield running
        await running.delete_all()


def problem(response: httpx.Response) -> tuple[int, str]:
    """Return status and code of an error answer, whose form must be that of RFC 9457."""
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body.keys() == {"type", "title", "status", "code", "detail"}
    assert body["status"] == response.status_code
    return response.status_code, body["code"]


# --- the list of sessions


async def test_the_list_is_empty_without_sessions(server: RunningServer) -> None:
    response = await server.http.get("/v1/sessions")

    assert response.json() == {"sessions": [], "next": None}


async def test_a_line_of_the_list_tells_where_a_session_stands(server: RunningServer) -> None:
    async with connected(server.url) as partner:
        await partner.open()
        await partner.send(*segment(0, 1))
        await partner.settle()
        [line] = (await server.http.get("/v1/sessions")).json()["sessions"]

    # what is durable by now is a matter of time
    assert line.pop("durable") in range(6)
    assert line == {
        "session": "s",
        "state": "attached",
        "attached": True,
        "failed": False,
        "ticks": 20,
        # six events a tick
        "events": 120,
        "applied": 5,
    }


async def test_the_list_comes_in_pages(server: RunningServer) -> None:
    names = ["c", "a", "e", "b", "d"]
    for name in names:
        await converse(server.url, [], session=name)

    pages: list[list[str]] = []
    after: str | None = ""
    while after is not None:
        page = (await server.http.get("/v1/sessions", params={"after": after, "limit": 2})).json()
        pages.append([session["session"] for session in page["sessions"]])
        after = page["next"]

    assert pages == [["a", "b"], ["c", "d"], ["e"]]


async def test_a_page_that_ends_at_the_last_session_has_no_next(server: RunningServer) -> None:
    for name in ("a", "b"):
        await converse(server.url, [], session=name)

    page = (await server.http.get("/v1/sessions", params={"limit": 2})).json()

    assert page["next"] is None
    assert len(page["sessions"]) == 2


@pytest.mark.parametrize("limit", ["0", "1001", "many", "-1"])
async def test_a_page_of_no_size_is_refused(server: RunningServer, limit: str) -> None:
    response = await server.http.get("/v1/sessions", params={"limit": limit})

    assert problem(response) == (422, "bad_message")
    assert "limit" in response.json()["detail"]


# --- one session


async def test_the_page_of_a_session_tells_everything(server: RunningServer) -> None:
    await converse(server.url, [*lessons(range(2)), begin(2, 200_000), clock(203_000)])

    page = (await server.http.get("/v1/sessions/s")).json()

    assert (page["session"], page["seed"], page["kernel"]) == ("s", 4, "reference")
    assert page["configuration"]["sensor"] == {"kind": "raw", "addresses": 12}
    assert page["configuration"]["tick_us"] == TICK_US
    assert page["configuration"]["network"]["classes"] == CLASSES
    assert (page["received"], page["applied"]) == (12, 12)
    assert (page["ticks"], page["events"]) == (43, 240)
    assert page["segments"] == {"open": 2, "kept": 0, "dropped": 0, "labelled": 2}
    assert page["dropped_events"] == {"late": 0, "outside_segments": 0, "saturated": 0}
    assert page["learning"] == {"mode": "delayed", "lessons": 2, "stopped": False}
    assert page["prequential_accuracy"].keys() == {"windowed", "overall"}
    assert len(page["firing_rates"]) == 2
    # two hidden layers and the readout
    assert len(page["weight_change"]) == 3
    assert all(change > 0 for change in page["weight_change"])
    assert page["drift"] == {"drifting": False, "changes": 0, "drops": 0}
    assert all(count > 0 for count in page["spikes"])
    for part in ("inference", "learning"):
        energy = page["energy"][part]
        joules = 4.6e-12 * energy["multiply_accumulates"] + 0.9e-12 * energy["accumulates"]
        assert energy["joules"] == pytest.approx(joules)
        assert joules > 0
    # layer 0: 12 x 8 + 8 x 8 + 8; layer 1: 8 x 6 + 6 x 6 + 6; readout: 6 x 3 + 3; 2 x 4 numbers
    assert page["parameters"] == 168 + 90 + 21 + 8
    # taken when the session was made, if not later
    assert page["last_snapshot"]["applied"] in range(13)


async def test_the_page_tells_the_memory_that_a_session_takes(server: RunningServer) -> None:
    await converse(server.url, segment(0), session="kept")
    await converse(server.url, segment(0, 1), session="learnt")

    kept = (await server.http.get("/v1/sessions/kept")).json()["memory_bytes"]
    learnt = (await server.http.get("/v1/sessions/learnt")).json()["memory_bytes"]

    assert kept["network"] == learnt["network"] > 0
    # twenty ticks and their inputs wait for a label; a learnt segment needs nothing more
    assert kept["kept_ticks"] > 8 * 20
    assert learnt["kept_ticks"] == 0


async def test_a_session_that_is_not_there_is_not_found(server: RunningServer) -> None:
    for method, path in (
        ("GET", "/v1/sessions/nobody"),
        ("GET", "/v1/sessions/nobody/weights"),
        ("DELETE", "/v1/sessions/nobody"),
    ):
        response = await server.http.request(method, path)
        assert problem(response) == (404, "not_found")
        assert "nobody" in response.json()["detail"]


# --- weights


async def test_weights_come_as_safetensors_by_name_and_shape(server: RunningServer) -> None:
    await converse(server.url, segment(0, 1))

    response = await server.http.get("/v1/sessions/s/weights")

    assert response.headers["content-type"] == "application/octet-stream"
    weights = safetensors.numpy.load(response.content)
    shapes = {name: array.shape for name, array in weights.items() if array.ndim and array.size > 1}
    assert shapes == {
        "layer0.w": (12, 8),
        "layer0.r": (8, 8),
        "layer0.b": (8,),
        "layer1.w": (8, 6),
        "layer1.r": (6, 6),
        "layer1.b": (6,),
        "readout.w": (6, 3),
        "readout.b": (3,),
    }
    assert {name for name, array in weights.items() if array.size == 1} >= {
        f"layer{layer}.{compartment}_decay_minimum"
        for layer in range(2)
        for compartment in ("dendrite", "soma")
    }
    assert {array.dtype.name for array in weights.values()} == {"float32"}


async def test_the_specification_in_the_metadata_makes_the_same_network(
    server: RunningServer,
) -> None:
    await converse(server.url, [])

    content = (await server.http.get("/v1/sessions/s/weights")).content
    # the format: eight bytes of header length, then JSON
    (length,) = struct.unpack_from("<Q", content)
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    specification = json.loads(metadata["specification"])

    assert metadata["format"] == "tclif"
    network = NetworkSpec.from_dict(specification["network"])
    assert (network.inputs, network.hidden, network.classes) == (12, (8, 6), 3)
    assert network.neuron.threshold == 0.3
    assert LearningSpec.from_dict(specification["learning"]).optimizer == "adam"
    assert (specification["tick_us"], specification["seed"]) == (TICK_US, 4)
    assert specification["classes"] == CLASSES


async def test_weights_are_those_after_the_messages_read_so_far(server: RunningServer) -> None:
    async with connected(server.url) as partner:
        await partner.open()
        before = await server.weights()
        await partner.send(*segment(0, 1))
        await partner.settle()
        after = await server.weights()

    assert not np.array_equal(before["readout.w"], after["readout.w"])


# --- deletion


async def test_a_deleted_session_is_gone(server: RunningServer) -> None:
    await converse(server.url, segment(0))

    response = await server.http.delete("/v1/sessions/s")

    assert (response.status_code, response.content) == (204, b"")
    assert problem(await server.http.get("/v1/sessions/s")) == (404, "not_found")


# --- metrics and health


async def metrics(server: RunningServer) -> dict[str, float]:
    """Return the metrics as ``name{label=value}``."""
    response = await server.http.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        sample.name
        + "".join(f"{{{k}={v}}}" for k, v in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


async def test_metrics_count_what_the_server_does(server: RunningServer) -> None:
    before = await metrics(server)

    async with connected(server.url) as partner:
        await partner.open()
        await partner.send(*lessons(range(2)), begin(0, 0))
        await partner.settle()
        during = await metrics(server)
        await partner.say("no JSON")
        await partner.closed()
    async with asyncio.timeout(TIMEOUT_S):
        # a connection ends a little after its session is let go
        while (after := await metrics(server))["tclif_connections"]:
            pass

    def grew(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert grew("tclif_ticks_total") == grew("tclif_lesson_ticks_total") == 40
    assert grew("tclif_lessons_total") == 2
    assert grew("tclif_messages_applied_total") == 11
    assert grew("tclif_events_total") == 240
    assert grew("tclif_predictions_total{final=true}") == 2
    # after 5, 10, 15 and 20 ticks of each segment
    assert grew("tclif_predictions_total{final=false}") == 8
    scored = (
        "tclif_segments_labelled_total{correct=true}",
        "tclif_segments_labelled_total{correct=false}",
    )
    assert sum(map(grew, scored)) == 2
    assert grew("tclif_errors_total{code=bad_segment}{fatal=false}") == 1
    assert grew("tclif_errors_total{code=bad_message}{fatal=true}") == 1
    # of each segment: the frame that told the prediction at 5, the one at 15, and the end; frames
    # that are computed together are answered together
    assert 4 <= grew("tclif_lag_seconds_count") <= 6
    assert grew("tclif_batch_rows_count") >= 4
    assert grew("tclif_batch_seconds_count") == grew("tclif_batch_rows_count")
    states = [before, during, after]
    assert [page["tclif_sessions{state=attached}"] for page in states] == [0, 1, 0]
    assert [page["tclif_sessions{state=detached}"] for page in states] == [0, 0, 1]
    assert [page["tclif_connections"] for page in states] == [0, 1, 0]
    assert after["tclif_backlog_ticks"] == 0


async def test_a_server_that_serves_is_live_and_ready(server: RunningServer) -> None:
    live, ready = [await server.http.get(f"/health/{kind}") for kind in ("live", "ready")]

    assert (live.status_code, live.json()) == (200, {"status": "live"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_a_server_that_drains_is_live_but_not_ready(server: RunningServer) -> None:
    server.service.is_ready = False
    try:
        live, ready = [await server.http.get(f"/health/{kind}") for kind in ("live", "ready")]
    finally:
        server.service.is_ready = True

    assert live.status_code == 200
    assert problem(ready) == (503, "overloaded")


# --- errors


async def test_pages_that_are_not_there_are_problems_too(server: RunningServer) -> None:
    assert problem(await server.http.get("/v1/nothing")) == (404, "not_found")
    assert problem(await server.http.put("/v1/sessions")) == (405, "not_allowed")


@pytest.mark.parametrize(
    ("method", "path", "body", "came"),
    [
        ("GET", "/v1/nothing", "", "GET /v1/nothing came"),
        ("PUT", "/v1/sessions", "", "PUT /v1/sessions came"),
        ("GET", "/v1/sessions?limit=0", "", "query.limit came as '0'"),
        ("POST", "/v1/sessions/s/rollback", '{"snapshot": 5}', "body.snapshot came as 5"),
        ("POST", "/v1/sessions/s/rollback", "{bad", "body: no JSON came, at character 1"),
        ("POST", "/v1/sessions/s/rollback", "{}", "body.snapshot: Field required"),
    ],
)
async def test_a_refusal_says_what_came(
    server: RunningServer, method: str, path: str, body: str, came: str
) -> None:
    headers = {"Content-Type": "application/json"}

    response = await server.http.request(method, path, content=body, headers=headers)

    assert response.json()["detail"].startswith(came)


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_requests_of_foreign_pages_are_refused_and_change_nothing(
    server: RunningServer, method: str, headers: dict[str, str]
) -> None:
    await converse(server.url, [])

    response = await server.http.request(method, "/v1/sessions/s", headers=headers)

    assert problem(response) == (403, "unauthorized")
    assert (await server.http.get("/v1/sessions/s")).status_code == 200


async def test_a_page_of_an_allowed_host_may_ask(server: RunningServer) -> None:
    response = await server.http.get(
        "/v1/sessions", headers={"Host": "localhost:1", "Origin": "http://localhost:5173"}
    )

    assert response.status_code == 200
