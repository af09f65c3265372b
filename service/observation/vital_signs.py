"""What the engine last told of each session's network, read seldom and for everybody who asks.

Metrics and monitors want numbers that belong to the engine thread. One reading between two batches
serves them all: it copies counters, never weights, and nobody waits for it longer than a moment.
How far weights moved costs a pass over them, so a reading works that out for one session at most.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from typing import NamedTuple, Protocol
from weakref import WeakKeyDictionary

from service.network.energy_report import measure_activity
from service.network.session_network import SessionNetwork
from service.sessions.sessions import Session
from tclif_core import Activity

REFRESH_S = 0.5
"""Whoever asks again within this time gets the reading before."""

PATIENCE_S = 0.5
"""Longest wait for the engine's batch in progress; then the reading before has to do."""

RECENT_TICKS = 250
"""Ticks that a recent firing rate is over, at least."""

WEIGHT_CHANGE_S = 5.0
"""How far a session's weights moved is worked out at most this often."""


class VitalSigns(NamedTuple):
    """A session's network at one moment.

    Attributes:
        firing_rates: Spikes a neuron and tick of each hidden layer, in the last `RECENT_TICKS` or
            more.
        weight_change: How far each layer moved from its first weights, the readout last; None
            until it is worked out.
        accuracy: Windowed prequential accuracy, None before the first label that counts.
        activity: What its ticks brought since the session began.
        is_drifting: Whether the accuracy dropped not long ago.
        n_labelled: Labelled segments.
        n_lessons: Lessons that were applied.
        learning_stopped: Whether it learns no more.
    """

    firing_rates: tuple[float, ...]
    weight_change: tuple[float, ...] | None
    accuracy: float | None
    activity: Activity
    is_drifting: bool
    n_labelled: int
    n_lessons: int
    learning_stopped: bool


class Reading(NamedTuple):
    """What one visit to the engine brought."""

    signs: dict[Session, VitalSigns]
    bank_bytes: int


class Engine(Protocol):
    """What a reading needs of the thread that computes."""

    def call(self, function: Callable[[], Reading]) -> Future[Reading]:
        """Run something between two batches."""

    def bank_bytes(self) -> int:
        """Return what the slot banks take; on the engine thread."""


class VitalSignsReader:
    """Every session's vital signs; but for its probes only the event loop touches it.

    Attributes:
        bank_bytes: What the learners' slot banks take in memory, free slots included.
    """

    def __init__(
        self,
        engine: Engine,
        sessions: Iterable[Session],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._sessions = sessions
        self._clock = clock
        self._signs: WeakKeyDictionary[Session, VitalSigns] = WeakKeyDictionary()
        self._probes: WeakKeyDictionary[SessionNetwork, _Probe] = WeakKeyDictionary()
        self._pending: asyncio.Future[Reading] | None = None
        self._due_s = float("-inf")
        self.bank_bytes = 0

    def of(self, session: Session) -> VitalSigns | None:
        """Return what was last read of a session, None if nothing was."""
        return self._signs.get(session)

    async def refresh(self) -> None:
        """Read anew unless that was just done; return after a moment even if the engine is busy."""
        # at most one visit waits for the engine, however many ask
        if self._pending is None and self._clock() >= self._due_s:
            visit = partial(self._read, list(self._sessions), self._clock())
            self._pending = asyncio.wrap_future(self._engine.call(visit))
            self._pending.add_done_callback(self._take)
        if self._pending is not None:
            await asyncio.wait({self._pending}, timeout=PATIENCE_S)

    def _take(self, pending: asyncio.Future[Reading]) -> None:
        self._pending = None
        self._due_s = self._clock() + REFRESH_S
        if not pending.cancelled():
            reading = pending.result()
            self._signs.update(reading.signs)
            self.bank_bytes = reading.bank_bytes

    def _read(self, sessions: list[Session], now_s: float) -> Reading:
        """Read the sessions that live; on the engine thread."""
        signs: dict[Session, VitalSigns] = {}
        stale: tuple[float, _Probe, SessionNetwork] | None = None
        for session in sessions:
            network = session.network
            # quarantined, or deleted meanwhile: the slot may be another's
            if network.failure is not None:
                continue
            probe = self._probes.setdefault(network, _Probe())
            signs[session] = probe.read(network)
            if probe.is_stale(network, now_s) and (stale is None or probe.measured_s < stale[0]):
                stale = (probe.measured_s, probe, network)
        if stale is not None:
            _, probe, network = stale
            # told by the next reading
            probe.measure_weight_change(network, now_s)
        return Reading(signs, self._engine.bank_bytes())


class _Probe:
    """What a network's next reading builds on; the engine thread's, no part of the session.

    Attributes:
        measured_s: When the weight change was worked out, on the monotonic clock.
    """

    def __init__(self) -> None:
        self._from_ticks = 0
        self._from_spikes: tuple[int, ...] | None = None
        self._firing_rates: tuple[float, ...] = ()
        self._weight_change: tuple[float, ...] | None = None
        self._measured_lessons = -1
        self.measured_s = float("-inf")

    def read(self, network: SessionNetwork) -> VitalSigns:
        self._rate(network)
        accuracy = network.teaching.accuracy
        return VitalSigns(
            firing_rates=self._firing_rates,
            weight_change=self._weight_change,
            accuracy=accuracy.windowed if accuracy.n_scored else None,
            activity=measure_activity(network),
            is_drifting=accuracy.drift.is_drifting,
            n_labelled=network.teaching.n_labelled,
            n_lessons=network.teaching.n_lessons,
            learning_stopped=network.teaching.learning_stopped,
        )

    def is_stale(self, network: SessionNetwork, now_s: float) -> bool:
        has_learnt = network.teaching.n_lessons != self._measured_lessons
        return has_learnt and now_s - self.measured_s >= WEIGHT_CHANGE_S

    def measure_weight_change(self, network: SessionNetwork, now_s: float) -> None:
        self._weight_change = tuple(network.learner.weight_change(network.slot))
        self._measured_lessons, self.measured_s = network.teaching.n_lessons, now_s

    def _rate(self, network: SessionNetwork) -> None:
        counts, n_ticks = network.learner.spike_counts(network.slot)
        spikes = tuple(counts.tolist())
        if self._from_spikes is None or n_ticks < self._from_ticks:
            # the first reading, or the network was set back: over all of its ticks
            self._from_ticks, self._from_spikes = 0, (0,) * len(spikes)
            self._firing_rates = ()
        passed = n_ticks - self._from_ticks
        if passed >= RECENT_TICKS or (passed and not self._firing_rates):
            sizes = network.learner.network.hidden
            self._firing_rates = tuple(
                (now - then) / (size * passed)
                for now, then, size in zip(spikes, self._from_spikes, sizes, strict=True)
            )
            self._from_ticks, self._from_spikes = n_ticks, spikes
