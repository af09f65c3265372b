"""How many sessions and bytes there may be, each principal's and all together."""

import pytest

from service.access.session_quota import SessionQuota
from service.errors import MemoryFull, QuotaExceeded
from service.settings import QuotaSettings, SessionSettings


def quota(**bounds: int) -> SessionQuota:
    """Make a quota; two sessions in memory, three a principal, 100 bytes each, unless told."""
    bounds = {
        "max_sessions": 2,
        "max_session_bytes": 100,
        "max_total_bytes": 200,
        "sessions": 3,
        "session_bytes": 300,
    } | bounds
    mine = {name: bounds.pop(name) for name in ("sessions", "session_bytes")}
    return SessionQuota(SessionSettings(**bounds), QuotaSettings(**mine))


def test_the_bounds_themselves_are_allowed() -> None:
    allowed = quota()

    allowed.reserve("a", 100)
    allowed.reserve("b", 100)


def test_a_refused_session_is_not_accounted_for() -> None:
    bounded = quota(max_sessions=3, max_total_bytes=200)
    bounded.reserve("a", 100)

    for n_bytes in (101, 101):
        with pytest.raises(QuotaExceeded, match="takes 101 bytes; expected at most 100"):
            bounded.reserve("b", n_bytes)
    bounded.reserve("b", 100)
    with pytest.raises(QuotaExceeded, match="all others 200; expected at most 200 together"):
        bounded.reserve("b", 1)

    bounded.release("a", 100)
    bounded.reserve("b", 100)


def test_a_principals_sessions_are_bounded_and_anothers_are_not() -> None:
    bounded = quota(max_sessions=9, max_total_bytes=900)
    for _ in range(3):
        bounded.reserve("a", 10)

    with pytest.raises(QuotaExceeded, match="'a' has 3 sessions; expected fewer than 3"):
        bounded.reserve("a", 10)

    bounded.reserve("b", 10)


def test_a_principals_bytes_are_bounded_together() -> None:
    bounded = quota(max_sessions=9, max_total_bytes=900, session_bytes=150)
    bounded.reserve("a", 100)

    with pytest.raises(QuotaExceeded, match="'a' 100; expected at most 150 together"):
        bounded.reserve("a", 51)

    bounded.reserve("a", 50)
    bounded.reserve("b", 100)


def test_a_parked_session_makes_room_in_memory_but_stays_its_owners() -> None:
    bounded = quota()
    for _ in range(2):
        bounded.reserve("a", 100)
    bounded.park(100)
    bounded.reserve("a", 100)

    with pytest.raises(QuotaExceeded, match="2 sessions exist"):
        bounded.wake(100)
    with pytest.raises(QuotaExceeded, match="'a' has 3 sessions"):
        bounded.reserve("a", 100)
    bounded.release("a", 100)
    bounded.wake(100)


def test_what_was_found_in_storage_counts_without_being_refused() -> None:
    bounded = quota(sessions=1)
    for _ in range(2):
        bounded.adopt("a", 100)

    with pytest.raises(QuotaExceeded, match="'a' has 2 sessions"):
        bounded.reserve("a", 1)
    for _ in range(2):
        bounded.disown("a", 100)

    bounded.reserve("a", 100)


def test_a_session_that_grows_counts_without_being_refused() -> None:
    bounded = quota(max_total_bytes=150, session_bytes=130)
    bounded.reserve("a", 50)
    bounded.reserve("b", 50)

    bounded.grow("a", 50)
    assert not bounded.is_overfull
    bounded.grow("a", 31)

    assert (bounded.bytes_in_memory, bounded.is_overfull) == (181, True)
    with pytest.raises(QuotaExceeded, match="'a' 131; expected at most 130"):
        bounded.reserve("a", 1)
    bounded.park(131)
    assert (bounded.bytes_in_memory, bounded.is_overfull) == (50, False)
    with pytest.raises(QuotaExceeded, match="all others 50; expected at most 150"):
        bounded.wake(131)


def test_a_session_larger_than_all_memory_is_refused_and_nobody_parked_for_it() -> None:
    bounded = quota(max_total_bytes=150, max_session_bytes=500)
    bounded.reserve("a", 100)

    with pytest.raises(QuotaExceeded, match=r"alone takes 151 .* at most 150, which is") as refusal:
        bounded.wake(151)

    # `MemoryFull` would say that it may help to park others
    assert not isinstance(refusal.value, MemoryFull)


def test_a_session_comes_back_whatever_its_size_may_be_now() -> None:
    bounded = quota(max_session_bytes=100)
    bounded.adopt("a", 130)

    bounded.wake(130)

    assert bounded.bytes_in_memory == 130
