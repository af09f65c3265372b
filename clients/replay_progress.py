"""How far a replay has come: what was sent, what the server answered, how often it was right.

Pure state: `Replay` writes it, a view reads it. Accuracy is test-then-train: a segment's final
prediction is made before its label is learnt, and counts as right if it is the label that was told.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import numpy.typing as npt

from service.wire_protocol import ErrorMessage, Learned, Prediction

_UNDER_WAY_LIMIT = 4096


class Phase(Enum):
    """What a replay is doing."""

    LEARNING = "learning"
    TESTING = "testing"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True, eq=False)
class SentSegment:
    """One recording on its way.

    Attributes:
        number: Of its segment in the session.
        pass_index: Which pass it belongs to; None in a test.
        label: Index of its true class.
        told: Index of the class that the server was told; None if it was told none.
        begin_us: Sensor time of its begin.
        times_us: Event times ``[n]``, from its begin.
        addresses: Event addresses ``[n]``.
        duration_us: Its length.
    """

    number: int
    pass_index: int | None
    label: int
    told: int | None
    begin_us: int
    times_us: npt.NDArray[np.int64]
    addresses: npt.NDArray[np.uint32]
    duration_us: int


@dataclass(slots=True)
class Score:
    """How many segments were predicted right."""

    n_segments: int = 0
    n_correct: int = 0
    windowed: float | None = None
    """The server's accuracy over its last 200 segments, at the end of these."""

    @property
    def mean(self) -> float:
        """Fraction of right predictions; not a number before the first."""
        return self.n_correct / self.n_segments if self.n_segments else float("nan")

    def add(self, *, correct: bool) -> None:
        """Count one more segment."""
        self.n_segments += 1
        self.n_correct += correct


@dataclass(slots=True)
class ReplayProgress:
    """Everything a person may want to see of a replay.

    Attributes:
        source: What is replayed.
        classes: Names of the classes.
        n_channels: Channels of the sensor.
        n_passes: Passes over the source.
        pass_segments: Recordings in a pass.
        test_segments: Recordings in the test after the passes.
        speed: Times real time; None: as fast as the server takes it.
        session: The session's name, once it is open.
        passes: The score of each pass that has begun.
        curve: Pairs of (segments learnt in this run, the server's windowed accuracy).
        shown: The segment that was predicted last, and what was predicted.
        lags_s: Seconds from a segment's end to its final prediction; the client's own list.
        elapsed_s: Since the first event was sent, without the test.
    """

    source: str
    classes: tuple[str, ...]
    n_channels: int
    n_passes: int
    pass_segments: int
    test_segments: int = 0
    speed: float | None = None
    session: str = ""
    phase: Phase = Phase.LEARNING
    n_events: int = 0
    n_ticks: int = 0
    n_predicted: int = 0
    n_learned: int = 0
    n_errors: int = 0
    last_error: ErrorMessage | None = None
    passes: list[Score] = field(default_factory=list)
    test: Score = field(default_factory=Score)
    curve: list[tuple[int, float]] = field(default_factory=list)
    shown: tuple[SentSegment, Prediction] | None = None
    lags_s: Sequence[float] = ()
    elapsed_s: float = 0.0
    _under_way: dict[int, SentSegment] = field(default_factory=dict)

    @property
    def chance(self) -> float:
        """Accuracy of guessing."""
        return 1 / len(self.classes)

    @property
    def accuracy(self) -> float:
        """The server's windowed accuracy; not a number before the first lesson."""
        return self.curve[-1][1] if self.curve else float("nan")

    @property
    def fraction(self) -> float:
        """How much is done of all passes and the test, 0 to 1."""
        n_segments = self.n_passes * self.pass_segments + self.test_segments
        return min(1.0, self.n_predicted / n_segments) if n_segments else 1.0

    @property
    def remaining_s(self) -> float | None:
        """Time left until the passes are over, at the pace so far; None while nothing is known."""
        if self.phase is not Phase.LEARNING or not self.n_predicted:
            return None
        n_left = self.n_passes * self.pass_segments - self.n_predicted
        return self.elapsed_s * n_left / self.n_predicted

    @property
    def ticks_per_s(self) -> float:
        """Ticks that were predicted from, by the time they took."""
        return self.n_ticks / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def events_per_s(self) -> float:
        """Events sent, by the time they took."""
        return self.n_events / self.elapsed_s if self.elapsed_s > 0 else 0.0

    def lag_ms(self, percent: float) -> float:
        """Percentile of the lag; not a number before the first final prediction."""
        return float(np.percentile(list(self.lags_s), percent)) * 1e3 if self.lags_s else np.nan

    def send(self, segment: SentSegment) -> None:
        """Note that a segment's first message is about to go."""
        self._under_way[segment.number] = segment
        # a segment whose label was refused is never heard of again
        if len(self._under_way) > _UNDER_WAY_LIMIT:
            del self._under_way[next(iter(self._under_way))]
        while segment.pass_index is not None and len(self.passes) <= segment.pass_index:
            self.passes.append(Score())

    def hear(self, message: Prediction | Learned | ErrorMessage) -> None:
        """Note one message of the server."""
        if isinstance(message, Prediction):
            self._hear_prediction(message)
        elif isinstance(message, Learned):
            self._hear_learned(message)
        else:
            self.n_errors += 1
            self.last_error = message

    def _hear_prediction(self, prediction: Prediction) -> None:
        segment = self._under_way.get(prediction.segment)
        # a resumed session may repeat what an earlier run has asked for
        if segment is None:
            return
        self.shown = segment, prediction
        if not prediction.final:
            return
        self.n_predicted += 1
        if segment.pass_index is None:
            self.test.add(correct=prediction.index == segment.label)
        else:
            self.n_ticks += prediction.tick
        if segment.told is None:
            del self._under_way[segment.number]

    def _hear_learned(self, learned: Learned) -> None:
        if learned.segment is None or learned.segment not in self._under_way:
            return
        segment = self._under_way.pop(learned.segment)
        self.n_learned += 1
        if learned.prequential_accuracy is not None:
            self.curve.append((self.n_learned, learned.prequential_accuracy))
        if segment.pass_index is not None:
            score = self.passes[segment.pass_index]
            score.add(correct=learned.correct)
            score.windowed = learned.prequential_accuracy
