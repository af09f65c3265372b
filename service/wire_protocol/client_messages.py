"""The client's JSON messages; events, the binary one, are in `event_frame`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import override

from service.errors import Refusal
from service.wire_protocol.fields import NUMBER_LIMIT, JsonList, Number, StoredName, WireForm
from service.wire_protocol.session_request import (
    LearningMode,
    LearningRequest,
    NetworkRequest,
    ReportRequest,
    Segmentation,
    SegmentedByClient,
    SensorRequest,
)

MAX_CLASS_NAME = 128
MAX_RATE = 1.0


class Open(WireForm):
    """First message of a connection: begins or resumes a session."""

    type: Literal["open"] = "open"
    session: StoredName | None = None
    """Absent: the server chooses a name."""

    model: StoredName | None = None
    network: NetworkRequest | None = None
    tick_us: Annotated[int, Field(ge=100, le=1_000_000)] | None = None
    """Absent: the model's, or 4000."""

    sensor: SensorRequest
    segmentation: Segmentation = SegmentedByClient()
    carry_state: bool = False
    late_us: Number = 0
    learning: LearningRequest = LearningRequest()
    report: ReportRequest = ReportRequest()
    seed: Number | None = None
    epoch: Number | None = None

    @model_validator(mode="after")
    def _one_source_of_weights(self) -> "Open":
        if (self.model is None) == (self.network is None):
            raise ValueError("exactly one of 'model' and 'network' is expected")
        return self


class SequencedForm(WireForm):
    """A message that changes the session, and so carries a number."""

    sequence: Number

    def check_values(self) -> None:
        """Refuse a value that no session could take; asked after the sequence number.

        Raises:
            Refusal: Code ``bad_value``; the message's number is consumed.
        """

    def _refuse(self, sentence: str) -> Refusal:
        return Refusal("bad_value", sentence, sequence=self.sequence)


class SegmentMark(SequencedForm):
    """Where a segment begins or ends."""

    type: Literal["segment"] = "segment"
    action: Literal["begin", "end"]
    segment: Number
    t_us: Number


class Label(SequencedForm):
    """The truth about a segment, or about the ticks that begin in ``[from_us, to_us)``."""

    type: Literal["label"] = "label"
    segment: Number | None = None
    from_us: Number | None = None
    to_us: Number | None = None
    target: Annotated[int, Field(gt=-NUMBER_LIMIT, lt=NUMBER_LIMIT)] | str
    """A class by its index or by its name."""

    @model_validator(mode="after")
    def _about_one_thing(self) -> "Label":
        interval = (self.from_us is not None, self.to_us is not None)
        if interval != ((self.segment is None,) * 2):
            raise ValueError("either 'segment' or both 'from_us' and 'to_us' are expected")
        return self

    @override
    def check_values(self) -> None:
        """Refuse an empty interval."""
        if self.from_us is not None and self.to_us is not None and self.from_us >= self.to_us:
            raise self._refuse(
                f"the interval [{self.from_us}, {self.to_us}) came, from_us < to_us was expected"
            )


class LearningChange(SequencedForm):
    """Another learning mode or rate from here on."""

    type: Literal["learning"] = "learning"
    mode: LearningMode | None = None
    rate: float | None = None

    @override
    def check_values(self) -> None:
        """Refuse a change of nothing, and a rate outside [0, 1]."""
        if self.mode is None and self.rate is None:
            raise self._refuse("neither 'mode' nor 'rate' came, at least one was expected")
        if self.rate is not None and not 0 <= self.rate <= MAX_RATE:
            raise self._refuse(f"rate {self.rate} came, 0 to {MAX_RATE} was expected")


class AddClasses(SequencedForm):
    """More classes for the readout; the weights of the others stay."""

    type: Literal["classes"] = "classes"
    add: Annotated[tuple[str, ...], JsonList]

    @override
    def check_values(self) -> None:
        """Refuse no names, empty or overlong names, and the same name twice."""
        if not self.add or not all(1 <= len(name) <= MAX_CLASS_NAME for name in self.add):
            raise self._refuse(f"one or more names of 1 to {MAX_CLASS_NAME} characters expected")
        if len(set(self.add)) != len(self.add):
            raise self._refuse("a class name came twice, names that differ were expected")


class SnapshotRequest(WireForm):
    """Store the session now."""

    type: Literal["snapshot"] = "snapshot"
    sequence: Number | None = None


class Close(WireForm):
    """Orderly end of the connection; the session stays."""

    type: Literal["close"] = "close"
    sequence: Number | None = None


ClientMessage = Open | SegmentMark | Label | LearningChange | AddClasses | SnapshotRequest | Close
