"""One session between its connections and the engine: its numbers, and what it tells to whom.

A session has two sides. This one, `Intake` included, belongs to the event loop; its
`SessionNetwork` belongs to the engine thread. They meet in two places: the inbox, which one side
fills and the other empties, and `Session.deliver`, which the engine calls on the event loop.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from service.access.principals import SessionKey
from service.configuration.configuration import SessionConfiguration
from service.errors import CloseCode, InternalFailure, Refusal
from service.network.session_network import SessionNetwork
from service.network.visit import Delivery
from service.sessions.backlog import Backlog
from service.sessions.outbox import Outbox
from service.sessions.stream_pace import StreamPace
from service.settings import SessionSettings
from service.state_tree import Tree, branch, whole
from service.stream.intake import Intake, SessionMessage
from service.stream.work import Applied, AtBoundary, ChangeReport, Refuse, Work
from service.wire_protocol import (
    Ack,
    Close,
    ErrorMessage,
    EventFrame,
    Goodbye,
    GoodbyeReason,
    Learned,
    Opened,
    Prediction,
    ReportRequest,
)

T = TypeVar("T")


class Session:
    """One client's stream with its network; it outlives its connections.

    Attributes:
        key: Whose it is, and its name.
        epoch: Random number of this incarnation.
        seed: Seed of its initial weights.
        configuration: What it was created as.
        backlog: Work that the engine has not done.
        pace: Whether it streams in real time, or ahead of it.
        network: The engine's side.
        received: Number of the last message that was taken in.
        applied: Number of the last message whose effects are all done.
        durable: Number of the last message that is safe; 0 while nothing is stored.
        settings: Its bounds, as they were when it was created.
        note_growth: Is told of how many bytes more its network takes.
        n_ticks: Ticks inside segments that were computed.
        active_s: When its last message was read, on the monotonic clock; 0 before the first.
        is_notified: Whether the engine was told of its work and has not looked yet.
        is_dormant: Whether it left memory with its connection; nothing may be sent it any more.
        successor: The session that goes on in its place, if it came back.
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
        network: SessionNetwork,
        notify: Callable[["Session"], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.key = key
        self.epoch = epoch
        self.seed = seed
        self.configuration = configuration
        self.note_growth: Callable[[int], None] = _nobody_counts
        self.intake = Intake(configuration, settings, self._grew)
        self.backlog = Backlog(settings)
        self.pace = StreamPace(settings.real_time_slack_s)
        self.network = network
        self.received = 0
        self.applied = 0
        self.durable = 0
        self.n_ticks = 0
        self.active_s = 0.0
        self.is_notified = False
        self.is_dormant = False
        self.successor: Session | None = None
        self.failure: InternalFailure | None = None
        self.settings = settings
        self._notify = notify
        self._clock = clock
        self._left_s = clock()
        self._heard_s = clock()
        self._report = configuration.request.report
        self._outbox: Outbox | None = None

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
    def silent_s(self) -> float:
        """For how long its connection has said nothing; all of its life before it had one."""
        return self._clock() - self._heard_s

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
        work: list[Work] = [Refuse(refusal)] if refusal is not None else self.intake.take(message)
        if message.sequence is not None:
            assert message.sequence == self.received + 1, "messages come in their order"
            self.received = message.sequence
        self._take_in(work, Applied(self.received, arrived_s))

    def accept_closed(self, frame: EventFrame, closing: EventFrame, arrived_s: float) -> None:
        """Take in the session's next message, and the one after it that says its time has passed.

        Args:
            frame: Events; its sequence number is the one that was due.
            closing: A frame without events, of the number after it.
            arrived_s: When they were read, on the monotonic clock.

        Raises:
            ProtocolViolation: One of them can't be applied; what came before it is.
        """
        work = self.intake.take_closed(frame, closing)
        if work is None:
            self.accept(frame, arrived_s)
            self.accept(closing, arrived_s)
            return
        assert frame.sequence == self.received + 1, "messages come in their order"
        self.received = closing.sequence
        self._take_in(work, Applied(self.received, arrived_s, n_messages=2))

    def accept_close(self, message: Close, arrived_s: float) -> None:
        """Take in the orderly end of a connection."""
        if message.sequence is not None:
            self.received = message.sequence
        self._push([], Applied(self.received, arrived_s))

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
            retold = network.findings.retold.capture()
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
        self.network.findings.retold.restore(session)
        self.intake.restore(branch(tree, "intake"))

    def be_durable(self, sequence: int) -> None:
        """Note that messages up to this one are safe, and say so."""
        if sequence > self.durable:
            self.durable = sequence
            if self._outbox is not None:
                self._outbox.acknowledge(self.ack())

    def attach(self, outbox: Outbox, opened: Opened, report: ReportRequest) -> None:
        """Make a connection the session's own and tell it again what may have been lost."""
        assert self._outbox is None, "the connection before is detached"
        if outbox.finished.is_set():
            # the connection ended while it was being opened
            return
        self._heard_s, self._report = self._clock(), report
        self._push([ChangeReport(report)])
        outbox.greet(opened, self.ack())
        # all that was taken in is applied, so the engine does not add to them now
        for message in self.network.findings.retold:
            outbox.put(message)
        self._outbox = outbox

    def go_on_as(self, successor: "Session") -> None:
        """Hand the connection over to the session that comes back in this one's place."""
        self.successor = successor
        outbox, self._outbox = self._outbox, None
        if outbox is not None:
            successor.take_on(outbox, self._report)

    def take_on(self, outbox: Outbox, report: ReportRequest) -> None:
        """Make a connection the session's own that knows nothing of a change."""
        self._heard_s, self._report, self._outbox = self._clock(), report, outbox
        self._push([ChangeReport(report)])

    def detach(self, outbox: Outbox) -> None:
        """Let a connection go; does nothing if another one took over."""
        if self.successor is not None:
            self.successor.detach(outbox)
        elif self._outbox is outbox:
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

    def deliver(self, delivery: Delivery) -> None:
        """Take what a visit brought: tell the client, move the numbers, wake who waits."""
        self.backlog.settle(delivery)
        self.n_ticks += delivery.n_ticks
        self.applied = max(self.applied, delivery.applied)
        for message in delivery.messages:
            self.tell(message)
        if delivery.failure is not None:
            self._fail(delivery.failure)
        if self._outbox is not None:
            self._outbox.acknowledge(self.ack())

    def retire(self) -> None:
        """Take leave of a deleted session: its connection and whoever waits for it."""
        self.dismiss("deleted", CloseCode.DELETED)
        self.failure = InternalFailure(f"session {self.name!r} was deleted")
        self.backlog.give_up()

    def tell(self, message: Prediction | Learned | ErrorMessage) -> None:
        """Tell the attached connection something, if there is one."""
        if self._outbox is not None:
            self._outbox.put(message)

    def _fail(self, failure: InternalFailure) -> None:
        """Quarantine the session: nothing more of it is computed."""
        self.failure = failure
        self.backlog.give_up()
        if self._outbox is not None:
            self._outbox.fail(failure)

    def _leave(self) -> None:
        self._outbox = None
        self._left_s = self._clock()

    def _grew(self, n_bytes: int) -> None:
        self.note_growth(n_bytes)

    def _take_in(self, work: list[Work], mark: Applied) -> None:
        """Queue what a message asks for, and note that somebody is there who sends."""
        self.active_s, self._heard_s = mark.arrived_s, self._clock()
        n_ticks = self.backlog.put(work, mark)
        # before the engine is told: it asks whether the session is ahead
        self.pace.take(n_ticks * self.configuration.tick_us / 1e6, mark.arrived_s)
        self._notify(self)

    def _push(self, work: list[Work], mark: Applied | None = None) -> None:
        self.backlog.put(work, mark)
        self._notify(self)


def _nobody_counts(_n_bytes: int) -> None:
    """Let a session grow that no registry counts."""
