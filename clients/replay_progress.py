"""How far a replay has come: what was sent, what the server answered, how often it was right.

Pure state: `Replay` writes it, a view reads it. Accuracy is test-then-train: a segment's final
prediction is made before its label is learnt, and counts as right if it is the label that was told.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import numpy.typing as npt

from service.wire_protocol import (
    ErrorMessage,
    Learned,
    Prediction,
    Segmentation,
    SegmentedByClient,
    SegmentedBySilence,
    SegmentedByWindow,
    Unsegmented,
)

_UNDER_WAY_LIMIT = 4096
_CURVE_LIMIT = 1 << 16


class Phase(Enum):
    """What a replay is doing."""

    LEARNING = "learning"
    TESTING = "testing"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True, eq=False)
class SentSegment:
    """One recording on its way.

    Attributes:
        key: What answers name it by: the segment's number, or the begin of its interval.
        pass_index: Which pass it belongs to; None in a test.
        label: Index of its true class.
        told: Index of the class that the server was told; None if it was told none.
        begin_us: Sensor time of its begin.
        times_us: Event times ``[n]``, from its begin.
        addresses: Event addresses ``[n]``.
        duration_us: Its length.
        n_ticks: Ticks that it takes.
    """

    key: int
    pass_index: int | None
    label: int
    told: int | None
    begin_us: int
    times_us: npt.NDArray[np.int64]
    addresses: npt.NDArray[np.uint32]
    duration_us: int
    n_ticks: int


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
        n_passes: Passes over the source; None: without end.
        pass_segments: Recordings in a pass.
        test_segments: Recordings in the test after the passes.
        speed: Times real time; None: as fast as the server takes it.
        segmentation: Who cuts the stream into segments, and how.
        session: The session's name, once it is open.
        trouble: Why there is no connection just now; None while there is one.
        n_reconnections: How often the client came back.
        passes: The score of each pass that has begun.
        curve: Pairs of (segments learnt in this run, the server's windowed accuracy); of a very
            long run every second, fourth … of them.
        n_events: Events sent, without the test.
        n_ticks: Ticks predicted from, without the test.
        heard_us: Sensor time up to which the server has answered, without the test.
        shown: The segment that was predicted last, and what was predicted.
        lags_s: Seconds from a segment's end to its final prediction; the client's own list.
        elapsed_s: Since the first event was sent, without the test.
    """

    source: str
    classes: tuple[str, ...]
    n_channels: int
    n_passes: int | None
    pass_segments: int
    test_segments: int = 0
    speed: float | None = None
    segmentation: Segmentation = field(default_factory=SegmentedByClient)
    session: str = ""
    trouble: str | None = None
    n_reconnections: int = 0
    phase: Phase = Phase.LEARNING
    n_events: int = 0
    n_ticks: int = 0
    heard_us: int = 0
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
    # of segments that the server numbers, once they are known
    _numbered: dict[int, SentSegment] = field(default_factory=dict)
    _began_us: int | None = None
    _curve_step: int = 1

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
        """How much is done of all passes and the test, 0 to 1; without an end, of this pass."""
        if self.n_passes is None:
            return self.n_predicted % self.pass_segments / self.pass_segments
        n_segments = self.n_passes * self.pass_segments + self.test_segments
        return min(1.0, self.n_predicted / n_segments) if n_segments else 1.0

    @property
    def remaining_s(self) -> float | None:
        """Time left until the passes are over, at the pace so far; None while nothing is known."""
        if self.phase is not Phase.LEARNING or not self.n_predicted or self.n_passes is None:
            return None
        n_left = max(0, self.n_passes * self.pass_segments - self.n_predicted)
        return self.elapsed_s * n_left / self.n_predicted

    @property
    def pace(self) -> float:
        """Seconds of sensor time that the server answers in a second: what ``speed`` became."""
        return self.heard_us / 1e6 / self.elapsed_s if self.elapsed_s > 0 else 0.0

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
        if self._began_us is None:
            self._began_us = segment.begin_us
        self._under_way[segment.key] = segment
        # a segment whose label was refused is never heard of again
        _bound(self._under_way)
        while segment.pass_index is not None and len(self.passes) <= segment.pass_index:
            self.passes.append(Score())

    def hear(self, message: Prediction | Learned | ErrorMessage) -> SentSegment | None:
        """Note one message of the server; return which recording it is about, if that is known."""
        if isinstance(message, Prediction):
            return self._hear_prediction(message)
        if isinstance(message, Learned):
            return self._hear_learned(message)
        self.n_errors += 1
        self.last_error = message
        return None

    def _hear_prediction(self, prediction: Prediction) -> SentSegment | None:
        segment = self._predicted(prediction)
        # a resumed session may repeat what an earlier run has asked for
        if segment is None:
            return None
        self.shown = segment, prediction
        # lessons of intervals answer for all of their ticks
        if not prediction.final or self._has_intervals:
            return segment
        self._answer(segment, prediction.tick, prediction.t_us)
        if segment.pass_index is None:
            self.test.add(correct=prediction.index == segment.label)
        if isinstance(self.segmentation, SegmentedBySilence):
            self._numbered[prediction.segment] = segment
            _bound(self._numbered)
        elif segment.told is None:
            del self._under_way[segment.key]
        return segment

    def _predicted(self, prediction: Prediction) -> SentSegment | None:
        """Find what a prediction is about: by its number, or by its time."""
        if isinstance(self.segmentation, SegmentedByClient):
            return self._under_way.get(prediction.segment)
        t_us = prediction.t_us
        if prediction.final and isinstance(self.segmentation, SegmentedBySilence):
            t_us -= self.segmentation.gap_us
        # the newest first: it is one of the last few
        for segment in reversed(self._under_way.values()):
            if segment.begin_us <= t_us:
                return segment
        return None

    def _hear_learned(self, learned: Learned) -> SentSegment | None:
        numbered_by_server = isinstance(self.segmentation, SegmentedBySilence)
        segments = self._numbered if numbered_by_server else self._under_way
        key = learned.from_us if learned.segment is None else learned.segment
        segment = None if key is None else segments.pop(key, None)
        if segment is None:
            return None
        if self._has_intervals:
            self._answer(segment, segment.n_ticks, segment.begin_us + segment.duration_us)
        if segment.pass_index is None:
            self.test.add(correct=learned.correct)
            return segment
        self.n_learned += 1
        if learned.prequential_accuracy is not None:
            self._extend_curve(learned.prequential_accuracy)
        score = self.passes[segment.pass_index]
        score.add(correct=learned.correct)
        score.windowed = learned.prequential_accuracy
        return segment

    @property
    def _has_intervals(self) -> bool:
        return isinstance(self.segmentation, SegmentedByWindow | Unsegmented)

    def _answer(self, segment: SentSegment, n_ticks: int, t_us: int) -> None:
        self.n_predicted += 1
        if segment.pass_index is not None and self._began_us is not None:
            self.n_ticks += n_ticks
            self.heard_us = t_us - self._began_us

    def _extend_curve(self, accuracy: float) -> None:
        if self.n_learned % self._curve_step == 0 or not self.curve:
            self.curve.append((self.n_learned, accuracy))
        if len(self.curve) > _CURVE_LIMIT:
            self.curve = self.curve[1::2]
            self._curve_step *= 2


def _bound(segments: dict[int, SentSegment]) -> None:
    if len(segments) > _UNDER_WAY_LIMIT:
        del segments[next(iter(segments))]
