"""The same events through the socket and directly through `Learner`: equal to the last bit."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tclif_core import EventBlock, Learner, LearningSpec, NetworkSpec, NeuronSpec, Strand
from tests.end_to_end.conftest import Serve
from tests.end_to_end.conversation_partner import (
    CLASSES,
    N_ADDRESSES,
    SEGMENT_TICKS,
    TICK_US,
    Heard,
    Message,
    begin_us,
    connected,
    label,
    of_kind,
    segment,
    spikes,
)
from tests.end_to_end.running_server import same_weights

REPORT_EVERY = 5
RATE = 0.01
SEED = 4


class Library:
    """The learner alone: segments as dense arrays, binned by the definition of a tick."""

    def __init__(self, kernel: str, learning: LearningSpec) -> None:
        neuron = NeuronSpec(threshold=0.3)
        network = NetworkSpec(
            inputs=N_ADDRESSES, hidden=(8, 6), classes=3, neuron=neuron, input_gain=5.0
        )
        self.learner = Learner(network, learning, kernel=kernel)
        self.slot = self.learner.open(seed=SEED, rate=RATE)

    def run(self, number: int, strand: Strand, target: int = -1) -> NDArray[np.float32]:
        """Run a segment on a strand, learning its target if there is one; return the means."""
        dense = np.zeros((SEGMENT_TICKS, N_ADDRESSES), np.float32)
        for t_us, address in spikes(number):
            dense[(t_us - begin_us(number)) // TICK_US, address] += 1
        self.learner.begin_segment(self.slot, strand)
        result = self.learner.advance(
            np.array([self.slot], np.int64),
            np.array([strand], np.int64),
            np.array([target >= 0]),
            EventBlock.from_dense([dense]),
            np.full(SEGMENT_TICKS, target, np.int64),
        )
        return np.asarray(result.mean_probabilities, np.float32)

    def predict(self, number: int) -> list[list[float]]:
        """Return what a session is told of a segment: every fifth tick, and the end."""
        means = self.run(number, Strand.LIVE)
        return [means[tick - 1].tolist() for tick in (5, 10, 15, 20, 20)]

    def learn(self, number: int, target: int) -> float:
        """Learn a finished segment; return its loss."""
        self.run(number, Strand.LESSON, target)
        assert self.learner.apply_update(self.slot)
        return self.learner.segment_loss(self.slot, Strand.LESSON)


def probabilities(heard: list[Heard]) -> list[object]:
    return [message["probabilities"] for message in of_kind("prediction", heard)]


@pytest.mark.parametrize("kernel", ["cpu", "reference"])
async def test_predictions_losses_and_weights_equal_the_library(serve: Serve, kernel: str) -> None:
    library = Library(kernel, LearningSpec(optimizer="adam"))
    expected_means, expected_losses = [], []
    for number in range(4):
        expected_means += library.predict(number)
        expected_losses.append(library.learn(number, number % 3))

    async with serve(engine={"kernel": kernel}) as server, connected(server.url) as partner:
        opened = await partner.open()
        for number in range(4):
            await partner.send(*segment(number, number % 3))
        heard = await partner.settle()
        weights = await server.weights()

    assert opened["kernel"] == kernel
    assert probabilities(heard) == expected_means
    assert [learned["loss"] for learned in of_kind("learned", heard)] == expected_losses
    assert same_weights(weights, library.learner.weights(library.slot))


async def test_a_late_label_learns_with_the_weights_of_its_moment(serve: Serve) -> None:
    library = Library("cpu", LearningSpec(optimizer="adam"))
    expected_means = library.predict(0) + library.predict(1)
    # the labels come in the other order, after both segments
    expected_losses = [library.learn(1, 2), library.learn(0, 1)]
    expected_means += library.predict(2)
    messages: list[Message] = [*segment(0), *segment(1), label(1, "two"), label(0, 1), *segment(2)]

    async with serve(engine={"kernel": "cpu"}) as server, connected(server.url) as partner:
        await partner.open()
        await partner.send(*messages)
        heard = await partner.settle()
        weights = await server.weights()

    assert probabilities(heard) == expected_means
    assert [learned["loss"] for learned in of_kind("learned", heard)] == expected_losses
    assert same_weights(weights, library.learner.weights(library.slot))


@pytest.mark.parametrize("kernel", ["cpu", "reference"])
async def test_updates_every_tick_ahead_equal_the_library(serve: Serve, kernel: str) -> None:
    library = Library(kernel, LearningSpec(update="tick", optimizer="sgd"))
    expected = []
    for number in range(3):
        means = library.run(number, Strand.LIVE, target=number)
        assert library.learner.apply_update(library.slot)
        expected += [means[tick - 1].tolist() for tick in (5, 10, 15, 20, 20)]

    async with serve(engine={"kernel": kernel}) as server, connected(server.url) as partner:
        await partner.open(
            learning={"mode": "ahead", "update": "tick", "optimizer": "sgd", "rate": RATE}
        )
        for number in range(3):
            first, *rest = segment(number)
            await partner.send(first, label(number, number), *rest)
        heard = await partner.settle()
        weights = await server.weights()

    assert probabilities(heard) == expected
    assert same_weights(weights, library.learner.weights(library.slot))


async def test_the_network_of_these_tests_is_neither_silent_nor_saturated(serve: Serve) -> None:
    async with serve() as server, connected(server.url) as partner:
        await partner.open()
        for number in range(4):
            await partner.send(*segment(number, number % 3))
        await partner.settle()
        rates = (await server.state())["firing_rates"]

    assert isinstance(rates, list)
    assert all(0.05 < rate < 0.8 for rate in rates)
    assert len(CLASSES) == 3
