"""A sensor's live stream to a session, and what is said about it: the heart of live commands.

The server cuts the stream. Each segment's final prediction is told, and a label goes to the last
segment that was told.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from clients.connection_errors import ServerUnreachable
from clients.live_moments import Moment, begin_us, send
from clients.sdk import StreamingClient
from service.wire_protocol import ErrorMessage, Learned, Prediction


@dataclass(slots=True)
class LiveState:
    """What there is to see.

    Attributes:
        gauge: How much is going on, drawn for a person.
        n_events: Events that were sent.
        guess: What the running segment is taken for, and how surely.
        last: The last final prediction.
        n_finals: Final predictions.
        n_learned: Labels that were learnt or scored.
        accuracy: Of the last labelled segments, None before the first.
        trouble: What is wrong just now, if anything.
    """

    gauge: str = ""
    n_events: int = 0
    guess: tuple[str, float] | None = None
    last: Prediction | None = None
    n_finals: int = 0
    n_learned: int = 0
    accuracy: float | None = None
    trouble: str | None = None


class LiveTeaching:
    """One run: events out, predictions back, labels by key."""

    def __init__(
        self,
        client: StreamingClient,
        moments: AsyncIterator[Moment],
        *,
        say: Callable[[str], None],
        show: Callable[[LiveState], None],
    ) -> None:
        """Prepare to stream.

        Args:
            client: Open, its stream cut by the server.
            moments: What the sensor says, each when it says it.
            say: Prints a line that stays.
            show: Draws the present state; called for every moment.
        """
        self._client = client
        self._moments = moments
        # a session that goes on is told again what an earlier run has told already
        self._begin_us = begin_us(client)
        self._first_segment: int | None = None
        self._is_over = asyncio.Event()
        self._say = say
        self._show = show
        self.state = LiveState()

    def stop(self) -> None:
        """Have the run end in order, soon."""
        self._is_over.set()

    async def run(self, keys: AsyncIterator[str]) -> None:
        """Stream until a key or `stop` ends it, or sensor and keys have ended.

        Args:
            keys: What is pressed: a digit labels what was told last with the class of that
                number, counted from 1; ``q`` ends.

        Raises:
            ServerUnreachable: It should end, and there is no server to end it in order with.
        """
        streaming = asyncio.create_task(self._stream())
        keyboard = asyncio.create_task(self._obey(keys))
        reading = asyncio.create_task(self._read())
        ending = asyncio.create_task(self._end_when_over())
        working: set[asyncio.Task[None]] = {streaming, keyboard, reading, ending}
        try:
            while {streaming, keyboard} & working and {reading, ending} <= working:
                done, working = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            await self._finish()
        finally:
            for task in (streaming, keyboard, reading, ending):
                task.cancel()
            await asyncio.gather(streaming, keyboard, reading, ending, return_exceptions=True)

    async def _end_when_over(self) -> None:
        await self._is_over.wait()

    async def _finish(self) -> None:
        """Wait for the answers to what was sent, but for no server that is away."""
        answered = asyncio.create_task(self._until_answered())
        leaving = asyncio.create_task(self._until_nobody_answers())
        try:
            await asyncio.wait({answered, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not answered.done():
                raise ServerUnreachable("ended while the server was away, which it may not know")
            answered.result()
        finally:
            answered.cancel()
            leaving.cancel()
            await asyncio.gather(answered, leaving, return_exceptions=True)

    async def _until_answered(self) -> None:
        await self._client.drain()
        await self._client.until_read()

    async def _until_nobody_answers(self) -> None:
        await self._is_over.wait()
        await self._client.until_lost()

    async def _stream(self) -> None:
        await send(self._client, self._watched(), from_us=self._begin_us)

    async def _watched(self) -> AsyncIterator[Moment]:
        async for moment in self._moments:
            yield moment
            # it is sent by now
            self.state.gauge = moment.gauge
            self.state.n_events += len(moment.times_us)
            self.state.trouble = self._client.trouble or moment.trouble
            self._show(self.state)

    async def _read(self) -> None:
        async for message in self._client:
            match message:
                case Prediction() | Learned() if self._is_retold(message):
                    pass
                case Prediction(final=True):
                    self._tell(message)
                case Prediction():
                    self.state.guess = (message.label, message.confidence)
                case Learned():
                    self.state.n_learned += 1
                    self.state.accuracy = message.prequential_accuracy
                    right = (
                        "as it was taken for" if message.correct else "which it was not taken for"
                    )
                    name = self._client.classes[message.target]
                    self._say(f"  segment {message.segment} was {name}, {right}: learnt")
                case ErrorMessage():
                    self._say(f"  {message.message}")

    def _is_retold(self, message: Prediction | Learned) -> bool:
        if isinstance(message, Prediction):
            return message.t_us <= self._begin_us
        first, segment = self._first_segment, message.segment
        return first is None or segment is None or segment < first

    def _tell(self, prediction: Prediction) -> None:
        if self._first_segment is None:
            self._first_segment = prediction.segment
        self.state.last, self.state.guess = prediction, None
        self.state.n_finals += 1
        self._say(f"{prediction.segment}: {prediction.label} ({prediction.confidence:.0%})")

    async def _obey(self, keys: AsyncIterator[str]) -> None:
        async for key in keys:
            if key in {"q", "\x04"}:
                self.stop()
                return
            await self._label(key)

    async def _label(self, key: str) -> None:
        names, last = self._client.classes, self.state.last
        if not key.isdecimal() or not 1 <= int(key) <= len(names):
            listed = ", ".join(f"{n} {name}" for n, name in enumerate(names[:9], 1))
            self._say(f"  {key!r} is no class; press {listed}, or q to end")
        elif last is None:
            self._say("  nothing was told yet that could be labelled")
        else:
            await self._client.label(last.segment, int(key) - 1)
