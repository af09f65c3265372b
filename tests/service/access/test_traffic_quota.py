"""How much each principal may send in a time."""

import pytest

from service.access.traffic_quota import TrafficQuota
from service.errors import CloseCode, QuotaExceeded
from service.settings import QuotaSettings
from tests.service.fake_clock import FakeClock


class Road:
    """A quota on a clock that moves by what is waited."""

    def __init__(self, clock: FakeClock, **bounds: float) -> None:
        self.clock = clock
        self.quota = TrafficQuota(QuotaSettings.model_validate(bounds), clock)

    def pace(self, principal: str, n_events: int) -> float:
        """Send a message and wait as long as it takes."""
        owed_s = self.quota.of(principal).owe(n_events)
        self.clock.advance(owed_s)
        return owed_s


def test_events_beyond_the_rate_are_waited_for(clock: FakeClock) -> None:
    road = Road(clock, events_per_s=1000.0)

    # a second's worth at once; then 500 events take half a second, and 2000 take two
    waited = [road.pace("alice", n) for n in (1000, 500, 2000)]

    assert waited == [0.0, 0.5, 2.0]


def test_a_principals_connections_share_its_rate_and_nobody_elses(clock: FakeClock) -> None:
    road = Road(clock, events_per_s=1000.0)
    road.pace("alice", 1000)

    assert road.pace("bob", 1000) == 0.0
    assert road.pace("alice", 1000) == 1.0


def test_messages_are_paced_however_small(clock: FakeClock) -> None:
    road = Road(clock, messages_per_s=2.0)

    assert [road.pace("alice", 0) for _ in range(4)] == [0.0, 0.0, 0.5, 0.5]


def test_connections_at_a_time_are_bounded(clock: FakeClock) -> None:
    alice = Road(clock, connections=2).quota.of("alice")
    alice.connect()
    alice.connect()

    with pytest.raises(QuotaExceeded, match="'alice' has 2 connections; expected fewer") as refusal:
        alice.connect()
    for _ in range(2):
        alice.disconnect()
    alice.connect()

    assert refusal.value.close_code is CloseCode.QUOTA
    assert alice.n_connections == 2


def test_connections_in_a_minute_are_bounded(clock: FakeClock) -> None:
    alice = Road(clock, connections_per_minute=3).quota.of("alice")
    for _ in range(3):
        alice.connect()
        alice.disconnect()

    with pytest.raises(QuotaExceeded, match="expected at most 3 connections a minute"):
        alice.connect()
    alice.disconnect()
    # one comes back every twenty seconds
    clock.advance(20.0)
    alice.connect()

    assert alice.n_connections == 1


def test_requests_are_bounded(clock: FakeClock) -> None:
    alice = Road(clock, requests_per_s=1).quota.of("alice")
    for _ in range(10):
        alice.ask()

    with pytest.raises(QuotaExceeded, match="expected at most 1 requests a second"):
        alice.ask()
    clock.advance(1.0)
    alice.ask()
