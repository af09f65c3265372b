"""A microphone's stream to a session, and what is said about it: the heart of `tclif-mic`.

The server cuts the stream where it is silent. Each segment's final prediction is told, and a label
goes to the last segment that was told.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import numpy as np

from clients.cochlea import Cochlea
from clients.cochlea_design import SAMPLE_RATE, CochleaSpec
from clients.sdk import StreamingClient
from clients.sound_input import SoundInput
from service.wire_protocol import ErrorMessage, Learned, Prediction

PAUSE_US = 1_000_000
"""Sensor time between what a session heard in an earlier run and what it hears in this one."""


@dataclass(slots=True)
class Hearing:
    """What there is to see.

    Attributes:
        level: Loudest sample of the last block, 0 to 1.
        n_events: Spikes that were sent.
        guess: What the running segment is taken for, and how surely.
        heard: The last final prediction.
        n_heard: Final predictions.
        n_learned: Labels that were learnt or scored.
        accuracy: Of the last labelled segments, None before the first.
        trouble: What is wrong just now, if anything.
    """

    level: float = 0.0
    n_events: int = 0
    guess: tuple[str, float] | None = None
    heard: Prediction | None = None
    n_heard: int = 0
    n_learned: int = 0
    accuracy: float | None = None
    trouble: str | None = None


class Listening:
    """One run: sound in, spikes out, predictions back, labels by key."""

    def __init__(
        self,
        client: StreamingClient,
        sound: SoundInput,
        *,
        channels: int,
        gap_us: int,
        say: Callable[[str], None],
        show: Callable[[Hearing], None],
    ) -> None:
        """Prepare to listen.

        Args:
            client: Open, its stream cut by silence.
            sound: Where sound comes from.
            channels: Of the cochlea, the session's.
            gap_us: Silence that ends a segment.
            say: Prints a line that stays.
            show: Draws the present state; called for every block.
        """
        self._client = client
        self._sound = sound
        self._gap_us = gap_us
        self._cochlea = Cochlea(CochleaSpec(channels=channels))
        # a session that goes on is told again what an earlier run has told already
        self._base_us = (client.opened.horizon_us or 0) + PAUSE_US
        self._first_segment: int | None = None
        self._is_over = False
        self._say = say
        self._show = show
        self.hearing = Hearing()

    async def run(self, keys: AsyncIterator[str]) -> None:
        """Listen until a key ends it, or sound and keys have ended.

        Args:
            keys: What is pressed: a digit labels what was heard last with the class of that
                number, counted from 1; ``q`` ends.
        """
        hearing = asyncio.create_task(self._hear())
        keyboard = asyncio.create_task(self._obey(keys))
        reading = asyncio.create_task(self._read())
        working: set[asyncio.Task[None]] = {hearing, keyboard, reading}
        try:
            while {hearing, keyboard} & working and reading in working and not self._is_over:
                done, working = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            # what was sent is answered before the end
            await self._client.drain()
            await self._client.until_read()
        finally:
            for task in (hearing, keyboard, reading):
                task.cancel()
            await asyncio.gather(hearing, keyboard, reading, return_exceptions=True)

    async def _hear(self) -> None:
        base_us, n_samples = self._base_us, 0
        async for block in self._sound.blocks():
            n_samples += len(block)
            times_us, channels = self._cochlea.process(block)
            if len(times_us):
                await self._client.send_events(base_us + times_us, channels)
            await self._client.advance_to(base_us + n_samples * 1_000_000 // SAMPLE_RATE)
            self.hearing.level = float(np.abs(block).max(initial=0.0))
            self.hearing.n_events += len(times_us)
            self.hearing.trouble = self._client.trouble
            if self._sound.n_lost:
                self.hearing.trouble = f"{self._sound.n_lost} blocks of sound were lost"
            self._show(self.hearing)
        # sound that ends is followed by silence
        end_us = base_us + n_samples * 1_000_000 // SAMPLE_RATE
        await self._client.advance_to(end_us + self._gap_us + self._client.opened.tick_us)

    async def _read(self) -> None:
        async for message in self._client:
            match message:
                case Prediction() | Learned() if self._is_retold(message):
                    pass
                case Prediction(final=True):
                    self._hear_final(message)
                case Prediction():
                    self.hearing.guess = (message.label, message.confidence)
                case Learned():
                    self.hearing.n_learned += 1
                    self.hearing.accuracy = message.prequential_accuracy
                    right = (
                        "as it was taken for" if message.correct else "which it was not taken for"
                    )
                    name = self._client.classes[message.target]
                    self._say(f"  segment {message.segment} was {name}, {right}: learnt")
                case ErrorMessage():
                    self._say(f"  {message.message}")

    def _is_retold(self, message: Prediction | Learned) -> bool:
        if isinstance(message, Prediction):
            return message.t_us <= self._base_us
        first, segment = self._first_segment, message.segment
        return first is None or segment is None or segment < first

    def _hear_final(self, prediction: Prediction) -> None:
        if self._first_segment is None:
            self._first_segment = prediction.segment
        self.hearing.heard, self.hearing.guess = prediction, None
        self.hearing.n_heard += 1
        self._say(f"{prediction.segment}: {prediction.label} ({prediction.confidence:.0%})")

    async def _obey(self, keys: AsyncIterator[str]) -> None:
        async for key in keys:
            if key in {"q", "\x04"}:
                self._is_over = True
                return
            await self._label(key)

    async def _label(self, key: str) -> None:
        names, heard = self._client.classes, self.hearing.heard
        if not key.isdecimal() or not 1 <= int(key) <= len(names):
            listed = ", ".join(f"{n} {name}" for n, name in enumerate(names[:9], 1))
            self._say(f"  {key!r} is no class; press {listed}, or q to end")
        elif heard is None:
            self._say("  nothing was heard yet that could be labelled")
        else:
            await self._client.label(heard.segment, int(key) - 1)
