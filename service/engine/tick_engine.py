"""The one thread that computes: take what is ready, advance it as one batch, deliver.

Only this thread touches the learners and their slot banks. It is woken by a queue, never polls, and
hands the results of a batch to the event loop with one call.
"""

import asyncio
import logging
import queue
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import NamedTuple, TypeVar

import torch

from service.configuration.configuration import SessionConfiguration
from service.engine.row_batch import Door, Pair, advance, fail
from service.engine.tick_costs import TickCosts
from service.engine.tick_scheduler import TickScheduler
from service.errors import InternalFailure
from service.network.learner_pool import LearnerPool
from service.network.session_network import SessionNetwork
from service.network.visit import Delivery
from service.observation.telemetry import Telemetry
from service.observation.tracing import Tracing
from service.sessions.admission import Admission
from service.sessions.sessions import Session
from service.settings import EngineSettings, SessionSettings
from service.storage.model_store import Weights
from tclif_core import Learner, LearningSpec, NetworkSpec, Strand

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Share(NamedTuple):
    """What of a batch was for sessions in real time.

    Attributes:
        seconds: Time.
        n_ticks: Ticks.
        tick_bytes: Bytes of their networks, added up over the ticks.
    """

    seconds: float
    n_ticks: int
    tick_bytes: int


class TickEngine:
    """Advances the sessions that have work, batch after batch, on a thread of its own."""

    def __init__(
        self,
        settings: EngineSettings,
        telemetry: Telemetry,
        admission: Admission,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._admission = admission
        self._loop = loop
        self._scheduler: TickScheduler[Session] = TickScheduler(settings)
        self._costs = TickCosts()
        self._pools: dict[str, LearnerPool] = {}
        # sessions that have work, each at most once; calls to run between batches; None to stop
        self._mail: queue.SimpleQueue[Session | Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="tick-engine", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        # of the whole process: the event loop needs the lock for a moment, and often
        sys.setswitchinterval(self._settings.switch_us / 1e6)
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
            with Door(outcome.set_exception):
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
        """Make a session's network; on the engine thread.

        A kernel that this machine has no device for gives way to that of new sessions.
        """
        if kernel is not None and not Learner.has_kernel(kernel):
            _log.warning("kernel %r has no device here: %r goes on", kernel, self._settings.kernel)
            kernel = None
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
        # what torch does here is small; a second thread of its own would help little and then spin
        torch.set_num_threads(1)
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
                self._scheduler.add(mail, is_ahead=mail.pace.is_ahead)
            else:
                mail()

    def _advance_batch(self) -> None:
        began_s = time.monotonic()
        sessions: list[Session] = []
        by_learner: dict[Learner, list[Pair]] = defaultdict(list)
        for session in self._scheduler.next_batch():
            sessions.append(session)
            with Door(partial(fail, session)):
                self._visit(session, by_learner)
        for learner, pairs in by_learner.items():
            n_ticks = sum(row.block.n_ticks for _, row in pairs)
            with self._costs.measured(learner, n_ticks):
                advance(learner, pairs)
        done = [pair for pairs in by_learner.values() for pair in pairs]
        seconds = time.monotonic() - began_s
        n_ticks = sum(row.block.n_ticks for _, row in done)
        self._telemetry.batch_done(n_rows=len(done), n_ticks=n_ticks, seconds=seconds)
        if done and self._telemetry.tracing.is_on:
            _trace(self._telemetry.tracing, done, seconds)
        deliveries = [(session, session.network.findings.collect()) for session in sessions]
        share = self._share_in_time(by_learner, seconds)
        self._loop.call_soon_threadsafe(self._deliver, deliveries, self._go_on(sessions), share)

    def _share_in_time(self, by_learner: dict[Learner, list[Pair]], seconds: float) -> Share:
        """Return what of a batch was for sessions in real time, by what their ticks cost."""
        all_s, in_time_s, n_in_time, tick_bytes = 0.0, 0.0, 0, 0
        for learner, pairs in by_learner.items():
            cost = self._costs.of(learner)
            for session, row in pairs:
                n_ticks = row.block.n_ticks
                all_s += n_ticks * cost.seconds
                if not session.pace.is_ahead:
                    in_time_s += n_ticks * cost.seconds
                    n_in_time += n_ticks
                    tick_bytes += n_ticks * cost.session_bytes
        return Share(seconds * in_time_s / all_s if all_s else 0.0, n_in_time, tick_bytes)

    def _visit(self, session: Session, by_learner: dict[Learner, list[Pair]]) -> None:
        """Take what one session has to compute into the batch."""
        network = session.network
        tick_s = self._costs.of(network.learner).seconds
        row = network.next_row(session.backlog.inbox, self._scheduler.visit_ticks(tick_s))
        if row is not None:
            # classes that came on the way have moved it to another learner
            by_learner[network.learner].append((session, row))
            self._scheduler.spend(row.block.n_ticks * tick_s)

    def _go_on(self, sessions: list[Session]) -> list[Session]:
        """Queue the sessions of a batch that have more work; return those that wait for it.

        Who is ahead of real time goes on once the event loop has taken what this visit brought, so
        that nobody's predictions are made faster than they are sent.
        """
        waiting = []
        for session in sessions:
            if session.network.has_work(session.backlog.inbox):
                if session.pace.is_ahead:
                    waiting.append(session)
                else:
                    self._scheduler.add(session)
        return waiting

    def _deliver(
        self,
        deliveries: list[tuple[Session, Delivery]],
        waiting: list[Session],
        in_time: Share,
    ) -> None:
        """Hand a batch's results to the sessions; on the event loop."""
        now_s = time.monotonic()
        n_in_time = n_ahead = 0
        lags_s: list[float] = []
        for session, delivery in deliveries:
            session.deliver(delivery)
            n_messages = delivery.n_applied + len(delivery.messages)
            if session.pace.is_ahead:
                n_ahead += n_messages
            else:
                n_in_time += n_messages
                lags_s += [now_s - arrived_s for arrived_s in delivery.answered_s]
        self._admission.computed(*in_time)
        self._admission.delivered(n_in_time, n_ahead)
        self._admission.answered(lags_s)
        self._telemetry.delivered([delivery for _, delivery in deliveries], now_s)
        for session in waiting:
            self.notify(session)


def _trace(tracing: Tracing, done: list[Pair], seconds: float) -> None:
    """Trace a batch, and the part of a lesson that each of its sessions did in it."""
    n_ticks = sum(row.block.n_ticks for _, row in done)
    names = [f"{session.principal}/{session.name}" for session, _ in done]
    tracing.record("batch", seconds=seconds, sessions=names, ticks=n_ticks)
    for session, row in done:
        if row.strand is Strand.LESSON:
            n_ticks = row.block.n_ticks
            tracing.record("lesson", seconds=seconds, ticks=n_ticks, **session.log_fields)
