"""Sessions and who holds which: inbox, sequence numbers, the attached connection, what was told.

A session has two sides. This one, `Intake` included, belongs to the event loop; its
`SessionNetwork` belongs to the engine thread. They meet in two places: the inbox, which one side
fills and the other empties, and `Session.deliver`, which the engine calls on the event loop.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from importlib.metadata import version
from typing import Protocol, TypeVar

from service.access.principals import SessionKey
from service.configuration.configuration import SessionConfiguration
from service.errors import CloseCode, InternalFailure, Refusal
from service.network.session_network import SessionNetwork
from service.network.visit import Delivery
from service.sessions.outbox import Outbox
from service.settings import SessionSettings
from service.state_tree import Tree, branch, whole
from service.storage.model_store import Weights
from service.stream.intake import Intake, SessionMessage
from service.stream.work import Applied, AtBoundary, ChangeReport, ComputeTicks, Refuse, Work
from service.wire_protocol import (
    Ack,
    Close,
    ErrorMessage,
    Goodbye,
    GoodbyeReason,
    Learned,
    Limits,
    Opened,
    Prediction,
    ReportRequest,
)

VERSION = version("tclif")

T = TypeVar("T")


class Engine(Protocol):
    """What a session needs of the thread that computes."""

    def notify(self, session: "Session") -> None:
        """Say that a session's inbox has work."""

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Run something between two batches."""

    def open_network(
        self,
        configuration: SessionConfiguration,
        seed: int,
        settings: SessionSettings,
        weights: Weights | None = None,
        kernel: str | None = None,
    ) -> SessionNetwork:
        """Make a session's network; on the engine thread.

        Args:
            configuration: What it is to be.
            seed: What its first weights come from, unless ``weights`` are given.
            settings: What sessions may hold.
            weights: All of its first weights.
            kernel: What it computes with; that of new sessions if not given.
        """

    def close_network(self, session: "Session") -> None:
        """Free a session's slot; on the engine thread."""


