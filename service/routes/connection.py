"""One WebSocket connection: one coroutine reads, one writes.

The reader hands each message to the session and reads no further while the session is full: that is
the back-pressure. The writer sends what the outbox holds. Whatever ends the connection ends in
`Outbox.finish`, so that last words and close code go out in order; the session stays.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine

from fastapi import WebSocket, WebSocketDisconnect

from service.access.principals import Principal
from service.access.traffic_quota import Traffic
from service.errors import (
    CloseCode,
    Draining,
    Idle,
    InternalFailure,
    Refusal,
    ServiceError,
    SnapshotFailed,
)
from service.logs import current_subject
from service.observation.telemetry import Telemetry
from service.routes.incoming_messages import IncomingMessages
from service.routes.silence_watch import SilenceWatch
from service.sessions.outbox import Outbox
from service.sessions.session_registry import SessionRegistry
from service.sessions.sessions import Session
from service.sessions.snapshot_keeper import told
from service.settings import SocketSettings
from service.stream.intake import SessionMessage
from service.wire_protocol import (
    ClientMessage,
    Close,
    Conversation,
    Disposition,
    ErrorMessage,
    EventFrame,
    Goodbye,
    Open,
    SnapshotRequest,
    encode,
)

FLUSH_S = 5.0
"""Longest wait for a peer to take its last words."""

# messages that are written before the other connections have their turn
_TURN_MESSAGES = 8

_log = logging.getLogger(__name__)


class Connection:
    """One socket.

    Attributes:
        principal: Whose it is.
        ended: Set once the last words are said, or can't be.
    """

    def __init__(
        self,
        socket: WebSocket,
        principal: Principal,
        *,
        traffic: Traffic,
        registry: SessionRegistry,
        settings: SocketSettings,
        telemetry: Telemetry,
    ) -> None:
        self._socket = socket
        self.principal = principal
        self._traffic = traffic
        self._registry = registry
        self._settings = settings
        self._telemetry = telemetry
        self._conversation = Conversation()
        self._incoming = IncomingMessages(socket, settings.max_message_bytes)
        self._outbox = Outbox(settings, time.monotonic)
        self._session: Session | None = None
        self._is_fenced = False
        # when the message that is being taken in was, on the monotonic clock
        self._arrived_s = 0.0
        self._silence = SilenceWatch(settings.open_timeout_s, self._end_silence)
        self.ended = asyncio.Event()

    @property
    def close_code(self) -> int | None:
        """How the server closed it, None while it did not."""
        return self._outbox.close_code

    @property
    def _is_heard(self) -> bool:
        """Whether messages count: no other connection took over, the server is not ending."""
        return not (self._is_fenced or self._outbox.finished.is_set())

    async def serve(self) -> None:
        """Read and write until either side ends the connection."""
        reader = asyncio.create_task(self._guarded(self._read()))
        writer = asyncio.create_task(self._guarded(self._write()))
        finished = asyncio.create_task(self._outbox.finished.wait())
        try:
            await asyncio.wait({reader, writer, finished}, return_when=asyncio.FIRST_COMPLETED)
            if self._outbox.finished.is_set():
                await asyncio.wait({writer}, timeout=FLUSH_S)
        finally:
            self._silence.stop()
            # who is being opened meanwhile shall not be attached to a connection that is gone
            self._outbox.finish(CloseCode.ORDERLY)
            if self._session is not None:
                self._session.detach(self._outbox)
            for task in (reader, writer, finished):
                task.cancel()
            await asyncio.gather(reader, writer, finished, return_exceptions=True)
            self.ended.set()

    def fence(self) -> None:
        """Take no more messages in; what is taken in already goes on."""
        self._is_fenced = True

    def drain(self) -> None:
        """Say goodbye because the server is shutting down."""
        if self._session is not None:
            retry_after_ms = self._settings.retry_after_ms
            self._session.dismiss("draining", CloseCode.DRAINING, retry_after_ms=retry_after_ms)
        else:
            self._outbox.fail(Draining("the server is shutting down; expected a later open"))

    async def _guarded(self, work: Coroutine[None, None, None]) -> None:
        """Turn whatever ends one side of the connection into last words for the peer."""
        try:
            await work
        except WebSocketDisconnect:
            return
        except ServiceError as error:
            self.end(error)
        except Exception:  # noqa: BLE001 - one of the two doors
            # the connection's door: a defect ends this connection, not its neighbours
            _log.exception("connection failed")
            self.end(InternalFailure("a defect of the server ended the connection"))

    def end(self, error: ServiceError) -> None:
        """End the connection with an error as its last words; the session stays."""
        if isinstance(error, Idle) and self._session is not None:
            goodbye = Goodbye(reason="idle", durable=self._session.ack().durable)
            self._outbox.finish(error.close_code, goodbye)
        else:
            self._outbox.fail(error)

    async def _read(self) -> None:
        while not self._outbox.finished.is_set():
            self._silence.wait()
            await self._incoming.wait()
            self._silence.heard()
            while self._incoming:
                message = self._incoming.take()
                closing = self._closing(message)
                if self._is_heard:
                    await self._take(message, closing)

    def _end_silence(self, limit_s: float) -> None:
        self.end(Idle(f"no message came for {limit_s:g} s"))

    def _closing(self, message: ClientMessage | EventFrame) -> EventFrame | None:
        """Return the empty frame that may be taken in with a frame, if it came with it."""
        if isinstance(message, EventFrame) and self._conversation.is_due(message.sequence):
            return self._incoming.take_closing(message)
        return None

    async def _take(self, message: ClientMessage | EventFrame, closing: EventFrame | None) -> None:
        self._arrived_s = time.monotonic()
        disposition, refusal = self._judge(message)
        if isinstance(message, Open):
            await self._open(message)
            return
        if disposition is Disposition.DROP:
            return
        session = self._session
        assert session is not None, "a conversation that goes on has a session"
        if session.is_dormant:
            session = await self._awake(session)
            if not self._is_heard:
                # it was taken over, or the server told to end, meanwhile
                return
        if disposition is Disposition.RESEND:
            self._outbox.acknowledge_again()
        elif isinstance(message, Close):
            await self._close(session, message)
        else:
            owed_s = self._apply(session, message, closing, refusal)
            if owed_s or session.pace.is_ahead or not session.backlog.has_room:
                await self._hold_back(session, owed_s)

    def _judge(self, message: ClientMessage | EventFrame) -> tuple[Disposition, Refusal | None]:
        """Return what is to be done with a message, and why no session could do it, if so."""
        try:
            return self._conversation.receive(message), None
        except Refusal as refusal:
            return Disposition.APPLY, refusal

    def _apply(
        self,
        session: Session,
        message: SessionMessage,
        closing: EventFrame | None,
        refusal: Refusal | None,
    ) -> float:
        """Hand a message to the session, or two; return for how long its principal has sent."""
        dropped, n_events = session.intake.segmentation.counters, 0
        if closing is not None and isinstance(message, EventFrame):
            self._conversation.receive(closing)
            session.accept_closed(message, closing, self._arrived_s)
        else:
            session.accept(message, self._arrived_s, refusal)
        self._telemetry.events_dropped(dropped, session.intake.segmentation.counters)
        if isinstance(message, EventFrame):
            n_events = message.count
            self._telemetry.events_came(n_events)
        elif isinstance(message, SnapshotRequest):
            self._registry.keeper.request(session)
        return self._traffic.owe(n_events, n_messages=1 if closing is None else 2)

    async def _hold_back(self, session: Session, owed_s: float) -> None:
        """Wait until the next message may be read; ``owed_s`` runs since the last one came."""
        if session.pace.is_ahead:
            # what has come already would be taken in at one go; others have their turn first
            await asyncio.sleep(0)
        if not session.backlog.has_room:
            await session.backlog.wait_for_room()
        if (left_s := self._arrived_s + owed_s - time.monotonic()) > 0:
            await asyncio.sleep(left_s)
            self._telemetry.paced(left_s)

    async def _awake(self, session: Session) -> Session:
        """Return the session, brought back if it left memory while the connection was silent."""
        while session.is_dormant:
            session = self._session = await self._registry.rouse(session)
        return session

    async def _open(self, request: Open) -> None:
        principal, name = self.principal.name, request.session or ""
        opening = asyncio.ensure_future(self._registry.open(request, self._outbox, principal))
        with self._telemetry.tracing.span("open", principal=principal, session=name):
            try:
                # begun is done: a session half in memory would be nobody's
                session = await asyncio.shield(opening)
            except asyncio.CancelledError:
                opening.add_done_callback(self._let_go)
                raise
            except ServiceError as error:
                self._telemetry.session_refused(error.reason)
                raise
        self._session = session
        self._silence.limit(self._settings.idle_s)
        current_subject().session = session.name
        self._conversation.opened(
            next_sequence=session.received + 1,
            n_addresses=session.configuration.sensor.n_addresses,
        )

    def _let_go(self, opening: asyncio.Future[Session]) -> None:
        """Detach from a session that was opened just as the connection ended."""
        if not opening.cancelled() and opening.exception() is None:
            opening.result().detach(self._outbox)

    async def _close(self, session: Session, message: Close) -> None:
        session.accept_close(message, self._arrived_s)
        await session.backlog.wait_until_done()
        if not self._outbox.finished.is_set():
            await self._store(session)
        # another connection may have taken over meanwhile: it is not this one's to close
        if not self._outbox.finished.is_set():
            session.dismiss("closed", CloseCode.ORDERLY)

    async def _store(self, session: Session) -> None:
        """Store a session before it is left; a failure is told, and by goodbye's ``durable``."""
        try:
            await self._registry.keeper.store(session)
        except SnapshotFailed as failure:
            session.tell(told(failure))

    async def _write(self) -> None:
        while messages := await self._outbox.take():
            for start in range(0, len(messages), _TURN_MESSAGES):
                turn = messages[start : start + _TURN_MESSAGES]
                for message in turn:
                    if isinstance(message, ErrorMessage) and message.fatal:
                        self._telemetry.error_told(message.code, fatal=True)
                texts = [encode(message) for message in turn]
                await self._socket.send({"type": "websocket.send", "texts": texts})
                if len(turn) == _TURN_MESSAGES:
                    # a socket that takes everything would keep the loop from the others
                    await self._outbox.give_way()
        assert self._outbox.close_code is not None, "nothing more to send means finished"
        await self._socket.close(self._outbox.close_code)
