"""What a session may hold, and how sessions are computed."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field

from service.settings.strict import STRICT


class SessionSettings(BaseModel):
    """What one session may hold."""

    model_config = STRICT

    max_sessions: Annotated[int, Field(ge=1)] = 256
    """Sessions in memory, attached or not."""

    max_session_bytes: Annotated[int, Field(ge=1)] = 64 << 20
    """Learner memory of one session; checked before anything is allocated. A session keeps the
    bound of its creation, and classes that are added later are refused beyond it."""

    max_total_bytes: Annotated[int, Field(ge=1)] = 4 << 30
    """Learner memory of all sessions together. Where added classes take more, sessions are parked
    until it is not exceeded: first those without a connection, then the largest."""

    inbox_ticks: Annotated[int, Field(ge=1)] = 8192
    """Ticks a session may queue before its socket is no longer read."""

    inbox_inputs: Annotated[int, Field(ge=1)] = 1 << 20
    """Non-zero inputs of those ticks, likewise."""

    waiting_inputs: Annotated[int, Field(ge=1)] = 1 << 20
    """Counts of open ticks that a session may need at most: (late ticks + 1) times inputs."""

    inbox_messages: Annotated[int, Field(ge=1)] = 1024
    """Messages a session may queue before its socket is no longer read."""

    real_time_slack_s: Annotated[float, Field(gt=0)] = 2.0
    """How far a stream's sensor time may be ahead of the clock before it counts as a replay, which
    is computed after the sessions in real time and takes what they leave."""

    max_advance_ticks: Annotated[int, Field(ge=1)] = 4096
    """Ticks that one message may complete."""

    kept_segments: Annotated[int, Field(ge=1)] = 64
    """Finished segments that wait for a label."""

    kept_ticks: Annotated[int, Field(ge=1)] = 32768
    """Ticks of kept segments, the open one included."""

    kept_inputs: Annotated[int, Field(ge=1)] = 4 << 20
    """Non-zero inputs (channel and tick) of kept segments, the open one included."""

    checkpoint_ticks: Annotated[int, Field(ge=1)] = 256
    """Ticks between kept states that lessons of intervals start from; each takes the memory of
    neurons and traces. Shorter ones make lessons quicker."""

    max_kept_bytes: Annotated[int, Field(ge=1)] = 96 << 20
    """Memory that the kept ticks and states of one session may take; a session that could come to
    need more is not opened."""

    accuracy_window: Annotated[int, Field(ge=1)] = 200
    """Labelled segments in the windowed prequential accuracy."""

    def as_created(self) -> dict[str, int]:
        """Return what a session keeps for its life, whatever the settings become."""
        return self.model_dump(exclude=set(_OF_THE_SERVER))

    def with_created(self, created: Mapping[str, object]) -> Self:
        """Return these settings with what a session was created with.

        Raises:
            ValueError: A value is not allowed.
        """
        kept = self.model_dump().keys() - _OF_THE_SERVER
        known = {name: value for name, value in created.items() if name in kept}
        return type(self).model_validate(self.model_dump() | known)


_OF_THE_SERVER = frozenset(
    {
        "max_sessions",
        "max_total_bytes",
        "inbox_ticks",
        "inbox_inputs",
        "inbox_messages",
        "real_time_slack_s",
    }
)
"""Settings of sessions that change nothing of what a session computes."""


class EngineSettings(BaseModel):
    """The thread that computes."""

    model_config = STRICT

    kernel: Literal["auto", "cpu", "cuda", "reference"] = "cpu"
    """Which kernel new sessions get: ``cpu``, ``cuda``, ``reference``, or ``auto``.

    ``auto`` is ``cuda`` where there is a CUDA device, else ``cpu``.
    """

    batch_rows: Annotated[int, Field(ge=1)] = 64
    """Most sessions in one batch, where one session in real time and one ahead of it have a place
    in any case."""

    batch_ms: Annotated[float, Field(gt=0)] = 4.0
    """How long a batch is to take, by what ticks took before: the shorter, the sooner answers leave
    and the sooner a session that has become ready is seen to."""

    visit_ticks: Annotated[int, Field(ge=1)] = 128
    """Most ticks of one session in one batch; its weights are loaded once for all of them."""

    switch_us: Annotated[int, Field(ge=50)] = 2000
    """Longest time that a thread keeps Python's interpreter lock while another wants it: the
    longer, the fewer switches that cost both, the shorter, the sooner the event loop reads on."""


class AdmissionSettings(BaseModel):
    """How many sessions may stream in real time; those that replay take what these leave."""

    model_config = STRICT

    new_load: Annotated[float, Field(gt=0)] = 0.7
    """Share of its time that the busier of engine and event loop may spend on sessions in real time
    for a new session to be opened, that one included; beyond it 1013."""

    known_load: Annotated[float, Field(gt=0)] = 0.8
    """The same for a stored session that comes back."""

    deadline_ms: Annotated[float, Field(gt=0)] = 50.0
    """A prediction in real time is late after so long. While more than one in fifty takes more than
    0.6 of it, and the load is above 0.75 of ``new_load``, no new session is opened."""

    retry_after_ms: Annotated[int, Field(ge=0)] = 5000
    """Told to clients that are turned away for this."""