class Session:
    """One client's stream with its network; it outlives its connections.

    Attributes:
        key: Whose it is, and its name.
        epoch: Random number of this incarnation.
        seed: Seed of its initial weights.
        configuration: What it was created as.
        inbox: Work that the engine has not begun.
        network: The engine's side.
        received: Number of the last message that was taken in.
        queued_messages: Messages, numbered or not, whose effects are not all done.
        queued_ticks: Ticks inside segments that wait to be computed.
        queued_inputs: Their non-zero inputs.
        applied: Number of the last message whose effects are all done.
        durable: Number of the last message that is safe; 0 while nothing is stored.
        settings: Its bounds, as they were when it was created.
        reserve_bytes: Accounts for so many bytes more of it, or raises `QuotaExceeded`.
        n_ticks: Ticks inside segments that were computed.
        active_s: When its last message was read, on the monotonic clock; 0 before the first.
        is_notified: Whether the engine was told of its work and has not looked yet.
        failure: Why it is quarantined or gone, if so.
    """

    def __init__(
        self,
        key: SessionKey,
        *,
        epoch: int,
        seed: int,
        configuration: SessionConfiguration,
        settings: SessionSettings,
        engine: Engine,
        network: SessionNetwork,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.key = key
        self.epoch = epoch
        self.seed = seed
        self.configuration = configuration
        self.intake = Intake(configuration, settings, self._reserve_classes)
        self.reserve_bytes: Callable[[int], None] = _nobody_counts
        self.inbox: deque[Work] = deque()
        self.network = network
        self.received = 0
        self.applied = 0
        self.durable = 0
        self.n_ticks = 0
        self.active_s = 0.0
        self.is_notified = False
        self.failure: InternalFailure | None = None
        self.settings = settings
        self._engine = engine
        self._clock = clock
        self._left_s = clock()
        self._outbox: Outbox | None = None
        self.queued_messages = 0
        self.queued_ticks = 0
        self.queued_inputs = 0
        self._progress = asyncio.Event()

    @property
    def name(self) -> str:
        """The client's name for it."""
        return self.key.name

    @property
    def principal(self) -> str:
        """Whose it is."""
        return self.key.principal

    @property
    def log_fields(self) -> dict[str, str]:
        """What a log line about it carries."""
        return {"session": self.key.name, "principal": self.key.principal}

    @property
    def is_attached(self) -> bool:
        """Whether a connection is attached."""
        return self._outbox is not None

    @property
    def used_s(self) -> float:
        """When a connection was last attached, in seconds since 1970."""
        return self._clock() if self.is_attached else self._left_s

    @property
    def network_bytes(self) -> int:
        """Learner memory that it takes, with the classes of the messages read so far."""
        return self.configuration.network_bytes(len(self.intake.class_names))

    @property
    def snapshot_bytes(self) -> int:
        """About how many bytes a snapshot of it takes."""
        return self.network_bytes + 2 * self.intake.segmentation.kept_bytes

    @property
    def credit_ticks(self) -> int:
        """How many ticks the client may cause to be computed beyond what is applied."""
        return self.settings.inbox_ticks

    @property
    def has_room(self) -> bool:
        """Whether the next message may be read."""
        is_short = self.queued_messages < self.settings.inbox_messages
        return (
            is_short
            and self.queued_ticks < self.settings.inbox_ticks
            and self.queued_inputs < self.settings.inbox_inputs
        )

    def accept(
        self, message: SessionMessage, arrived_s: float, refusal: Refusal | None = None
    ) -> None:
        """Take in the session's next message.

        Args:
            message: Its sequence number is the one that was due.
            arrived_s: When it was read, on the monotonic clock.
            refusal: Why it can't be done, if that is known already; its number is consumed.

        Raises:
            ProtocolViolation: It can't be applied; nothing changed.
        """
        self.active_s = arrived_s
        work = self.intake.take(message) if refusal is None else [Refuse(refusal)]
        if message.sequence is not None:
            assert message.sequence == self.received + 1, "messages come in their order"
            self.received = message.sequence
        self._push([*work, Applied(self.received, arrived_s)])

    def accept_close(self, message: Close, arrived_s: float) -> None:
        """Take in the orderly end of a connection."""
        if message.sequence is not None:
            self.received = message.sequence
        self._push([Applied(self.received, arrived_s)])

    def at_boundary(self, function: Callable[[], T]) -> Future[T]:
        """Run ``function`` on the engine thread, after the messages read so far."""
        outcome: Future[T] = Future()
        outcome.set_running_or_notify_cancel()
        if self.failure is not None:
            outcome.set_exception(InternalFailure(self.failure.message))
        else:
            run = AtBoundary(lambda: outcome.set_result(function()), outcome.set_exception)
            self._push([run])
        return outcome

    def capture(self) -> Future[Tree]:
        """Return all that the session is, after the messages read so far.

        Raises:
            InternalFailure: It is quarantined; raised by the future.
        """
        intake = self.intake.capture()
        session: Tree = {
            "epoch": self.epoch,
            "seed": self.seed,
            "kernel": self.network.learner.kernel_name,
            "received": self.received,
        }

        def finish() -> Tree:
            network = self.network
            _, n_ticks = network.learner.spike_counts(network.slot)
            retold = network.retold.capture()
            return {
                "session": session | {"ticks": n_ticks, "retold": retold},
                "intake": intake(),
                "network": network.capture(),
            }

        return self.at_boundary(finish)

    def restore(self, tree: Tree) -> None:
        """Go on from what `capture` returned, the network excepted; for a session just made.

        Raises:
            ValueError: The tree does not fit; the session is of no use any more.
        """
        session = branch(tree, "session")
        self.received = self.applied = whole(session, "received")
        self.n_ticks = whole(session, "ticks")
        self.network.retold.restore(session)
        self.intake.restore(branch(tree, "intake"))

    def be_durable(self, sequence: int) -> None:
        """Note that messages up to this one are safe, and say so."""
        if sequence > self.durable:
            self.durable = sequence
            if self._outbox is not None:
                self._outbox.acknowledge(self.ack())

    async def wait_for_room(self) -> None:
        """Wait until the next message may be read."""
        while not self.has_room and self.failure is None:
            self._progress.clear()
            await self._progress.wait()

    async def wait_until_drained(self) -> None:
        """Wait until every message that was taken in is applied."""
        while self.queued_messages and self.failure is None:
            self._progress.clear()
            await self._progress.wait()

    def attach(self, outbox: Outbox, opened: Opened, report: ReportRequest) -> None:
        """Make a connection the session's own and tell it again what may have been lost."""
        assert self._outbox is None, "the connection before is detached"
        if outbox.finished.is_set():
            # the connection ended while it was being opened
            return
        self._push([ChangeReport(report)])
        outbox.greet(opened, self.ack())
        # all that was taken in is applied, so the engine does not add to them now
        for message in self.network.retold:
            outbox.put(message)
        self._outbox = outbox

    def detach(self, outbox: Outbox) -> None:
        """Let a connection go; does nothing if another one took over."""
        if self._outbox is outbox:
            self._leave()

    def dismiss(self, reason: GoodbyeReason, code: CloseCode, *, retry_after_ms: int = 0) -> None:
        """Say goodbye to the attached connection, if any, without waiting for it."""
        if self._outbox is None:
            return
        goodbye = Goodbye(reason=reason, durable=self.ack().durable, retry_after_ms=retry_after_ms)
        self._outbox.finish(code, self.ack(), goodbye)
        self._leave()

    def ack(self) -> Ack:
        """How far the session has come."""
        # a snapshot may be stored before the word that its messages are applied has come over
        durable = min(self.durable, self.applied)
        return Ack(applied=self.applied, durable=durable, credit_ticks=self.credit_ticks)

    def opened(self, *, resumed: bool, limits: Limits, version: str = VERSION) -> Opened:
        """What a connection is told when it is attached."""
        cuts = self.intake.segmentation
        # what the server cuts it ends itself: only a client has to be reminded
        left_open = None if cuts.is_cut_by_server else cuts.open_segment
        if cuts.takes_intervals:
            checkpoint_ticks = self.settings.checkpoint_ticks
            limits = limits.model_copy(update={"checkpoint_ticks": checkpoint_ticks})
        return Opened(
            session=self.name,
            resumed=resumed,
            epoch=self.epoch,
            next_sequence=self.received + 1,
            credit_ticks=self.credit_ticks,
            classes=self.intake.class_names,
            tick_us=self.configuration.tick_us,
            seed=self.seed,
            kernel=self.network.learner.kernel_name,
            limits=limits,
            server=version,
            open_segment=left_open.number if left_open else None,
            open_segment_t_us=left_open.begin_us if left_open else None,
            horizon_us=cuts.horizon_us,
        )

    def deliver(self, delivery: Delivery) -> None:
        """Take what a visit brought: tell the client, move the numbers, wake who waits."""
        self.queued_messages -= delivery.n_applied
        self.queued_ticks -= delivery.n_ticks
        self.queued_inputs -= delivery.n_inputs
        self.n_ticks += delivery.n_ticks
        self.applied = max(self.applied, delivery.applied)
        for message in delivery.messages:
            self.tell(message)
        if delivery.failure is not None:
            self._fail(delivery.failure)
        if self._outbox is not None:
            self._outbox.acknowledge(self.ack())
        self._progress.set()

    def _reserve_classes(self, n_classes: int) -> None:
        self.reserve_bytes(self.configuration.network_bytes(n_classes) - self.network_bytes)

    def retire(self) -> None:
        """Take leave of a deleted session: its connection and whoever waits for it."""
        self.dismiss("deleted", CloseCode.DELETED)
        self.failure = InternalFailure(f"session {self.name!r} was deleted")
        self._progress.set()

    def tell(self, message: Prediction | Learned | ErrorMessage) -> None:
        """Tell the attached connection something, if there is one."""
        if self._outbox is not None:
            self._outbox.put(message)

    def _fail(self, failure: InternalFailure) -> None:
        """Quarantine the session: nothing more of it is computed."""
        self.failure = failure
        if self._outbox is not None:
            self._outbox.fail(failure)

    def _leave(self) -> None:
        self._outbox = None
        self._left_s = self._clock()

    def _push(self, work: list[Work]) -> None:
        self.queued_messages += sum(isinstance(w, Applied) for w in work)
        blocks = [w.block for w in work if isinstance(w, ComputeTicks)]
        self.queued_ticks += sum(block.n_ticks for block in blocks)
        self.queued_inputs += sum(block.n_inputs for block in blocks)
        self.inbox.extend(work)
        self._engine.notify(self)


def _nobody_counts(_n_bytes: int) -> None:
    """Let a session grow that no registry knows."""
