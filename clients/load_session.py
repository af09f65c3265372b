"""One session of a load: frames leave when they are due, whatever has been answered by then."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

from clients.load_script import Script
from clients.load_socket import LoadSocket, connect
from clients.load_tally import QUALITY_FROM_SEGMENT, Tally
from clients.load_task import (
    ACTIVE_CHANNELS,
    FRAME_S,
    FRAME_TICKS,
    SEGMENT_FRAMES,
    SEGMENT_S,
    request,
)
from service.wire_protocol import Close, encode

COME_BACK_S = 0.5
"""Wait before a lost connection is made again."""

_ACK = b'{"type":"ack"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Times on the monotonic clock.

    Attributes:
        open_s: When the session is opened.
        phase_s: One of the moments when a segment begins; all others lie whole segments apart.
        begin_s: Frames that are due from here on are measured.
        end_s: And up to here; none is sent later.
    """

    open_s: float
    phase_s: float
    begin_s: float
    end_s: float


class LoadSession:
    """One session, from its ``open`` to its end.

    Attributes:
        name: What the server knows it by.
        is_over: Whether it was refused, or said all that it had to.
        gone: Set while it has no connection.
    """

    def __init__(
        self, name: str, script: Script, span: Span, tally: Tally, *, url: str, token: str | None
    ) -> None:
        self.name = name
        self.is_over = False
        self.gone = asyncio.Event()
        self.gone.set()
        self._script = script
        self._span = span
        self._tally = tally
        self._url = url
        self._token = token
        self._loop = asyncio.get_running_loop()
        self._socket: LoadSocket | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._was_opened = False
        self._begin_s = 0.0
        self._frame = self._n_sent = 0
        # when each frame was sent that has no prediction yet
        self._sent_s: dict[int, float] = {}
        self._right = self._judged = 0

    def start(self) -> None:
        """Open the session when it is its turn."""
        self._at(self._span.open_s, self._dial)

    def finish(self) -> None:
        """Count what never came, and end the connection in order."""
        if self._timer is not None:
            self._timer.cancel()
        self.is_over = True
        self._tally.n_unanswered += sum(self._is_measured(frame) for frame in self._sent_s)
        # what is answered from now on came too late to count
        self._sent_s.clear()
        if self._judged:
            self._tally.accuracies.append(self._right / self._judged)
        if self._socket is not None:
            self._socket.send([encode(Close())])

    def connected(self) -> None:
        """Open the session, or come back to it."""
        assert self._socket is not None, "a socket that is connected exists"
        self._socket.send([encode(request(self.name))])

    def heard(self, texts: Sequence[bytes]) -> None:
        """Take what the server says."""
        now_s = time.monotonic()
        for text in texts:
            # every other message is one, and there is nothing in it for us
            if text.startswith(_ACK):
                continue
            message = json.loads(text)
            match message["type"]:
                case "prediction":
                    self._take_prediction(message, now_s)
                case "learned":
                    self._tally.n_learned += 1
                case "opened":
                    self._opened(message["next_sequence"])
                case "error":
                    self._take_error(message)

    def lost(self, close_code: int, reason: str) -> None:
        """Come back, unless the session was refused or is over."""
        del reason
        self._socket = None
        self.gone.set()
        if self._timer is not None:
            self._timer.cancel()
        if self.is_over:
            return
        if self._was_opened:
            self._tally.reconnections[str(close_code)] += 1
            self._at(time.monotonic() + COME_BACK_S, self._dial)
        else:
            self._refuse(str(close_code))

    def _dial(self) -> None:
        self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            self.gone.clear()
            self._socket = LoadSocket(self._url, self._token, self)
            await connect(self._socket, self._url)
        except OSError as error:
            self.lost(1006, str(error))

    def _opened(self, next_sequence: int) -> None:
        span = self._span
        if not self._was_opened:
            self._was_opened = True
            self._tally.n_admitted += 1
            n_segments = ceil((time.monotonic() - span.phase_s) / SEGMENT_S)
            self._begin_s = span.phase_s + n_segments * SEGMENT_S
        else:
            self._frame = self._script.frame_of(next_sequence)
            skipped = next_sequence - self._script.first_sequence(self._frame)
            # a frame that was taken in by half was due long ago
            if skipped:
                self._say(skipped)
        self._at(self._due_s(self._frame), self._turn)

    def _turn(self) -> None:
        """Send the frame that is due, and come again for the next one."""
        if self._due_s(self._frame) >= self._span.end_s:
            self._timer = None
            return
        self._say(0)
        self._at(self._due_s(self._frame), self._turn)

    def _say(self, skipped: int) -> None:
        """Send a frame's messages but for the first ones, which the server has already."""
        frame = self._frame
        self._frame += 1
        messages = self._script.messages(frame)[skipped:]
        assert self._socket is not None, "there is no turn without a socket"
        now_s = time.monotonic()
        # what is said again was counted the first time
        if frame == self._n_sent:
            self._n_sent += 1
            self._sent_s[frame] = now_s
            self._tally.n_events += ACTIVE_CHANNELS * FRAME_TICKS
            if self._is_measured(frame):
                self._tally.n_frames += 1
                self._tally.late_s.append(now_s - self._due_s(frame))
        self._socket.send(messages)

    def _take_prediction(self, message: dict[str, object], now_s: float) -> None:
        number, tick = message["segment"], message["tick"]
        assert isinstance(number, int), "the protocol's types are the server's to keep"
        assert isinstance(tick, int), "the protocol's types are the server's to keep"
        if message["final"]:
            self._judge(number, is_right=message["index"] == self._script.segment(number).label)
            return
        self._tally.n_skipped += int(str(message["skipped"]))
        frame = number * SEGMENT_FRAMES + tick // FRAME_TICKS - 1
        sent_s = self._sent_s.pop(frame, None)
        if sent_s is not None and self._is_measured(frame):
            self._tally.due_s.append(self._due_s(frame))
            self._tally.lag_s.append(now_s - sent_s)

    def _judge(self, segment: int, *, is_right: bool) -> None:
        self._tally.judged[segment] += 1
        self._tally.right[segment] += is_right
        if segment >= QUALITY_FROM_SEGMENT:
            self._judged += 1
            self._right += is_right

    def _take_error(self, message: dict[str, object]) -> None:
        code = str(message["code"])
        if not message["fatal"]:
            self._tally.errors[code] += 1
        elif not self._was_opened:
            self._refuse(code)

    def _refuse(self, code: str) -> None:
        self._tally.refused[code] += 1
        self.is_over = True

    def _is_measured(self, frame: int) -> bool:
        return self._span.begin_s <= self._due_s(frame) < self._span.end_s

    def _due_s(self, frame: int) -> float:
        """Return when a frame is complete, and so due to be sent."""
        return self._begin_s + (frame + 1) * FRAME_S

    def _at(self, when_s: float, action: Callable[[], None]) -> None:
        self._timer = self._loop.call_later(max(0.0, when_s - time.monotonic()), action)
