"""What the server says, all of it as JSON text.

Optional fields that are ``None`` are left out on the wire. A client ignores fields it does not
know, so that a newer server can say more.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.wire_protocol.fields import Number

Probability = Annotated[float, Field(ge=0, le=1.0001)]
"""With room above 1 for the rounding of a float32 mean."""


class ServerForm(BaseModel):
    """A JSON object of the server's: frozen, strictly typed, finite, unknown fields ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)


class Limits(ServerForm):
    """Bounds that the client should know, fixed for the session."""

    max_message_bytes: Number
    max_advance_ticks: Number
    """Ticks that one message may complete."""

    kept_segments: Number
    kept_ticks: Number
    checkpoint_ticks: Number | None = None
    idle_s: Annotated[float, Field(gt=0)]
    """A connection that says nothing for so long is closed."""


class Opened(ServerForm):
    """The session is attached."""

    type: Literal["opened"] = "opened"
    session: str
    resumed: bool
    epoch: Number
    next_sequence: Number
    credit_ticks: Number
    classes: Annotated[tuple[str, ...], Field(strict=False)]
    tick_us: Number
    seed: Number
    kernel: str
    limits: Limits
    server: str
    open_segment: Number | None = None
    """The segment that an earlier connection left open, so that a client that forgot can end it."""

    open_segment_t_us: Number | None = None
    """Sensor time of its begin."""

    horizon_us: Number | None = None
    """How far the clock of the open segment has come, or that of all segments of the server's."""


class Prediction(ServerForm):
    """What the network takes the segment for, after its first ``tick`` ticks."""

    type: Literal["prediction"] = "prediction"
    segment: Number
    tick: Number
    """How many ticks of the segment it is made from; 0 in a final one of an empty segment."""

    t_us: Number
    """Sensor time at the end of the last of those ticks; in a final one the segment's end."""

    index: Number
    label: str
    confidence: Probability
    probabilities: Annotated[tuple[Probability, ...], Field(strict=False)] | None = None
    """By class index; only if the session's report asks for them."""

    final: bool
    skipped: Number = 0
    """Predictions left out before this one because the client reads slowly."""


class Learned(ServerForm):
    """A lesson is done."""

    type: Literal["learned"] = "learned"
    segment: Number | None = None
    from_us: Number | None = None
    to_us: Number | None = None
    target: Number
    """Index of the class."""

    correct: bool
    """Whether the final prediction was right."""

    loss: float | None = None
    """Mean over the lesson's ticks; absent where learning is off and nothing was learnt."""

    prequential_accuracy: Annotated[float, Field(ge=0, le=1)] | None = None
    """Of the last 200 segments that count; absent while none does."""

    segments_labelled: Number
    """Segments that got a label so far, those that do not count included."""


class Ack(ServerForm):
    """How far the session has come: all that message ``applied`` causes was sent before this."""

    type: Literal["ack"] = "ack"
    applied: Number
    durable: Number
    credit_ticks: Number


class ErrorMessage(ServerForm):
    """Something went wrong; what came and what was expected."""

    type: Literal["error"] = "error"
    code: str
    message: str
    sequence: Number | None = None
    fatal: bool
    retry_after_ms: Number | None = None
    """How long the server wants to be left alone, if it says so."""


GoodbyeReason = Literal["closed", "taken_over", "draining", "idle", "deleted", "quota"]


class Goodbye(ServerForm):
    """Last message of a connection that ends in order."""

    type: Literal["goodbye"] = "goodbye"
    reason: GoodbyeReason
    durable: Number
    retry_after_ms: Number = 0


ServerMessage = Opened | Prediction | Learned | Ack | ErrorMessage | Goodbye
