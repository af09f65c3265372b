"""Metrics about sessions, made from what is known when somebody asks.

Distributions over all sessions, and series of single ones for the few that were active last: names
of sessions are the clients' choice, so their number has a bound, and who falls out of it, or is
deleted, leaves no series behind.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from heapq import nlargest
from itertools import accumulate
from typing import Protocol
from weakref import WeakKeyDictionary

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from service.network.energy_report import report_energy
from service.observation.vital_signs import VitalSigns, VitalSignsReader
from service.sessions.sessions import Session

_RATES = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
_OWNER = ("principal", "session")


class Registry(Protocol):
    """The sessions, and how many more there are."""

    @property
    def n_parked(self) -> int:
        """How many sessions are stored and not in memory."""

    def __iter__(self) -> Iterator[Session]:
        """Walk over the sessions in memory."""


class SessionSeries(Collector):
    """Gauges and distributions over sessions, and bounded series of single ones."""

    def __init__(
        self,
        registry: Registry,
        signs: VitalSignsReader,
        *,
        single_sessions: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the collector.

        Args:
            registry: The sessions.
            signs: What was read of them.
            single_sessions: How many have series of their own, 0 for none.
            clock: For ages.
        """
        self._registry = registry
        self._signs = signs
        self._single_sessions = single_sessions
        self._clock = clock
        # of each session: `durable`, and when it was first seen to be behind there
        self._behind: WeakKeyDictionary[Session, tuple[int, float]] = WeakKeyDictionary()

    @override
    def collect(self) -> Iterator[Metric]:
        """Make every metric; on the event loop."""
        sessions = list(self._registry)
        yield from self._totals(sessions)
        known = [(session, self._signs.of(session)) for session in sessions]
        signs = [(session, sign) for session, sign in known if sign is not None]
        yield from _distributions([sign for _, sign in signs])
        active = nlargest(self._single_sessions, signs, key=lambda pair: pair[0].active_s)
        yield from _single(active)

    def _totals(self, sessions: list[Session]) -> Iterator[Metric]:
        by_state = GaugeMetricFamily(
            "tclif_sessions", "Sessions by what they are doing.", labels=["state"]
        )
        n_failed = sum(session.failure is not None for session in sessions)
        n_attached = sum(session.is_attached and session.failure is None for session in sessions)
        by_state.add_metric(["attached"], n_attached)
        by_state.add_metric(["detached"], len(sessions) - n_attached - n_failed)
        by_state.add_metric(["quarantined"], n_failed)
        by_state.add_metric(["parked"], self._registry.n_parked)
        yield by_state
        yield GaugeMetricFamily(
            "tclif_backlog_ticks",
            "Ticks that wait to be computed.",
            value=sum(session.backlog.n_ticks for session in sessions),
        )
        yield GaugeMetricFamily(
            "tclif_backlog_messages",
            "Client messages whose effects are not all done.",
            value=sum(session.backlog.n_messages for session in sessions),
        )
        yield GaugeMetricFamily(
            "tclif_kept_bytes",
            "Memory of ticks that wait for a label.",
            value=sum(session.intake.segmentation.kept_bytes for session in sessions),
        )
        yield GaugeMetricFamily(
            "tclif_slot_bank_bytes",
            "Memory of the networks, free slots included.",
            value=self._signs.bank_bytes,
        )
        yield GaugeMetricFamily(
            "tclif_snapshot_age_seconds",
            "Longest that a session with work to be saved has not become safer, as far as seen.",
            value=self._oldest_unsaved(sessions),
        )

    def _oldest_unsaved(self, sessions: list[Session]) -> float:
        now_s = self._clock()
        oldest_s = now_s
        for session in sessions:
            durable, since_s = self._behind.get(session, (-1, now_s))
            if session.durable >= session.applied or session.failure is not None:
                self._behind.pop(session, None)
            elif session.durable != durable:
                self._behind[session] = (session.durable, now_s)
            else:
                oldest_s = min(oldest_s, since_s)
        return now_s - oldest_s


