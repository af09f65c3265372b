"""Who may come in while sessions stream in real time: nobody whom the others would pay for.

The load is the share of its time that a thread spends on sessions in real time: the engine thread
with their ticks, or the event loop with their messages, whichever has less left. Sessions ahead of
real time do not count, since they take what is left. What a session that was let in will need
counts at once, and fades at the rate at which the measurement takes it in.

New sessions are let in up to one load, known ones that come back up to a higher one: the difference
is kept for them. Who streamed not long ago is in the measurement still, and always let in.
"""

import math
import time
from collections.abc import Callable, Sequence

from service.errors import AtCapacity
from service.settings import AdmissionSettings

FADES_IN_S = 5.0
"""In this time what was measured fades to a third (by a factor of e)."""

BESIDE_BYTES = 1 << 20
"""What a tick takes beside its network's arithmetic, as bytes of a larger network."""

FIRST_GUESS_S = 1e-11
"""Seconds that a tick takes for each of these bytes, until it is measured."""

PASSES = 2
"""A tick is computed when it comes and once more in its lesson."""

CLOSE = 0.6
"""Of its deadline an answer may use so much; later ones have come close to it."""

CLOSE_SHARE = 0.02
"""With more close answers than this among those in real time nobody new is let in."""

BUSY = 0.75
"""Below this share of what may be taken answers are late for another reason than load."""

FEWEST_ANSWERS = 100
"""Of fewer answers no share is made."""

LEAST_WORK_S = 0.1
"""Of less work of the engine no ratio is made."""


class Fading:
    """A sum whose parts fade as time goes by."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._value = 0.0
        self._as_of_s = clock()

    def add(self, amount: float) -> None:
        """Add something as of now."""
        self._value, self._as_of_s = self.value + amount, self._clock()

    @property
    def value(self) -> float:
        """What is left of it."""
        return self._value * math.exp((self._as_of_s - self._clock()) / FADES_IN_S)


class Admission:
    """Measures what sessions in real time take, and lets in who fits; the event loop's."""

    def __init__(
        self,
        settings: AdmissionSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._close_s = CLOSE * settings.deadline_ms / 1000
        self._clock = clock
        self._computed_s = Fading(clock)
        self._computed_bytes = Fading(clock)
        self._looped_s = Fading(clock)
        self._n_in_time = Fading(clock)
        self._n_ahead = Fading(clock)
        self._n_answers = Fading(clock)
        self._n_close = Fading(clock)
        self._promised = Fading(clock)
        self._seconds_a_byte = FIRST_GUESS_S

    @property
    def load(self) -> float:
        """Share of the busier thread's time that sessions in real time take, or soon will."""
        return self._scarcity * (self._computed_s.value / FADES_IN_S + self._promised.value)

    @property
    def close_share(self) -> float:
        """Share of the last answers in real time that came close to their deadline or missed it."""
        n_answers = self._n_answers.value
        return self._n_close.value / n_answers if n_answers >= FEWEST_ANSWERS else 0.0

    def computed(self, seconds: float, n_ticks: int, tick_bytes: float) -> None:
        """Count what the engine did for sessions in real time.

        Args:
            seconds: How long it took.
            n_ticks: How many ticks were computed.
            tick_bytes: The bytes of their networks, added up over the ticks.
        """
        if n_ticks:
            self._computed_s.add(seconds)
            self._computed_bytes.add(tick_bytes + n_ticks * BESIDE_BYTES)
            self._seconds_a_byte = self._computed_s.value / self._computed_bytes.value

    def looped(self, seconds: float) -> None:
        """Count processor time of the event loop; the share of those in real time is told apart."""
        n_in_time, n_ahead = self._n_in_time.value, self._n_ahead.value
        if n_in_time:
            self._looped_s.add(seconds * n_in_time / (n_in_time + n_ahead))

    def delivered(self, n_in_time: int, n_ahead: int) -> None:
        """Count messages to and from sessions in real time, and to and from those ahead of it."""
        self._n_in_time.add(n_in_time)
        self._n_ahead.add(n_ahead)

    def answered(self, lags_s: Sequence[float]) -> None:
        """Count predictions for sessions in real time, by how long they took."""
        if lags_s:
            self._n_answers.add(len(lags_s))
            self._n_close.add(sum(lag_s > self._close_s for lag_s in lags_s))

    def is_measured(self, active_s: float) -> bool:
        """Tell whether a session that was active then is in the measurement still."""
        return self._clock() - active_s < FADES_IN_S

    def admit(self, *, tick_us: int, n_bytes: int, is_known: bool) -> None:
        """Let a session in, and count what it will need.

        Args:
            tick_us: Length of its ticks.
            n_bytes: Of its network.
            is_known: Whether it comes back.

        Raises:
            AtCapacity: Those that are there would miss their deadlines, or do already.
        """
        settings = self._settings
        n_ticks = PASSES * 1e6 / tick_us
        demand = n_ticks * (n_bytes + BESIDE_BYTES) * self._seconds_a_byte
        most = settings.known_load if is_known else settings.new_load
        load = self.load + self._scarcity * demand
        if load > most:
            raise AtCapacity(
                f"sessions in real time would take {load:.2f} of the server's time; expected at"
                f" most {most:g} for a {'known' if is_known else 'new'} one",
                reason="load",
                retry_after_ms=settings.retry_after_ms,
            )
        if not is_known and load > BUSY * most and self.close_share > CLOSE_SHARE:
            raise AtCapacity(
                f"{self.close_share:.0%} of the predictions come later than"
                f" {1000 * self._close_s:g} ms; expected at most {CLOSE_SHARE:.0%} for a new"
                " session",
                reason="lag",
                retry_after_ms=settings.retry_after_ms,
            )
        self._promised.add(demand)

    @property
    def _scarcity(self) -> float:
        """How many times busier the event loop is than the engine, at least 1."""
        computed_s = self._computed_s.value
        return max(1.0, self._looped_s.value / max(computed_s, LEAST_WORK_S))
