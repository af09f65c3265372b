"""The one thread that computes: take what is ready, advance it as one batch, deliver.

Only this thread touches the learners and their slot banks. It is woken by a queue, never polls, and
hands the results of a batch to the event loop with one call.
"""

import asyncio
import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import TypeVar

import numpy as np

from service.configuration.configuration import SessionConfiguration
from service.engine.tick_scheduler import TickScheduler
from service.errors import InternalFailure
from service.network.learner_pool import LearnerPool
from service.network.session_network import SessionNetwork
from service.network.visit import Answer, Delivery, Row
from service.observation.telemetry import Telemetry
from service.observation.tracing import Tracing
from service.sessions.sessions import Session
from service.settings import EngineSettings, SessionSettings
from service.storage.model_store import Weights
from service.stream.event_binning import TickBlock
from tclif_core import EventBlock, Learner, LearningSpec, NetworkSpec, Strand

T = TypeVar("T")
Pair = tuple[Session, Row]

_log = logging.getLogger(__name__)


class TickEngine:
    """Advances the sessions that have work, batch after batch, on a thread of its own."""

    def __init__(
        self, settings: EngineSettings, telemetry: Telemetry, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._loop = loop
        self._scheduler: TickScheduler[Session] = TickScheduler(settings)
        self._pools: dict[str, LearnerPool] = {}
        # sessions that have work, each at most once; calls to run between batches; None to stop
        self._mail: queue.SimpleQueue[Session | Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="tick-engine", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the batch in progress, and wait for it."""
        self._mail.put(None)
        self._thread.join()

    def notify(self, session: Session) -> None:
        """Say that a session's inbox has work; on the event loop."""
        if not session.is_notified:
            session.is_notified = True
            self._mail.put(session)

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Run something between two batches; from any thread.

        Returns:
            Its result, or what it raised.
        """
        outcome: Future[T] = Future()
        # what is queued runs: a caller that gives up can't cancel it half-way
        outcome.set_running_or_notify_cancel()

        def settle() -> None:
            with _door(outcome.set_exception):
                outcome.set_result(function())

        self._mail.put(settle)
        return outcome

    def warm_up(self) -> None:
        """Compile the kernel, so that the first session does not wait for it."""
        smallest = NetworkSpec(inputs=2, hidden=(2,), classes=2)
        Learner(smallest, LearningSpec(), kernel=self._settings.kernel).warm_up()

    def open_network(
        self,
        configuration: SessionConfiguration,
        seed: int,
        settings: SessionSettings,
        weights: Weights | None = None,
        kernel: str | None = None,
    ) -> SessionNetwork:
        """Make a session's network; on the engine thread."""
        rate = configuration.request.learning.rate
        pool = self._pool(kernel or self._settings.kernel)
        seat = pool.open(configuration.network, configuration.learning, seed=seed, rate=rate)
        if weights is not None:
            seat.learner.load_weights(seat.slot, weights)
        return SessionNetwork(pool, seat, configuration, settings)

    def _pool(self, kernel: str) -> LearnerPool:
        """Return the learners that compute with a kernel: a session keeps that of its creation."""
        if kernel not in self._pools:
            self._pools[kernel] = LearnerPool(partial(Learner, kernel=kernel))
        return self._pools[kernel]

    def bank_bytes(self) -> int:
        """Return what the learners take in memory, free slots included; on the engine thread."""
        return sum(pool.memory_bytes for pool in self._pools.values())

    def close_network(self, session: Session) -> None:
        """Free a session's slot and forget what was queued; on the engine thread."""
        self._scheduler.discard(session)
        deleted = InternalFailure(f"session {session.name!r} was deleted")
        session.network.fail(deleted, session.backlog.inbox)
        session.network.leave()

    def _run(self) -> None:
        while self._take_mail():
            if self._scheduler:
                self._advance_batch()

    def _take_mail(self) -> bool:
        """Take in everything that came, waiting if there is nothing else to do."""
        while True:
            try:
                mail = self._mail.get(block=not self._scheduler)
            except queue.Empty:
                return True
            if mail is None:
                return False
            if isinstance(mail, Session):
                # cleared before the inbox is looked at: work that comes later notifies anew
                mail.is_notified = False
                self._scheduler.add(mail)
            else:
                mail()

    def _advance_batch(self) -> None:
        began_s = time.monotonic()
        sessions = self._scheduler.next_batch()
        by_learner: dict[Learner, list[Pair]] = defaultdict(list)
        for session in sessions:
            with _door(partial(_fail, session)):
                row = session.network.next_row(session.backlog.inbox, self._scheduler.visit_ticks)
                if row is not None:
                    by_learner[session.network.learner].append((session, row))
        for learner, pairs in by_learner.items():
            _advance(learner, pairs)
        for session in sessions:
            if session.network.has_work(session.backlog.inbox):
                self._scheduler.add(session)
        done = [pair for pairs in by_learner.values() for pair in pairs]
        seconds = time.monotonic() - began_s
        n_ticks = sum(row.block.n_ticks for _, row in done)
        self._telemetry.batch_done(n_rows=len(done), n_ticks=n_ticks, seconds=seconds)
        if done and self._telemetry.tracing.is_on:
            _trace(self._telemetry.tracing, done, seconds)
        deliveries = [(session, session.network.findings.collect()) for session in sessions]
        self._loop.call_soon_threadsafe(self._deliver, deliveries)

    def _deliver(self, deliveries: list[tuple[Session, Delivery]]) -> None:
        """Hand a batch's results to the sessions; on the event loop."""
        now_s = time.monotonic()
        for session, delivery in deliveries:
            session.deliver(delivery)
            self._telemetry.delivered(delivery, now_s)


@contextmanager
def _door(on_error: Callable[[Exception], None]) -> Iterator[None]:
    """Let nothing that goes wrong end the tick thread; tell whom it concerns."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the tick thread's door: one session falls, not all
        on_error(error)


def _fail(session: Session, error: Exception) -> None:
    if isinstance(error, InternalFailure):
        failure = error
        _log.error("session quarantined: %s", error, extra=session.log_fields)
    else:
        failure = InternalFailure(f"a defect of the server ended session {session.name!r}")
        _log.error("session failed", exc_info=error, extra=session.log_fields)
    session.network.fail(failure, session.backlog.inbox)


def _trace(tracing: Tracing, done: list[Pair], seconds: float) -> None:
    """Trace a batch, and the part of a lesson that each of its sessions did in it."""
    n_ticks = sum(row.block.n_ticks for _, row in done)
    names = [f"{session.principal}/{session.name}" for session, _ in done]
    tracing.record("batch", seconds=seconds, sessions=names, ticks=n_ticks)
    for session, row in done:
        if row.strand is Strand.LESSON:
            n_ticks = row.block.n_ticks
            tracing.record("lesson", seconds=seconds, ticks=n_ticks, **session.log_fields)


def _advance(learner: Learner, pairs: list[Pair]) -> None:
    """Advance one row of each session and give every session its share of the results.

    A batch that the learner refuses changes nothing: its rows are then tried one by one, so that
    only the culprit falls.
    """

    def on_error(error: Exception) -> None:
        if isinstance(error, ValueError) and len(pairs) > 1:
            for pair in pairs:
                _advance(learner, [pair])
        else:
            for session, _ in pairs:
                _fail(session, error)

    shares: list[Answer] = []
    with _door(on_error):
        shares = _advance_rows(learner, pairs)
    for (session, row), share in zip(pairs, shares, strict=False):
        with _door(partial(_fail, session)):
            session.network.take_results(row, share)


def _advance_rows(learner: Learner, pairs: list[Pair]) -> list[Answer]:
    """Return what was computed for each row."""
    rows = [row for _, row in pairs]
    n_ticks = np.array([row.block.n_ticks for row in rows])
    row_ticks = np.concatenate([[0], np.cumsum(n_ticks)])
    joined = TickBlock.join([row.block for row in rows])
    result = learner.advance(
        np.array([session.network.slot for session, _ in pairs], np.int64),
        np.array([row.strand for row in rows], np.int64),
        np.array([row.learns for row in rows], np.bool_),
        EventBlock(row_ticks, joined.offsets, joined.channels, joined.values),
        np.repeat(np.array([row.target for row in rows], np.int64), n_ticks),
    )
    means, logits = result.mean_probabilities, result.logits
    return [Answer(means[start:stop], logits[start:stop]) for start, stop in pairwise(row_ticks)]