def _distributions(signs: list[VitalSigns]) -> Iterator[Metric]:
    yield _distribution(
        "tclif_session_accuracy",
        "Sessions by windowed prequential accuracy.",
        _SHARES,
        [sign.accuracy for sign in signs if sign.accuracy is not None],
    )
    yield _distribution(
        "tclif_session_firing_rate",
        "Layers of sessions by recent spikes a neuron and tick.",
        _RATES,
        [rate for sign in signs for rate in sign.firing_rates],
    )
    yield GaugeMetricFamily(
        "tclif_sessions_drifting",
        "Sessions whose accuracy dropped within their last 200 labelled segments.",
        value=sum(sign.is_drifting for sign in signs),
    )
    yield GaugeMetricFamily(
        "tclif_sessions_learning_stopped",
        "Sessions whose gradient was not finite; they learn no more.",
        value=sum(sign.learning_stopped for sign in signs),
    )


def _distribution(
    name: str, text: str, bounds: tuple[float, ...], values: Iterable[float]
) -> GaugeHistogramMetricFamily:
    """Return how many values lie at or below each bound, in the shape of a histogram."""
    counts, total = [0] * (len(bounds) + 1), 0.0
    for value in values:
        counts[bisect_left(bounds, value)] += 1
        total += value
    edges = [*map(str, bounds), "+Inf"]
    buckets = list(zip(edges, map(float, accumulate(counts)), strict=True))
    return GaugeHistogramMetricFamily(name, text, buckets=buckets, gsum_value=total)


def _single(pairs: list[tuple[Session, VitalSigns]]) -> Iterator[Metric]:
    def gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"tclif_single_{name}", text, labels=[*_OWNER, *labels])

    def counter(name: str, text: str) -> CounterMetricFamily:
        return CounterMetricFamily(f"tclif_single_{name}", text, labels=_OWNER)

    attached = gauge("attached", "Whether a connection is attached.")
    ticks = counter("ticks", "Ticks inside segments that were computed.")
    events = counter("events", "Events that came, dropped ones included.")
    labelled = counter("segments_labelled", "Labelled segments.")
    lessons = counter("lessons", "Lessons whose update was applied.")
    spikes = counter("spikes", "Spikes of all layers, those in lessons included.")
    joules = counter(
        "energy_joules", "What its arithmetic would have taken in 45 nm, see docs/equations.md."
    )
    backlog = gauge("backlog_ticks", "Ticks that wait to be computed.")
    accuracy = gauge("accuracy", "Windowed prequential accuracy.")
    drifting = gauge("drifting", "Whether the accuracy dropped not long ago.")
    firing_rate = gauge("firing_rate", "Recent spikes a neuron and tick.", "layer")
    weight_change = gauge(
        "weight_change", "How far weights moved, as a share of the first ones' length.", "layer"
    )
    for session, sign in pairs:
        owner = [session.principal, session.name]
        attached.add_metric(owner, session.is_attached)
        ticks.add_metric(owner, session.n_ticks)
        events.add_metric(owner, session.intake.n_events)
        labelled.add_metric(owner, sign.n_labelled)
        lessons.add_metric(owner, sign.n_lessons)
        spikes.add_metric(owner, sum(sign.activity.spikes))
        joules.add_metric(owner, report_energy(session.network.learner, sign.activity).joules)
        backlog.add_metric(owner, session.backlog.n_ticks)
        drifting.add_metric(owner, sign.is_drifting)
        if sign.accuracy is not None:
            accuracy.add_metric(owner, sign.accuracy)
        for layer, rate in enumerate(sign.firing_rates):
            firing_rate.add_metric([*owner, str(layer)], rate)
        for layer, change in enumerate(sign.weight_change or ()):
            is_readout = layer == len(session.network.learner.network.hidden)
            weight_change.add_metric([*owner, "readout" if is_readout else str(layer)], change)
    yield from (attached, ticks, events, labelled, lessons, backlog, accuracy, firing_rate)
    yield from (drifting, weight_change, spikes, joules)
