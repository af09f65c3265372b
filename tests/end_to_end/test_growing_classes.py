"""Classes that are added to a session that runs, over a real connection."""

import numpy as np

from tclif_core import Learner, LearningSpec, NetworkSpec, NeuronSpec
from tests.end_to_end.conftest import Serve
from tests.end_to_end.conversation_partner import (
    CLASSES,
    N_ADDRESSES,
    Message,
    codes,
    connected,
    converse,
    label,
    lessons,
    of_kind,
    segment,
)
from tests.end_to_end.running_server import RunningServer, same_weights


def more(*names: str) -> Message:
    return {"type": "classes", "add": list(names)}


async def test_what_was_learnt_stays_and_the_new_class_is_learnt(server: RunningServer) -> None:
    async with connected(server.url) as partner:
        await partner.open()
        await partner.send(*lessons(range(3)))
        await partner.settle()
        before = await server.weights()
        await partner.send(more("three"))
        assert await partner.settle() == []
        grown = await server.weights()
        await partner.send(*segment(3), label(3, "three"))
        heard = await partner.settle()
        after = await server.weights()

    assert np.array_equal(grown["readout.w"][:, :3], before["readout.w"])
    assert not grown["readout.w"][:, 3].any()
    assert all(np.array_equal(grown[n], before[n]) for n in before if "readout" not in n)
    assert after["readout.w"][:, 3].any()
    [learned] = of_kind("learned", heard)
    assert learned["target"] == 3
    probabilities = of_kind("prediction", heard)[-1]["probabilities"]
    assert isinstance(probabilities, list)
    assert len(probabilities) == 4


async def test_a_resumed_session_tells_the_classes_of_now(server: RunningServer) -> None:
    messages = [*lessons(range(2)), more("three"), *segment(2), label(2, 3), *lessons(range(3, 5))]
    await converse(server.url, messages, session="whole")
    async with connected(server.url) as partner:
        opened = await partner.open(session="parts")
        assert opened["classes"] == CLASSES
        await partner.send(*messages[:13])
        partner.vanish()
    async with connected(server.url) as partner:
        # the open names the classes of the creation
        opened = await partner.open(session="parts")
        n_applied = partner.next_sequence - 1
        await partner.send(*messages[n_applied:])
        await partner.settle()
        again = await partner.until("ack")

    assert again["applied"] == len(messages)
    assert same_weights(await server.weights("parts"), await server.weights("whole"))
    async with connected(server.url) as partner:
        opened = await partner.open(session="parts")
    assert opened["classes"] == [*CLASSES, "three"]


async def test_names_that_are_there_are_refused(server: RunningServer) -> None:
    heard = await converse(server.url, [more("three"), more("one"), more("three"), more("four")])

    assert codes(heard) == ["bad_value", "bad_value"]


async def test_classes_beyond_the_quota_are_refused_and_the_session_goes_on(serve: Serve) -> None:
    network = NetworkSpec(
        inputs=N_ADDRESSES, hidden=(8, 6), classes=3, neuron=NeuronSpec(threshold=0.3)
    )
    room = Learner.session_bytes(network, LearningSpec(optimizer="adam"))
    names = [f"class {n}" for n in range(100)]
    async with serve(session={"max_session_bytes": room + 1000}) as server:
        heard = await converse(server.url, [more(*names), *segment(0, 1), more("three")])
        page = await server.weights()

    assert codes(heard) == ["quota"]
    assert of_kind("error", heard)[0]["fatal"] is False
    assert len(of_kind("learned", heard)) == 1
    assert page["readout.b"].shape == (4,)
