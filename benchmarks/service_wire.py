"""What one frame of 40 ms costs the event loop, stage by stage, with neither sockets nor engine.

    python -m benchmarks.service_wire [--rounds 15]

A frame is what `tclif-load` sends: 450 events in ten ticks, then a frame without events; its
answer is one prediction and one ack. Stages take turns; printed are microseconds a frame, medians
over the rounds with least and most. The sockets' share is measured by `socket_ceiling`.
"""

import argparse
import asyncio
import sys
import time
from statistics import median

from clients.load_script import Script
from clients.load_task import CHANNELS, SEGMENT_FRAMES, Task, request
from service.configuration.configuration import SessionConfiguration
from service.sessions.outbox import Outbox
from service.settings import SessionSettings, SocketSettings
from service.stream.intake import Intake
from service.wire_protocol import (
    Ack,
    ClientMessage,
    Conversation,
    EventFrame,
    Open,
    Prediction,
    decode_binary,
    decode_client_text,
    encode,
)

FRAMES = 10 * SEGMENT_FRAMES

Message = ClientMessage | EventFrame


def _decode(message: bytes | str) -> Message:
    return decode_binary(message) if isinstance(message, bytes) else decode_client_text(message)


class Frames:
    """The stages, each over all frames."""

    def __init__(self) -> None:
        script = Script(Task(), 1, (4, 22))
        self._wire = [message for frame in range(FRAMES) for message in script.messages(frame)]
        self._messages = [_decode(message) for message in self._wire]
        self._request = request("bench")
        settings = SessionSettings()
        self._settings = settings
        self._configuration = SessionConfiguration.resolve(self._request, settings)
        self._predictions = [
            Prediction(
                segment=frame // SEGMENT_FRAMES,
                tick=10,
                t_us=frame,
                index=3,
                label="3",
                confidence=0.3,
                final=False,
            )
            for frame in range(FRAMES)
        ]

    def decode(self) -> None:
        """Read bytes and texts."""
        for message in self._wire:
            _decode(message)

    def judge(self) -> None:
        """Check order and addresses."""
        conversation = Conversation()
        conversation.receive(self._request)
        conversation.opened(next_sequence=1, n_addresses=CHANNELS)
        for message in self._messages:
            conversation.receive(message)

    def take_in(self) -> None:
        """Bin events into ticks, keep them, make work of it all."""
        intake = Intake(self._configuration, self._settings)
        for message in self._messages:
            assert not isinstance(message, Open), "the script has none"
            intake.take(message)  # type: ignore[arg-type]  # nor has it a close

    def answer(self) -> None:
        """Queue a prediction and an ack, take both, write them down."""
        asyncio.run(self._answer())

    async def _answer(self) -> None:
        now_s = 0.0
        outbox = Outbox(SocketSettings(), lambda: now_s)
        for number, prediction in enumerate(self._predictions):
            now_s = number * 0.04
            outbox.put(prediction)
            outbox.acknowledge(Ack(applied=number + 1, durable=0, credit_ticks=8192))
            for message in await outbox.take():
                encode(message)


def measure(n_rounds: int) -> dict[str, list[float]]:
    """Return the microseconds a frame of each stage, round by round."""
    frames = Frames()
    stages = {
        "decode": frames.decode,
        "judge": frames.judge,
        "take in": frames.take_in,
        "answer": frames.answer,
    }
    for stage in stages.values():
        stage()
    times: dict[str, list[float]] = {name: [] for name in stages}
    for _ in range(n_rounds):
        for name, stage in stages.items():
            begin = time.perf_counter()
            stage()
            times[name].append((time.perf_counter() - begin) / FRAMES * 1e6)
    return times


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What a frame costs the event loop.")
    parser.add_argument("--rounds", type=int, default=15)
    times = measure(parser.parse_args().rounds)
    print("| stage | µs a frame: median (least to most) |\n|---|---|")
    for name, rounds in times.items():
        print(f"| {name} | {median(rounds):.1f} ({min(rounds):.1f} to {max(rounds):.1f}) |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
