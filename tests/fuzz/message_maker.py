"""Messages as a client of bad manners would write them: some right, some nearly, some not at all.

All of it follows from the random numbers it is given, be they a generator's or hypothesis'.
"""

import json
import random

from tests.end_to_end.conversation_partner import TICK_US, frame

N_ADDRESSES = 6
CLASSES = ["a", "b", "c"]

Raw = str | bytes
"""What goes over the wire."""

ODD_VALUES: list[object] = [
    *(None, True, False, 0, 1, -1, 2**53 - 1, 2**53, 2**63, 2**64, 1e308, -0.5, "", "a", "begin"),
    *([], {}, [[]], {"a": 1}, "\ud800", "x" * 300, [1] * 50, "9" * 40),
]
FIELDS = [
    *("type", "session", "sequence", "segment", "action", "t_us", "target", "from_us", "to_us"),
    *("mode", "rate", "add", "epoch", "model", "learning", "report", "anything"),
]
KINDS = ["segment", "label", "learning", "classes", "snapshot", "close", "open", "events", "ack"]


MIXED = (10, 4, 2, 4, 1)
"""How often a message is right, doubtful, said again, broken, wild: a conversation goes on."""

MOSTLY_BROKEN = (2, 1, 1, 12, 4)


class MessageMaker:
    """One client's idea of what could come next."""

    def __init__(
        self, generator: random.Random, weights: tuple[int, int, int, int, int] = MIXED
    ) -> None:
        self._weights = weights
        self._random = generator
        self._now_us = 0
        self._segment = 0
        self._is_open = False
        self._written: list[Raw] = []

    def make(self, due: int) -> Raw:
        """Write a message, with the number that is due or another one."""
        kind = self._random.choices(
            [self._valid, self._doubtful, self._again, self._broken, self._wild],
            self._weights,
        )[0]
        raw = kind(due)
        self._written = [*self._written[-20:], raw]
        return raw

    def _valid(self, due: int) -> Raw:
        """Write something that usually can be done."""
        makers = [self._events, self._clock, self._mark_next, self._label, self._rate]
        return self._random.choices(makers, (4, 2, 4, 4, 1))[0](due)

    def _doubtful(self, due: int) -> Raw:
        """Write something of good form that usually can't be done."""
        draw = self._random.randrange
        number = draw(self._segment + 5)
        doubtful: list[Raw] = [
            json.dumps({"type": "label", "segment": number, "target": 7, "sequence": due}),
            json.dumps({"type": "label", "segment": number, "target": "?", "sequence": due}),
            json.dumps(
                {"type": "label", "from_us": 5, "to_us": draw(9), "target": 0, "sequence": due}
            ),
            json.dumps({"type": "learning", "rate": -1.0, "sequence": due}),
            json.dumps({"type": "learning", "mode": "ahead", "sequence": due}),
            json.dumps({"type": "classes", "add": ["a"], "sequence": due}),
            self._mark("end", number, max(0, self._now_us - draw(9000)), due),
            self._mark("begin", draw(self._segment + 1), self._now_us, due),
            frame(due, 0, [(0, 1)]),
            frame(due, 1 << 52, []),
            frame(due, self._now_us, [(self._now_us, N_ADDRESSES)]),
            frame(due + 1 + draw(3), self._now_us, []),
        ]
        return self._random.choice(doubtful)

    def _again(self, due: int) -> Raw:
        """Say something that was said before, or something else under an old number."""
        if self._written and self._random.random() < 0.5:
            return self._random.choice(self._written)
        return self._valid(self._random.randrange(max(due, 1)))

    def _broken(self, due: int) -> Raw:
        """Damage a message."""
        raw = self._random.choice([self._valid, self._doubtful])(due)
        if isinstance(raw, bytes):
            return self._damage(raw)
        if self._random.random() < 0.3:
            return self._damage(raw.encode()).decode(errors="replace")
        fields = json.loads(raw)
        for _ in range(self._random.randrange(1, 3)):
            name = self._random.choice(FIELDS)
            if self._random.random() < 0.3:
                fields.pop(name, None)
            else:
                fields[name] = self._random.choice(ODD_VALUES)
        return json.dumps(fields)

    def _wild(self, due: int) -> Raw:
        """Write what is no message, or one that does not belong here."""
        draw = self._random.randrange
        wild: list[Raw] = [
            bytes(draw(256) for _ in range(draw(60))),
            "".join(chr(draw(32, 0x500)) for _ in range(draw(60))),
            "[" * draw(1, 3000),
            json.dumps({"type": "open"}),
            json.dumps({"type": self._random.choice(KINDS), "sequence": due}),
            json.dumps(self._random.choice(ODD_VALUES)),
        ]
        return self._random.choice(wild)

    def _damage(self, raw: bytes) -> bytes:
        draw = self._random.randrange
        damaged = bytearray(raw)
        for _ in range(draw(1, 4)):
            place = draw(len(damaged) + 1)
            if self._random.random() < 0.4:
                del damaged[place : place + draw(1, 9)]
            elif self._random.random() < 0.5:
                damaged[place:place] = bytes(draw(256) for _ in range(draw(1, 9)))
            elif place < len(damaged):
                damaged[place] ^= 1 << draw(8)
        return bytes(damaged)

    def _events(self, due: int) -> Raw:
        draw = self._random.randrange
        base_us = self._now_us
        pairs = [(base_us + draw(6 * TICK_US), draw(N_ADDRESSES)) for _ in range(draw(1, 12))]
        self._now_us += draw(4 * TICK_US)
        return frame(due, base_us, pairs)

    def _clock(self, due: int) -> Raw:
        self._now_us += self._random.randrange(8 * TICK_US)
        return frame(due, self._now_us, [])

    def _mark_next(self, due: int) -> Raw:
        """End the segment that was begun last, or begin the next one."""
        if self._is_open:
            self._is_open = False
            self._now_us += self._random.randrange(4 * TICK_US)
            return self._mark("end", self._segment, self._now_us, due)
        self._is_open = True
        self._segment += 1
        return self._mark("begin", self._segment, self._now_us, due)

    def _mark(self, action: str, number: int, t_us: int, due: int) -> Raw:
        return json.dumps(
            {
                "type": "segment",
                "action": action,
                "segment": number,
                "t_us": t_us,
                "sequence": due,
            }
        )

    def _label(self, due: int) -> Raw:
        number = max(0, self._segment - self._random.randrange(3))
        target = self._random.choice([0, 1, 2, *CLASSES])
        return json.dumps({"type": "label", "segment": number, "target": target, "sequence": due})

    def _rate(self, due: int) -> Raw:
        change = self._random.choice(['"rate": 0.02', '"mode": "off"', '"mode": "delayed"'])
        return f'{{"type": "learning", "sequence": {due}, {change}}}'
