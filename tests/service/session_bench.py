"""A session's intake and network with a learner of their own, and nothing around them."""

from collections import deque
from functools import partial

import numpy as np
from numpy.typing import NDArray

from service.configuration.configuration import SessionConfiguration
from service.network.learner_pool import LearnerPool
from service.network.session_network import SessionNetwork
from service.network.visit import Answer, Delivery
from service.settings import SessionSettings
from service.stream.event_binning import TickBlock
from service.stream.intake import Intake, SessionMessage
from service.stream.work import Applied, Work
from service.wire_protocol import ErrorMessage, Learned, Prediction
from tclif_core import EventBlock, Learner, SlotIndex
from tests.service.client_messages import begin, end, events, label
from tests.service.open_requests import open_request

SETTINGS = SessionSettings(accuracy_window=3, checkpoint_ticks=4)
TICK_US = 100
N_INPUTS = 5
SEED = 4
WHOLE = 1 << 20


# a network so small fires only if it is easily excited; a silent one would hide mistakes
NETWORK = {
    "hidden": [4, 3],
    "classes": ["zero", "one", "two"],
    "hyperparameters": {"threshold": 0.3, "input_gain": 5},
}


class Bench:
    """A session's intake and network with a learner of their own, and nothing around them."""

    learner_class = Learner

    def __init__(self, **fields: object) -> None:
        request = open_request(
            **{
                "tick_us": TICK_US,
                "network": NETWORK,
                "learning": {"rate": 0.1, "optimizer": "sgd"},
            }
            | fields
        )
        self.request = request
        configuration = SessionConfiguration.resolve(request, SETTINGS)
        self.pool = LearnerPool(partial(self.learner_class, kernel="reference"))
        seat = self.pool.open(
            configuration.network, configuration.learning, seed=SEED, rate=request.learning.rate
        )
        self.network = SessionNetwork(self.pool, seat, configuration, SETTINGS)
        self.intake = Intake(configuration, SETTINGS)
        self.inbox: deque[Work] = deque()

    @property
    def learner(self) -> Learner:
        """The learner that the session is in now."""
        return self.network.learner

    @property
    def slot(self) -> SlotIndex:
        """Its slot there."""
        return self.network.slot

    def take(self, *messages: SessionMessage, visit_ticks: int = WHOLE) -> Delivery:
        """Take messages in and compute all they ask for."""
        for message in messages:
            self.inbox.extend(self.intake.take(message))
            self.inbox.append(Applied(message.sequence or 0, 0.0))
        return self.compute(visit_ticks)

    def compute(self, visit_ticks: int = WHOLE) -> Delivery:
        """Advance until nothing is left, then collect."""
        while (row := self.network.next_row(self.inbox, visit_ticks)) is not None:
            assert row.block.n_ticks <= visit_ticks
            result = self.learner.advance(
                np.array([self.slot], np.int64),
                np.array([row.strand], np.int64),
                np.array([row.learns]),
                event_block(row.block),
                np.full(row.block.n_ticks, row.target, np.int64),
            )
            self.network.take_results(
                row,
                Answer(
                    result.mean_probabilities.astype(np.float32), result.logits.astype(np.float32)
                ),
            )
        assert not self.network.has_work(self.inbox)
        return self.network.findings.collect()

    def weights(self) -> dict[str, NDArray[np.floating]]:
        """Copy the weights."""
        return self.learner.weights(self.slot)


def event_block(block: TickBlock) -> EventBlock:
    return EventBlock(
        np.array([0, block.n_ticks], np.int64), block.offsets, block.channels, block.values
    )


def spikes(
    seed: int, begin_us: int, n_events: int = 60, length_us: int = 1000
) -> list[tuple[int, int]]:
    generator = np.random.default_rng(seed)
    times = np.sort(generator.integers(begin_us, begin_us + length_us, n_events))
    return list(
        zip(times.tolist(), generator.integers(0, N_INPUTS, n_events).tolist(), strict=True)
    )


def one_segment(
    number: int = 0, *, target: int | None = None, n_ticks: int = 10
) -> list[SessionMessage]:
    """Return a segment of so many ticks, and its label after its end."""
    begin_us = number * 10_000
    length_us = n_ticks * TICK_US
    messages: list[SessionMessage] = [
        begin(1, number, begin_us),
        events(2, *spikes(number, begin_us, length_us=length_us)),
        end(3, number, begin_us + length_us),
    ]
    return messages if target is None else [*messages, label(4, number, target)]


def same_weights(
    one: dict[str, NDArray[np.floating]], other: dict[str, NDArray[np.floating]]
) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def predictions(delivery: Delivery) -> list[Prediction]:
    return [message for message in delivery.messages if isinstance(message, Prediction)]


def lessons(delivery: Delivery) -> list[Learned]:
    return [message for message in delivery.messages if isinstance(message, Learned)]


def codes(delivery: Delivery) -> list[str]:
    return [message.code for message in delivery.messages if isinstance(message, ErrorMessage)]
