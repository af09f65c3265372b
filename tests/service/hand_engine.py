"""An engine that computes when it is told to: no thread, and nothing happens by itself."""

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

import numpy as np

from service.configuration.configuration import SessionConfiguration
from service.errors import InternalFailure
from service.network.learner_pool import LearnerPool
from service.network.session_network import SessionNetwork
from service.network.visit import Answer
from service.sessions.sessions import Session
from service.settings import SessionSettings
from service.storage.model_store import Weights
from tclif_core import EventBlock, Learner

T = TypeVar("T")


class HandEngine:
    """Does on request what the tick thread does by itself, for one session at a time.

    Attributes:
        notified: Sessions that said they have work, one entry for each time.
        n_opened: How many networks were made.
        n_closed: How many were freed.
        waiting: Calls that were asked for while ``holds_calls``.
    """

    def __init__(self, kernel: str = "reference") -> None:
        self._pool = LearnerPool(partial(Learner, kernel=kernel))
        self.notified: list[Session] = []
        self.n_opened = 0
        self.n_closed = 0
        self.holds_calls = False
        self.waiting: list[Callable[[], None]] = []

    def notify(self, session: Session) -> None:
        """Note that a session has work."""
        self.notified.append(session)

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Run something at once, or when the calls are released."""
        outcome: Future[T] = Future()

        def settle() -> None:
            try:
                outcome.set_result(function())
            except (ArithmeticError, InternalFailure) as error:
                outcome.set_exception(error)

        self.waiting.append(settle)
        if not self.holds_calls:
            self.release()
        return outcome

    def release(self) -> None:
        """Run the calls that wait."""
        waiting, self.waiting = self.waiting, []
        for settle in waiting:
            settle()

    def open_network(
        self,
        configuration: SessionConfiguration,
        seed: int,
        settings: SessionSettings,
        weights: Weights | None = None,
        kernel: str | None = None,
    ) -> SessionNetwork:
        """Make a session's network."""
        assert kernel in (None, "reference"), "tests keep to one kernel"
        rate = configuration.request.learning.rate
        seat = self._pool.open(configuration.network, configuration.learning, seed=seed, rate=rate)
        if weights is not None:
            seat.learner.load_weights(seat.slot, weights)
        self.n_opened += 1
        return SessionNetwork(self._pool, seat, configuration, settings)

    def close_network(self, session: Session) -> None:
        """Free a session's slot."""
        session.network.fail(InternalFailure("deleted"), session.backlog.inbox)
        self._pool.close(session.network.seat)
        self.n_closed += 1

    def bank_bytes(self) -> int:
        """Return what the slot banks take."""
        return 4096

    def compute(self, session: Session) -> None:
        """Do all that waits in a session's inbox and deliver it."""
        network = session.network
        while (row := network.next_row(session.backlog.inbox, 64)) is not None:
            n_ticks, block = row.block.n_ticks, row.block
            result = network.learner.advance(
                np.array([network.slot], np.int64),
                np.array([row.strand], np.int64),
                np.array([row.learns]),
                EventBlock(
                    np.array([0, n_ticks], np.int64), block.offsets, block.channels, block.values
                ),
                np.full(n_ticks, row.target, np.int64),
            )
            network.take_results(
                row,
                Answer(
                    result.mean_probabilities.astype(np.float32), result.logits.astype(np.float32)
                ),
            )
        session.deliver(network.findings.collect())
