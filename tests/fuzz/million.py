"""A million random inputs for the decoders and for whole conversations.

    python -m tests.fuzz.million --inputs 1000000 --seed 1

Four of five inputs go to the decoders alone, the fifth through a whole server without sockets (see
`conversation_fuzz`). An input is one message. Everything follows from the seed; a failure names its
batch, and ``--batch N`` repeats that one alone. Memory is looked at after a fifth of the inputs and
at the end.
"""

import argparse
import asyncio
import gc
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.live_memory import resident_bytes
from service.errors import ServiceError
from service.wire_protocol import decode_binary, decode_client_text
from tests.fuzz.conversation_fuzz import FuzzedConversation, FuzzedServer, fuzzed_server
from tests.fuzz.message_maker import MOSTLY_BROKEN, MessageMaker, Raw

DECODED_A_BATCH = 800
SPOKEN_A_BATCH = 200
INPUTS_A_BATCH = DECODED_A_BATCH + SPOKEN_A_BATCH

GROWTH_BYTES = 24 << 20
"""Resident memory that may be added between a fifth of the way and the end: what allocators keep,
not what a leak of a hundred bytes an input would add (80 MB)."""

GROWTH_OBJECTS = 20_000
"""Likewise objects that the collector knows."""

_LONGEST_MESSAGE = 1000
_REPORT_EVERY_S = 2.0


class Memory(NamedTuple):
    """What the process holds."""

    resident: int
    n_objects: int


class Fuzzing:
    """Counts inputs and what became of them.

    Attributes:
        n_inputs: Messages that were given so far.
        outcomes: How often each error was the answer, or none.
    """

    def __init__(self, seed: int) -> None:
        self.n_inputs = 0
        self.outcomes: Counter[str] = Counter()
        self._seed = seed

    async def batch(self, server: FuzzedServer, number: int) -> None:
        """Give one batch of inputs."""
        maker = MessageMaker(random.Random(f"decoders {self._seed} {number}"), MOSTLY_BROKEN)
        for place in range(DECODED_A_BATCH):
            self._decode(maker, place)
        maker = MessageMaker(random.Random(f"conversations {self._seed} {number}"))
        conversation = FuzzedConversation(server, f"s{number}")
        for _ in range(SPOKEN_A_BATCH):
            await conversation.say(maker.make(conversation.due))
            self.n_inputs += 1
        self.outcomes.update(conversation.codes)
        self.outcomes["accepted"] += conversation.due - 1
        await conversation.end()

    def _decode(self, maker: MessageMaker, due: int) -> None:
        raw = maker.make(due)
        self.n_inputs += 1
        outcome, words = _decoded(raw)
        assert len(words) <= _LONGEST_MESSAGE, raw
        self.outcomes[f"decoder: {outcome}"] += 1


def _decoded(raw: Raw) -> tuple[str, str]:
    """Decode a message; return what became of it, and the words of a refusal."""
    try:
        if isinstance(raw, bytes):
            decode_binary(raw)
        else:
            decode_client_text(raw)
    except ServiceError as refused:
        return refused.code, refused.message
    return "accepted", ""


def memory() -> Memory:
    """Return what the process holds, rubbish apart."""
    gc.collect()
    return Memory(resident_bytes(), len(gc.get_objects()))


def progress(n_inputs: int) -> Iterator[None]:
    """Tell how far it is, now and then, to standard error; advanced after each batch."""
    began_s = told_s = time.monotonic()
    done = 0
    while True:
        yield
        done += INPUTS_A_BATCH
        now_s = time.monotonic()
        if now_s - told_s >= _REPORT_EVERY_S:
            told_s = now_s
            rate = done / (now_s - began_s)
            sys.stderr.write(
                f"fuzz: {done:,} of {n_inputs:,} inputs ({done / n_inputs:.0%}), {rate:,.0f} a"
                f" second, {(n_inputs - done) / rate:.0f} s left, {resident_bytes() >> 20} MiB\n"
            )
            sys.stderr.flush()


async def run(n_inputs: int, seed: int, only_batch: int | None) -> int:
    """Give all inputs; return the exit status."""
    n_batches = -(-n_inputs // INPUTS_A_BATCH)
    batches = range(n_batches) if only_batch is None else [only_batch]
    fuzzing, tell = Fuzzing(seed), progress(n_batches * INPUTS_A_BATCH)
    next(tell)
    settled: Memory | None = None
    with tempfile.TemporaryDirectory() as folder:
        async with fuzzed_server(Path(folder)) as server:
            for number in batches:
                try:
                    await fuzzing.batch(server, number)
                except BaseException:
                    sys.stderr.write(f"fuzz: seed {seed}, batch {number} failed\n")
                    raise
                if number == n_batches // 5:
                    settled = memory()
                next(tell)
            after = memory()
    for outcome, count in sorted(fuzzing.outcomes.items()):
        sys.stdout.write(f"{count:>9,} {outcome}\n")
    sys.stdout.write(f"{fuzzing.n_inputs:,} inputs, seed {seed}: no exception escaped\n")
    return 0 if settled is None else _judge(settled, after)


def _judge(settled: Memory, after: Memory) -> int:
    grown = Memory(after.resident - settled.resident, after.n_objects - settled.n_objects)
    sys.stdout.write(
        f"since a fifth of them: {grown.resident / (1 << 20):+.1f} MiB resident (at most"
        f" {GROWTH_BYTES >> 20}), {grown.n_objects:+,} objects (at most {GROWTH_OBJECTS:,})\n"
    )
    return int(grown.resident > GROWTH_BYTES or grown.n_objects > GROWTH_OBJECTS)


def main() -> int:
    """Run what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description="Random inputs for the decoders and the service.")
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, help="repeat one batch alone")
    options = parser.parse_args()
    return asyncio.run(run(options.inputs, options.seed, options.batch))


if __name__ == "__main__":
    sys.exit(main())
