"""Sessions that begin from stored models, and models made from sessions."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pytest

from service.access.principals import Role
from service.access.token_file import new_token, write_tokens
from service.admin import main
from tclif_core import Learner, Model, write_model
from tests.end_to_end.conversation_partner import (
    CLASSES,
    N_ADDRESSES,
    SMALL_OPEN,
    TICK_US,
    Partner,
    codes,
    connected,
    lessons,
    of_kind,
    segment,
)
from tests.end_to_end.running_server import (
    RunningServer,
    ServerThread,
    running_server,
    same_weights,
    server_thread,
    visited,
)
from tests.service.small_models import small_model

MADE = datetime(2026, 1, 2, tzinfo=UTC)


class House:
    """A data folder and tokens: Alice is an administrator, Bob is not."""

    def __init__(self, folder: Path) -> None:
        self.data = str(folder / "data")
        self.alice, alice = new_token("alice", Role.ADMINISTRATOR, MADE)
        self.bob, bob = new_token("bob", Role.CLIENT, MADE)
        self._tokens = folder / "tokens.json"
        write_tokens(self._tokens, (alice, bob))

    @property
    def sections(self) -> dict[str, dict[str, object]]:
        """The settings of its servers."""
        return {
            "engine": {"kernel": "reference"},
            "access": {"tokens_file": str(self._tokens)},
            "storage": {"url": self.data},
        }


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("house"))


@pytest.fixture(scope="module")
def house_server(house: House) -> Iterator[ServerThread]:
    with server_thread(house.sections) as running:
        yield running


@pytest.fixture
async def server(house_server: ServerThread) -> AsyncIterator[RunningServer]:
    async with visited(house_server) as running:
        yield running


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def promote(server: RunningServer, token: str, **fields: object) -> httpx.Response:
    return await server.http.post("/v1/models", headers=bearer(token), json=fields)


async def weights_of(server: RunningServer, token: str, session: str) -> dict[str, np.ndarray]:
    server.http.headers["Authorization"] = f"Bearer {token}"
    return dict(await server.weights(session))


async def begin_from(partner: Partner, model: str, **fields: object) -> dict[str, object]:
    """Open a session from a model, with its tick unless another is given."""
    left_out = ("network", "tick_us")
    request = {name: value for name, value in SMALL_OPEN.items() if name not in left_out}
    await partner.say(request | {"model": model} | fields)
    opened = await partner.until("opened")
    await partner.until("ack")
    partner.next_sequence = 1
    return opened


async def teach(server: RunningServer, token: str, session: str) -> None:
    async with connected(server.url, token=token) as partner:
        await partner.open(session=session)
        await partner.send(*lessons(range(2)))
        await partner.settle()


async def test_a_session_begins_from_what_another_has_learnt(
    server: RunningServer, house: House
) -> None:
    await teach(server, house.bob, "teacher")

    made = await promote(server, house.bob, session="teacher", name="learnt")
    async with connected(server.url, token=house.bob) as partner:
        opened = await begin_from(partner, "learnt", session="pupil")
        taught = await weights_of(server, house.bob, "teacher")
        begun = await weights_of(server, house.bob, "pupil")
        await partner.send(*segment(0, 1))
        heard = await partner.settle()
    page = (await server.http.get("/v1/sessions/pupil")).json()

    assert (made.status_code, made.json()) == (
        201,
        {"name": "learnt", "version": 1, "published": False},
    )
    assert same_weights(begun, taught)
    assert (opened["classes"], opened["tick_us"]) == (CLASSES, TICK_US)
    assert page["model"] == {"name": "learnt", "version": 1, "published": False}
    # and goes on learning from there
    assert of_kind("learned", heard)
    assert not same_weights(await weights_of(server, house.bob, "pupil"), taught)


async def test_a_session_stays_with_the_version_it_began_from(
    server: RunningServer, house: House
) -> None:
    await teach(server, house.bob, "first")
    await promote(server, house.bob, session="first", name="moving")
    async with connected(server.url, token=house.bob) as partner:
        await begin_from(partner, "moving", session="settled")
        before = await weights_of(server, house.bob, "settled")

    second = await promote(server, house.bob, session="first", name="moving")
    async with connected(server.url, token=house.bob) as partner:
        opened = await begin_from(partner, "moving", session="settled")
    page = (await server.http.get("/v1/sessions/settled")).json()

    assert second.json()["version"] == 2
    assert opened["resumed"] is True
    assert page["model"]["version"] == 1
    assert same_weights(await weights_of(server, house.bob, "settled"), before)


async def test_what_is_not_published_is_unknown_to_others(
    server: RunningServer, house: House
) -> None:
    await teach(server, house.bob, "own")
    await promote(server, house.bob, session="own", name="private")

    async with connected(server.url, token=house.alice) as partner:
        request = {name: value for name, value in SMALL_OPEN.items() if name != "network"}
        await partner.say(json.dumps(request | {"model": "private"}))
        code = await partner.closed()
    page = await server.http.get("/v1/models/private", headers=bearer(house.alice))
    nobodys = await server.http.get("/v1/models/nothing", headers=bearer(house.alice))
    listed = (await server.http.get("/v1/models", headers=bearer(house.alice))).json()["models"]

    assert (codes(partner.heard), code) == (["unknown_model"], 4400)
    assert (page.status_code, page.json()["code"]) == (404, "unknown_model")
    assert page.text == nobodys.text.replace("nothing", "private")
    assert "private" not in [line["name"] for line in listed]


async def test_an_administrator_publishes_for_everybody_and_nobody_else_does(
    server: RunningServer, house: House
) -> None:
    await teach(server, house.alice, "base")
    await teach(server, house.bob, "base")

    refused = await promote(server, house.bob, session="base", name="common", publish=True)
    made = await promote(server, house.alice, session="base", name="common", publish=True)
    async with connected(server.url, token=house.bob) as partner:
        opened = await begin_from(partner, "common", session="from-common")

    assert (refused.status_code, refused.json()["code"]) == (403, "unauthorized")
    assert made.json() == {"name": "common", "version": 1, "published": True}
    assert opened["resumed"] is False


async def test_nobody_promotes_the_session_of_another(server: RunningServer, house: House) -> None:
    await teach(server, house.bob, "bobs")

    response = await promote(server, house.alice, session="bobs", name="taken")

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"session": "s"},
        {"session": "s", "name": "../x"},
        {"session": "s", "name": ".."},
        {"session": "s", "name": "m", "publish": "yes"},
        {"session": "s", "name": "m", "owner": "alice"},
    ],
)
async def test_a_promotion_that_says_something_else_is_refused(
    server: RunningServer, house: House, fields: dict[str, object]
) -> None:
    response = await promote(server, house.bob, **fields)

    assert (response.status_code, response.json()["code"]) == (422, "bad_message")


async def test_a_body_that_is_too_long_is_a_problem(server: RunningServer, house: House) -> None:
    response = await promote(server, house.bob, session="s", name="x" * 70_000)

    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, response.json()["code"]) == (413, "bad_message")


async def test_the_page_of_a_model_tells_where_it_comes_from(
    server: RunningServer, house: House
) -> None:
    await teach(server, house.bob, "origin")
    for _ in range(2):
        await promote(server, house.bob, session="origin", name="told")

    page = (await server.http.get("/v1/models/told", headers=bearer(house.bob))).json()
    listed = (await server.http.get("/v1/models", headers=bearer(house.bob))).json()["models"]

    assert (page["version"], page["versions"], page["published"]) == (2, [1, 2], False)
    assert (page["inputs"], page["hidden"], page["classes"]) == (N_ADDRESSES, [8, 6], CLASSES)
    assert page["sensor"] == {"kind": "raw", "addresses": N_ADDRESSES}
    assert page["learning"]["optimizer"] == "adam"
    provenance = page["provenance"]
    # ten messages: two segments in five each
    assert (provenance["session"], provenance["sequence"]) == ("origin", 10)
    assert (provenance["segments_labelled"], provenance["lessons"]) == (2, 2)
    [line] = [line for line in listed if line["name"] == "told"]
    assert line.items() <= page.items()


async def test_a_sensor_with_other_inputs_than_the_models_is_refused(
    server: RunningServer, house: House
) -> None:
    await teach(server, house.bob, "narrow")
    await promote(server, house.bob, session="narrow", name="narrow")

    async with connected(server.url, token=house.bob) as partner:
        request = {name: value for name, value in SMALL_OPEN.items() if name != "network"}
        sensor = {"kind": "raw", "addresses": N_ADDRESSES + 1}
        await partner.say(json.dumps(request | {"model": "narrow", "sensor": sensor}))
        code = await partner.closed()

    assert (codes(partner.heard), code) == (["bad_message"], 4400)
    assert "13 inputs came; model 'narrow' has 12" in str(partner.heard[-1]["message"])


def as_trained(seed: int) -> Model:
    """Return a model as ``tclif-train`` would write it, with the weights of a seed."""
    model = small_model(seed)
    learner = Learner(model.network, model.learning, kernel="reference")
    weights = learner.weights(learner.open(seed=seed, rate=0.0))
    return small_model(seed, weights=weights)


async def test_a_model_that_the_command_adds_is_there_at_once_and_after_a_restart(
    tmp_path: Path,
) -> None:
    house = House(tmp_path)
    write_model(tmp_path / "trained.safetensors", as_trained(3))
    opens: dict[str, object] = {"sensor": {"kind": "raw", "addresses": 5}, "session": "new"}

    async with running_server(house.sections) as server:
        trained = str(tmp_path / "trained.safetensors")
        added = main(["model", "add", trained, "--name", "base", "--data", house.data])
        async with connected(server.url, token=house.bob) as partner:
            first = await begin_from(partner, "base", **opens)
            before = await weights_of(server, house.bob, "new")
    async with running_server(house.sections) as server:
        async with connected(server.url, token=house.bob) as partner:
            again = await begin_from(partner, "base", **opens)
        after = await weights_of(server, house.bob, "new")
        page = (await server.http.get("/v1/sessions/new")).json()

    assert added == 0
    assert (first["resumed"], again["resumed"]) == (False, True)
    assert same_weights(before, after)
    assert all(np.array_equal(before[name], w) for name, w in as_trained(3).weights.items())
    assert page["model"] == {"name": "base", "version": 1, "published": True}
